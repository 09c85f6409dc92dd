// SPDX-License-Identifier: Apache-2.0
/* team: threads that take chunks of the current step until the run is over.
 *
 * One word says what there is to take: the step, how many chunks it has, how many have been taken.
 * Taking one is one atomic addition. Whoever ends the last chunk of a step goes on: it runs the
 * steps of one chunk that follow by itself, and publishes the next step that there is something to
 * share of, keeping one chunk of it.
 *
 *   word   | step | chunks | hole | taken |
 *
 *   t0 |##0.0##|##0.2##|            |##2.0##|         steps 0 and 2 are shared; 1 has one chunk,
 *   t1 |##0.1##|##0.3##|##1##|      |##2.1##|         and t1, which ended step 0, runs it
 *
 * Nobody waits for a thread, only for chunks: one that the system has taken off its core takes part
 * again when it is back, and stalls a step only if it was in the middle of a chunk. A thread that
 * publishes keeps the chunk of its own number (the hole in what the others count), so with two
 * threads each reads the same part of the weights every time.
 *
 * Threads with nothing to take look at the word for a short while, then yield, then park on a futex;
 * `n_parked` tells a publisher whether a wake is needed at all. */
#define _GNU_SOURCE
#include "base/team.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREAD_MAX = 256, SPIN = 2000, YIELD = 50, CACHE_LINE = 64 };
enum { TAKEN_BITS = 18, HOLE_BITS = 8, COUNT_BITS = 18 };
enum { CHUNK_MAX = (1 << COUNT_BITS) - 2 * THREAD_MAX, STEP_MAX = 1 << 20 };

typedef struct bt_team_worker {
    bt_team *team;
    bt_thread thread;
    int t; // 1..n_thread - 1; thread 0 is the caller of bt_team_run
} bt_team_worker;

struct bt_team {
    int n_thread;
    int n_started; // worker threads that exist: n_thread - 1 once new() succeeded
    bt_team_worker worker[THREAD_MAX];

    bt_step (*step)(const void *ctx,
                    int i); // the current run; read by those who have a chunk of it
    const void *ctx;
    int n_step;
    int64_t *stamp; // [n_step] written by whoever begins a step; NULL: nobody wants to know

    _Alignas(CACHE_LINE) _Atomic uint64_t word;
    _Alignas(CACHE_LINE) atomic_int n_done;      // chunks of the shared step that are over
    _Alignas(CACHE_LINE) atomic_bool over;       // the run is
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch; // wakes; the futex word
    atomic_int n_parked;
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

/* ---- steps and their chunks ---- */

/* Step i, its grain made larger where there would be more chunks than the word can count: by the
 * shape alone, as everything about chunks. */
static bt_step step_at(const bt_team *team, int i, int64_t *ret_n_chunk)
{
    bt_step s = team->step(team->ctx, i);
    assert(s.grain >= 1);
    int64_t n = bt_div_up(s.n_item, s.grain);
    if (n > CHUNK_MAX) {
        s.grain *= bt_div_up(n, CHUNK_MAX);
        n = bt_div_up(s.n_item, s.grain);
    }
    *ret_n_chunk = n;
    return s;
}

static void run_chunk(const bt_step *s, int64_t chunk)
{
    int64_t begin = chunk * s->grain;
    s->fn(s->args, begin, bt_min_i64(begin + s->grain, s->n_item));
}

/* ---- the word ---- */

static uint64_t word_of(int step, int64_t n_chunk, int hole)
{
    return (uint64_t)step << (COUNT_BITS + HOLE_BITS + TAKEN_BITS) |
           (uint64_t)n_chunk << (HOLE_BITS + TAKEN_BITS) | (uint64_t)hole << TAKEN_BITS;
}

static int64_t count_in(uint64_t w)
{
    return (int64_t)(w >> (HOLE_BITS + TAKEN_BITS) & ((1u << COUNT_BITS) - 1));
}

static int64_t taken_in(uint64_t w) { return (int64_t)(w & ((1u << TAKEN_BITS) - 1)); }
static int64_t hole_in(uint64_t w) { return (int64_t)(w >> TAKEN_BITS & ((1u << HOLE_BITS) - 1)); }
static int step_in(uint64_t w) { return (int)(w >> (COUNT_BITS + HOLE_BITS + TAKEN_BITS)); }

/* Anything left? The publisher's own chunk is not among what is taken by counting. */
static bool has_chunk(uint64_t w) { return taken_in(w) + 1 < count_in(w); }

static bool take(bt_team *team, int *ret_step, int64_t *ret_chunk)
{
    if (!has_chunk(atomic_load_explicit(&team->word, memory_order_relaxed))) return false;
    uint64_t w = atomic_fetch_add_explicit(&team->word, 1, memory_order_acq_rel);
    if (!has_chunk(w)) return false;
    *ret_step = step_in(w);
    *ret_chunk = taken_in(w) + (taken_in(w) >= hole_in(w));
    return true;
}

/* Sequentially consistent, as parking is: either the publisher sees who is parked, or they see the
 * word. */
static void publish(bt_team *team, uint64_t word)
{
    atomic_store(&team->word, word);
    if (atomic_load(&team->n_parked)) {
        atomic_fetch_add(&team->epoch, 1);
        futex_wake_all(&team->epoch);
    }
}

/* ---- running ---- */

static void stamp(bt_team *team, int i)
{
    if (team->stamp) team->stamp[i] = bt_now_ns();
}

/* Run the steps from i on that have one chunk or none; return the first that has more, or n_step.
 * Everything before step i is over, and nobody else is at work. */
static int run_alone(bt_team *team, int i, bt_step *ret_step, int64_t *ret_n_chunk)
{
    for (; i < team->n_step; i++) {
        *ret_step = step_at(team, i, ret_n_chunk);
        stamp(team, i);
        if (*ret_n_chunk > 1 && team->n_thread > 1) break;
        for (int64_t c = 0; c < *ret_n_chunk; c++) run_chunk(ret_step, c);
    }
    return i;
}

/* Go on from step i, before which all is over: to the next step that is shared, of which thread t
 * runs a chunk, and as long as that chunk is a step's last. */
static void go_on(bt_team *team, int i, int t)
{
    bt_step s;
    int64_t n;
    while ((i = run_alone(team, i, &s, &n)) < team->n_step) {
        int own = t < n ? t : 0;
        atomic_store_explicit(&team->n_done, 0, memory_order_relaxed);
        publish(team, word_of(i, n, own));
        run_chunk(&s, own);
        if (atomic_fetch_add_explicit(&team->n_done, 1, memory_order_acq_rel) + 1 < n) return;
        i++;
    }
    atomic_store_explicit(&team->word, 0, memory_order_relaxed);
    atomic_store_explicit(&team->over, true, memory_order_release);
}

/* Run a chunk that was taken. */
static void work(bt_team *team, int i, int64_t chunk, int t)
{
    int64_t n;
    bt_step s = step_at(team, i, &n);
    run_chunk(&s, chunk);
    if (atomic_fetch_add_explicit(&team->n_done, 1, memory_order_acq_rel) + 1 == n)
        go_on(team, i + 1, t);
}

/* Return when there may be something to take, or the team stops. */
static void await_word(bt_team *team)
{
    for (int turn = 0; turn < SPIN + YIELD; turn++) {
        if (has_chunk(atomic_load_explicit(&team->word, memory_order_relaxed))) return;
        if (turn < SPIN)
            relax();
        else
            sched_yield();
    }
    atomic_fetch_add(&team->n_parked, 1);
    uint32_t seen = atomic_load(&team->epoch);
    if (!has_chunk(atomic_load(&team->word)) && !atomic_load(&team->stop))
        futex_wait(&team->epoch, seen);
    atomic_fetch_sub(&team->n_parked, 1);
}

static void *worker_main(void *arg)
{
    bt_team_worker *self = arg;
    bt_team *team = self->team;
    while (!atomic_load_explicit(&team->stop, memory_order_relaxed)) {
        int i;
        int64_t chunk;
        if (take(team, &i, &chunk))
            work(team, i, chunk, self->t);
        else
            await_word(team);
    }
    return NULL;
}

void bt_team_run(bt_team *team, bt_step (*step)(const void *ctx, int i), const void *ctx,
                 int n_step)
{
    if (n_step <= 0) return;
    assert(n_step < STEP_MAX);
    team->step = step;
    team->ctx = ctx;
    team->n_step = n_step;
    atomic_store_explicit(&team->over, false, memory_order_relaxed);
    go_on(team, 0, 0);
    for (int turn = 0; !atomic_load_explicit(&team->over, memory_order_acquire);) {
        int i;
        int64_t chunk;
        if (take(team, &i, &chunk)) {
            work(team, i, chunk, 0);
            turn = 0;
        } else if (turn++ < SPIN) {
            relax();
        } else {
            sched_yield();
        }
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
        if (bt_thread_start(&w->thread, worker_main, w) != BT_OK) {
            int32_t number = team->n_started + 2;
            bt_team_free(team);
            return bt_fail(BT_NOMEM, "the system gave no thread number %d", number);
        }
        team->n_started++;
    }
    *ret_team = team;
    return BT_OK;
}

void bt_team_pin(bt_team *team)
{
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all)) return;
    for (int cpu = 0, t = 0; cpu < CPU_SETSIZE && t <= team->n_started; cpu++) {
        cpu_set_t one;
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one); // the first processor is left to the caller
        if (t++) pthread_setaffinity_np(team->worker[t - 2].thread.id, sizeof one, &one);
    }
}

void bt_team_free(bt_team *team)
{
    if (!team) return;
    atomic_store(&team->stop, true);
    atomic_fetch_add(&team->epoch, 1);
    futex_wake_all(&team->epoch);
    for (int i = 0; i < team->n_started; i++) bt_thread_join(&team->worker[i].thread);
    bt_free(team);
}
