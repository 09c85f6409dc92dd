// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "base/clock.h"
#include "base/membw.h"
#include "support/support.h"

static void a_measurement_is_plausible_short_and_leaves_nothing(void **state)
{
    (void)state;
    double rate = 0;
    size_t live = bt_mem_live(BT_MEM_MISC);
    int64_t start = bt_now_ns();
    assert_ok(bt_membw_measure(2, BT_MEMBW_QUICK, &rate));
    assert_true(bt_seconds_since(start) <
                5); // 0.1 s where nothing else runs; sanitizers and neighbours slow it
    assert_true(rate > 50e6 && rate < 1e14);
    assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
    assert_true(bt_membw_beyond_caches() >= BT_MEMBW_QUICK);
    assert_true(bt_membw_beyond_caches() <= 1 << 30);
}

static void memory_that_cannot_be_had_is_an_error_that_frees_all(void **state)
{
    (void)state;
    double rate = -1;
    size_t live = bt_mem_live(BT_MEM_MISC);
    for (int n = 1; n <= 3; n++) {
        bt_mem_fail_nth((uint64_t)n);
        assert_fails(bt_membw_measure(2, BT_MEMBW_QUICK, &rate), BT_NOMEM, "bandwidth");
        assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
    }
    bt_mem_fail_nth(0);
    assert_true(rate == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_measurement_is_plausible_short_and_leaves_nothing),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error_that_frees_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
