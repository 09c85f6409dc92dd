// SPDX-License-Identifier: Apache-2.0
/* rope_body: rope_kv for either vector width. A file defines NAME(slot) before it includes this.
 *
 * A head passes once: loaded, normed, rotated in registers, and handed to its sink: the q array, a
 * value row of the pool, a key column, where lane i goes i * page_len elements further, or a row from
 * which it is quantised. */
#include "base/bits.h"
#include "kernel/isa.h"
#include "kernel/kvpool.h"
#include "kernel/x86/simd.h"
#include <math.h>

typedef struct sink {
    float *row; // [d_head], or NULL: a float column of the pool
    bt_kv_side side;
} sink;

/* Floats are written as they come, into rows by vectors and into columns one by one. */
static void put(const sink *s, int64_t i, vf x, int64_t n)
{
    const bt_kv_side *side = &s->side;
    n = bt_min_i64(n, W);
    if (s->row) {
        vf_store_n(s->row + i, x, n);
        return;
    }
    int64_t at = side->offset * side->token + i * side->step, size = side->dtype == BT_F32 ? 4 : 2;
    float wide[W];
    uint16_t half[W];
    if (side->step == 1)
        vf_to_n(side->dtype, side->area + at * size, x, n);
    else if (side->dtype == BT_F32)
        vf_store(wide, x);
    else
        vf_to_n(side->dtype, half, x, W);
    for (int64_t j = 0; j < n && side->step > 1; j++)
        if (side->dtype == BT_F32)
            ((float *)side->area)[at + j * side->step] = wide[j];
        else
            ((uint16_t *)side->area)[at + j * side->step] = half[j];
}

typedef struct head_in {
    const float *x, *weight; // weight: NULL for none
    vf inverse;              // 1 / rms
} head_in;

static vf load_head(const head_in *h, int64_t i, int64_t n)
{
    vf x = vf_load_n(h->x + i, n);
    return h->weight ? vf_mul(vf_mul(x, h->inverse), vf_load_n(h->weight + i, n)) : x;
}

static head_in open_head(const float *x, int64_t d, const float *weight, float eps)
{
    vf_squares sum = vf_squares_zero();
    for (int64_t i = 0; weight && i < d; i += W) vf_squares_add(&sum, vf_load_n(x + i, d - i));
    double inverse = weight ? 1 / sqrt(vf_squares_sum(sum) / (double)d + (double)eps) : 1;
    return (head_in){x, weight, vf_set((float)inverse)};
}

/* cos and sin of n pairs (n <= W), from pair i on. */
static void load_angles(const float *angles, int64_t i, int64_t n, vf *c, vf *s)
{
    if (n >= W) {
        vf_split_pairs(angles + 2 * i, c, s);
        return;
    }
    float part[2 * W] = {0};
    memcpy(part, angles + 2 * i, (size_t)n * 2 * sizeof *part);
    vf_split_pairs(part, c, s);
}

static void rotate_halves(const head_in *h, const float *angles, int64_t n_pair, const sink *to)
{
    for (int64_t i = 0; i < n_pair; i += W) {
        int64_t n = n_pair - i;
        vf x = load_head(h, i, n), y = load_head(h, i + n_pair, n), c, s;
        load_angles(angles, i, n, &c, &s);
        put(to, i, vf_fnma(y, s, vf_mul(x, c)), n);
        put(to, i + n_pair, vf_fma(y, c, vf_mul(x, s)), n);
    }
}

static void rotate_neighbours(const head_in *h, const float *angles, int64_t n_pair, const sink *to)
{
    for (int64_t i = 0; i < 2 * n_pair; i += W) {
        int64_t n = 2 * n_pair - i;
        vf x = load_head(h, i, n), angle = vf_load_n(angles + i, n);
        vf c = vf_even_twice(angle), s = vf_negate_even(vf_odd_twice(angle));
        put(to, i, vf_fma(vf_swap_pairs(x), s, vf_mul(x, c)), n);
    }
}

static void pass_head(const bt_rope_kv_args *a, const head_in *h, const float *angles,
                      int64_t n_pair, const sink *to)
{
    if (a->interleaved)
        rotate_neighbours(h, angles, n_pair, to);
    else
        rotate_halves(h, angles, n_pair, to);
    for (int64_t i = 2 * n_pair; i < a->pool.d_head; i += W)
        put(to, i, load_head(h, i, a->pool.d_head - i), a->pool.d_head - i);
}

/* A head of keys (is_v: values) of a token into the pool. Blocks are quantised once the head is
 * there as a whole. */
static void keep_head(const bt_rope_kv_args *a, int64_t t, const head_in *h, const float *angles,
                      bool is_v, int64_t kv)
{
    float turned[BT_KV_WIDTH_MAX];
    bool whole = bt_kv_is_quantised(a->pool.dtype);
    sink to = {.row = whole ? turned : NULL, .side = bt_kv_open(&a->pool, is_v, a->slot[t], kv)};
    pass_head(a, h, angles, is_v ? 0 : a->n_pair, &to);
    if (whole) bt_kv_put(&to.side, turned, a->pool.d_head);
}

void NAME(rope_kv)(const void *args, int64_t begin, int64_t end)
{
    const bt_rope_kv_args *a = args;
    int64_t d = a->pool.d_head, n_kv = a->pool.n_kv;
    for (int64_t t = begin; t < end; t++) {
        const float *x = a->qkv + t * (a->n_head + 2 * n_kv) * d,
                    *angles = a->angles + t * a->n_pair * 2;
        for (int64_t i = 0; i < a->n_head; i++, x += d) {
            head_in h = open_head(x, d, a->q_norm, a->norm_eps);
            pass_head(a, &h, angles, a->n_pair, &(sink){.row = a->q + (t * a->n_head + i) * d});
        }
        for (int64_t i = 0; i < n_kv; i++, x += d) {
            head_in h = open_head(x, d, a->k_norm, a->norm_eps);
            keep_head(a, t, &h, angles, false, i);
        }
        for (int64_t i = 0; i < n_kv; i++, x += d) {
            head_in h = open_head(x, d, NULL, 0);
            keep_head(a, t, &h, angles, true, i);
        }
    }
}
