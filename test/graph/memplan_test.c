// SPDX-License-Identifier: Apache-2.0
/* The memory planner against what it promises: a verifier passes its plans; they are no smaller
 * than the bound and no larger than naive allocators make them, on steps that run one after the
 * other and on random streams joined by random events; it allocates nothing and repeats itself. */
#include "support/memworld.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include <string.h>

static memworld w;

/* ---- what every plan must be ---- */

static void expect_sound_plan(void)
{
    int64_t arena = w.report.arena_bytes, sum = 0, top = 0;
    assert_ok(memworld_check(&w));
    for (int32_t i = 0; i < w.p.n_block; i++) {
        sum += memworld_pad(&w, i);
        top = bt_max_i64(top, w.block[i].offset + memworld_pad(&w, i));
        for (int32_t j = 0; j < i; j++) // and the verifier is not alone in saying so
            if (w.conflict[i][j])
                assert_true(w.block[i].offset + w.block[i].bytes <= w.block[j].offset ||
                            w.block[j].offset + w.block[j].bytes <= w.block[i].offset);
    }
    assert_int_equal(arena, top);
    assert_int_equal(w.report.sum_bytes, sum);
    assert_true(arena <= sum && arena >= w.report.bound_bytes);
    if (w.p.before)
        assert_true(w.report.bound_bytes >= memworld_most_at_a_step(&w));
    else
        assert_int_equal(w.report.bound_bytes, memworld_most_at_a_step(&w));
}

static void expect_no_worse_than_naive(void)
{
    int32_t order[64];
    memworld_order_of_execution(&w, order);
    assert_true(w.report.arena_bytes <= memworld_place_all(&w, order, false));
    assert_true(w.report.arena_bytes <= memworld_place_all(&w, order, true));
}

/* Plan `n_round` random problems and hold each plan to the above. Returns arena / bound, mean. */
static double run_random(memworld_make *make, int32_t n_max, int n_round)
{
    test_rng rng = {(uint64_t)n_max};
    double ratio_sum = 0;
    for (int round = 0; round < n_round; round++) {
        int32_t n_step = (int32_t)test_range(&rng, 1, 70); // on both sides of a word
        make(&w, &rng, (int32_t)test_range(&rng, 1, n_max), n_step);
        memworld_find_conflicts(&w);
        memworld_plan(&w);
        expect_sound_plan();
        expect_no_worse_than_naive();
        ratio_sum +=
            w.report.bound_bytes ? (double)w.report.arena_bytes / (double)w.report.bound_bytes : 1;
    }
    return ratio_sum / n_round;
}

static void random_plans_are_sound_and_beat_naive_ones(void **state)
{
    (void)state;
    double ratio = run_random(memworld_intervals, 60, 1500);
    print_message("arena / bound on random intervals: %.4f\n", ratio);
    assert_true(ratio < 1.02);
}

static void random_plans_of_streams_are_sound_and_beat_naive_ones(void **state)
{
    (void)state;
    double ratio = run_random(memworld_streams, 60, 1000);
    print_message("arena / bound on random streams: %.4f\n", ratio);
    assert_true(ratio < 1.02);
}

/* ---- examples ---- */

static void a_chain_needs_two_buffers(void **state)
{
    (void)state;
    memworld_begin(&w, 11, false);
    for (int32_t i = 0; i < 10; i++) memworld_add(&w, 640, i, i + 1);
    memworld_plan(&w);
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 1280);
    assert_int_equal(w.report.bound_bytes, 1280);
}

static void independent_streams_never_share(void **state)
{
    (void)state;
    memworld_begin(&w, 10, true); // even steps on one stream, odd steps on another
    for (int32_t a = 0; a < 10; a++)
        for (int32_t b = a + 2; b < 10; b += 2) memworld_set(&w, w.before, a, b);
    for (int32_t s = 0; s < 10; s++) memworld_add_touched(&w, s % 2 ? 128 : 64, s, s);
    memworld_plan(&w);
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 192); // one block of each stream at a time
    assert_int_equal(w.report.bound_bytes, 192);
}

static void edges(void **state)
{
    (void)state;
    memworld_begin(&w, 1, false);
    memworld_plan(&w); // no block at all
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 0);
    assert_int_equal(w.report.bound_bytes, 0);
    memworld_add(&w, 0, 0, 0);
    w.block[0].offset = 77;
    memworld_plan(&w);
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 0);
    assert_int_equal(w.block[0].offset, 0);
    assert_string_equal(w.report.method, "nothing to place");
    memworld_add(&w, 1, 0, 0);
    memworld_plan(&w);
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 64);
    assert_int_equal(w.report.bound_bytes, 64);
    assert_int_equal(w.report.sum_bytes, 64);
    memworld_begin(&w, 64, true); // a row of exactly one word, its last bit in use
    for (int32_t a = 0; a < 64; a++)
        for (int32_t b = a + 1; b < 64; b++) memworld_set(&w, w.before, a, b);
    memworld_add_touched(&w, 100, 0, 63);
    memworld_add_touched(&w, 100, 63, 63);
    memworld_plan(&w);
    assert_ok(memworld_check(&w));
    assert_int_equal(w.report.arena_bytes, 256);
}

static void a_total_order_is_a_special_partial_one(void **state)
{
    (void)state;
    test_rng rng = {5};
    for (int round = 0; round < 300; round++) {
        memworld_intervals(&w, &rng, 40, 70);
        memworld_plan(&w);
        int64_t arena = w.report.arena_bytes, bound = w.report.bound_bytes, offset[40];
        for (int32_t i = 0; i < 40; i++) offset[i] = w.block[i].offset;
        memworld_in_a_row(&w);
        memworld_plan(&w);
        assert_ok(memworld_check(&w));
        assert_int_equal(w.report.arena_bytes, arena);
        assert_int_equal(w.report.bound_bytes, bound);
        for (int32_t i = 0; i < 40; i++) assert_int_equal(w.block[i].offset, offset[i]);
    }
}

static void planning_allocates_nothing_and_repeats_itself(void **state)
{
    (void)state;
    test_rng rng = {3};
    memworld_make *const make[] = {memworld_intervals, memworld_streams};
    for (int round = 0; round < 100; round++) {
        int64_t offset[60];
        make[round % 2](&w, &rng, 60, 40);
        uint64_t n_alloc = bt_mem_n_alloc();
        memworld_plan(&w);
        assert_ok(memworld_check(&w));
        assert_int_equal(bt_mem_n_alloc(), n_alloc);
        for (int32_t i = 0; i < 60; i++) offset[i] = w.block[i].offset;
        memset(w.scratch, 0x5a, sizeof w.scratch);
        bt_memplan(&w.p, &w.report);
        for (int32_t i = 0; i < 60; i++) assert_int_equal(w.block[i].offset, offset[i]);
    }
}

/* Planning stays inside the scratch it asked for. */
static void scratch_is_not_overrun(void **state)
{
    (void)state;
    test_rng rng = {11};
    for (int round = 0; round < 200; round++) {
        int32_t n = (int32_t)test_range(&rng, 1, 60), n_step = (int32_t)test_range(&rng, 1, 130);
        if (round % 2)
            memworld_intervals(&w, &rng, n, n_step);
        else
            memworld_streams(&w, &rng, n, n_step);
        size_t bytes = bt_memplan_scratch_bytes(n, n_step);
        memworld_plan(&w);
        for (size_t i = bytes; i < bytes + 4096; i++) assert_int_equal((uint8_t)w.scratch[i], 0xa5);
    }
}

/* ---- a decoder ---- */

/* A chain of 13 steps a layer: norm, q, k, v, rope, store, attend, o, add, norm, gate, up, down; a
 * value and a scratch block for each step, most of them empty; the residual lives longest. */
static void decoder(int32_t n_layer, int64_t n_tok)
{
    const int64_t d = n_tok * 4096, kv = n_tok * 1024, ff = n_tok * 11008;
    memworld_begin(&w, n_layer * 13 + 2, false);
    int32_t h = memworld_add(&w, d, 0, 0);
    memworld_add(&w, n_tok * 512, 0, n_layer * 13); // the angles, read by every layer
    for (int32_t l = 0; l < n_layer; l++) {
        int32_t t = 1 + l * 13;
        memworld_add(&w, d, t, t + 3);
        memworld_add(&w, d, t + 1, t + 6);
        memworld_add(&w, kv, t + 2, t + 5);
        memworld_add(&w, kv, t + 3, t + 5);
        memworld_add(&w, d, t + 6, t + 7);
        memworld_add(&w, d, t + 7, t + 8);
        w.block[h].last = t + 8;
        int32_t mid = memworld_add(&w, d, t + 8, t + 12);
        memworld_add(&w, d, t + 9, t + 11);
        memworld_add(&w, ff, t + 10, t + 12);
        memworld_add(&w, ff, t + 11, t + 12);
        h = memworld_add(&w, d, t + 12, t + 12);
        w.block[mid].last = t + 12;
        for (int32_t k = 0; k < 11; k++)
            memworld_add(&w, k == 6 ? n_tok * 700 : k == 7 ? d / 4 : 0, t + k, t + k);
    }
    w.block[h].last = n_layer * 13 + 1;
    memworld_add(&w, n_tok * 128000, n_layer * 13 + 1, n_layer * 13 + 1);
}

static void say_time(const char *what)
{
    double best = 1, best_check = 1;
    for (int k = 0; k < 50; k++) {
        int64_t start = bt_now_ns();
        bt_memplan(&w.p, &w.report);
        best = bt_seconds_since(start) < best ? bt_seconds_since(start) : best;
        start = bt_now_ns();
        assert_ok(memworld_check(&w));
        best_check = bt_seconds_since(start) < best_check ? bt_seconds_since(start) : best_check;
    }
    print_message("%s: %d blocks, %d steps: planned in %.1f us (%s), verified in %.1f us; "
                  "arena/bound %.3f, sum/bound %.1f\n",
                  what, w.p.n_block, w.p.n_step, best * 1e6, w.report.method, best_check * 1e6,
                  (double)w.report.arena_bytes / (double)w.report.bound_bytes,
                  (double)w.report.sum_bytes / (double)w.report.bound_bytes);
}

static void a_decoder_is_planned_close_to_the_bound(void **state)
{
    (void)state;
    const int64_t n_tok[] = {1, 3, 8, 512};
    for (size_t k = 0; k < BT_COUNT_OF(n_tok); k++) {
        decoder(32, n_tok[k]);
        memworld_plan(&w);
        assert_ok(memworld_check(&w));
        assert_true((double)w.report.arena_bytes <= 1.05 * (double)w.report.bound_bytes);
    }
}

static void planning_times(void **state)
{
    (void)state;
    test_rng rng = {17};
    decoder(32, 8);
    say_time("32 layers in a row");
    memworld_in_a_row(&w);
    say_time("32 layers as a partial order");
    decoder(4, 8);
    say_time("4 layers in a row");
    memworld_in_a_row(&w);
    say_time("4 layers as a partial order");
    memworld_intervals(&w, &rng, 16, 10);
    say_time("16 random blocks");
    memworld_intervals(&w, &rng, 90, 60);
    say_time("90 random blocks");
    memworld_streams(&w, &rng, 90, 60);
    say_time("90 random blocks on streams");
    memworld_intervals(&w, &rng, 700, 400);
    say_time("700 random blocks, crowded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans_are_sound_and_beat_naive_ones),
        cmocka_unit_test(random_plans_of_streams_are_sound_and_beat_naive_ones),
        cmocka_unit_test(a_chain_needs_two_buffers),
        cmocka_unit_test(independent_streams_never_share),
        cmocka_unit_test(edges),
        cmocka_unit_test(a_total_order_is_a_special_partial_one),
        cmocka_unit_test(planning_allocates_nothing_and_repeats_itself),
        cmocka_unit_test(scratch_is_not_overrun),
        cmocka_unit_test(a_decoder_is_planned_close_to_the_bound),
        cmocka_unit_test(planning_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
