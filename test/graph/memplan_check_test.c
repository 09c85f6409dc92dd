// SPDX-License-Identifier: Apache-2.0
/* The verifier of memory plans sees every planted overlap, in a row of steps and across streams. */
#include "support/memworld.h"
#include "base/bits.h"
#include <string.h>

static memworld w;

static void the_verifier_sees_an_overlap(void **state)
{
    (void)state;
    memworld_begin(&w, 4, false);
    memworld_add(&w, 100, 0, 2);
    memworld_add(&w, 100, 2, 3);
    w.block[1].offset = 64;
    assert_fails(bt_memplan_check(&w.p, 1000), BT_INVALID, "blocks 1 and 0 overlap");
    w.block[1].first = 3;
    assert_ok(bt_memplan_check(&w.p, 1000));
    assert_fails(bt_memplan_check(&w.p, 160), BT_INVALID, "block 1 of 100 bytes at 64");
    w.block[1].offset = 32;
    assert_fails(bt_memplan_check(&w.p, 1000), BT_INVALID, "block 1 of 100 bytes at 32");
    w.block[1] = (bt_memplan_block){.bytes = 100, .first = 3, .last = 4};
    assert_fails(bt_memplan_check(&w.p, 1000), BT_INVALID, "lives from step 3 to 4 of 4");
    w.block[1] = (bt_memplan_block){.bytes = INT64_MAX, .first = 3, .last = 3, .offset = 64};
    assert_fails(bt_memplan_check(&w.p, INT64_MAX), BT_INVALID, "does not lie in an arena");
}

/* 0 -> 1 -> 3 and 0 -> 2 -> 3: a fork and a join; 1 and 2 may run at once. */
static void begin_fork(void)
{
    static const int32_t pair[][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 3}, {2, 3}};
    memworld_begin(&w, 4, true);
    for (size_t k = 0; k < BT_COUNT_OF(pair); k++)
        memworld_set(&w, w.before, pair[k][0], pair[k][1]);
}

static void the_verifier_sees_an_overlap_across_streams(void **state)
{
    (void)state;
    begin_fork();
    memworld_add_touched(&w, 64, 1, 1);
    memworld_add_touched(&w, 64, 2, 2); // by number after 1, but nothing says so
    assert_fails(bt_memplan_check(&w.p, 64), BT_INVALID, "blocks 1 and 0 overlap");
    memworld_set(&w, w.before, 1, 2); // one waits for the other
    assert_ok(bt_memplan_check(&w.p, 64));
    begin_fork();
    memworld_add_touched(&w, 64, 0, 1);
    memworld_add_touched(&w, 64, 3, 3);
    assert_ok(bt_memplan_check(&w.p, 64));
    memworld_add_touched(&w, 64, 2, 2); // block 0 is still read by step 1
    assert_fails(bt_memplan_check(&w.p, 64), BT_INVALID, "blocks 2 and 0 overlap");
    begin_fork();
    memworld_add_touched(&w, 64, 1, 2);
    assert_fails(bt_memplan_check(&w.p, 64), BT_INVALID, "block 0: step 2 touches it");
    memset(w.touch, 0, sizeof w.touch);
    assert_fails(bt_memplan_check(&w.p, 64), BT_INVALID, "not touched by its first step, 1");
}

/* Move one block of a good plan onto one it lives with: it must be noticed. */
static void expect_planted_overlaps_seen(memworld_make *make)
{
    test_rng rng = {31};
    int n_planted = 0;
    for (int round = 0; round < 500; round++) {
        make(&w, &rng, 30, 50);
        memworld_find_conflicts(&w);
        memworld_plan(&w);
        int32_t a = (int32_t)test_range(&rng, 0, 29), b = (int32_t)test_range(&rng, 0, 29);
        if (!w.conflict[a][b]) continue;
        n_planted++;
        w.block[a].offset = w.block[b].offset;
        assert_fails(bt_memplan_check(&w.p, INT64_MAX), BT_INVALID, "overlap");
    }
    assert_true(n_planted > 50);
}

static void planted_overlaps_are_seen(void **state)
{
    (void)state;
    expect_planted_overlaps_seen(memworld_intervals);
    expect_planted_overlaps_seen(memworld_streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verifier_sees_an_overlap),
        cmocka_unit_test(the_verifier_sees_an_overlap_across_streams),
        cmocka_unit_test(planted_overlaps_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
