// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/bits.h"
#include "graph/memplan.h"

enum { N_MAX = 60 };

static int32_t random_blocks(test_rng *rng, bt_memplan_block *block)
{
    int32_t n = (int32_t)test_range(rng, 1, N_MAX);
    for (int32_t i = 0; i < n; i++) {
        int32_t first = (int32_t)test_range(rng, 0, 40);
        block[i] = (bt_memplan_block){.bytes = test_range(rng, 0, 3) ? test_range(rng, 1, 5000) : 0,
                                      .first = first,
                                      .last = first + (int32_t)test_range(rng, 0, 12)};
    }
    return n;
}

static void random_plans_never_overlap_and_beat_bump(void **state)
{
    (void)state;
    test_rng rng = {7};
    double ratio_sum = 0;
    for (int round = 0; round < 2000; round++) {
        bt_memplan_block block[N_MAX];
        int32_t scratch[N_MAX + 1], n = random_blocks(&rng, block);
        int64_t bump = 0, bytes = bt_memplan(block, n, scratch), bound = bt_memplan_bound(block, n);
        for (int32_t i = 0; i < n; i++) bump += bt_round_up(block[i].bytes, BT_MEMPLAN_ALIGN);
        assert_ok(bt_memplan_check(block, n, bytes));
        assert_true(bytes >= bound && bytes <= bump);
        ratio_sum += bound ? (double)bytes / (double)bound : 1;
    }
    assert_true(ratio_sum / 2000 < 1.06);
}

static void the_checker_sees_an_overlap(void **state)
{
    (void)state;
    bt_memplan_block block[] = {{.bytes = 100, .first = 0, .last = 2, .offset = 0},
                                {.bytes = 100, .first = 2, .last = 3, .offset = 64}};
    assert_fails(bt_memplan_check(block, 2, 1000), BT_INVALID, "blocks 1 and 0 overlap");
    block[1].first = 3;
    assert_ok(bt_memplan_check(block, 2, 1000));
    assert_fails(bt_memplan_check(block, 2, 160), BT_INVALID, "does not lie in the arena");
}

static void a_chain_needs_two_buffers(void **state)
{
    (void)state;
    bt_memplan_block block[10];
    int32_t scratch[11];
    for (int32_t i = 0; i < 10; i++)
        block[i] = (bt_memplan_block){.bytes = 640, .first = i, .last = i + 1};
    assert_int_equal(bt_memplan(block, 10, scratch), 1280);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans_never_overlap_and_beat_bump),
        cmocka_unit_test(the_checker_sees_an_overlap),
        cmocka_unit_test(a_chain_needs_two_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
