// SPDX-License-Identifier: Apache-2.0
/* rope_angles and rope_kv, reference. */
#include "kernel/isa.h"
#include "kernel/kvpool.h"
#include <math.h>

void bt_rope_angles_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_rope_angles_args *a = args;
    for (int64_t t = begin; t < end; t++)
        for (int64_t i = 0; i < a->n_pair; i++) {
            double angle = (double)a->pos[t] * a->freq[i];
            float *out = a->out + (t * a->n_pair + i) * 2;
            out[0] = (float)(cos(angle) * a->magnitude);
            out[1] = (float)(sin(angle) * a->magnitude);
        }
}

/* 1 / rms of one head, or 1 when it is not normed. */
static double head_inverse(const float *x, int d_head, const float *weight, float eps)
{
    double sum = 0;
    for (int i = 0; i < d_head; i++) sum += (double)x[i] * x[i];
    return weight ? 1 / sqrt(sum / d_head + (double)eps) : 1;
}

typedef struct head_in {
    const float *x, *weight, *angles;
    double inverse;
} head_in;

static double normed(const head_in *h, int i)
{
    return h->x[i] * h->inverse * (h->weight ? h->weight[i] : 1);
}

/* Element i of a head after norm and rotation. */
static float rotated(const bt_rope_kv_args *a, const head_in *h, int i)
{
    int n = a->n_pair;
    if (i >= 2 * n) return (float)normed(h, i);
    int pair = a->interleaved ? i / 2 : i % n;
    bool second = a->interleaved ? i % 2 : i >= n;
    int first_at = a->interleaved ? 2 * pair : pair,
        second_at = a->interleaved ? 2 * pair + 1 : pair + n;
    double x = normed(h, first_at), y = normed(h, second_at);
    double c = h->angles[2 * pair], s = h->angles[2 * pair + 1];
    return (float)(second ? x * s + y * c : x * c - y * s);
}

void bt_rope_kv_ref(const void *args, int64_t begin, int64_t end)
{
    const bt_rope_kv_args *a = args;
    const bt_kv_pool *pool = &a->pool;
    int d = pool->d_head;
    for (int64_t t = begin; t < end; t++) {
        const float *row = a->qkv + t * (a->n_head + 2 * pool->n_kv) * d;
        const float *angles = a->angles + t * a->n_pair * 2;
        for (int head = 0; head < a->n_head + 2 * pool->n_kv; head++, row += d) {
            int kv = head - a->n_head;
            bool is_q = kv < 0, is_v = kv >= pool->n_kv;
            head_in h = {.x = row, .angles = angles, .weight = is_q ? a->q_norm : a->k_norm};
            h.inverse = head_inverse(row, d, h.weight, a->norm_eps);
            float *q = a->q + (t * a->n_head + head) * d, turned[BT_KV_WIDTH_MAX];
            const float *to_write = is_v ? row : turned;
            for (int i = 0; i < d && !is_v; i++) (is_q ? q : turned)[i] = rotated(a, &h, i);
            if (is_q) continue;
            bt_kv_side side = bt_kv_open(pool, is_v, a->slot[t], is_v ? kv - pool->n_kv : kv);
            bt_kv_put(&side, to_write, d);
        }
    }
}
