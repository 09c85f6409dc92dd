// SPDX-License-Identifier: Apache-2.0
/* act_block: one group of act_quant for either vector width: what row_body.h makes rows of, and what
 * act_avx512.c falls back to at a row's end. */
#pragma once
#include <math.h>
#include <string.h>
#include "base/bits.h"
#include "kernel/x86/simd.h"
#include "tensor/half.h"

/* W values by division: see kernel.h. Returns the sum of the bytes. */
VF_INLINE int quant_vector(vf x, float scale, int8_t *q)
{
    vf y = vf_div(x, vf_set(scale));
    return vf_to_bytes(q, vf_min(vf_max(y, vf_set(-127)), vf_set(127)));
}

/* n of the group's 256 values are there, the rest are 0. */
__attribute__((unused)) static void quant_group(const float *x, int64_t n, int8_t *q, float *scale,
                                                int16_t *sum)
{
    vi top = vi_magnitude(vf_set(0));
    for (int64_t i = 0; i < n; i += W) top = vi_max(top, vi_magnitude(vf_load_n(x + i, n - i)));
    uint32_t largest = vi_largest(top);
    bool finite = largest < 0x7F800000;
    *scale = finite ? bt_bits_f32(largest) / 127.0f : NAN;
    memset(q, 0, BT_GROUP);
    memset(sum, 0, BT_GROUP_SUMS * sizeof *sum);
    if (!finite || *scale == 0) return;
    for (int64_t i = 0; i < n; i += W)
        sum[i / 16] = (int16_t)(sum[i / 16] + quant_vector(vf_load_n(x + i, n - i), *scale, q + i));
    for (int b = 0; b < BT_GROUP_BLOCKS; b++)
        sum[BT_GROUP_HALVES + b] = (int16_t)(sum[2 * b] + sum[2 * b + 1]);
}
