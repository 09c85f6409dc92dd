// SPDX-License-Identifier: Apache-2.0
/* attn, reference: softmax in two passes (largest score, then weights), all in double. Scores are
 * computed anew wherever they are needed, so nothing is stored and nothing bounds the length. */
#include "kernel/isa.h"
#include "kernel/kvpool.h"
#include "base/bits.h"
#include <math.h>

enum { PART = 64 }; // output elements summed in one walk

static int64_t slot_of(const bt_attn_args *a, int64_t t, int64_t position)
{
    int64_t page = a->table[a->seq[t] * a->n_page_max + position / a->pool.page_len];
    return page * a->pool.page_len + position % a->pool.page_len;
}

static double score(const bt_attn_args *a, const float *q, int64_t slot, int64_t kv)
{
    const bt_kv_pool *pool = &a->pool;
    int64_t at = bt_k_at(pool, slot, kv);
    double sum = 0;
    for (int i = 0; i < pool->d_head; i++)
        sum += (double)q[i] * bt_kv_get(pool->k, pool->dtype, at + (int64_t)i * pool->page_len);
    return sum * a->scale;
}

static void attend(const bt_attn_args *a, int64_t t, int64_t head)
{
    const bt_kv_pool *pool = &a->pool;
    int64_t d = pool->d_head, kv = head / (a->n_head / pool->n_kv);
    const float *q = a->q + (t * a->n_head + head) * d;
    float *out = a->out + (t * a->n_head + head) * d;
    int64_t last = a->pos[t], first = a->window > 0 ? bt_max_i64(0, last - a->window + 1) : 0;
    double top = -INFINITY;
    for (int64_t p = first; p <= last; p++) {
        double s = score(a, q, slot_of(a, t, p), kv);
        top = s > top || isnan(s) ? s : top;
    }
    for (int64_t i0 = 0; i0 < d; i0 += PART) {
        double acc[PART] = {0}, weight = 0;
        int64_t n = bt_min_i64(PART, d - i0);
        for (int64_t p = first; p <= last; p++) {
            int64_t slot = slot_of(a, t, p), v = bt_v_at(pool, slot, kv) + i0;
            double w = exp(score(a, q, slot, kv) - top);
            weight += w;
            for (int64_t i = 0; i < n; i++) acc[i] += w * bt_kv_get(pool->v, pool->dtype, v + i);
        }
        for (int64_t i = 0; i < n; i++) out[i0 + i] = last >= first ? (float)(acc[i] / weight) : 0;
    }
}

void bt_attn_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    int64_t n_kv = a->pool.n_kv, n_group = a->n_head / n_kv;
    for (int64_t item = begin; item < end; item++) {
        int64_t t0 = item / n_kv * BT_ATTN_GROUP, kv = item % n_kv;
        for (int64_t t = t0; t < bt_min_i64(t0 + BT_ATTN_GROUP, a->n_tok); t++)
            for (int64_t h = 0; h < n_group; h++) attend(a, t, kv * n_group + h);
    }
}
