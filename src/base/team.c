// SPDX-License-Identifier: Apache-2.0
/* team: spin-then-park workers.
 *
 * Every thread walks the whole list. `progress` counts the steps that are over; a thread enters
 * step i once progress has reached i. A step of one chunk is thread 0's alone: the others do not
 * even look in, so a run of small steps costs no synchronisation. In a step of several chunks
 * thread t begins with chunk t; what is left is handed out by `ticket`. The last thread to arrive
 * resets both counters and moves progress on.
 *
 *   progress    0         1    2    3         4
 *   t0 |##c0##|##c2##|.|##|.|##|.|##c0##| ...        steps 1 and 2 have one chunk
 *   t1 |##c1####|......waits.....|##c1##| ...
 *
 * Between runs workers spin on `epoch` for a short while and then park on a futex; `n_parked` tells
 * the caller whether a wake is needed at all.
 *
 * A thread that the system has taken off its core stalls a step for as long as it is away, so
 * waiting threads yield after SPIN turns: with more threads than cores the others can then run.
 */
#define _GNU_SOURCE
#include "base/team.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREAD_MAX = 256, SPIN = 2000, YIELD = 50, CACHE_LINE = 64 };

typedef struct bt_team_worker {
    bt_team *team;
    pthread_t thread;
    int t; // 1..n_thread - 1; thread 0 is the caller of bt_team_run
} bt_team_worker;

struct bt_team {
    int n_thread;
    int n_started; // worker threads that exist: n_thread - 1 once new() succeeded
    bt_team_worker worker[THREAD_MAX];

    bt_step (*step)(const void *ctx, int i); // the current run; written before epoch moves
    const void *ctx;
    int n_step;
    int64_t *stamp; // thread 0's alone; NULL: nobody wants to know

    _Alignas(CACHE_LINE) _Atomic int64_t ticket; // the next chunk nobody has
    _Alignas(CACHE_LINE) atomic_int n_arrived;   // threads through with the current step
    _Alignas(CACHE_LINE) atomic_int progress;    // steps of this run that are over
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch; // runs begun; the futex word
    atomic_int n_parked;
    atomic_int n_inside; // workers still inside the current run
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

static void run_chunk(const bt_step *s, int64_t chunk)
{
    int64_t begin = chunk * s->grain;
    s->fn(s->args, begin, bt_min_i64(begin + s->grain, s->n_item));
}

/* Return once `i` steps are over. */
static void await_progress(bt_team *team, int i)
{
    for (int turn = 0; atomic_load_explicit(&team->progress, memory_order_acquire) < i; turn++) {
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
}

/* Thread t's part of step i, which all threads share. */
static void share_step(bt_team *team, const bt_step *s, int64_t n_chunk, int t, int i)
{
    if (t < n_chunk) run_chunk(s, t);
    if (n_chunk > team->n_thread)
        for (int64_t c;
             (c = atomic_fetch_add_explicit(&team->ticket, 1, memory_order_relaxed)) < n_chunk;)
            run_chunk(s, c);
    if (atomic_fetch_add_explicit(&team->n_arrived, 1, memory_order_acq_rel) < team->n_thread - 1)
        return;
    atomic_store_explicit(&team->n_arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&team->ticket, team->n_thread, memory_order_relaxed);
    atomic_store_explicit(&team->progress, i + 1, memory_order_release);
}

static void walk(bt_team *team, int t)
{
    for (int i = 0; i < team->n_step; i++) {
        bt_step s = team->step(team->ctx, i);
        int64_t n_chunk = bt_div_up(s.n_item, s.grain);
        assert(s.grain >= 1);
        if (t == 0 && team->stamp) {
            await_progress(team, i);
            team->stamp[i] = bt_now_ns();
        }
        if (n_chunk > 1) {
            await_progress(team, i);
            share_step(team, &s, n_chunk, t, i);
        } else if (t == 0) {
            await_progress(team, i);
            if (n_chunk) run_chunk(&s, 0);
            atomic_store_explicit(&team->progress, i + 1, memory_order_release);
        }
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
    bt_team_worker *self = arg;
    bt_team *team = self->team;
    uint32_t seen = 0;
    for (;;) {
        seen = await_epoch(team, seen);
        if (atomic_load(&team->stop)) return NULL;
        walk(team, self->t);
        atomic_fetch_sub_explicit(&team->n_inside, 1, memory_order_release);
    }
}

static void begin_epoch(bt_team *team)
{
    atomic_fetch_add(&team->epoch, 1);
    if (atomic_load(&team->n_parked)) futex_wake_all(&team->epoch);
}

void bt_team_run(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx,
                 int n_step)
{
    if (n_step <= 0) return;
    team->step = step;
    team->ctx = ctx;
    team->n_step = n_step;
    atomic_store_explicit(&team->ticket, team->n_thread, memory_order_relaxed);
    atomic_store_explicit(&team->progress, 0, memory_order_relaxed);
    atomic_store_explicit(&team->n_inside, team->n_thread - 1, memory_order_relaxed);
    if (team->n_thread > 1) begin_epoch(team);
    walk(team, 0);
    await_progress(team, n_step);
    // A worker may still be reading the step list: it must be out before the caller may change it.
    for (int turn = 0; atomic_load_explicit(&team->n_inside, memory_order_acquire) > 0; turn++) {
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
}

void bt_team_run_timed(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx,
                       int n_step, int64_t *ret_stamp)
{
    team->stamp = ret_stamp;
    bt_team_run(team, step, ctx, n_step);
    team->stamp = NULL;
    ret_stamp[n_step] = bt_now_ns();
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
    BT_FAIL_IF(n_thread < 1 || n_thread > THREAD_MAX, INVALID, "%d threads, must be from 1 to %d",
               n_thread, THREAD_MAX);
    bt_team *team;
    BT_TRY(bt_alloc_zero((void **)&team, sizeof *team, BT_MEM_DEVICE));
    team->n_thread = n_thread;
    while (team->n_started < n_thread - 1) {
        bt_team_worker *w = &team->worker[team->n_started];
        *w = (bt_team_worker){.team = team, .t = team->n_started + 1};
        if (pthread_create(&w->thread, NULL, worker_main, w)) {
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
    for (int i = 0; i < team->n_started; i++) pthread_join(team->worker[i].thread, NULL);
    bt_free(team);
}
