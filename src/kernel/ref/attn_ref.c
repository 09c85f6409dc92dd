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
    bt_kv_side k = bt_kv_open(&a->pool, false, slot, kv);
    double sum = 0;
    for (int i = 0; i < a->pool.d_head; i++) sum += (double)q[i] * bt_kv_get(&k, i);
    return sum * a->scale;
}

/* The position after p that token t sees. */
static int64_t next(const bt_attn_args *a, int64_t first, int64_t p)
{
    return p + 1 < first && p + 1 >= a->n_sink ? first : p + 1;
}

static void attend(const bt_attn_args *a, int64_t t, int64_t head, float *out)
{
    const bt_kv_pool *pool = &a->pool;
    int64_t d = pool->d_head, kv = head / (a->n_head / pool->n_kv);
    const float *q = a->q + (t * a->n_head + head) * d;
    int64_t last = a->pos[t], first = bt_attn_first(a->window, last), begin = next(a, first, -1);
    double top = -INFINITY;
    for (int64_t p = begin; p <= last; p = next(a, first, p)) {
        double s = score(a, q, slot_of(a, t, p), kv);
        top = s > top || isnan(s) ? s : top;
    }
    for (int64_t i0 = 0; i0 < d; i0 += PART) {
        double acc[PART] = {0}, weight = 0;
        int64_t n = bt_min_i64(PART, d - i0);
        for (int64_t p = begin; p <= last; p = next(a, first, p)) {
            int64_t slot = slot_of(a, t, p);
            bt_kv_side v = bt_kv_open(pool, true, slot, kv);
            double w = exp(score(a, q, slot, kv) - top);
            weight += w;
            for (int64_t i = 0; i < n; i++) acc[i] += w * bt_kv_get(&v, i0 + i);
        }
        for (int64_t i = 0; i < n; i++) out[i0 + i] = last >= begin ? (float)(acc[i] / weight) : 0;
    }
}

/* With parts: the first chunk the token sees gets all of its row, with a weight of 1 and a score of
 * 0 that no other exceeds; the others nothing. */
static void attend_part(const bt_attn_args *a, int64_t t, int64_t head, int64_t chunk)
{
    int64_t row = t * a->n_head + head, d = a->pool.d_head, at = row * a->n_chunk + chunk,
            last = a->pos[t], first = bt_attn_first(a->window, last);
    if (!bt_attn_sees_chunk(first, last, a->n_sink, chunk)) return;
    bool is_first = true;
    for (int64_t c = 0; c < chunk; c++)
        is_first = is_first && !bt_attn_sees_chunk(first, last, a->n_sink, c);
    a->part_top[2 * at] = is_first ? 0 : -INFINITY;
    a->part_top[2 * at + 1] = is_first;
    memset(a->part + at * d, 0, (size_t)d * sizeof *a->part);
    if (is_first) attend(a, t, head, a->part + at * d);
}

void bt_attn_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    int64_t n_kv = a->pool.n_kv, n_group = a->n_head / n_kv, n_part = a->part ? a->n_chunk : 1;
    for (int64_t item = begin; item < end; item++) {
        int64_t t0 = item / (n_kv * n_part) * BT_ATTN_GROUP, kv = item % n_kv,
                chunk = item / n_kv % n_part;
        for (int64_t t = t0; t < bt_min_i64(t0 + BT_ATTN_GROUP, a->n_tok); t++)
            for (int64_t h = kv * n_group; h < (kv + 1) * n_group; h++)
                if (a->part)
                    attend_part(a, t, h, chunk);
                else
                    attend(a, t, h, a->out + (t * a->n_head + h) * a->pool.d_head);
    }
}

/* Element i of a row: the chunks' sums, each weighed by its largest score. */
static float merged(const bt_attn_args *a, int64_t row, int64_t first, int64_t last, int64_t i)
{
    const float *part_top = a->part_top + 2 * row * a->n_chunk;
    double top = -INFINITY, sum = 0, weight = 0;
    for (int64_t c = 0; c * BT_ATTN_CHUNK <= last; c++)
        if (bt_attn_sees_chunk(first, last, a->n_sink, c) && part_top[2 * c] > top)
            top = part_top[2 * c];
    for (int64_t c = 0; c * BT_ATTN_CHUNK <= last; c++) {
        if (!bt_attn_sees_chunk(first, last, a->n_sink, c)) continue;
        double f = part_top[2 * c] == top ? 1 : exp2(part_top[2 * c] - top);
        sum += f * a->part[(row * a->n_chunk + c) * a->pool.d_head + i];
        weight += f * part_top[2 * c + 1];
    }
    return last >= 0 ? (float)(sum / weight) : 0;
}

void bt_attn_merge_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        int64_t last = a->pos[row / a->n_head], first = bt_attn_first(a->window, last);
        for (int64_t i = 0; i < a->pool.d_head; i++)
            a->out[row * a->pool.d_head + i] = merged(a, row, first, last, i);
    }
}
