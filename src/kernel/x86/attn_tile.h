// SPDX-License-Identifier: Apache-2.0
/* attn_tile: the arithmetic of attention on one block of 64 positions, for up to ROWS_MAX query rows
 * at once, so that each key and value vector is loaded once for all of them. Per row and block:
 *
 *   s = scale / ln 2 * sum over d                       one fma chain a position, d ascending
 *   m' = max(m, max s);  l = l * 2^(m - m'), out = out * 2^(m - m')        only where m grows
 *   p = 2^(s - m');  l = l + p                          16 lanes, summed at the end
 *   out = out + sum_j p[j] v[j]                         one fma chain, j ascending, visible j only
 *
 * Positions a row does not see take no part: their scores are replaced by select, their values are
 * not touched, so what lies there cannot matter. Nothing a row computes depends on its tile. */
#pragma once
#include "kernel/x86/attn_load.h"
#include <math.h>

typedef struct attn_row {
    float weight[RUN] __attribute__((aligned(64))); // sums of weights, by position modulo 16
    const float *q;
    float *out;          // [d_head]
    float *acc;          // [d_head rounded up to 16] of this chunk; the columns past the head are 0
    int64_t first, last; // positions seen beside the sinks, both included
    uint64_t seen;       // positions of the block that it sees, the first one the lowest bit
    float top;           // largest score of this chunk
    float all_top, all_weight; // of the chunks before it
    bool is_open, has_chunk;   // this chunk, a chunk before it, has a position it sees
} attn_row;

typedef float attn_scores[BLOCK]; // of one row: scores, then weights

VF_INLINE uint64_t run_of(uint64_t seen, int run) { return seen >> run * RUN & 0xFFFF; }

/* ---- scores ---- */

/* Add elements d0 .. d0 + n - 1 to the scores of n_run runs, from run `run` on. */
VF_INLINE void score_runs(bt_dtype t, const int n_row, const int n_run, const attn_row *row,
                          attn_scores *s, const attn_floats *k, int run, int64_t d0, int64_t n)
{
    vf sum[ROWS_MAX][4];
    const int n_vec = n_run * VECS_A_RUN;
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int i = 0; i < n_vec; i++)
            sum[r][i] = d0 ? vf_load(s[r] + run * RUN + i * W) : vf_set(0);
    const char *key[4];
#pragma GCC unroll 4
    for (int i = 0; i < n_vec; i++)
        key[i] = k->run[run + i / VECS_A_RUN] + i % VECS_A_RUN * W * float_bytes(t);
    int64_t quarter = n / N_RUN + 1;
    for (int64_t d = 0, at = 0, part = 0; d < n; part++) {
        const char *next = k->next[part];
#pragma GCC unroll 1
        for (int64_t end = bt_min_i64(n, d + quarter); d < end;
             d++, at += k->step * float_bytes(t)) {
            if (next) ask_for(next), next += N_RUN * k->next_step;
            vf x[4];
#pragma GCC unroll 4
            for (int i = 0; i < n_vec; i++) x[i] = vf_from(t, key[i] + at);
#pragma GCC unroll 8
            for (int r = 0; r < n_row; r++) {
                vf q = vf_set(row[r].q[d0 + d]);
#pragma GCC unroll 4
                for (int i = 0; i < n_vec; i++) sum[r][i] = vf_fma(q, x[i], sum[r][i]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int i = 0; i < n_vec; i++) vf_store(s[r] + run * RUN + i * W, sum[r][i]);
}

VF_INLINE void score_tile(bt_dtype t, const int n_row, const attn_row *row, attn_scores *s,
                          const attn_floats *k, uint64_t seen, int64_t d0, int64_t n)
{
    const int at_once = 4 / VECS_A_RUN;
    for (int run = 0; run < N_RUN;) {
        bool whole = run % at_once == 0;
        for (int i = 0; i < at_once; i++) whole = whole && run_of(seen, (run + i) % N_RUN);
        if (whole)
            score_runs(t, n_row, at_once, row, s, k, run, d0, n);
        else if (run_of(seen, run))
            score_runs(t, n_row, 1, row, s, k, run, d0, n);
        run += whole ? at_once : 1;
    }
}

/* ---- weights ---- */

/* The row's largest score has grown: shrink what was summed below the old one. Below -inf there is
 * nothing, or a NaN, which stays. */
VF_INLINE void shrink_row(attn_row *row, float top, int64_t d_head)
{
    vf f = vf_exp2(vf_set(row->top - top));
    bool is_first = row->top == -INFINITY;
    row->top = top;
    if (is_first) return;
    for (int i = 0; i < RUN; i += W) vf_store(row->weight + i, vf_mul(vf_load(row->weight + i), f));
    for (int64_t c = 0; c < d_head; c += W)
        vf_store(row->acc + c, vf_mul(vf_load(row->acc + c), f));
}

/* Turn a row's sums of products into weights, in place. */
VF_INLINE void weigh(const bool whole, attn_row *row, float *s, float scale, int64_t d_head)
{
    enum { N = BLOCK / W, N_SUM = RUN / W };
    vf x[N], most = vf_set(-INFINITY), sum[N_SUM];
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        x[i] = vf_mul(vf_load(s + i * W), vf_set(scale));
        if (!whole) x[i] = vf_select(x[i], row->seen >> i * W, -INFINITY);
        most = vf_max(most, x[i]);
    }
    float largest = vf_largest(most);
    if (largest > row->top) shrink_row(row, largest, d_head);
    vf base =
        vf_set(row->top == -INFINITY ? 0 : -row->top); // nothing but -inf so far: weights of 0
    for (int i = 0; i < N_SUM; i++) sum[i] = vf_load(row->weight + i * W);
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        vf p = vf_exp2(vf_add(x[i], base));
        if (!whole) p = vf_select(p, row->seen >> i * W, 0);
        vf_store(s + i * W, p);
        sum[i % N_SUM] = vf_add(sum[i % N_SUM], p);
    }
    for (int i = 0; i < N_SUM; i++) vf_store(row->weight + i * W, sum[i]);
}

static void weigh_row(attn_row *row, float *s, float scale, int64_t d_head)
{
    if (row->seen == ~(uint64_t)0)
        weigh(true, row, s, scale, d_head);
    else if (row->seen)
        weigh(false, row, s, scale, d_head);
}

/* ---- values ---- */

VF_INLINE void add_position(bt_dtype t, const int n_row, const int n_vec, vf sum[ROWS_MAX][4],
                            attn_scores *s, int position, const char *v)
{
    vf x[4];
#pragma GCC unroll 4
    for (int c = 0; c < n_vec; c++) x[c] = vf_from(t, v + c * W * float_bytes(t));
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++) {
        vf p = vf_set(s[r][position]);
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++) sum[r][c] = vf_fma(p, x[c], sum[r][c]);
    }
}

/* Add the values of the positions in `seen` to n_vec vectors of columns, from `col` of the rows and
 * `at` of the block on. */
VF_INLINE void add_columns(bt_dtype t, const int n_row, const int n_vec, attn_row *row,
                           attn_scores *s, const attn_floats *v, uint64_t seen, int64_t col,
                           int64_t at)
{
    vf sum[ROWS_MAX][4];
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++) sum[r][c] = vf_load(row[r].acc + col + c * W);
    for (int run = 0; run < N_RUN; run++) {
        uint64_t bits = run_of(seen, run);
        const char *from = v->run[run] + at * float_bytes(t);
        if (bits == 0xFFFF) {
            const char *next = v->next[run] ? v->next[run] + at / 2 * v->next_two : NULL;
#pragma GCC unroll 1
            for (int j = 0; j < RUN; j++, from += v->step * float_bytes(t)) {
                if (next) ask_for(next), next += v->next_step;
                add_position(t, n_row, n_vec, sum, s, run * RUN + j, from);
            }
            continue;
        }
#pragma GCC unroll 1
        for (; bits; bits &= bits - 1) {
            int j = __builtin_ctzll(bits);
            add_position(t, n_row, n_vec, sum, s, run * RUN + j,
                         from + j * v->step * float_bytes(t));
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++) vf_store(row[r].acc + col + c * W, sum[r][c]);
}

VF_INLINE void add_rows(bt_dtype t, const int n_row, attn_row *row, attn_scores *s,
                        const attn_floats *v, uint64_t seen, int64_t c0, int64_t n)
{
    int64_t c = 0;
    if (!seen) return;
    for (; c + 4 * W <= n; c += 4 * W) add_columns(t, n_row, 4, row, s, v, seen, c0 + c, c);
    for (; c < n; c += W) add_columns(t, n_row, 1, row, s, v, seen, c0 + c, c);
}

/* All rows together as far as they see the same, the rest one by one. */
VF_INLINE void add_tile(bt_dtype t, const int n_row, attn_row *row, attn_scores *s,
                        const attn_floats *v, int64_t c0, int64_t n)
{
    uint64_t any = 0, all = ~(uint64_t)0;
    for (int r = 0; r < n_row; r++) {
        any |= row[r].seen;
        all &= row[r].seen;
    }
    uint64_t differs = any ^ all, same = differs ? (differs & -differs) - 1 : ~(uint64_t)0;
    add_rows(t, n_row, row, s, v, all & same, c0, n);
    for (int r = 0; differs && r < n_row; r++)
        add_rows(t, 1, row + r, s + r, v, row[r].seen & ~same, c0, n);
}

/* ---- by type and number of rows ---- */

typedef void score_fn(const attn_row *, attn_scores *, const attn_floats *, uint64_t, int64_t,
                      int64_t);
typedef void add_fn(attn_row *, attn_scores *, const attn_floats *, int64_t, int64_t);

#define TILE(lower, upper, n)                                                                      \
    static void score_##lower##_##n(const attn_row *row, attn_scores *s, const attn_floats *k,     \
                                    uint64_t seen, int64_t d0, int64_t n_d)                        \
    {                                                                                              \
        score_tile(BT_##upper, n, row, s, k, seen, d0, n_d);                                       \
    }                                                                                              \
    static void add_##lower##_##n(attn_row *row, attn_scores *s, const attn_floats *v, int64_t c0, \
                                  int64_t n_col)                                                   \
    {                                                                                              \
        add_tile(BT_##upper, n, row, s, v, c0, n_col);                                             \
    }
#if ROWS_MAX > 2
#define TILES(lower, upper)                                                                        \
    TILE(lower, upper, 1)                                                                          \
    TILE(lower, upper, 2)                                                                          \
    TILE(lower, upper, 3)                                                                          \
    TILE(lower, upper, 4)                                                                          \
    TILE(lower, upper, 5)                                                                          \
    TILE(lower, upper, 6)
#define BY_ROWS(name)                                                                              \
    {                                                                                              \
        name##_1, name##_2, name##_3, name##_4, name##_5, name##_6                                 \
    }
#else
#define TILES(lower, upper)                                                                        \
    TILE(lower, upper, 1)                                                                          \
    TILE(lower, upper, 2)
#define BY_ROWS(name)                                                                              \
    {                                                                                              \
        name##_1, name##_2                                                                         \
    }
#endif
TILES(f32, F32)
TILES(f16, F16)
TILES(bf16, BF16)

static score_fn *const score_tiles[][ROWS_MAX] = {BY_ROWS(score_f32), BY_ROWS(score_f16),
                                                  BY_ROWS(score_bf16)};
static add_fn *const add_tiles[][ROWS_MAX] = {BY_ROWS(add_f32), BY_ROWS(add_f16),
                                              BY_ROWS(add_bf16)};
