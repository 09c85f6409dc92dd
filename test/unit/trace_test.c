// SPDX-License-Identifier: Apache-2.0
/* Timelines made by hand, whose bubbles are known to the nanosecond; then random ones against a
 * reference that asks about each nanosecond by itself. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/timeline/timeline.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bt_trace *new_trace(int32_t n)
{
    bt_trace *t;
    assert_ok(bt_trace_new(n, &t));
    return t;
}

static void add_host(bt_trace *t, bt_lane lane, int32_t step, int64_t begin, int64_t end)
{
    bt_trace_add(t, &(bt_span){begin, end, "host", (int32_t)lane, step, 0, 0, 0});
}

static void add_run(bt_trace *t, int32_t stream, int32_t step, int64_t begin, int64_t end,
                    int64_t enqueue, int64_t ready)
{
    bt_trace_add(
        t, &(bt_span){begin, end, "kernel", BT_LANE_STREAM + stream, step, enqueue, ready, 0});
}

static void assert_step(const bt_trace_step *s, int64_t step, int64_t begin, int64_t total,
                        const int64_t blame[BT_BLAME_COUNT], int32_t n_launch)
{
    int64_t idle = 0;
    assert_int_equal(s->step, step);
    assert_int_equal(s->begin_ns, begin);
    assert_int_equal(s->total_ns, total);
    assert_int_equal(s->n_launch, n_launch);
    for (int i = 0; i < BT_BLAME_COUNT; i++) {
        assert_int_equal(s->blame_ns[i], blame[i]);
        idle += blame[i];
    }
    assert_int_equal(s->busy_ns, total - idle);
}

#define BLAME(late, dependency, full, nothing)                                                     \
    (const int64_t[]) { late, dependency, full, nothing }

// ---- steps and blame ----

/* Step 1 runs 1000..2000, step 2 3000..4000: a bubble of 1000 ns, once for each cause. */
static void each_cause_is_blamed(void **state)
{
    (void)state;
    static const struct {
        int lane; // host span 1900..3100 there; -1: none
        int64_t enqueue, ready;
        int64_t blame[BT_BLAME_COUNT];
    } row[] = {
        {-1, 3000, 0, {0, 0, 0, 1000}},
        {BT_LANE_ENGINE, 3000, 0, {1000, 0, 0, 0}},
        {BT_LANE_PLAN, 3000, 0, {1000, 0, 0, 0}},
        {BT_LANE_BIND, 3000, 0, {1000, 0, 0, 0}},
        {BT_LANE_LAUNCH, 3000, 0, {1000, 0, 0, 0}},
        {BT_LANE_WAIT, 3000, 0, {0, 0, 1000, 0}},
        {-1, 1500, 2900, {100, 900, 0, 0}},           // enqueued long ago, an event came late
        {BT_LANE_PLAN, 1500, 2900, {100, 900, 0, 0}}, // what the host does then is no matter
        {-1, 1500, 0, {1000, 0, 0, 0}},     // enqueued, waited for nothing: launch latency
        {-1, 2400, 1800, {600, 0, 0, 400}}, // the event was there before
        {-1, 2400, 5000, {0, 600, 0, 400}}, // a clock that is a little off
        {BT_LANE_WAIT, 2400, 2500, {500, 100, 400, 0}},
        {-1, 0, 0, {1000, 0, 0, 0}}, // nobody knows when it was enqueued
        {-1, 9000, 0, {0, 0, 0, 1000}},
    };
    for (size_t i = 0; i < BT_COUNT_OF(row); i++) {
        bt_trace *t = new_trace(8);
        bt_trace_step s[2];
        add_run(t, 0, 1, 1000, 2000, 900, 0);
        if (row[i].lane >= 0) add_host(t, (bt_lane)row[i].lane, 2, 1900, 3100);
        add_run(t, 0, 2, 3000, 4000, row[i].enqueue, row[i].ready);
        assert_int_equal(bt_trace_steps(t, s, 2), 2);
        assert_step(&s[0], 1, 1000, 1000, BLAME(0, 0, 0, 0), 1);
        assert_step(&s[1], 2, 2000, 2000, row[i].blame, 1);
        bt_trace_free(t);
    }
}

/* One gap, 100..200, in which everything happens. */
static void a_gap_is_split_to_the_nanosecond(void **state)
{
    (void)state;
    bt_trace *t = new_trace(0);
    bt_trace_step s;
    add_run(t, 0, 7, 0, 100, 0, 0);
    add_host(t, BT_LANE_WAIT, 8, 90, 110);    // 10 full
    add_host(t, BT_LANE_PLAN, 8, 105, 120);   // 10 late: being held back comes first
    add_host(t, BT_LANE_BIND, 8, 118, 121);   // 1 late
    add_host(t, BT_LANE_WAIT, 8, 123, 125);   // 2 nothing, 2 full
    add_host(t, BT_LANE_LAUNCH, 8, 124, 127); // 2 late, then 13 nothing
    add_host(t, BT_LANE_ENGINE, 8, 130, 130);
    add_run(t, 0, 7, 200, 210, 140, 170); // 30 dependency, 30 late
    add_host(t, BT_LANE_PLAN, 9, 205, 300);
    assert_int_equal(bt_trace_steps(t, &s, 1), 1);
    assert_step(&s, 7, 0, 210, BLAME(43, 30, 12, 15), 2);
    bt_trace_free(t);
}

/* The device is idle while no stream runs. Step 4 ends after step 5 does. */
static void streams_are_taken_together(void **state)
{
    (void)state;
    bt_trace *t = new_trace(0);
    bt_trace_step s[3];
    add_run(t, 1, 5, 350, 400, 200, 340); // last first: order of recording is no matter
    add_run(t, 0, 4, 380, 700, 200, 0);
    add_run(t, 0, 3, 100, 200, 50, 0);
    add_run(t, 1, 3, 150, 300, 50, 0);
    add_run(t, 0, -1, 310, 320, 50, 0); // no step's, but the device is busy
    add_run(t, 2, 3, 120, 130, 50, 0);
    assert_int_equal(bt_trace_steps(t, s, 3), 3);
    assert_step(&s[0], 3, 100, 200, BLAME(0, 0, 0, 0), 3);
    assert_step(&s[1], 5, 300, 100, BLAME(20, 20, 0, 0), 1);
    assert_step(&s[2], 4, 400, 300, BLAME(0, 0, 0, 0), 1);
    bt_trace_free(t);
}

static void fewer_steps_may_be_asked_for(void **state)
{
    (void)state;
    bt_trace *t = new_trace(0);
    bt_trace_step s[3];
    for (int i = 0; i < 5; i++) add_run(t, 0, i, 100 * i, 100 * i + 60, 100 * i, 0);
    memset(s, 0x5A, sizeof s);
    assert_int_equal(bt_trace_steps(t, s, 2), 5);
    assert_step(&s[0], 0, 0, 60, BLAME(0, 0, 0, 0), 1);
    assert_step(&s[1], 1, 60, 100, BLAME(0, 0, 0, 40), 1);
    assert_int_equal(s[2].step, 0x5A5A5A5A5A5A5A5A);
    assert_int_equal(bt_trace_steps(t, NULL, 0), 5);
    bt_trace_free(t);
}

static void the_bubble_ratio_is_the_share_of_idle_time(void **state)
{
    (void)state;
    bt_trace *t = new_trace(0);
    double blame[BT_BLAME_COUNT];
    add_run(t, 0, 1, 0, 100, 0, 0);
    add_host(t, BT_LANE_PLAN, 2, 100, 150);
    add_run(t, 0, 2, 150, 200, 150, 0); // 50 late of 100
    add_run(t, 0, 3, 225, 300, 225, 0); // 25 nothing of 100
    assert_float_equal(bt_trace_bubble_ratio(t, 0, blame), 0.25, 1e-12);
    assert_float_equal(blame[BT_BLAME_HOST_LATE], 50.0 / 300, 1e-12);
    assert_float_equal(blame[BT_BLAME_NOTHING], 25.0 / 300, 1e-12);
    assert_float_equal(bt_trace_bubble_ratio(t, 1, NULL), 0.375, 1e-12);
    assert_float_equal(bt_trace_bubble_ratio(t, 2, blame), 0.25, 1e-12);
    assert_float_equal(blame[BT_BLAME_HOST_LATE], 0, 0);
    assert_float_equal(bt_trace_bubble_ratio(t, 3, blame), 0, 0);
    assert_float_equal(blame[BT_BLAME_NOTHING], 0, 0);
    assert_float_equal(bt_trace_bubble_ratio(t, -1, NULL), 0.25, 1e-12);
    bt_trace_free(t);
}

static void traces_without_a_step_have_no_bubbles(void **state)
{
    (void)state;
    bt_trace *t = new_trace(3);
    bt_trace_step s;
    assert_int_equal(bt_trace_steps(t, &s, 1), 0);
    assert_float_equal(bt_trace_bubble_ratio(t, 0, NULL), 0, 0);
    add_host(t, BT_LANE_PLAN, 1, 5, 9);
    add_run(t, 0, -1, 20, 30, 5, 0);
    assert_int_equal(bt_trace_steps(t, &s, 1), 0);
    add_run(t, 0, 1, 40, 40, 35, 0); // one span, and it is empty
    assert_int_equal(bt_trace_steps(t, &s, 1), 1);
    assert_step(&s, 1, 40, 0, BLAME(0, 0, 0, 0), 1);
    assert_float_equal(bt_trace_bubble_ratio(t, 0, NULL), 0, 0);
    bt_trace_free(t);
}

// ---- against a reference ----

enum { N_SPAN = 24, T_MAX = 120 };

/* What idling in [x, x + 1) is blamed on by the rules; -1: the device is busy. */
static int blame_at(const bt_span *span, int n, int64_t x)
{
    const bt_span *next = NULL;
    bool wait = false, host = false;
    for (int i = 0; i < n; i++) {
        const bt_span *s = &span[i];
        bool here = s->begin_ns <= x && x < s->end_ns, device = s->lane >= BT_LANE_STREAM;
        if (here && device) return -1;
        if (here && s->lane == BT_LANE_WAIT) wait = true;
        if (here && !device) host = true;
        if (!device || s->begin_ns <= x) continue;
        if (!next || s->begin_ns < next->begin_ns ||
            (s->begin_ns == next->begin_ns && s->lane < next->lane))
            next = s;
    }
    assert_non_null(next);
    if (x >= next->enqueue_ns) return x < next->ready_ns ? BT_BLAME_DEPENDENCY : BT_BLAME_HOST_LATE;
    return wait ? BT_BLAME_QUEUE_FULL : host ? BT_BLAME_HOST_LATE : BT_BLAME_NOTHING;
}

static int make_spans(test_rng *rng, bt_span *span)
{
    int n = (int)test_range(rng, 1, N_SPAN);
    for (int i = 0; i < n; i++) {
        int64_t begin = test_range(rng, 1, T_MAX);
        span[i] = (bt_span){.begin_ns = begin,
                            .end_ns = begin + test_range(rng, 0, 12),
                            .name = "x",
                            .lane = (int32_t)test_range(rng, 0, BT_LANE_STREAM + 2),
                            .step = (int32_t)test_range(rng, -1, 6),
                            .enqueue_ns = begin + test_range(rng, -30, 3),
                            .ready_ns = test_range(rng, 0, 1) * (begin + test_range(rng, -20, 3))};
        span[i].ready_ns = bt_max_i64(span[i].ready_ns, 0);
    }
    return n;
}

static void random_timelines_match_the_reference(void **state)
{
    (void)state;
    test_rng rng = {5};
    int64_t n_idle = 0;
    for (int round = 0; round < 4000; round++) {
        bt_span span[N_SPAN];
        bt_trace_step s[8];
        bt_trace *t = new_trace(N_SPAN);
        int n = make_spans(&rng, span);
        for (int i = 0; i < n; i++) bt_trace_add(t, &span[i]);
        int n_step = bt_trace_steps(t, s, 8), n_launch = 0;
        for (int k = 0; k < n_step; k++) {
            int64_t want[BT_BLAME_COUNT + 1] = {0}, end = s[k].begin_ns + s[k].total_ns, last = 0;
            for (int64_t x = s[k].begin_ns; x < end; x++) want[blame_at(span, n, x) + 1]++;
            for (int i = 0; i < n; i++)
                if (span[i].lane >= BT_LANE_STREAM && span[i].step == s[k].step)
                    last = bt_max_i64(last, span[i].end_ns), n_launch++;
            assert_int_equal(end, last);
            if (k) assert_int_equal(s[k].begin_ns, s[k - 1].begin_ns + s[k - 1].total_ns);
            assert_int_equal(s[k].busy_ns, want[0]);
            assert_memory_equal(s[k].blame_ns, want + 1, sizeof s[k].blame_ns);
            n_idle += s[k].total_ns - s[k].busy_ns;
        }
        for (int k = 0; k < n_step; k++) n_launch -= s[k].n_launch;
        assert_int_equal(n_launch, 0);
        bt_trace_free(t);
    }
    assert_true(n_idle > 10000);
}

// ---- recording ----

static void what_does_not_fit_is_counted(void **state)
{
    (void)state;
    bt_trace *t = new_trace(3);
    bt_trace_step s[4];
    for (int i = 0; i < 10; i++) add_run(t, 0, i, 10 * i, 10 * i + 5, 10 * i, 0);
    assert_int_equal(bt_trace_n_event(t), 3);
    assert_int_equal(bt_trace_n_dropped(t), 7);
    assert_int_equal(bt_trace_steps(t, s, 4), 3);
    bt_trace_clear(t);
    assert_int_equal(bt_trace_n_event(t), 0);
    assert_int_equal(bt_trace_n_dropped(t), 0);
    assert_int_equal(bt_trace_steps(t, s, 4), 0);
    add_run(t, 300, 42, 10, 5, 0, 0); // beyond all lanes, and ends before it begins
    assert_int_equal(bt_trace_steps(t, s, 4), 1);
    assert_step(&s[0], 42, 10, 0, BLAME(0, 0, 0, 0), 1);
    bt_trace_free(t);
}

static void recording_and_asking_allocate_nothing(void **state)
{
    (void)state;
    bt_trace *t = new_trace(1000);
    bt_trace_step s[8];
    uint64_t before = bt_mem_n_alloc();
    for (int i = 0; i < 2000; i++) add_run(t, i % 3, i, 10 * i, 10 * i + 5, 10 * i, 0);
    assert_int_equal(bt_trace_steps(t, s, 8), 1000);
    assert_true(bt_trace_bubble_ratio(t, 0, NULL) > 0.4);
    assert_int_equal(bt_mem_n_alloc(), before);
    bt_trace_free(t);
}

static void a_trace_has_bounds(void **state)
{
    (void)state;
    bt_trace *t = NULL;
    assert_fails(bt_trace_new(-1, &t), BT_INVALID, "n_event is -1, not in 1..16777216");
    assert_fails(bt_trace_new((1 << 24) + 1, &t), BT_INVALID, "16777217");
    size_t live = bt_mem_live(BT_MEM_MISC);
    for (int nth = 1; nth <= 4; nth++) {
        bt_mem_fail_nth((uint64_t)nth);
        assert_int_equal(bt_trace_new(9, &t), BT_NOMEM);
        assert_null(t);
        assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
    }
    bt_trace_free(NULL);
}

enum { N_THREAD = 4, N_EACH = 3000 };

typedef struct recorder {
    _Atomic(bt_trace *) *at;
    int id;
} recorder;

static void *record(void *ctx)
{
    recorder *r = ctx;
    bt_trace *t;
    while (!(t = bt_trace_of(r->at))) continue;
    for (int i = 0; i < N_EACH; i++) {
        if (i % 32 == 0) sched_yield(); // so that a reader comes between
        add_run(t, r->id, i, 10 * i, 10 * i + r->id + 1, 1, 0);
    }
    return NULL;
}

static void many_threads_record_at_once(void **state)
{
    (void)state;
    static _Atomic(bt_trace *) at;
    pthread_t thread[N_THREAD];
    recorder r[N_THREAD];
    bt_trace_step *s = calloc(N_EACH, sizeof *s);
    for (int i = 0; i < N_THREAD; i++) {
        r[i] = (recorder){&at, i};
        assert_int_equal(pthread_create(&thread[i], NULL, record, &r[i]), 0);
    }
    bt_trace *t = new_trace(N_THREAD * N_EACH);
    atomic_store(&at, t);                           // attached while they wait for it
    while (bt_trace_n_event(t) < N_THREAD * N_EACH) // more than is promised: read meanwhile
        assert_true(bt_trace_steps(t, s, N_EACH) <= N_EACH);
    for (int i = 0; i < N_THREAD; i++) pthread_join(thread[i], NULL);
    assert_int_equal(bt_trace_n_event(t), N_THREAD * N_EACH);
    assert_int_equal(bt_trace_n_dropped(t), 0);
    assert_int_equal(bt_trace_steps(t, s, N_EACH), N_EACH);
    for (int i = 0; i < N_EACH; i++) {
        assert_int_equal(s[i].n_launch, N_THREAD);
        assert_int_equal(s[i].total_ns - s[i].busy_ns, i ? 10 - N_THREAD : 0);
    }
    free(s);
    bt_trace_free(t);
}

// ---- names of nodes ----

static const char *name_from_list(const void *list, int32_t i)
{
    return ((const char *const *)list)[i];
}

/* As many names as the text says: "3" gives "3.0", "3.1" and "3.2". */
static const char *name_of_many(const void *many, int32_t i)
{
    static char name[64];
    snprintf(name, sizeof name, "%s.%d", (const char *)many, i);
    return i < atoi(many) ? name : NULL;
}

static const char *node_at(const bt_trace *t, int32_t node)
{
    return bt_trace_node(t, &(bt_span){.node = node});
}

static void names_are_copied_once(void **state)
{
    (void)state;
    bt_trace *t = new_trace(1);
    char a[] = "blk.0.qkv";
    const char *one[] = {"embed", a, NULL}, *two[] = {a, "", NULL}, *none[] = {NULL};
    int32_t first = bt_trace_add_names(t, name_from_list, one);
    int32_t second = bt_trace_add_names(t, name_from_list, two);
    assert_int_equal(bt_trace_add_names(t, name_from_list, one), first);
    assert_int_equal(bt_trace_add_names(t, name_from_list, two), second);
    bt_trace_add_names(t, name_from_list, none);
    a[0] = '?'; // the caller's are gone
    assert_string_equal(node_at(t, first), "embed");
    assert_string_equal(node_at(t, first + 1), "blk.0.qkv");
    assert_string_equal(node_at(t, second), "blk.0.qkv");
    assert_string_equal(node_at(t, second + 1), "");
    assert_null(node_at(t, 0));
    assert_null(node_at(t, -1));
    assert_null(node_at(t, second + 2));
    bt_trace_clear(t); // who was told the names goes on using them
    assert_string_equal(node_at(t, first), "embed");
    bt_trace_free(t);
}

static void names_without_room_are_left_out(void **state)
{
    (void)state;
    bt_trace *t = new_trace(1);
    assert_int_equal(bt_trace_add_names(t, name_of_many, "8192"), 0);
    int32_t most = bt_trace_add_names(t, name_of_many, "8000");
    assert_string_equal(node_at(t, most + 7999), "8000.7999");
    assert_int_equal(bt_trace_add_names(t, name_of_many, "192"), 0);
    int32_t rest = bt_trace_add_names(t, name_of_many, "191");
    assert_string_equal(node_at(t, rest + 190), "191.190");
    bt_trace_free(t);
    t = new_trace(1);
    static char word[1 << 17];
    memset(word, 'x', sizeof word - 1);
    const char *long_one[] = {word, NULL}, *two[] = {word, "y", NULL}, *both[] = {word, word, NULL};
    assert_int_equal(bt_trace_add_names(t, name_from_list, long_one), 1);
    assert_int_equal(bt_trace_add_names(t, name_from_list, two), 0); // two bytes too many
    assert_int_equal(bt_trace_add_names(t, name_from_list, both), 0);
    assert_int_equal(bt_trace_add_names(t, name_from_list, long_one), 1);
    bt_trace_free(t);
}

// ---- spans ----

static void spans_are_told_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"blk.0.qkv", NULL};
    bt_trace *t = new_trace(8);
    bt_trace_span s[3];
    int32_t node = bt_trace_add_names(t, name_from_list, names);
    bt_trace_add(t, &(bt_span){300, 400, "linear", BT_LANE_STREAM + 1, 7, 250, 0, node});
    bt_trace_add(t, &(bt_span){200, 250, "plan", BT_LANE_PLAN, 7, 0, 0, node}); // a host's has none
    add_run(t, 0, -1, 500, 600, 0, 0);
    assert_int_equal(bt_trace_spans(t, NULL, 0), 3);
    s[2].begin_ns = -1;
    assert_int_equal(bt_trace_spans(t, s, 2), 3);
    assert_int_equal(s[2].begin_ns, -1);
    assert_int_equal(bt_trace_spans(t, s, 3), 3);
    assert_string_equal(s[0].name, "plan");
    assert_true(s[0].stream == -1 && !s[0].node && s[0].begin_ns == 200 && s[0].end_ns == 250);
    assert_string_equal(s[1].name, "linear");
    assert_string_equal(s[1].node, "blk.0.qkv");
    assert_true(s[1].stream == 1 && s[1].step == 7);
    assert_true(s[2].stream == 0 && s[2].step == -1 && !s[2].node);
    bt_trace_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_blamed),
        cmocka_unit_test(a_gap_is_split_to_the_nanosecond),
        cmocka_unit_test(streams_are_taken_together),
        cmocka_unit_test(fewer_steps_may_be_asked_for),
        cmocka_unit_test(the_bubble_ratio_is_the_share_of_idle_time),
        cmocka_unit_test(traces_without_a_step_have_no_bubbles),
        cmocka_unit_test(random_timelines_match_the_reference),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(recording_and_asking_allocate_nothing),
        cmocka_unit_test(a_trace_has_bounds),
        cmocka_unit_test(many_threads_record_at_once),
        cmocka_unit_test(names_are_copied_once),
        cmocka_unit_test(spans_are_told_in_order),
        cmocka_unit_test(names_without_room_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
