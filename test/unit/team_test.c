// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/team.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { N_STEP = 300, N_ITEM_MAX = 97 };

/* Step i writes cell[j] = i * 1000 + j after checking that step i - 1 has finished all of its
 * cells. */
typedef struct chain {
    int64_t cell[2][N_ITEM_MAX];
    atomic_int n_wrong;
} chain;

typedef struct chain_step {
    chain *c;
    int64_t i;
} chain_step;

static chain_step chain_steps[N_STEP];

static int64_t chain_items(int64_t i) { return i % 7 == 3 ? 0 : 1 + i * 31 % N_ITEM_MAX; }

static void chain_run(const void *args, int64_t begin, int64_t end)
{
    const chain_step *s = args;
    const int64_t *before = s->c->cell[(s->i + 1) % 2];
    for (int64_t j = 0; s->i && j < chain_items(s->i - 1); j++)
        if (before[j] != (s->i - 1) * 1000 + j) atomic_fetch_add(&s->c->n_wrong, 1);
    for (int64_t j = begin; j < end; j++) s->c->cell[s->i % 2][j] = s->i * 1000 + j;
}

static bt_step chain_at(const void *ctx, int i)
{
    (void)ctx;
    return (bt_step){
        .fn = chain_run, .args = &chain_steps[i], .n_item = chain_items(i), .grain = 1 + i % 5};
}

static void steps_run_in_order_with_any_number_of_threads(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 8};
    for (size_t t = 0; t < BT_COUNT_OF(counts); t++) {
        static chain c;
        bt_team *team;
        memset(&c, 0, sizeof c);
        for (int i = 0; i < N_STEP; i++) chain_steps[i] = (chain_step){&c, i};
        assert_ok(bt_team_new(counts[t], &team));
        for (int repeat = 0; repeat < 24 / counts[t]; repeat++)
            bt_team_run(team, chain_at, NULL, N_STEP);
        assert_int_equal(atomic_load(&c.n_wrong), 0);
        bt_team_free(team);
    }
}

static void count_item(const void *args, int64_t begin, int64_t end)
{
    atomic_int *const *cell = args;
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&(*cell)[i], 1);
}

static void every_item_runs_exactly_once(void **state)
{
    (void)state;
    static atomic_int cell[1000];
    atomic_int *args = cell;
    bt_team *team;
    assert_ok(bt_team_new(3, &team));
    for (int64_t grain = 1; grain < 1500; grain = grain * 2 + 1) {
        memset(cell, 0, sizeof cell);
        bt_team_run_one(team,
                        (bt_step){.fn = count_item, .args = &args, .n_item = 1000, .grain = grain});
        for (int i = 0; i < 1000; i++) assert_int_equal(cell[i], 1);
    }
    bt_team_free(team);
}

/* ---- more chunks than are counted, more threads than cores ---- */

enum { N_TINY = 3000000 };
static uint8_t tiny_cell[N_TINY];

static void mark_item(const void *args, int64_t begin, int64_t end)
{
    (void)args;
    for (int64_t i = begin; i < end; i++) tiny_cell[i]++;
}

static void millions_of_chunks_are_made_fewer(void **state)
{
    (void)state;
    bt_team *team;
    assert_ok(bt_team_new(2, &team));
    bt_team_run_one(team, (bt_step){.fn = mark_item, .n_item = N_TINY, .grain = 1});
    for (int i = 0; i < N_TINY; i++) assert_int_equal(tiny_cell[i], 1);
    bt_team_free(team);
}

static void spin_item(const void *args, int64_t begin, int64_t end)
{
    (void)args;
    for (int64_t i = begin; i < end; i++)
        for (volatile int k = 0; k < 300; k++) {}
}

static bt_step spin_at(const void *ctx, int i)
{
    (void)ctx, (void)i;
    return (bt_step){.fn = spin_item, .n_item = 8, .grain = 1};
}

static double run_seconds(int n_thread)
{
    bt_team *team;
    assert_ok(bt_team_new(n_thread, &team));
    bt_team_run(team, spin_at, NULL, 100);
    int64_t begin = bt_now_ns();
    bt_team_run(team, spin_at, NULL, 1000);
    double s = bt_seconds_since(begin);
    bt_team_free(team);
    return s;
}

/* A team that waited for its threads, rather than for chunks, would be hundreds of times slower
 * here: with each step it would wait for the system to come round to every one of them. */
static void threads_beyond_the_cores_do_not_stall_a_team(void **state)
{
    (void)state;
    double best = 1e9;
    for (int attempt = 0; attempt < 8 && best > 4; attempt++) {
        double alone = run_seconds(1), crowd = run_seconds(12);
        if (crowd / alone < best) best = crowd / alone;
    }
    print_message("12 threads take %.2f times as long as one\n", best);
    assert_true(best <= 4);
}

static void a_pinned_team_runs_as_any_other(void **state)
{
    (void)state;
    bt_team *team;
    int64_t stamp[301];
    assert_ok(bt_team_new(5, &team)); // more than there are processors here: the rest stay free
    bt_team_pin(team);
    bt_team_run_timed(team, spin_at, NULL, 300, stamp);
    bt_team_free(team);
}

static void begins_of_steps_are_noted_in_order(void **state)
{
    (void)state;
    bt_team *team;
    int64_t stamp[301], before = bt_now_ns();
    assert_ok(bt_team_new(3, &team));
    bt_team_run_timed(team, spin_at, NULL, 300, stamp);
    assert_true(stamp[0] >= before && stamp[300] <= bt_now_ns());
    for (int i = 0; i < 300; i++) assert_true(stamp[i] <= stamp[i + 1]);
    bt_team_free(team);
}

static void a_team_of_no_threads_is_refused(void **state)
{
    (void)state;
    bt_team *team;
    assert_fails(bt_team_new(0, &team), BT_INVALID, "0 threads, must be from 1 to 256");
    assert_fails(bt_team_new(257, &team), BT_INVALID, "257 threads");
}

static void a_queue_is_bounded_and_in_order(void **state)
{
    (void)state;
    bt_queue *q;
    int x;
    assert_ok(bt_queue_new(sizeof x, 3, &q));
    for (int i = 0; i < 3; i++) assert_ok(bt_queue_push(q, &i, 0));
    assert_fails(bt_queue_push(q, &(int){9}, 5), BT_BUSY, "full (3 items)");
    for (int i = 0; i < 3; i++) {
        assert_ok(bt_queue_pop(q, &x, 0));
        assert_int_equal(x, i);
    }
    assert_fails(bt_queue_pop(q, &x, 5), BT_BUSY, "empty");
    assert_ok(bt_queue_push(q, &(int){7}, 0));
    bt_queue_close(q);
    assert_fails(bt_queue_push(q, &x, 0), BT_CANCELLED, "closed");
    assert_ok(bt_queue_pop(q, &x, 0));
    assert_fails(bt_queue_pop(q, &x, 1000), BT_CANCELLED, "closed");
    bt_queue_free(q);
}

enum { N_SENT = 20000 };

static void *send_all(void *arg)
{
    for (int i = 0; i < N_SENT; i++)
        if (bt_queue_push(arg, &i, 10000) != BT_OK) return arg;
    return NULL;
}

static void a_queue_loses_nothing_between_threads(void **state)
{
    (void)state;
    bt_queue *q;
    pthread_t thread[2];
    int64_t sum = 0;
    assert_ok(bt_queue_new(sizeof(int), 5, &q));
    for (int t = 0; t < 2; t++) pthread_create(&thread[t], NULL, send_all, q);
    for (int i = 0; i < 2 * N_SENT; i++) {
        int x;
        assert_ok(bt_queue_pop(q, &x, 10000));
        sum += x;
    }
    for (int t = 0; t < 2; t++) {
        void *failed;
        pthread_join(thread[t], &failed);
        assert_null(failed);
    }
    assert_int_equal(sum, (int64_t)N_SENT * (N_SENT - 1));
    assert_int_equal(bt_queue_len(q), 0);
    bt_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_run_in_order_with_any_number_of_threads),
        cmocka_unit_test(every_item_runs_exactly_once),
        cmocka_unit_test(millions_of_chunks_are_made_fewer),
        cmocka_unit_test(threads_beyond_the_cores_do_not_stall_a_team),
        cmocka_unit_test(a_pinned_team_runs_as_any_other),
        cmocka_unit_test(begins_of_steps_are_noted_in_order),
        cmocka_unit_test(a_team_of_no_threads_is_refused),
        cmocka_unit_test(a_queue_is_bounded_and_in_order),
        cmocka_unit_test(a_queue_loses_nothing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
