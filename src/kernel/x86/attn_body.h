// SPDX-License-Identifier: Apache-2.0
/* attn_body: attention for either vector width. A file defines NAME(slot) and ROWS_MAX before it
 * includes this.
 *
 * A tile is up to ROWS_MAX query rows (tokens x heads that share a KV head) of one sequence; each
 * key and value vector is loaded once for all of them. Per row and block of 16 positions:
 *
 *   s = scale * (sum over even d + sum over odd d)       two fma chains, d ascending
 *   m' = max(m, max s);  p = exp(s - m');  l = l * exp(m - m') + p   (16 lanes, summed at the end)
 *   out = out * exp(m - m') + sum_j p[j] v[j]            one fma chain, j ascending, visible j only
 *
 * Positions a row does not see take no part: their scores are replaced by select, their values are
 * not touched, so what lies there cannot matter. The running output rests in `out`. Nothing a row
 * computes depends on its tile. */
#include "base/bits.h"
#include "kernel/isa.h"
#include "kernel/kvpool.h"
#include "kernel/x86/simd.h"
#include <math.h>

enum { BLOCK = 16, NV = BLOCK / W };

typedef struct attn_row {
    const float *q;
    float *out;
    int64_t first, last; // positions seen, both included
    float top;           // largest score so far
    float weight[BLOCK]; // sums of weights, by position modulo 16
} attn_row;

/* One block of keys and values of a KV head. */
typedef struct attn_block {
    const char *k, *v; // k: [d_head][page_len] at the block's first position; v: [16][d_head]
    int64_t page_len, d_head;
} attn_block;

typedef struct attn_weights {
    float p[ROWS_MAX][BLOCK];
    float shrink[ROWS_MAX]; // exp(m - m')
} attn_weights;

VF_INLINE int64_t size_of(bt_dtype t) { return t == BT_F32 ? 4 : 2; }

VF_INLINE void score_rows(bt_dtype t, const int n_row, const attn_row *row, const attn_block *b,
                          float scale, float s_out[ROWS_MAX][BLOCK])
{
    vf s[ROWS_MAX][2][NV];
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int i = 0; i < 2 * NV; i++) s[r][i / NV][i % NV] = vf_set(0);
    const char *k = b->k;
    for (int64_t d = 0; d < b->d_head; d += 2)
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++, k += b->page_len * size_of(t)) {
            vf key[NV];
#pragma GCC unroll 2
            for (int i = 0; i < NV; i++) key[i] = vf_from(t, k + i * W * size_of(t));
#pragma GCC unroll 8
            for (int r = 0; r < n_row; r++) {
                vf q = vf_set(row[r].q[d + odd]);
#pragma GCC unroll 2
                for (int i = 0; i < NV; i++) s[r][odd][i] = vf_fma(q, key[i], s[r][odd][i]);
            }
        }
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 2
        for (int i = 0; i < NV; i++)
            vf_store(s_out[r] + i * W, vf_mul(vf_add(s[r][0][i], s[r][1][i]), vf_set(scale)));
}

/* Turn a row's scores for positions lo..hi-1 of the block into weights, in place. */
VF_INLINE void weigh_row(attn_row *row, int64_t lo, int64_t hi, float *s, float *ret_shrink)
{
    vf x[NV];
    for (int i = 0; i < NV; i++)
        x[i] = vf_keep(vf_load(s + i * W), lo - i * W, hi - i * W, -INFINITY);
    vf most = x[0];
    for (int i = 1; i < NV; i++) most = vf_max(most, x[i]);
    float largest = vf_largest(most), top = largest > row->top ? largest : row->top, shrink = 1;
    if (top > row->top) {
        float part[W];
        vf_store(part, vf_exp(vf_set(row->top - top)));
        shrink = part[0];
    }
    vf base = vf_set(top == -INFINITY ? 0 : top); // nothing but -inf so far: weights of 0
    for (int i = 0; i < NV; i++) {
        vf p = vf_exp(vf_add(x[i], vf_mul(base, vf_set(-1))));
        p = vf_keep(p, lo - i * W, hi - i * W, 0); // a base of NaN spares the unseen
        vf_store(s + i * W, p);
        vf_store(row->weight + i * W, vf_fma(vf_load(row->weight + i * W), vf_set(shrink), p));
    }
    row->top = top;
    *ret_shrink = shrink;
}

/* out = out * shrink + sum over positions lo..hi-1 of p * v, for n_vec vectors of columns. */
VF_INLINE void add_columns(bt_dtype t, const int n_row, const int n_vec, const attn_row *row,
                           const attn_block *b, const attn_weights *w, int64_t lo, int64_t hi,
                           int64_t col)
{
    vf acc[ROWS_MAX][4];
    const bool whole = col + n_vec * W <= b->d_head;
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++) {
            const float *at = row[r].out + col + c * W;
            acc[r][c] =
                vf_mul(whole ? vf_load(at) : vf_load_n(at, b->d_head - col), vf_set(w->shrink[r]));
        }
    const char *v = b->v + (lo * b->d_head + col) * size_of(t);
#pragma GCC unroll 1 // unrolled, the broadcasts of p would leave the loop over columns and spill
    for (int64_t j = lo; j < hi; j++, v += b->d_head * size_of(t)) {
        vf value[4];
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++)
            value[c] =
                whole ? vf_from(t, v + c * W * size_of(t)) : vf_from_n(t, v, b->d_head - col);
#pragma GCC unroll 8
        for (int r = 0; r < n_row; r++) {
            vf p = vf_set(w->p[r][j]);
#pragma GCC unroll 4
            for (int c = 0; c < n_vec; c++) acc[r][c] = vf_fma(p, value[c], acc[r][c]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_row; r++)
#pragma GCC unroll 4
        for (int c = 0; c < n_vec; c++) {
            float *at = row[r].out + col + c * W;
            if (whole)
                vf_store(at, acc[r][c]);
            else
                vf_store_n(at, acc[r][c], b->d_head - col);
        }
}

VF_INLINE void add_values(bt_dtype t, const int n_row, const attn_row *row, const attn_block *b,
                          const attn_weights *w, int64_t lo, int64_t hi)
{
    const int n_vec = n_row <= 2 && ROWS_MAX == 8 ? 4 : 2;
    int64_t col = 0;
    for (; col + n_vec * W <= b->d_head; col += n_vec * W)
        add_columns(t, n_row, n_vec, row, b, w, lo, hi, col);
    for (; col < b->d_head; col += W) add_columns(t, n_row, 1, row, b, w, lo, hi, col);
}

/* One block for a tile: positions p0 .. p0 + 15. */
VF_INLINE void pass_block(bt_dtype t, const int n_row, attn_row *row, const attn_block *b,
                          int64_t p0, float scale)
{
    attn_weights w;
    bool all_whole = true;
    score_rows(t, n_row, row, b, scale, w.p);
    for (int r = 0; r < n_row; r++)
        all_whole &= row[r].first <= p0 && row[r].last >= p0 + BLOCK - 1;
    if (all_whole) {
#pragma GCC unroll 8
        for (int r = 0; r < n_row; r++) weigh_row(&row[r], 0, BLOCK, w.p[r], &w.shrink[r]);
        add_values(t, n_row, row, b, &w, 0, BLOCK);
        return;
    }
    for (int r = 0; r < n_row; r++) {
        int64_t lo = bt_max_i64(0, row[r].first - p0), hi = bt_min_i64(BLOCK, row[r].last - p0 + 1);
        if (lo >= hi) continue;
        attn_weights one;
        memcpy(one.p[0], w.p[r], sizeof one.p[0]);
        weigh_row(&row[r], lo, hi, one.p[0], &one.shrink[0]);
        add_values(t, 1, &row[r], b, &one, lo, hi);
    }
}

typedef void pass_fn(attn_row *row, const attn_block *b, int64_t p0, float scale);
#define PASS(lower, upper, n)                                                                      \
    static void pass_##lower##_##n(attn_row *row, const attn_block *b, int64_t p0, float scale)    \
    {                                                                                              \
        pass_block(BT_##upper, n, row, b, p0, scale);                                              \
    }

#if ROWS_MAX == 8
#define PASSES(lower, upper)                                                                       \
    PASS(lower, upper, 1)                                                                          \
    PASS(lower, upper, 2)                                                                          \
    PASS(lower, upper, 3)                                                                          \
    PASS(lower, upper, 4)                                                                          \
    PASS(lower, upper, 5)                                                                          \
    PASS(lower, upper, 6)                                                                          \
    PASS(lower, upper, 7)                                                                          \
    PASS(lower, upper, 8)
#define PASS_ROW(lower)                                                                            \
    {                                                                                              \
        pass_##lower##_1, pass_##lower##_2, pass_##lower##_3, pass_##lower##_4, pass_##lower##_5,  \
            pass_##lower##_6, pass_##lower##_7, pass_##lower##_8                                   \
    }
#else
#define PASSES(lower, upper)                                                                       \
    PASS(lower, upper, 1)                                                                          \
    PASS(lower, upper, 2)
#define PASS_ROW(lower)                                                                            \
    {                                                                                              \
        pass_##lower##_1, pass_##lower##_2                                                         \
    }
#endif
PASSES(f32, F32)
PASSES(f16, F16)
PASSES(bf16, BF16)

static void begin_row(const bt_attn_args *a, int64_t t, int64_t head, attn_row *row)
{
    int64_t at = (t * a->n_head + head) * a->pool.d_head, last = a->pos[t];
    *row = (attn_row){.q = a->q + at, .out = a->out + at, .last = last, .top = -INFINITY};
    row->first = a->window > 0 ? bt_max_i64(0, last - a->window + 1) : 0;
    memset(row->out, 0, (size_t)a->pool.d_head * sizeof *row->out);
}

static void end_row(const bt_attn_args *a, const attn_row *row)
{
    if (row->last < row->first) return; // sees nothing: stays 0
    float part[BLOCK];
    memcpy(part, row->weight, sizeof part);
    for (int n = BLOCK / 2; n; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    for (int64_t i = 0; i < a->pool.d_head; i++) row->out[i] /= part[0];
}

/* Ask for the part of the next page that lies where this block lies in its own: keys are read in
 * strides that the hardware does not foresee, and pages in an order that only the table knows. */
VF_INLINE void prefetch_next(const bt_kv_pool *pool, const int32_t *pages, int64_t kv, int64_t p0,
                             int64_t last)
{
    int64_t next = p0 / pool->page_len + 1, part = BLOCK * pool->d_head * size_of(pool->dtype);
    if (next * pool->page_len > last) return;
    int64_t at = ((int64_t)pages[next] * pool->n_kv + kv) * (pool->page_len / BLOCK) +
                 p0 % pool->page_len / BLOCK;
    const char *k = (const char *)pool->k + at * part, *v = (const char *)pool->v + at * part;
    for (int64_t i = 0; i < part; i += 64) {
        _mm_prefetch(k + i, _MM_HINT_T0);
        _mm_prefetch(v + i, _MM_HINT_T0);
    }
}

static void attend_tile(const bt_attn_args *a, const int32_t *pages, int64_t kv, int n_row,
                        attn_row *row)
{
    static pass_fn *const pass[3][ROWS_MAX] = {PASS_ROW(f32), PASS_ROW(f16), PASS_ROW(bf16)};
    const bt_kv_pool *pool = &a->pool;
    int64_t first = row[0].first, last = row[0].last;
    for (int r = 1; r < n_row; r++) {
        first = bt_min_i64(first, row[r].first);
        last = bt_max_i64(last, row[r].last);
    }
    attn_block b = {.page_len = pool->page_len, .d_head = pool->d_head};
    for (int64_t p0 = first / BLOCK * BLOCK; p0 <= last; p0 += BLOCK) {
        bool seen = false; // a page that nobody sees may be gone
        for (int r = 0; r < n_row; r++) seen |= row[r].first < p0 + BLOCK && row[r].last >= p0;
        if (!seen) continue;
        int64_t slot = (int64_t)pages[p0 / pool->page_len] * pool->page_len + p0 % pool->page_len;
        b.k = (const char *)pool->k + bt_k_at(pool, slot, kv) * size_of(pool->dtype);
        b.v = (const char *)pool->v + bt_v_at(pool, slot, kv) * size_of(pool->dtype);
        prefetch_next(pool, pages, kv, p0, last);
        pass[pool->dtype][n_row - 1](row, &b, p0, a->scale);
    }
    for (int r = 0; r < n_row; r++) end_row(a, &row[r]);
}

/* Rows of an item in order of token and head; a tile ends where it is full or the sequence changes.
 */
static void attend_item(const bt_attn_args *a, int64_t t0, int64_t t1, int64_t kv)
{
    attn_row row[ROWS_MAX];
    int n_row = 0;
    int64_t n_group = a->n_head / a->pool.n_kv;
    for (int64_t t = t0; t < t1; t++)
        for (int64_t h = 0; h < n_group; h++) {
            begin_row(a, t, kv * n_group + h, &row[n_row++]);
            bool token_ends = h == n_group - 1;
            bool ends = token_ends && (t + 1 == t1 || a->seq[t + 1] != a->seq[t]);
            if (n_row < ROWS_MAX && !ends) continue;
            attend_tile(a, a->table + a->seq[t] * a->n_page_max, kv, n_row, row);
            n_row = 0;
        }
}

void NAME(attn)(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    for (int64_t item = begin; item < end; item++) {
        int64_t t0 = item / a->pool.n_kv * BT_ATTN_GROUP;
        attend_item(a, t0, bt_min_i64(t0 + BT_ATTN_GROUP, a->n_tok), item % a->pool.n_kv);
    }
}
