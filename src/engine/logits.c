// SPDX-License-Identifier: Apache-2.0
/* logits: see logits.h. The passes are written once, as bodies, and compiled for any x86-64 (2 doubles
 * in a register), for AVX2 (4) and for AVX-512 (8), without fused products, so all give the same
 * bits. */
#include "engine/logits.h"
#include "base/cpuid.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define BODY   static inline __attribute__((always_inline))
#define LOG2_E 1.4426950408889634

/* The block at x: itself, or where only n < 64 of it are there, these in `end` and nothing behind. */
BODY const float *whole_block(const float *x, int32_t n, float *end)
{
    if (n >= BT_LOGITS_BLOCK) return x;
    for (int32_t i = 0; i < BT_LOGITS_BLOCK; i++) end[i] = i < n ? x[i] : -INFINITY;
    return end;
}

/* Lanes of v where they are larger than those of m; NaN is not larger than anything. */
#define LARGER(floats, ints, m, v)                                                                 \
    ((floats)((((v) > (m)) & (ints)(v)) | (~((v) > (m)) & (ints)(m))))

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

BODY float largest_of_16(const void *lanes)
{
    f32x4 m[4];
    memcpy(m, lanes, sizeof m);
    for (int j = 1; j < 4; j++) m[0] = LARGER(f32x4, i32x4, m[0], m[j]);
    float a = m[0][1] > m[0][0] ? m[0][1] : m[0][0], b = m[0][3] > m[0][2] ? m[0][3] : m[0][2];
    return b > a ? b : a;
}

#define LANES      2
#define NAME(name) name##_2
#include "engine/logits_body.h"
#undef LANES
#undef NAME

#define LANES      4
#define NAME(name) name##_4
#include "engine/logits_body.h"
#undef LANES
#undef NAME

#define LANES      8
#define NAME(name) name##_8
#include "engine/logits_body.h"
#undef LANES
#undef NAME

/* The passes by name, each with `attributes` and vectors of `lanes`. */
#define PASSES(isa_name, lanes, attributes)                                                        \
    attributes static float peaks_##isa_name(const float *x, int32_t n, float *peak)               \
    {                                                                                              \
        return peaks_##lanes(x, n, peak);                                                          \
    }                                                                                              \
    attributes static void weigh_##isa_name(const float *x, int32_t n, double largest,             \
                                            double factor, double *weight)                         \
    {                                                                                              \
        weigh_##lanes(x, n, largest, factor, weight);                                              \
    }                                                                                              \
    attributes static void sums_##isa_name(const float *x, int32_t n, double largest,              \
                                           double factor, double *sum)                             \
    {                                                                                              \
        sums_##lanes(x, n, largest, factor, sum);                                                  \
    }                                                                                              \
    static const bt_logits_passes isa_name = {#isa_name, peaks_##isa_name, weigh_##isa_name,       \
                                              sums_##isa_name};

PASSES(portable, 2, )
#if defined(__x86_64__)
PASSES(avx2, 4, __attribute__((target("avx2"))))
PASSES(avx512, 8, __attribute__((target("avx512f,avx512dq"))))
#endif

const bt_logits_passes *bt_logits_passes_for(unsigned cpu_flags)
{
#if defined(__x86_64__)
    if (cpu_flags & BT_CPU_AVX512) return &avx512;
    if (cpu_flags & BT_CPU_AVX2) return &avx2;
#endif
    (void)cpu_flags;
    return &portable;
}
