// SPDX-License-Identifier: Apache-2.0
/* team: spin-then-park workers.
 *
 * Shared state is two words. `ticket` hands out chunks: the step's number in the high half, the next
 * chunk in the low half, so that a late thread cannot take a chunk of a step that is over. `n_done`
 * counts finished threads of the step; the last one opens the next ticket, which is also the barrier.
 * Between runs workers spin on `epoch` for a short while and then park on a futex; `n_parked` tells
 * the caller whether a wake is needed at all.
 *
 * A thread that the system has taken off its core stalls a barrier for as long as it is away, so
 * waiting threads yield after SPIN turns: with more threads than cores the others can then run.
 */
#define _GNU_SOURCE
#include "base/team.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREAD_MAX = 256, SPIN = 2000, YIELD = 50, CACHE_LINE = 64 };

struct bt_team {
    int n_thread;
    int n_started;         // worker threads that exist: n_thread - 1 once new() succeeded
    pthread_t worker[THREAD_MAX];

    bt_step (*step)(const void *ctx, int i);   // the current run; written before epoch moves
    const void *ctx;
    int n_step;

    _Alignas(CACHE_LINE) atomic_uint_fast64_t ticket;   // step << 32 | next chunk
    _Alignas(CACHE_LINE) atomic_int n_done;             // threads through with the current step
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch;        // runs begun; the futex word
    atomic_int n_parked;
    atomic_int n_inside;                                // workers still inside the current run
    atomic_bool stop;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Take chunks of step i until none is left. */
static void take_chunks(bt_team *team, const bt_step *s, uint32_t i)
{
    int64_t n_chunk = bt_div_up(s->n_item, s->grain);
    assert(s->grain >= 1 && n_chunk < INT32_MAX);
    for (;;) {
        uint64_t t = atomic_fetch_add_explicit(&team->ticket, 1, memory_order_acquire);
        int64_t chunk = (int64_t)(t & UINT32_MAX);
        if ((uint32_t)(t >> 32) != i || chunk >= n_chunk) return;
        int64_t begin = chunk * s->grain;
        s->fn(s->args, begin, bt_min_i64(begin + s->grain, s->n_item));
    }
}

/* Wait until step i is over; the last thread to arrive opens the next one. */
static void pass_barrier(bt_team *team, uint32_t i)
{
    if (atomic_fetch_add_explicit(&team->n_done, 1, memory_order_acq_rel) == team->n_thread - 1) {
        atomic_store_explicit(&team->n_done, 0, memory_order_relaxed);
        atomic_store_explicit(&team->ticket, (uint64_t)(i + 1) << 32, memory_order_release);
        return;
    }
    for (int turn = 0; atomic_load_explicit(&team->ticket, memory_order_acquire) >> 32 == i; turn++) {
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
}

static void walk(bt_team *team)
{
    int n_step = team->n_step;
    for (int i = 0; i < n_step; i++) {
        bt_step s = team->step(team->ctx, i);
        take_chunks(team, &s, (uint32_t)i);
        pass_barrier(team, (uint32_t)i);
    }
}

/* Return the new epoch once a run begins. */
static uint32_t await_epoch(bt_team *team, uint32_t seen)
{
    for (int turn = 0; turn < SPIN + YIELD; turn++) {
        uint32_t now = atomic_load_explicit(&team->epoch, memory_order_acquire);
        if (now != seen) return now;
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
    atomic_fetch_add(&team->n_parked, 1);
    uint32_t now;
    while ((now = atomic_load(&team->epoch)) == seen) futex_wait(&team->epoch, seen);
    atomic_fetch_sub(&team->n_parked, 1);
    return now;
}

static void *worker_main(void *arg)
{
    bt_team *team = arg;
    uint32_t seen = 0;
    for (;;) {
        seen = await_epoch(team, seen);
        if (atomic_load(&team->stop)) return NULL;
        walk(team);
        atomic_fetch_sub_explicit(&team->n_inside, 1, memory_order_release);
    }
}

static void begin_epoch(bt_team *team)
{
    atomic_fetch_add(&team->epoch, 1);
    if (atomic_load(&team->n_parked)) futex_wake_all(&team->epoch);
}

void bt_team_run(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx, int n_step)
{
    if (n_step <= 0) return;
    team->step = step;
    team->ctx = ctx;
    team->n_step = n_step;
    atomic_store_explicit(&team->ticket, 0, memory_order_relaxed);
    atomic_store_explicit(&team->n_inside, team->n_thread - 1, memory_order_relaxed);
    if (team->n_thread > 1) begin_epoch(team);
    walk(team);
    // A worker may still be reading the step list: it must be out before the caller may change it.
    for (int turn = 0; atomic_load_explicit(&team->n_inside, memory_order_acquire) > 0; turn++) {
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
}

static bt_step the_only_step(const void *ctx, int i)
{
    (void)i;
    return *(const bt_step *)ctx;
}

void bt_team_run_one(bt_team *team, bt_step step) { bt_team_run(team, the_only_step, &step, 1); }

int bt_team_size(const bt_team *team) { return team->n_thread; }

bt_status bt_team_new(int n_thread, bt_team **ret_team)
{
    BT_FAIL_IF(n_thread < 1 || n_thread > THREAD_MAX, INVALID, "%d threads, must be from 1 to %d", n_thread,
               THREAD_MAX);
    bt_team *team;
    BT_TRY(bt_alloc_zero((void **)&team, sizeof *team, BT_MEM_DEVICE));
    team->n_thread = n_thread;
    while (team->n_started < n_thread - 1) {
        if (pthread_create(&team->worker[team->n_started], NULL, worker_main, team)) {
            bt_team_free(team);
            return bt_fail(BT_NOMEM, "the system gave no thread number %d", team->n_started + 2);
        }
        team->n_started++;
    }
    *ret_team = team;
    return BT_OK;
}

void bt_team_free(bt_team *team)
{
    if (!team) return;
    atomic_store(&team->stop, true);
    begin_epoch(team);
    for (int i = 0; i < team->n_started; i++) pthread_join(team->worker[i], NULL);
    bt_free(team);
}
