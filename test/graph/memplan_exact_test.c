// SPDX-License-Identifier: Apache-2.0
/* Small problems get the optimum, which trying every order of placement finds. Planning problems
 * seldom have one above the bound, so the search is also held to graphs of conflicts that no
 * lifetimes have. */
#include "support/memworld.h"
#include "base/bits.h"
#include "graph/memplan_exact.h"

static memworld w;

static void expect_optimum(memworld_make *make, int32_t n, int n_round)
{
    test_rng rng = {(uint64_t)n};
    int n_above_bound = 0;
    for (int round = 0; round < n_round; round++) {
        int32_t order[64];
        make(&w, &rng, n, (int32_t)test_range(&rng, 4, 10));
        memworld_find_conflicts(&w);
        memworld_plan(&w);
        for (int32_t i = 0; i < n; i++) order[i] = i;
        int64_t least = memworld_least_arena(&w, order, 0);
        if (w.report.arena_bytes != least)
            fail_msg("round %d of %d blocks: %lld by %s, optimum %lld", round, n,
                     (long long)w.report.arena_bytes, w.report.method, (long long)least);
        n_above_bound += least > w.report.bound_bytes;
    }
    print_message("%d blocks: %d of %d optima above the bound\n", n, n_above_bound, n_round);
}

static void small_problems_get_the_optimum(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= 6; n++) expect_optimum(memworld_intervals, n, 150);
    for (int32_t n = 1; n <= 6; n++) expect_optimum(memworld_streams, n, 150);
    expect_optimum(memworld_intervals, 8, 12);
    expect_optimum(memworld_streams, 8, 12);
}

/* A graph of conflicts without lifetimes, in the world's table and in the search's rows. */
static bt_memplan_small random_graph(test_rng *rng, int32_t n, int32_t size_max)
{
    bt_memplan_small s = {.n = n, .n_node = 1 << 20, .arena_bytes = INT64_MAX};
    int64_t percent = test_range(rng, 20, 90);
    memworld_begin(&w, 1, false);
    for (int32_t i = 0; i < n; i++) {
        memworld_add(&w, test_range(rng, 1, size_max) * 64, 0, 0);
        s.bytes[i] = memworld_pad(&w, i);
        for (int32_t j = 0; j < i; j++) {
            if (test_range(rng, 0, 99) >= percent) continue;
            w.conflict[i][j] = w.conflict[j][i] = true;
            s.conflict[i] |= 1u << j;
            s.conflict[j] |= 1u << i;
        }
    }
    return s;
}

static void the_search_finds_the_optimum_of_any_graph(void **state)
{
    (void)state;
    test_rng rng = {23};
    int32_t order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int round = 0; round < 1500; round++) {
        int32_t n = round < 1480 ? (int32_t)test_range(&rng, 1, 6) : 8;
        bt_memplan_small s = random_graph(&rng, n, round % 2 ? 3 : 50); // with and without twins
        int64_t least = memworld_least_arena(&w, order, 0);
        assert_true(bt_memplan_exact(&s));
        assert_true(s.n_node > 0);
        assert_int_equal(s.arena_bytes, least);
        for (int32_t i = 0; i < n; i++) {
            assert_true(s.offset[i] >= 0 && s.offset[i] + s.bytes[i] <= least);
            for (int32_t j = 0; j < i; j++)
                assert_true(!w.conflict[i][j] || s.offset[i] + s.bytes[i] <= s.offset[j] ||
                            s.offset[j] + s.bytes[j] <= s.offset[i]);
        }
        assert_false(bt_memplan_exact(&s)); // nothing beats it
        assert_int_equal(s.arena_bytes, least);
    }
}

/* Five blocks in a ring: two at most lie together, and yet three rooms are needed. */
static void a_ring_needs_more_than_its_bound(void **state)
{
    (void)state;
    bt_memplan_small s = {.n = 5, .n_node = 1000, .bound_bytes = 128, .arena_bytes = INT64_MAX};
    for (int32_t i = 0; i < 5; i++) {
        s.bytes[i] = 64;
        s.conflict[i] = 1u << (i + 1) % 5 | 1u << (i + 4) % 5;
    }
    assert_true(bt_memplan_exact(&s));
    assert_int_equal(s.arena_bytes, 192);
    s.n_node = 3; // spent before anything is proved
    s.arena_bytes = INT64_MAX;
    assert_false(bt_memplan_exact(&s));
    assert_int_equal(s.n_node, 0);
    assert_int_equal(s.arena_bytes, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_problems_get_the_optimum),
        cmocka_unit_test(the_search_finds_the_optimum_of_any_graph),
        cmocka_unit_test(a_ring_needs_more_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
