// SPDX-License-Identifier: Apache-2.0
/* The kernels that work row by row, reference: act_quant, act_bf16, embed, gather, rmsnorm, swiglu. */
#include "kernel/isa.h"
#include "base/bits.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <math.h>

/* One group of up to 256 values; all f32, for every version gives these bits. */
static void quant_group(const float *x, int64_t n, int8_t *q, float *scale, int16_t *sum)
{
    uint32_t top = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t magnitude = bt_f32_bits(x[i]) & 0x7FFFFFFF;
        top = magnitude > top ? magnitude : top;
    }
    bool finite = top < 0x7F800000;
    *scale = finite ? bt_bits_f32(top) / 127.0f : NAN;
    memset(sum, 0, BT_GROUP_SUMS * sizeof *sum);
    for (int i = 0; i < BT_GROUP; i++) {
        float v = i < n && finite && *scale != 0 ? x[i] / *scale : 0;
        q[i] = (int8_t)fminf(fmaxf(rintf(v), -127), 127);
        sum[i / 16] = (int16_t)(sum[i / 16] + q[i]);
        int16_t *block = &sum[BT_GROUP_HALVES + i / BT_BLOCK];
        *block = (int16_t)(*block + q[i]);
    }
}

void bt_act_quant_ref(const void *args, int64_t begin, int64_t end)
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

void bt_act_bf16_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_act_bf16_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        uint16_t *out = a->out + row * 2 * a->n_pair;
        for (int64_t i = 0; i < a->n_col; i++) out[i] = bt_f32_to_bf16(a->x[row * a->x_stride + i]);
        if (a->n_col % 2) out[a->n_col] = 0;
    }
}

void bt_embed_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_embed_args *a = args;
    for (int64_t t = begin; t < end; t++) {
        float *out = a->out + t * a->d;
        int64_t id = a->ids[t];
        if (id >= 0 && id < a->n_vocab)
            bt_dequant_row(a->dtype, (const uint8_t *)a->table + id * a->row_bytes, a->d, out);
        else
            memset(out, 0, (size_t)a->d * sizeof *out);
    }
}

void bt_gather_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_gather_args *a = args;
    for (int64_t i = begin; i < end; i++)
        memcpy(a->out + i * a->d, a->x + a->rows[i] * a->d, (size_t)a->d * sizeof *a->x);
}

void bt_rmsnorm_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_rmsnorm_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->x_stride;
        float *out = a->out + row * a->out_stride;
        double sum = 0;
        for (int64_t i = 0; i < a->d; i++) sum += (double)x[i] * x[i];
        double inverse = 1 / sqrt(sum / (double)a->d + (double)a->eps);
        for (int64_t i = 0; i < a->d; i++) out[i] = (float)(x[i] * inverse * a->weight[i]);
    }
}

void bt_swiglu_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_swiglu_args *a = args;
    int64_t n_part = bt_div_up(a->d, 64);
    for (int64_t item = begin; item < end; item++) {
        int64_t t = item / n_part, j0 = item % n_part * 64;
        const float *gate = a->gate_up + t * 2 * a->d, *up = gate + a->d;
        for (int64_t j = j0; j < bt_min_i64(j0 + 64, a->d); j++)
            a->out[t * a->d + j] = (float)(gate[j] / (1 + exp(-(double)gate[j])) * up[j]);
    }
}
