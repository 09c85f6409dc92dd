// SPDX-License-Identifier: Apache-2.0
/* cases_gemm: pack and the matrix products. The reference kernel is compared with a plain product
 * of bt_dequant_row's weights (so packing is proved against the row format), the others with it. */
#pragma once
#include "kernel/check.h"

typedef enum gemm_fill {
    FILL_NORMAL,
    FILL_EXTREME, // largest codes and activations: integer sums at their limits
    FILL_POISON   // NaN and infinities among the activations
} gemm_fill;

typedef struct gemm_data {
    bt_dtype dtype;
    int64_t n_m, n_row, n_col, n_group, a_stride, out_stride, n_panel;
    guarded rows, panels, a, q, scale, sum, pairs, bias, residual, out;
    double *weights; // [n_row, n_col], from bt_dequant_row
    double *slack;   // [n_row, n_col]: how far off a panel's weight may be
    double *size;    // [n_m, n_row]: sum of |a * w|
} gemm_data;

static uint16_t random_half(test_rng *rng, double lo, double hi)
{
    return bt_f32_to_f16((float)(lo + (hi - lo) * test_uniform(rng)));
}

/* How far off the weights of a row are once its scales are integers of a group: half a step of scale
 * for each step of code, half a step of minimum; see panel.h. */
static void fill_slack(const gemm_data *g, const uint8_t *row, double *slack)
{
    bool min = g->dtype == BT_Q4_1 || g->dtype == BT_Q5_1;
    if (g->dtype < BT_Q8_0 || g->dtype >= BT_Q4_K) return;
    for (int64_t k = 0; k < g->n_col; k += 256) {
        double d = 0, m = 0;
        bt_codes c[8];
        int64_t n = bt_min_i64(8, (g->n_col - k) / 32);
        for (int b = 0; b < n; b++) {
            bt_block_open(g->dtype, row + (k / 32 + b) * bt_dtype_block_bytes(g->dtype), &c[b]);
            d = fmax(d, fabs(bt_f16_to_f32(c[b].d)));
            m = min ? fmax(m, fabs(bt_f16_to_f32(c[b].m))) : 0;
        }
        for (int64_t i = 0; i < n * 32; i++) {
            int q = c[i / 32].q[i % 32];
            double code = fabs((double)q - (g->dtype == BT_Q8_0   ? 128
                                            : g->dtype == BT_Q4_0 ? 8
                                            : g->dtype == BT_Q5_0 ? 16
                                                                  : 0));
            slack[k + i] = code * d / (g->dtype == BT_Q8_0 ? 509.99 : 253.99) + m / 65533;
            if (g->dtype == BT_Q8_0 && q == 0 && c[i / 32].d >> 15)
                slack[k + i] += fabs(bt_f16_to_f32(c[i / 32].d)); // -128 becomes 127
        }
    }
}

/* A block with codes at the ends of their range, or anywhere. */
static void random_block(test_rng *rng, bt_dtype dtype, uint8_t *block)
{
    int bits = dtype == BT_Q8_0                                           ? 8
               : dtype == BT_Q6_K                                         ? 6
               : dtype == BT_Q4_0 || dtype == BT_Q4_1 || dtype == BT_Q4_K ? 4
                                                                          : 5;
    bt_codes c = {.d = random_half(rng, -2, 2), .m = random_half(rng, -2, 2)};
    int kind = (int)test_range(rng, 0, 3);
    for (int i = 0; i < BT_CODES_MAX; i++) {
        int top = (1 << bits) - 1;
        c.q[i] = (uint8_t)(kind == 0   ? top
                           : kind == 1 ? 0
                           : kind == 2 ? test_range(rng, 0, 1) * top
                                       : test_range(rng, 0, top));
    }
    for (int i = 0; i < 16; i++)
        c.scale[i] =
            (int8_t)(dtype == BT_Q6_K ? test_range(rng, -128, 127) : test_range(rng, 0, 63));
    for (int i = 0; i < 8; i++) c.min[i] = (uint8_t)test_range(rng, 0, 63);
    bt_block_close(dtype, &c, block);
}

static void fill_weights(test_rng *rng, gemm_data *g, gemm_fill fill)
{
    int64_t row_bytes = bt_row_bytes(g->dtype, g->n_col), block = bt_dtype_block(g->dtype);
    float *x = malloc((size_t)g->n_col * sizeof *x);
    for (int64_t n = 0; n < g->n_row; n++) {
        uint8_t *row = g->rows.data + n * row_bytes;
        fill_normal(rng, x, g->n_col, 1);
        if (block > 1 && (fill == FILL_EXTREME || n % 2))
            for (int64_t i = 0; i < g->n_col; i += block, row += bt_dtype_block_bytes(g->dtype))
                random_block(rng, g->dtype, row);
        else
            bt_quant_row(g->dtype, x, g->n_col, row);
        bt_dequant_row(g->dtype, g->rows.data + n * row_bytes, g->n_col, x);
        for (int64_t k = 0; k < g->n_col; k++) g->weights[n * g->n_col + k] = x[k];
        fill_slack(g, g->rows.data + n * row_bytes, g->slack + n * g->n_col);
    }
    free(x);
}

static void fill_activations(test_rng *rng, gemm_data *g, gemm_fill fill)
{
    float *a = (float *)g->a.data;
    fill_normal(rng, a, (int64_t)(g->a.size / sizeof *a), 1);
    for (int64_t m = 0; m < g->n_m; m++)
        for (int64_t k = 0; k < g->n_col; k++) {
            float *x = &a[m * g->a_stride + k];
            if (fill == FILL_EXTREME)
                *x = m % 2 ? (test_range(rng, 0, 1) ? 1.0f : -1.0f) : m % 4 ? 1.0f : -1.0f;
            if (fill == FILL_POISON && test_range(rng, 0, g->n_col) == 0)
                *x = test_range(rng, 0, 1) ? NAN : test_range(rng, 0, 1) ? INFINITY : -INFINITY;
        }
    bt_act_quant_args qa = {a,
                            {(int8_t *)g->q.data, (float *)g->scale.data, (int16_t *)g->sum.data},
                            g->n_m,
                            g->n_col,
                            g->a_stride};
    bt_kernel_table ref;
    bt_kernel_table_init(&ref, BT_CPU_LEVEL_REF);
    ref.fn[BT_SLOT_act_quant](&qa, 0, g->n_m);
    bt_act_bf16_args ba = {a, (uint16_t *)g->pairs.data, g->n_col, bt_div_up(g->n_col, 2),
                           g->a_stride};
    ref.fn[BT_SLOT_act_bf16](&ba, 0, g->n_m);
}

static gemm_data gemm_new(test_rng *rng, bt_dtype dtype, int64_t n_m, int64_t n_row, int64_t n_col,
                          gemm_fill fill)
{
    gemm_data g = {.dtype = dtype, .n_m = n_m, .n_row = n_row, .n_col = n_col};
    g.n_group = bt_div_up(n_col, BT_GROUP);
    g.n_panel = bt_div_up(n_row, 16);
    g.a_stride = n_col + test_range(rng, 0, 5);
    g.out_stride = n_row + test_range(rng, 0, 5);
    int64_t row_bytes = bt_row_bytes(dtype, n_col);
    g.rows = guarded_new((size_t)(n_row * row_bytes));
    g.panels = guarded_new((size_t)bt_panels_bytes(dtype, n_row, n_col));
    g.a = guarded_new((size_t)((n_m - 1) * g.a_stride + n_col) * 4);
    g.q = guarded_new((size_t)(n_m * g.n_group) * BT_GROUP);
    g.scale = guarded_new((size_t)(n_m * g.n_group) * 4);
    g.sum = guarded_new((size_t)(n_m * g.n_group) * BT_GROUP_SUMS * 2);
    g.pairs = guarded_new((size_t)(n_m * bt_round_up(n_col, 2)) * 2);
    g.bias = guarded_new((size_t)n_row * 4);
    g.residual = guarded_new((size_t)((n_m - 1) * g.out_stride + n_row) * 4);
    g.out = guarded_new(g.residual.size);
    g.weights = malloc((size_t)(n_row * n_col) * sizeof *g.weights);
    g.slack = calloc((size_t)(n_row * n_col), sizeof *g.slack);
    g.size = calloc((size_t)(n_m * n_row), sizeof *g.size);
    fill_weights(rng, &g, fill);
    fill_activations(rng, &g, fill);
    fill_normal(rng, (float *)g.bias.data, n_row, 1);
    fill_normal(rng, (float *)g.residual.data, (int64_t)(g.residual.size / 4), 1);
    bt_pack_args pa = {g.rows.data, g.panels.data, n_row, n_col, row_bytes, dtype};
    bt_kernel_table ref;
    bt_kernel_table_init(&ref, BT_CPU_LEVEL_REF);
    ref.fn[BT_SLOT_pack](&pa, 0, g.n_panel);
    return g;
}

static void gemm_free(gemm_data *g)
{
    guarded *all[] = {&g->rows, &g->panels, &g->a,    &g->q,        &g->scale,
                      &g->sum,  &g->pairs,  &g->bias, &g->residual, &g->out};
    for (size_t i = 0; i < BT_COUNT_OF(all); i++) guarded_free(all[i]);
    free(g->weights);
    free(g->slack);
    free(g->size);
}

static bt_gemm_args gemm_args(const gemm_data *g, int extras)
{
    return (bt_gemm_args){
        .a = bt_gemm_act(g->dtype) == BT_ACT_F32 ? (float *)g->a.data : NULL,
        .a_bf16 = bt_gemm_act(g->dtype) == BT_ACT_BF16 ? (uint16_t *)g->pairs.data : NULL,
        .act = {(int8_t *)g->q.data, (float *)g->scale.data, (int16_t *)g->sum.data},
        .panels = g->panels.data,
        .bias = extras & 1 ? (float *)g->bias.data : NULL,
        .residual = extras & 2 ? (float *)g->residual.data : NULL,
        .out = (float *)g->out.data,
        .n_m = g->n_m,
        .n_row = g->n_row,
        .n_col = g->n_col,
        .a_stride = g->a_stride,
        .out_stride = g->out_stride,
    };
}

typedef struct plain_product {
    double sum;
    double slack;     // how far off integer scales may have put it
    bool act_too_far; // activations were rounded by more than half a step
} plain_product;

/* The plain product with dequantised weights, bias and residual; fills g->size. */
static plain_product plain_output(gemm_data *g, int extras, int64_t m, int64_t n)
{
    const float *a = (const float *)g->a.data + m * g->a_stride,
                *scale = (const float *)g->scale.data;
    const int8_t *q = (const int8_t *)g->q.data;
    double size = 0, bound = 0, exact = 0;
    plain_product p = {0};
    for (int64_t k = 0; k < g->n_col; k++) {
        double w = g->weights[n * g->n_col + k], x = a[k];
        if (bt_gemm_act(g->dtype) == BT_ACT_BF16) {
            x = bt_bf16_to_f32(((uint16_t *)g->pairs.data)[m * bt_round_up(g->n_col, 2) + k]);
            bound += fabs(w * a[k]) * 0x1p-8;
        }
        if (bt_gemm_act(g->dtype) == BT_ACT_Q8) {
            int64_t at = k / BT_GROUP * g->n_m + m;
            x = q[at * BT_GROUP + k % BT_GROUP] * (double)scale[at];
            bound += fabs(w) * scale[at] * 0.5000001;
        }
        p.sum += w * x;
        p.slack += fabs(x) * g->slack[n * g->n_col + k];
        exact += w * a[k];
        size += fabs(w * x);
    }
    double extra = (extras & 1 ? ((float *)g->bias.data)[n] : 0) +
                   (extras & 2 ? (double)((float *)g->residual.data)[m * g->out_stride + n] : 0);
    g->size[m * g->n_row + n] = size + fabs(extra);
    p.act_too_far = !(fabs(exact - p.sum) <= bound || isnan(exact) || isinf(exact));
    p.sum += extra;
    return p;
}

/* The bound of a float version: roundings add up like a random walk, with room. */
static double gemm_limit(const gemm_data *g, int64_t m, int64_t n)
{
    double steps = bt_gemm_act(g->dtype) == BT_ACT_Q8 ? 6.0 * (double)g->n_group : (double)g->n_col;
    return (2 * sqrt(steps) + 6) * 0x1p-24 * g->size[m * g->n_row + n] + 1e-37;
}

static void check_gaps(const gemm_data *g)
{
    check_front(&g->out, "out");
    for (int64_t m = 0; m + 1 < g->n_m; m++)
        for (int64_t i = m * g->out_stride + g->n_row; i < (m + 1) * g->out_stride; i++)
            for (int b = 0; b < 4; b++)
                if (g->out.data[i * 4 + b] != SENTINEL)
                    check_fail("wrote between rows %ld and %ld", (long)m, (long)m + 1);
}

/* Output bits of row m alone: the same arguments cut down to one row. */
static void run_row_alone(bt_range_fn fn, const bt_gemm_args *all, const gemm_data *g, int64_t m,
                          float *out)
{
    bt_gemm_args one = *all;
    one.n_m = 1;
    if (one.a) one.a += m * g->a_stride;
    if (one.a_bf16) one.a_bf16 += m * bt_round_up(g->n_col, 2);
    one.act.q = aligned_alloc(64, (size_t)g->n_group * BT_GROUP);
    one.act.sum = malloc((size_t)g->n_group * BT_GROUP_SUMS * 2);
    one.act.scale = malloc((size_t)g->n_group * sizeof *one.act.scale);
    for (int64_t i = 0; i < g->n_group; i++) {
        int64_t at = i * g->n_m + m;
        memcpy(one.act.q + i * BT_GROUP, all->act.q + at * BT_GROUP, BT_GROUP);
        memcpy(one.act.sum + i * BT_GROUP_SUMS, all->act.sum + at * BT_GROUP_SUMS,
               BT_GROUP_SUMS * 2);
        one.act.scale[i] = all->act.scale[at];
    }
    if (one.residual) one.residual += m * g->out_stride;
    one.out = out;
    fn(&one, 0, g->n_panel);
    free(one.act.q);
    free(one.act.sum);
    free(one.act.scale);
}

static void check_gemm_version(test_rng *rng, gemm_data *g, int extras, bt_range_fn fn,
                               const double *want)
{
    bt_gemm_args args = gemm_args(g, extras);
    float *out = (float *)g->out.data, *alone = malloc((size_t)g->n_row * 4),
          *first = malloc(g->out.size);
    memset(g->out.data, SENTINEL, g->out.size);
    run_empty(fn, &args);
    fn(&args, 0, g->n_panel);
    check_gaps(g);
    for (int64_t m = 0; m < g->n_m; m++)
        for (int64_t n = 0; n < g->n_row; n++)
            check_close("out", m * g->n_row + n, out[m * g->out_stride + n], want[m * g->n_row + n],
                        gemm_limit(g, m, n));
    memcpy(first, out, g->out.size);
    memset(g->out.data, SENTINEL, g->out.size);
    if (extras == 3) { // in place: residual and out are one array
        memcpy(out, g->residual.data, g->out.size);
        args.residual = out;
    }
    run_pieces(rng, fn, &args, g->n_panel);
    args.residual = gemm_args(g, extras).residual;
    for (int64_t m = 0; m < g->n_m; m++) {
        check_bits("in pieces", out + m * g->out_stride, first + m * g->out_stride,
                   (size_t)g->n_row * 4);
        if (m > 6 && m + 3 < g->n_m) continue;
        run_row_alone(fn, &args, g, m, alone);
        check_bits("alone", alone, first + m * g->out_stride, (size_t)g->n_row * 4);
    }
    free(alone);
    free(first);
}

/* The vector versions of a quantised product do the same operations: the first's bits are kept and
 * the others compared. */
static void check_same_bits(const gemm_data *g, float *same, bool keep)
{
    for (int64_t m = 0; m < g->n_m; m++)
        for (int64_t n = 0; n < g->n_row; n++) {
            float got = ((float *)g->out.data)[m * g->out_stride + n], *want = same++;
            if (keep)
                *want = got;
            else if (!isnan(got) && bt_f32_bits(got) != bt_f32_bits(*want))
                check_fail("out[%ld] is %.9g, another version's %.9g", (long)(m * g->n_row + n),
                           got, *want);
        }
}

static int64_t pick(const int64_t *from, int n, int i) { return from[i % n]; }

/* Every distinct version of a slot, reference first: f(version's function) with `now` set. */
#define FOR_VERSIONS(slot_id, fn_name)                                                             \
    for (int level_ = BT_CPU_LEVEL_REF; level_ < BT_CPU_LEVEL_COUNT; level_++)                     \
        for (bt_range_fn fn_name = version_of(slot_id, level_); fn_name; fn_name = NULL)

/* The slot's function on a level, or NULL where the machine lacks it or the level before has it
 * too. */
static bt_range_fn version_of(bt_slot slot, int level)
{
    bt_kernel_table this_one, before;
    if (!bt_cpu_has_level((bt_cpu_level)level)) return NULL;
    bt_kernel_table_init(&this_one, (bt_cpu_level)level);
    if (level) bt_kernel_table_init(&before, (bt_cpu_level)(level - 1));
    now.isa = this_one.isa[slot];
    return level && before.fn[slot] == this_one.fn[slot] ? NULL : this_one.fn[slot];
}

static void case_gemm(bt_slot slot)
{
    bt_dtype dtype = (bt_dtype)(BT_F32 + (int)slot - (int)BT_SLOT_gemm_f32);
    static const int64_t ms[] = {1, 4, 2, 5, 3, 7, 13, 61, 6, 8, 67, 16, 129, 145},
                         ns[] = {16, 1, 17, 100, 48, 15, 65, 33, 49};
    static const int64_t float_ks[] = {1, 33, 2, 97, 31, 193, 192, 384, 3, 771};
    static const int64_t small_ks[] = {32, 64, 96, 544, 160, 512, 1056, 288, 768},
                         k_ks[] = {256, 768, 512, 2304};
    for (int i = 0; i < 42; i++) {
        int64_t k = bt_gemm_act(dtype) != BT_ACT_Q8 ? pick(float_ks, 10, i)
                    : dtype < BT_Q4_K               ? pick(small_ks, 9, i)
                                                    : pick(k_ks, 4, i);
        int64_t m = pick(ms, 14, i), n = pick(ns, 9, i);
        gemm_fill fill = i % 5 == 3 ? FILL_EXTREME : i % 5 == 4 ? FILL_POISON : FILL_NORMAL;
        int extras = i % 4;
        test_rng rng = {now.seed = 1000 + (uint64_t)i};
        gemm_data g = gemm_new(&rng, dtype, m, n, k, fill);
        snprintf(now.shape, sizeof now.shape, "m %ld n %ld k %ld fill %d extras %d", (long)m,
                 (long)n, (long)k, fill, extras);
        double *want = malloc((size_t)(m * n) * sizeof *want);
        float *same = malloc((size_t)(m * n) * sizeof *same);
        int n_version = 0;
        FOR_VERSIONS(slot, fn)
        {
            if (level_ == BT_CPU_LEVEL_REF) {
                bt_gemm_args args = gemm_args(&g, extras);
                fn(&args, 0, g.n_panel);
                for (int64_t j = 0; j < m * n; j++) {
                    plain_product plain = plain_output(&g, extras, j / n, j % n);
                    want[j] = args.out[j / n * g.out_stride + j % n];
                    check_close("reference", j, (float)want[j], (float)plain.sum,
                                4e-7 * g.size[j] + plain.slack + 1e-37);
                    if (plain.act_too_far)
                        check_fail("out[%ld]: activations are further off than half a step",
                                   (long)j);
                }
            }
            check_gemm_version(&rng, &g, extras, fn, want);
            if (level_ > BT_CPU_LEVEL_REF && bt_gemm_act(dtype) == BT_ACT_Q8)
                check_same_bits(&g, same, n_version++ == 0);
        }
        free(want);
        free(same);
        gemm_free(&g);
    }
}

/* pack: item ranges, guard pages, and every weight where the layout says. */
static void case_pack(bt_slot slot)
{
    for (int round = 0; round < 2 * (BT_Q6_K + 1); round++) {
        bt_dtype dtype = (bt_dtype)(round / 2);
        int64_t n_row = 37, n_col = dtype < BT_Q8_0 ? 33 : dtype < BT_Q4_K ? 96 : 512;
        if (round % 2) n_col = dtype < BT_Q8_0 ? 44 : dtype < BT_Q4_K ? 64 : 768;
        test_rng rng = {now.seed = (uint64_t)round};
        gemm_data g = gemm_new(&rng, dtype, 1, n_row, n_col, FILL_EXTREME);
        guarded packed = guarded_new(g.panels.size);
        snprintf(now.shape, sizeof now.shape, "%s [%ld, %ld]", bt_dtype_name(dtype), (long)n_row,
                 (long)n_col);
        bt_pack_args args = {g.rows.data, packed.data, n_row, n_col, bt_row_bytes(dtype, n_col),
                             dtype};
        FOR_VERSIONS(slot, fn)
        {
            run_pieces(&rng, fn, &args, g.n_panel);
            check_bits("in pieces", packed.data, g.panels.data, packed.size);
            check_front(&packed, "panels");
        }
        double ratio =
            (double)bt_panel_bytes(dtype, 4096) / (double)(16 * bt_row_bytes(dtype, 4096));
        if (!(ratio <= 1.04)) check_fail("panels are %.3f times the file's size", ratio);
        for (int64_t i = 0; bt_gemm_act(dtype) == BT_ACT_Q8 && i < n_row * n_col; i++) {
            bt_panel_block b;
            int64_t row = i / n_col, col = i % n_col, c = col % 32;
            if (c == 0)
                bt_panel_open(dtype, g.panels.data + row / 16 * bt_panel_bytes(dtype, n_col),
                              col / 32, &b);
            double got =
                b.d[c / 16][row % 16] * (b.q[row % 16][c] - bt_panel_offset(dtype)) + b.m[row % 16];
            check_close("weight", i, (float)got, g.weights[i],
                        1e-6 * fabs(b.d[c / 16][row % 16] * 256) + 1e-6 * fabs(b.m[row % 16]) +
                            g.slack[i]);
        }
        guarded_free(&packed);
        gemm_free(&g);
    }
}

static void bench_gemm(bt_slot slot)
{
    bt_dtype dtype = (bt_dtype)(BT_F32 + (int)slot - (int)BT_SLOT_gemm_f32);
    const int64_t n_col = 2048, n_row = 8192;
    static const int64_t ms[] = {1, 2, 4, 8, 16, 32, 64, 128, 512};
    int64_t n_group = n_col / BT_GROUP, bytes = bt_panels_bytes(dtype, n_row, n_col);
    int64_t copies = bt_max_i64(1, (128 << 20) / bytes); // more than the caches hold
    uint8_t *panels;
    assert_ok(bt_alloc((void **)&panels, (size_t)(bytes * copies), BT_MEM_WEIGHTS));
    for (int64_t i = 0; i < bytes * copies; i++) panels[i] = 0x11;
    float *a = aligned_alloc(64, 512 * 2048 * 4), *out = aligned_alloc(64, 512 * 8192 * 4);
    int8_t *q = aligned_alloc(64, 512 * 2048);
    float *scale = calloc((size_t)(512 * n_group), 4);
    int16_t *sum = calloc((size_t)(512 * n_group), BT_GROUP_SUMS * 2);
    uint16_t *pairs = aligned_alloc(64, 512 * 2048 * 2);
    test_rng rng = {1};
    fill_normal(&rng, a, 512 * 2048, 1);
    for (int64_t i = 0; i < 512 * 2048; i++) pairs[i] = bt_f32_to_bf16(a[i]);
    for (int64_t i = 0; i < 512 * n_col; i++) q[i] = (int8_t)(i % 255 - 127);
    FOR_VERSIONS(slot, fn)
    {
        if (level_ == BT_CPU_LEVEL_REF || (bench_isa && !strstr(now.isa, bench_isa))) continue;
        for (size_t i = 0; i < BT_COUNT_OF(ms); i++) {
            /* A small batch reads all copies as one tall matrix, so that weights come from memory.
             */
            int64_t tall = ms[i] <= 32 ? copies : 1, rows = ms[i] > 32 ? n_row / 4 : n_row * tall;
            float *y = tall > 1 ? aligned_alloc(64, (size_t)(ms[i] * rows) * 4) : out;
            bt_gemm_args args = {.a = a,
                                 .a_bf16 = pairs,
                                 .act = {q, scale, sum},
                                 .panels = panels,
                                 .out = y,
                                 .n_m = ms[i],
                                 .n_row = rows,
                                 .n_col = n_col,
                                 .a_stride = n_col,
                                 .out_stride = rows};
            snprintf(now.shape, sizeof now.shape, "m %ld n %ld k %ld", (long)ms[i], (long)rows,
                     (long)n_col);
            bench_print(fn, &args, rows / 16, (double)bytes * (double)rows / (double)n_row,
                        2.0 * (double)(ms[i] * rows) * (double)n_col,
                        bt_gemm_act(dtype) == BT_ACT_Q8     ? 'i'
                        : bt_gemm_act(dtype) == BT_ACT_BF16 ? 'b'
                                                            : 'f');
            if (tall > 1) free(y);
        }
    }
    bt_free(panels);
    free(a);
    free(out);
    free(q);
    free(scale);
    free(sum);
    free(pairs);
}
