// SPDX-License-Identifier: Apache-2.0
/* row_body: act_quant, act_bf16, rmsnorm and swiglu for either vector width; each row is independent of
 * others. A file defines NAME(slot) before it includes this. */
#include "base/bits.h"
#include "kernel/isa.h"
#include "kernel/x86/act_block.h"
#include "tensor/half.h"
#include <math.h>

#if !defined(__AVX512F__) // has its own: act_avx512.c
void NAME(act_quant)(const void *args, int64_t begin, int64_t end)
{
    const bt_act_quant_args *a = args;
    for (int64_t row = begin; row < end; row++)
        for (int64_t col = 0; col < a->n_col; col += BT_GROUP) {
            int64_t at = col / BT_GROUP * a->n_row + row;
            quant_group(a->x + row * a->x_stride + col, bt_min_i64(BT_GROUP, a->n_col - col),
                        a->out.q + at * BT_GROUP, &a->out.scale[at],
                        a->out.sum + at * BT_GROUP_SUMS);
        }
}
#endif

void NAME(act_bf16)(const void *args, int64_t begin, int64_t end)
{
    const bt_act_bf16_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->x_stride;
        uint16_t *out = a->out + row * 2 * a->n_pair;
        int64_t i = 0;
        for (; i + W <= a->n_col; i += W) vf_to_bf16(out + i, vf_load(x + i));
        for (; i < a->n_col; i++) out[i] = bt_f32_to_bf16(x[i]);
        if (a->n_col % 2) out[a->n_col] = 0;
    }
}

void NAME(rmsnorm)(const void *args, int64_t begin, int64_t end)
{
    const bt_rmsnorm_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->x_stride;
        float *out = a->out + row * a->out_stride;
        vf_squares sum = vf_squares_zero();
        int64_t i = 0;
        for (; i + W <= a->d; i += W) vf_squares_add(&sum, vf_load(x + i));
        if (i < a->d) vf_squares_add(&sum, vf_load_n(x + i, a->d - i));
        vf inverse = vf_set((float)(1 / sqrt(vf_squares_sum(sum) / (double)a->d + (double)a->eps)));
        for (i = 0; i + W <= a->d; i += W)
            vf_store(out + i, vf_mul(vf_mul(vf_load(x + i), inverse), vf_load(a->weight + i)));
        if (i < a->d) {
            vf y = vf_mul(vf_mul(vf_load_n(x + i, a->d - i), inverse),
                          vf_load_n(a->weight + i, a->d - i));
            vf_store_n(out + i, y, a->d - i);
        }
    }
}

static vf silu_times(vf x, vf up)
{
    vf minus = vf_mul(x, vf_set(-1));
    return vf_mul(vf_div(x, vf_add(vf_set(1), vf_exp(minus))), up);
}

void NAME(swiglu)(const void *args, int64_t begin, int64_t end)
{
    const bt_swiglu_args *a = args;
    int64_t n_part = bt_div_up(a->d, 64);
    for (int64_t item = begin; item < end; item++) {
        int64_t t = item / n_part, j = item % n_part * 64, last = bt_min_i64(j + 64, a->d);
        const float *gate = a->gate_up + t * 2 * a->d, *up = gate + a->d;
        float *out = a->out + t * a->d;
        for (; j + W <= last; j += W)
            vf_store(out + j, silu_times(vf_load(gate + j), vf_load(up + j)));
        if (j < last)
            vf_store_n(out + j,
                       silu_times(vf_load_n(gate + j, last - j), vf_load_n(up + j, last - j)),
                       last - j);
    }
}
