// SPDX-License-Identifier: Apache-2.0
/* gemm, reference: double sums over the packed layout. Rows are taken 32 at a time so that a block
 * of weights is opened once for them; each output's sum runs over the blocks in ascending order. */
#include "kernel/isa.h"
#include "kernel/panel.h"
#include "base/bits.h"
#include "tensor/half.h"

enum { ROWS = BT_PANEL_ROWS, M_TILE = 32 };

static void write_out(const bt_gemm_args *a, int64_t panel, int64_t m0, int64_t n_m,
                      double acc[M_TILE][ROWS])
{
    for (int64_t m = 0; m < n_m; m++)
        for (int64_t r = 0; r < ROWS && panel * ROWS + r < a->n_row; r++) {
            int64_t n = panel * ROWS + r, at = (m0 + m) * a->out_stride + n;
            double v = acc[m][r];
            if (a->bias) v += a->bias[n];
            if (a->residual) v += a->residual[at];
            a->out[at] = (float)v;
        }
}

static void add_block(const bt_panel_block *w, int offset, const int8_t *q, double scale,
                      double acc[ROWS])
{
    for (int r = 0; r < ROWS; r++) {
        int part[2] = {0, 0}, sum = 0;
        for (int c = 0; c < BT_BLOCK; c++) {
            part[c / 16] += (w->q[r][c] - offset) * q[c];
            sum += q[c];
        }
        acc[r] += (part[0] * w->d[0][r] + part[1] * w->d[1][r] + sum * w->m[r]) * scale;
    }
}

static void gemm_quantised(bt_dtype dtype, const bt_gemm_args *a, int64_t begin, int64_t end)
{
    int64_t n_block = a->n_col / BT_BLOCK, bytes = bt_panel_bytes(dtype, a->n_col);
    for (int64_t p = begin; p < end; p++)
        for (int64_t m0 = 0; m0 < a->n_m; m0 += M_TILE) {
            int64_t n_m = bt_min_i64(M_TILE, a->n_m - m0);
            double acc[M_TILE][ROWS] = {{0}};
            for (int64_t b = 0; b < n_block; b++) {
                bt_panel_block w;
                bt_panel_open(dtype, (const uint8_t *)a->panels + p * bytes, b, &w);
                for (int64_t m = 0; m < n_m; m++) {
                    int64_t at = b / BT_GROUP_BLOCKS * a->n_m + m0 + m;
                    add_block(&w, bt_panel_offset(dtype),
                              a->act.q + at * BT_GROUP + b % BT_GROUP_BLOCKS * BT_BLOCK,
                              a->act.scale[at], acc[m]);
                }
            }
            write_out(a, p, m0, n_m, acc);
        }
}

static float float_weight(bt_dtype dtype, const uint8_t *panel, int64_t col, int64_t r)
{
    float f;
    uint16_t h;
    if (dtype == BT_F32) {
        memcpy(&f, panel + (col * ROWS + r) * 4, sizeof f);
        return f;
    }
    int64_t at = dtype == BT_BF16 ? (col / 2 * ROWS + r) * 2 + col % 2 : col * ROWS + r;
    memcpy(&h, panel + at * 2, sizeof h);
    return dtype == BT_F16 ? bt_f16_to_f32(h) : bt_bf16_to_f32(h);
}

static double activation(bt_dtype dtype, const bt_gemm_args *a, int64_t m, int64_t k)
{
    return dtype == BT_BF16 ? bt_bf16_to_f32(a->a_bf16[m * bt_round_up(a->n_col, 2) + k])
                            : a->a[m * a->a_stride + k];
}

static void gemm_float(bt_dtype dtype, const bt_gemm_args *a, int64_t begin, int64_t end)
{
    int64_t bytes = bt_panel_bytes(dtype, a->n_col);
    for (int64_t p = begin; p < end; p++)
        for (int64_t m0 = 0; m0 < a->n_m; m0 += M_TILE) {
            int64_t n_m = bt_min_i64(M_TILE, a->n_m - m0);
            double acc[M_TILE][ROWS] = {{0}};
            for (int64_t k = 0; k < a->n_col; k++)
                for (int r = 0; r < ROWS; r++) {
                    double w = float_weight(dtype, (const uint8_t *)a->panels + p * bytes, k, r);
                    for (int64_t m = 0; m < n_m; m++)
                        acc[m][r] += w * activation(dtype, a, m0 + m, k);
                }
            write_out(a, p, m0, n_m, acc);
        }
}

#define GEMM(lower, upper, body)                                                                   \
    void bt_gemm_##lower##_ref(const void *args, int64_t begin, int64_t end)                       \
    {                                                                                              \
        body(BT_##upper, args, begin, end);                                                        \
    }
GEMM(f32, F32, gemm_float)
GEMM(f16, F16, gemm_float)
GEMM(bf16, BF16, gemm_float)
GEMM(q8_0, Q8_0, gemm_quantised)
GEMM(q4_0, Q4_0, gemm_quantised)
GEMM(q4_1, Q4_1, gemm_quantised)
GEMM(q5_0, Q5_0, gemm_quantised)
GEMM(q5_1, Q5_1, gemm_quantised)
GEMM(q4_k, Q4_K, gemm_quantised)
GEMM(q5_k, Q5_K, gemm_quantised)
GEMM(q6_k, Q6_K, gemm_quantised)
