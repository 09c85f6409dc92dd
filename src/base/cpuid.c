// SPDX-License-Identifier: Apache-2.0
/* cpuid: x86 feature bits, gated by what the operating system saves (XCR0). */
#define _GNU_SOURCE
#include "base/cpuid.h"
#include "base/bits.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned flags;
} levels[] = {
#define ROW(upper, text, need) {text, need},
    BT_CPU_LEVEL_LIST(ROW)
#undef ROW
};

#if defined(__x86_64__)
#include <cpuid.h>

#ifndef bit_AMX_TILE // clang 14's cpuid.h lacks them: leaf 7, EDX
#define bit_AMX_BF16 (1u << 22)
#define bit_AMX_TILE (1u << 24)
#define bit_AMX_INT8 (1u << 25)
#endif

static uint64_t enabled_states(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Linux hands out the AMX tile state only to a process that asks (arch_prctl, since 5.16). */
static bool amx_permitted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static unsigned detect(void)
{
    unsigned a, b, c, d, flags = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    bool fma = c & bit_FMA, f16c = c & bit_F16C;
    uint64_t xcr0 = enabled_states();
    if ((xcr0 & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if ((b & bit_AVX2) && fma && f16c) flags |= BT_CPU_AVX2;
    const unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((flags & BT_CPU_AVX2) && (xcr0 & 0xE6) == 0xE6 && (b & need) == need) {
        unsigned a1 = 0, b1, c1, d1;
        flags |= BT_CPU_AVX512;
        if (c & bit_AVX512VNNI) flags |= BT_CPU_VNNI;
        if (__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 & 1u << 5 /* AVX512_BF16 */))
            flags |= BT_CPU_BF16;
        const unsigned amx =
            1u << 24 | 1u << 25 | 1u << 22; // TILE, INT8, BF16: clang 14 names none of them
        if ((d & amx) == amx && (xcr0 & 0x60000) == 0x60000 && amx_permitted()) flags |= BT_CPU_AMX;
    }
    return flags;
}
#else
static unsigned detect(void) { return 0; }
#endif

unsigned bt_cpu_flags(void)
{
    static _Atomic int known = -1;
    int flags = known;
    if (flags < 0) known = flags = (int)detect();
    return (unsigned)flags;
}

unsigned bt_cpu_level_flags(bt_cpu_level level) { return levels[level].flags; }
const char *bt_cpu_level_name(bt_cpu_level level) { return levels[level].name; }

bool bt_cpu_has_level(bt_cpu_level level)
{
    return (bt_cpu_flags() & levels[level].flags) == levels[level].flags;
}

bt_status bt_cpu_level_parse(const char *name, bt_cpu_level *ret_level)
{
    for (size_t i = 0; i < BT_COUNT_OF(levels); i++)
        if (!strcmp(name, levels[i].name)) {
            *ret_level = (bt_cpu_level)i;
            return BT_OK;
        }
    return bt_fail(BT_INVALID,
                   "CPU level '%s' is unknown; one of ref, avx2, avx512, avx512vnni, amx", name);
}

bt_status bt_cpu_level_start(bt_cpu_level *ret_level)
{
    bt_cpu_level level = BT_CPU_LEVEL_COUNT - 1;
    const char *cap = getenv("BATON_CPU");
    if (cap && *cap && bt_cpu_level_parse(cap, &level)) {
        bt_fail_note("BATON_CPU");
        return BT_INVALID;
    }
    while (!bt_cpu_has_level(level)) level--;
    *ret_level = level;
    return BT_OK;
}

int bt_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}
