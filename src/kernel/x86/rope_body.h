// SPDX-License-Identifier: Apache-2.0
/* rope_body: rope_kv for either vector width. A file defines NAME(slot) before it includes this.
 *
 * A head passes once: loaded, normed, rotated in registers, and handed to its sink: the q array, a
 * value row of the pool, or a key column, where lane i goes i * page_len elements further. */
#include "base/bits.h"
#include "kernel/isa.h"
#include "kernel/kvpool.h"
#include "kernel/x86/simd.h"
#include <math.h>

typedef struct sink {
    float *q;   // [d_head], or NULL
    void *pool; // k or v array
    bt_dtype dtype;
    int64_t at, step; // elements: of lane 0, from lane to lane
} sink;

static void put(const sink *s, int64_t i, vf x, int64_t n)
{
    n = bt_min_i64(n, W);
    int64_t at = s->at + i * s->step, size = s->dtype == BT_F32 ? 4 : 2;
    if (s->q) {
        vf_store_n(s->q + i, x, n);
    } else if (s->step == 1) {
        vf_to_n(s->dtype, (char *)s->pool + at * size, x, n);
    } else if (s->dtype == BT_F32) {
        float part[W];
        vf_store(part, x);
        for (int64_t j = 0; j < n; j++) ((float *)s->pool)[at + j * s->step] = part[j];
    } else {
        uint16_t part[W];
        vf_to_n(s->dtype, part, x, W);
        for (int64_t j = 0; j < n; j++) ((uint16_t *)s->pool)[at + j * s->step] = part[j];
    }
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

void NAME(rope_kv)(const void *args, int64_t begin, int64_t end)
{
    const bt_rope_kv_args *a = args;
    const bt_kv_pool *pool = &a->pool;
    int64_t d = pool->d_head;
    for (int64_t t = begin; t < end; t++) {
        const float *x = a->qkv + t * (a->n_head + 2 * pool->n_kv) * d,
                    *angles = a->angles + t * a->n_pair * 2;
        for (int64_t i = 0; i < a->n_head; i++, x += d) {
            head_in h = open_head(x, d, a->q_norm, a->norm_eps);
            pass_head(a, &h, angles, a->n_pair,
                      &(sink){.q = a->q + (t * a->n_head + i) * d, .dtype = BT_F32});
        }
        for (int64_t i = 0; i < pool->n_kv; i++, x += d) {
            head_in h = open_head(x, d, a->k_norm, a->norm_eps);
            pass_head(
                a, &h, angles, a->n_pair,
                &(sink){NULL, pool->k, pool->dtype, bt_k_at(pool, a->slot[t], i), pool->page_len});
        }
        for (int64_t i = 0; i < pool->n_kv; i++, x += d) {
            head_in h = open_head(x, d, NULL, 0);
            pass_head(a, &h, angles, 0,
                      &(sink){NULL, pool->v, pool->dtype, bt_v_at(pool, a->slot[t], i), 1});
        }
    }
}
