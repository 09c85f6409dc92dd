// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "base/peak.h"
#include "support/support.h"

static void what_the_level_has_is_measured_and_nothing_else(void **state)
{
    (void)state;
    for (int cap = 0; cap < BT_CPU_LEVEL_COUNT; cap++) {
        bt_peaks peaks = {0};
        size_t live = bt_mem_live(BT_MEM_MISC);
        assert_ok(bt_peaks_measure(2, (bt_cpu_level)cap, &peaks));
        assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
        for (int i = 0; i < BT_PEAK_COUNT; i++) {
            assert_int_equal(peaks.ops_s[i] > 0, bt_peak_has((bt_peak)i, (bt_cpu_level)cap));
            assert_true(peaks.ops_s[i] < 1e18);
        }
    }
}

static void the_best_is_the_fastest_of_its_type_or_of_f32(void **state)
{
    (void)state;
    bt_peaks peaks = {0};
    peaks.ops_s[BT_PEAK_F32_C] = 1e9;
    for (int type = 0; type < BT_PEAK_TYPE_COUNT; type++)
        assert_int_equal(bt_peaks_best(&peaks, (bt_peak_type)type), BT_PEAK_F32_C);
    peaks.ops_s[BT_PEAK_INT8_VNNI] = 5e8; // slower, but what such kernels are made of
    peaks.ops_s[BT_PEAK_F32_AVX2] = 2e9;
    assert_int_equal(bt_peaks_best(&peaks, BT_PEAK_INT8), BT_PEAK_INT8_VNNI);
    assert_int_equal(bt_peaks_best(&peaks, BT_PEAK_BF16), BT_PEAK_F32_AVX2);
    peaks.ops_s[BT_PEAK_INT8_AMX] = 4e9;
    assert_int_equal(bt_peaks_best(&peaks, BT_PEAK_INT8), BT_PEAK_INT8_AMX);
}

static void the_larger_figure_stays(void **state)
{
    (void)state;
    bt_peaks peaks = {0};
    peaks.ops_s[BT_PEAK_F32_C] = 1e17;
    assert_ok(bt_peaks_measure(1, BT_CPU_LEVEL_REF, &peaks));
    assert_true(peaks.ops_s[BT_PEAK_F32_C] == 1e17);
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    bt_peaks peaks = {0};
    bt_mem_fail_nth(1);
    assert_fails(bt_peaks_measure(1, BT_CPU_LEVEL_REF, &peaks), BT_NOMEM, "peaks");
    bt_mem_fail_nth(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_level_has_is_measured_and_nothing_else),
        cmocka_unit_test(the_best_is_the_fastest_of_its_type_or_of_f32),
        cmocka_unit_test(the_larger_figure_stays),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
