// SPDX-License-Identifier: Apache-2.0
/* peak: how fast this machine multiplies and adds, so that a figure in GOP/s can be held against it.
 *
 * Each instruction that a kernel may be made of is repeated on registers alone, all threads together:
 * no kernel can be faster. A multiply-add counts as two operations. The best pass counts: a lower
 * figure would flatter us.
 */
#pragma once
#include "base/cpuid.h"

/* What is multiplied. */
typedef enum bt_peak_type {
    BT_PEAK_INT8,
    BT_PEAK_BF16,
    BT_PEAK_F32,
    BT_PEAK_TYPE_COUNT
} bt_peak_type;

/* X(NAME, "as shown", bt_peak_type, the level whose kernels may use it) */
#define BT_PEAK_LIST(X)                                                                            \
    X(F32_C, "plain C", F32, REF)                                                                  \
    X(F32_AVX2, "fma of 8", F32, AVX2)                                                             \
    X(F32_AVX512, "fma of 16", F32, AVX512)                                                        \
    X(INT8_AVX2, "vpmaddubsw + vpmaddwd", INT8, AVX2)                                              \
    X(INT8_VNNI, "vpdpbusd", INT8, AVX512VNNI)                                                     \
    X(INT8_AMX, "tdpbssd", INT8, AMX)                                                              \
    X(BF16_DP, "vdpbf16ps", BF16, AVX512VNNI)                                                      \
    X(BF16_AMX, "tdpbf16ps", BF16, AMX)

typedef enum bt_peak {
#define BT_PEAK_ENUM(name, text, type, level) BT_PEAK_##name,
    BT_PEAK_LIST(BT_PEAK_ENUM)
#undef BT_PEAK_ENUM
        BT_PEAK_COUNT
} bt_peak;

const char *bt_peak_name(bt_peak peak);           // "vpdpbusd"
bt_peak_type bt_peak_type_of(bt_peak peak);       // what it multiplies
const char *bt_peak_type_name(bt_peak_type type); // "int8"
bool bt_peak_has(bt_peak peak, bt_cpu_level cap); // the machine has it and the level may use it

/* Repeat the instruction for some 50 us on the calling thread; gives the operations done. The
 * machine must have it. */
double bt_peak_spin(bt_peak peak);

typedef struct bt_peaks {
    double ops_s[BT_PEAK_COUNT]; // operations a second; 0: not to be had
} bt_peaks;

/* Measure what kernels up to `cap` may use, with n_thread (1..256) threads; takes about 30 ms each.
 * What *peaks already holds stays where it is larger; begin with {0}. */
BT_CHECKED bt_status bt_peaks_measure(int n_thread, bt_cpu_level cap, bt_peaks *peaks);

/* The fastest for this type; where there is none the fastest for f32, to which others convert. */
bt_peak bt_peaks_best(const bt_peaks *peaks, bt_peak_type type);
