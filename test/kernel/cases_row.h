// SPDX-License-Identifier: Apache-2.0
/* cases_row: the kernels that work row by row: act_quant, act_bf16, embed, rmsnorm, gather, swiglu,
 * rope_angles. */
#pragma once
#include "kernel/cases_gemm.h"

static const int64_t row_widths[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 257, 2048};

static float odd_value(test_rng *rng)
{
    static const float odd[] = {NAN,    INFINITY, -INFINITY, 0,      -0.0f,
                                1e-42f, 3e38f,    -3e38f,    1e-30f, 5e4f};
    return odd[test_range(rng, 0, (int64_t)BT_COUNT_OF(odd) - 1)];
}

static void case_act_quant(bt_slot slot)
{
    for (size_t w = 0; w < 4 * BT_COUNT_OF(row_widths); w++) {
        int64_t n_col = row_widths[w / 4], n_row = 5, n_group = bt_div_up(n_col, BT_GROUP),
                stride = n_col + (int64_t)w % 3;
        test_rng rng = {now.seed = w};
        snprintf(now.shape, sizeof now.shape, "n_col %ld", (long)n_col);
        guarded x = guarded_new((size_t)((n_row - 1) * stride + n_col) * 4);
        fill_normal(&rng, (float *)x.data, (int64_t)(x.size / 4), w % 4 == 3 ? 1e-39 : 1);
        for (int64_t i = 0; w % 4 == 1 && i < 5; i++)
            ((float *)x.data)[test_range(&rng, 0, (int64_t)(x.size / 4) - 1)] = odd_value(&rng);
        for (int64_t i = 0; w % 4 == 2 && i < n_col; i++)
            ((float *)x.data)[i] = (float)(i % 3 - 1) * 0.5f; // ties
        guarded want[3] = {{0}};
        FOR_VERSIONS(slot, fn)
        {
            guarded got[] = {guarded_new((size_t)(n_row * n_group * BT_GROUP)),
                             guarded_new((size_t)(n_row * n_group * 4)),
                             guarded_new((size_t)(n_row * n_group) * BT_GROUP_SUMS * 2)};
            bt_act_quant_args args = {
                (float *)x.data,
                {(int8_t *)got[0].data, (float *)got[1].data, (int16_t *)got[2].data},
                n_row,
                n_col,
                stride};
            run_pieces(&rng, fn, &args, n_row);
            for (int i = 0; i < 3; i++) check_front(&got[i], "out");
            if (level_ == BT_CPU_LEVEL_REF) {
                memcpy(want, got, sizeof want);
                continue;
            }
            check_bits("q", got[0].data, want[0].data, got[0].size);
            check_bits("sum", got[2].data, want[2].data, got[2].size);
            for (int64_t i = 0; i < n_row * n_group; i++)
                check_close("scale", i, ((float *)got[1].data)[i], ((float *)want[1].data)[i], 0);
            for (int i = 0; i < 3; i++) guarded_free(&got[i]);
        }
        const float *scale = (float *)want[1].data, *v = (float *)x.data;
        for (int64_t row = 0; row < n_row; row++) // the reference itself: within half a step
            for (int64_t i = 0; i < n_col; i++) {
                int64_t at = i / BT_GROUP * n_row + row;
                double s = scale[at],
                       y = ((int8_t *)want[0].data)[at * BT_GROUP + i % BT_GROUP] * s;
                if (s > 1e-37) check_close("value", i, (float)y, v[row * stride + i], s * 0.50001);
            }
        for (int i = 0; i < 3; i++) guarded_free(&want[i]);
        guarded_free(&x);
    }
}

/* act_bf16: the same bits in every version, the reference against bt_f32_to_bf16. */
static void case_act_bf16(bt_slot slot)
{
    for (size_t w = 0; w < 2 * BT_COUNT_OF(row_widths); w++) {
        int64_t n_col = row_widths[w / 2], n_row = 5, n_pair = bt_div_up(n_col, 2),
                stride = n_col + (int64_t)w % 3;
        test_rng rng = {now.seed = w};
        snprintf(now.shape, sizeof now.shape, "n_col %ld", (long)n_col);
        guarded x = guarded_new((size_t)((n_row - 1) * stride + n_col) * 4);
        fill_normal(&rng, (float *)x.data, (int64_t)(x.size / 4), w % 2 ? 1 : 1e-39);
        for (int i = 0; i < 6; i++)
            ((float *)x.data)[test_range(&rng, 0, (int64_t)(x.size / 4) - 1)] = odd_value(&rng);
        FOR_VERSIONS(slot, fn)
        {
            guarded out = guarded_new((size_t)(n_row * n_pair) * 4);
            bt_act_bf16_args args = {(float *)x.data, (uint16_t *)out.data, n_col, n_pair, stride};
            run_pieces(&rng, fn, &args, n_row);
            check_front(&out, "out");
            for (int64_t row = 0; row < n_row; row++)
                for (int64_t i = 0; i < 2 * n_pair; i++) {
                    uint16_t got = args.out[row * 2 * n_pair + i],
                             want = i < n_col ? bt_f32_to_bf16(args.x[row * stride + i]) : 0;
                    if (got != want)
                        check_fail("out[%ld][%ld] is 0x%04x, wanted 0x%04x", (long)row, (long)i,
                                   got, want);
                }
            guarded_free(&out);
        }
        guarded_free(&x);
    }
}

static void case_rmsnorm(bt_slot slot)
{
    for (size_t w = 0; w < 2 * BT_COUNT_OF(row_widths); w++) {
        int64_t d = row_widths[w / 2], n_row = 6, stride = d + (int64_t)w % 3,
                out_stride = d + (int64_t)w % 2;
        test_rng rng = {now.seed = w};
        snprintf(now.shape, sizeof now.shape, "d %ld", (long)d);
        guarded x = guarded_new((size_t)((n_row - 1) * stride + d) * 4),
                weight = guarded_new((size_t)d * 4);
        guarded out = guarded_new((size_t)((n_row - 1) * out_stride + d) * 4);
        fill_normal(&rng, (float *)x.data, (int64_t)(x.size / 4), 3);
        fill_normal(&rng, (float *)weight.data, d, 1);
        if (w % 2) ((float *)x.data)[stride * 2] = odd_value(&rng);
        bt_rmsnorm_args args = {
            (float *)x.data, (float *)weight.data, (float *)out.data, d, stride, out_stride, 1e-5f};
        float *want = malloc(out.size), *first = malloc(out.size);
        FOR_VERSIONS(slot, fn)
        {
            memset(out.data, SENTINEL, out.size);
            fn(&args, 0, n_row);
            if (level_ == BT_CPU_LEVEL_REF) memcpy(want, out.data, out.size);
            for (int64_t i = 0; i < n_row * d; i++) {
                int64_t j = i / d * out_stride + i % d;
                check_close("out", i, ((float *)out.data)[j], want[j],
                            3e-7 * fabs(want[j]) + 1e-37);
            }
            check_front(&out, "out");
            memcpy(first, out.data, out.size);
            memset(out.data, SENTINEL, out.size);
            run_pieces(&rng, fn, &args, n_row);
            check_bits("in pieces", out.data, first, out.size);
        }
        for (int64_t row = 0; row < n_row; row++) { // the reference's rows have a mean square of 1
            double sum = 0;
            for (int64_t i = 0; i < d; i++)
                sum += pow(want[row * out_stride + i] / ((float *)weight.data)[i], 2) / (double)d;
            if (!(w % 2)) check_close("mean square", row, (float)sum, 1, 1e-3);
        }
        free(want);
        free(first);
        guarded_free(&x);
        guarded_free(&weight);
        guarded_free(&out);
    }
}

static void case_swiglu(bt_slot slot)
{
    for (size_t w = 0; w < 2 * BT_COUNT_OF(row_widths); w++) {
        int64_t d = row_widths[w / 2], n_tok = 3, n_item = n_tok * bt_div_up(d, 64);
        test_rng rng = {now.seed = w};
        snprintf(now.shape, sizeof now.shape, "d %ld", (long)d);
        guarded x = guarded_new((size_t)(n_tok * 2 * d) * 4),
                out = guarded_new((size_t)(n_tok * d) * 4);
        fill_normal(&rng, (float *)x.data, n_tok * 2 * d, w % 2 ? 40 : 2);
        for (int i = 0; w % 2 && i < 4; i++)
            ((float *)x.data)[test_range(&rng, 0, n_tok * 2 * d - 1)] = odd_value(&rng);
        bt_swiglu_args args = {(float *)x.data, (float *)out.data, n_tok, d};
        float *want = malloc(out.size), *first = malloc(out.size);
        FOR_VERSIONS(slot, fn)
        {
            fn(&args, 0, n_item);
            if (level_ == BT_CPU_LEVEL_REF) memcpy(want, out.data, out.size);
            for (int64_t i = 0; i < n_tok * d; i++) {
                double gate = ((float *)x.data)[i / d * 2 * d + i % d],
                       up = ((float *)x.data)[i / d * 2 * d + d + i % d];
                if (level_ == BT_CPU_LEVEL_REF)
                    check_close("plain", i, want[i], (float)(gate / (1 + exp(-gate)) * up),
                                1e-6 * fabs(want[i]));
                /* exp of a large negative gate leaves f32's range: silu is then 0 rather than 1e-36
                 * or less
                 */
                if (gate < -85 && isinf(up)) continue;
                check_close("out", i, ((float *)out.data)[i], want[i],
                            1e-6 * fabs(want[i]) + 1e-34 * fabs(up));
            }
            check_front(&out, "out");
            memcpy(first, out.data, out.size);
            memset(out.data, SENTINEL, out.size);
            run_pieces(&rng, fn, &args, n_item);
            check_bits("in pieces", out.data, first, out.size);
        }
        free(want);
        free(first);
        guarded_free(&x);
        guarded_free(&out);
    }
}

static void case_embed(bt_slot slot)
{
    for (int d = BT_F32; d <= BT_Q6_K; d++) {
        bt_dtype dtype = (bt_dtype)d;
        int64_t n_col = d < BT_Q8_0 ? 33 : 512, n_vocab = 9, row_bytes = bt_row_bytes(dtype, n_col);
        const int32_t ids[] = {0, 8, 3, 3, -1, 9, 5};
        test_rng rng = {now.seed = (uint64_t)d};
        snprintf(now.shape, sizeof now.shape, "%s", bt_dtype_name(dtype));
        gemm_data g = gemm_new(&rng, dtype, 1, n_vocab, n_col, FILL_NORMAL);
        guarded out = guarded_new(BT_COUNT_OF(ids) * (size_t)n_col * 4);
        bt_embed_args args = {g.rows.data, ids,  (float *)out.data, n_vocab, n_col,
                              row_bytes,   dtype};
        FOR_VERSIONS(slot, fn)
        {
            memset(out.data, SENTINEL, out.size);
            run_pieces(&rng, fn, &args, BT_COUNT_OF(ids));
            for (int64_t i = 0; i < (int64_t)BT_COUNT_OF(ids) * n_col; i++) {
                int32_t id = ids[i / n_col];
                double want = id < 0 || id >= n_vocab ? 0 : g.weights[id * n_col + i % n_col];
                check_close("out", i, ((float *)out.data)[i], want, 0);
            }
            check_front(&out, "out");
        }
        guarded_free(&out);
        gemm_free(&g);
    }
}

static void case_gather(bt_slot slot)
{
    float x[5 * 33];
    const int32_t rows[] = {4, 0, 0, 3};
    test_rng rng = {now.seed = 7};
    fill_normal(&rng, x, BT_COUNT_OF(x), 1);
    guarded out = guarded_new(sizeof rows * 33);
    bt_gather_args args = {x, rows, (float *)out.data, 33};
    snprintf(now.shape, sizeof now.shape, "d 33");
    FOR_VERSIONS(slot, fn)
    {
        memset(out.data, SENTINEL, out.size);
        run_pieces(&rng, fn, &args, 4);
        for (int i = 0; i < 4; i++)
            check_bits("row", out.data + i * 33 * 4, x + rows[i] * 33, 33 * 4);
        check_front(&out, "out");
    }
    guarded_free(&out);
}

static void case_rope_angles(bt_slot slot)
{
    const int32_t pos[] = {0, 1, 131071, 77};
    const float freq[] = {1, 0.1f, 1e-4f};
    guarded out = guarded_new(4 * 3 * 2 * 4);
    test_rng rng = {now.seed = 3};
    bt_rope_angles_args args = {pos, freq, (float *)out.data, 3, 1.5f};
    snprintf(now.shape, sizeof now.shape, "4 tokens, 3 pairs");
    FOR_VERSIONS(slot, fn)
    {
        memset(out.data, SENTINEL, out.size);
        run_pieces(&rng, fn, &args, 4);
        for (int i = 0; i < 12; i++) {
            double angle = (double)pos[i / 3] * freq[i % 3];
            check_close("cos", i, ((float *)out.data)[2 * i], 1.5 * cos(angle), 1.5 * 0x1p-24);
            check_close("sin", i, ((float *)out.data)[2 * i + 1], 1.5 * sin(angle), 1.5 * 0x1p-24);
        }
        check_front(&out, "out");
    }
    guarded_free(&out);
}

static void bench_rows(bt_slot slot)
{
    enum { D = 2048, ROWS = 64 };
    float *x = calloc(ROWS * 2 * D, 4), *out = calloc(ROWS * D, 4),
          *scale = calloc(ROWS * D / BT_GROUP, 4);
    int8_t *q = aligned_alloc(64, ROWS * D);
    int16_t *sum = calloc(ROWS * D / BT_GROUP, BT_GROUP_SUMS * 2);
    test_rng rng = {1};
    fill_normal(&rng, x, ROWS * 2 * D, 1);
    bt_act_quant_args quant = {x, {q, scale, sum}, ROWS, D, D};
    bt_rmsnorm_args norm = {x, x, out, D, D, D, 1e-5f};
    bt_swiglu_args glu = {x, out, ROWS, D};
    void *args = slot == BT_SLOT_act_quant ? (void *)&quant
                 : slot == BT_SLOT_rmsnorm ? (void *)&norm
                                           : (void *)&glu;
    snprintf(now.shape, sizeof now.shape, "%d rows of %d", ROWS, D);
    FOR_VERSIONS(slot, fn)
    bench_print(fn, args, slot == BT_SLOT_swiglu ? ROWS * D / 64 : ROWS, ROWS * D * 4.0, ROWS * D,
                'f');
    free(x);
    free(out);
    free(scale);
    free(q);
    free(sum);
}
