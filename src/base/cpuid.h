// SPDX-License-Identifier: Apache-2.0
/* cpuid: what this CPU and its operating system can run, as a set of flags and a ladder of levels.
 *
 * A level is what users and tests speak of ("avx2"); flags are what a kernel needs. The environment
 * variable BATON_CPU=ref|avx2|avx512|avx512vnni|amx caps the level at start. */
#pragma once
#include "base/status.h"

enum {
    BT_CPU_AVX2 = 1 << 0,   // AVX2, FMA, F16C
    BT_CPU_AVX512 = 1 << 1, // F, BW, DQ, VL
    BT_CPU_VNNI = 1 << 2,   // AVX512_VNNI
    BT_CPU_BF16 = 1 << 3,   // AVX512_BF16
    BT_CPU_AMX = 1 << 4,    // AMX-TILE, AMX-INT8, AMX-BF16, permitted by the kernel
};

/* X(LEVEL, name, flags a CPU must have for it; each level includes those before it) */
#define BT_CPU_LEVEL_LIST(X)                                                                       \
    X(REF, "ref", 0)                                                                               \
    X(AVX2, "avx2", BT_CPU_AVX2)                                                                   \
    X(AVX512, "avx512", BT_CPU_AVX2 | BT_CPU_AVX512)                                               \
    X(AVX512VNNI, "avx512vnni", BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_VNNI | BT_CPU_BF16)           \
    X(AMX, "amx", BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_VNNI | BT_CPU_BF16 | BT_CPU_AMX)

typedef enum bt_cpu_level {
#define BT_CPU_LEVEL_ENUM(name, text, flags) BT_CPU_LEVEL_##name,
    BT_CPU_LEVEL_LIST(BT_CPU_LEVEL_ENUM)
#undef BT_CPU_LEVEL_ENUM
        BT_CPU_LEVEL_COUNT
} bt_cpu_level;

unsigned bt_cpu_flags(void);                     // of this machine, unmasked
unsigned bt_cpu_level_flags(bt_cpu_level level); // what the level allows
const char *bt_cpu_level_name(bt_cpu_level level);
bool bt_cpu_has_level(bt_cpu_level level); // this machine can run it
BT_CHECKED bt_status bt_cpu_level_parse(const char *name, bt_cpu_level *ret_level);

/* The highest level this machine has, capped by BATON_CPU. INVALID for an unknown name there. */
BT_CHECKED bt_status bt_cpu_level_start(bt_cpu_level *ret_level);

/* Processors this process may run on (sched_getaffinity), at least 1. */
int bt_cpu_count(void);
