// SPDX-License-Identifier: Apache-2.0
/* act_block: one block of act_quant for either vector width: what row_body.h makes rows of, and what
 * act_avx512.c falls back to at a row's end. */
#pragma once
#include <math.h>
#include <string.h>
#include "base/bits.h"
#include "kernel/x86/simd.h"
#include "tensor/half.h"

/* n of the block's 32 values are there, the rest are 0. By division: see kernel.h. */
__attribute__((unused)) static void quant_block(const float *x, int64_t n, int8_t *q, float *scale,
                                                int16_t *sum)
{
    vf v[32 / W];
    vi top = vi_magnitude(vf_set(0));
    for (int i = 0; i < 32 / W; i++) {
        v[i] = vf_load_n(x + i * W, bt_max_i64(0, n - i * W));
        top = vi_max(top, vi_magnitude(v[i]));
    }
    uint32_t largest = vi_largest(top);
    bool finite = largest < 0x7F800000;
    *scale = finite ? bt_bits_f32(largest) / 127.0f : NAN;
    sum[0] = sum[1] = 0;
    if (!finite || *scale == 0) {
        memset(q, 0, 32);
        return;
    }
    for (int i = 0; i < 32 / W; i++) {
        vf y = vf_div(v[i], vf_set(*scale));
        y = vf_min(vf_max(y, vf_set(-127)), vf_set(127));
        sum[i * W / 16] = (int16_t)(sum[i * W / 16] + vf_to_bytes(q + i * W, y));
    }
}
