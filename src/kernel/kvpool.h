// SPDX-License-Identifier: Apache-2.0
/* kvpool: where things lie in bt_kv_pool, one element out, one head in; and which positions a token
 * sees. Header only; kernel.h draws the layout and defines the rounding. */
#pragma once
#include <math.h>
#include <string.h>
#include "base/bits.h"
#include "kernel/kernel.h"
#include "tensor/half.h"

/* ---- places ---- */

/* Bytes of n elements of a head, without scales. */
static inline int64_t bt_kv_codes_bytes(bt_dtype t, int64_t n)
{
    return t == BT_F32 ? 4 * n : t == BT_Q8_0 ? n : t == BT_Q4_0 ? n / 2 : 2 * n;
}

static inline bool bt_kv_is_quantised(bt_dtype t) { return t == BT_Q8_0 || t == BT_Q4_0; }

/* Where an area's scales begin. */
static inline int64_t bt_kv_scales_at(const bt_kv_pool *p)
{
    return bt_kv_codes_bytes(p->dtype, (int64_t)p->page_len * p->d_head);
}

/* Bytes of one head's keys, or values, in one page. */
static inline int64_t bt_kv_area_bytes(const bt_kv_pool *p)
{
    int64_t n_block = (int64_t)p->page_len * p->d_head / BT_KV_BLOCK;
    return bt_kv_scales_at(p) + (bt_kv_is_quantised(p->dtype) ? 2 * n_block : 0);
}

/* Keys or values of a head, as one looks at them. */
typedef struct bt_kv_side {
    char *area;     // of the slot's page and the head
    char *scales;   // quantised types only
    int64_t offset; // of the slot in its page
    int64_t step;   // from an element of the slot to the next, in elements
    int64_t token;  // from a slot to the next, in elements
    bt_dtype dtype;
} bt_kv_side;

static inline bt_kv_side bt_kv_open(const bt_kv_pool *p, bool is_v, int64_t slot, int64_t kv)
{
    int64_t at = (slot / p->page_len * p->n_kv + kv) * bt_kv_area_bytes(p);
    char *area = (char *)(is_v ? p->v : p->k) + at;
    return (bt_kv_side){.area = area,
                        .scales = area + bt_kv_scales_at(p),
                        .offset = slot % p->page_len,
                        .step = is_v ? 1 : p->page_len,
                        .token = is_v ? p->d_head : 1,
                        .dtype = p->dtype};
}

/* The half that scales element i, and the byte with its code. Blocks of a token are as far apart in
 * scales as elements are in codes; tokens as well, 32 times nearer where they lie in rows. */
static inline void *bt_kv_scale_of(const bt_kv_side *s, int64_t i)
{
    int64_t token = s->token == 1 ? 1 : s->token / BT_KV_BLOCK;
    return s->scales + 2 * (s->offset * token + i / BT_KV_BLOCK * s->step);
}

static inline uint8_t *bt_kv_code_of(const bt_kv_side *s, int64_t i)
{
    if (s->dtype == BT_Q8_0) return (uint8_t *)s->area + s->offset * s->token + i * s->step;
    int64_t token = s->token == 1 ? 1 : s->token / 2,
            byte = i / BT_KV_BLOCK * (BT_KV_BLOCK / 2) + i % (BT_KV_BLOCK / 2);
    return (uint8_t *)s->area + s->offset * token + byte * s->step;
}

/* ---- one element out ---- */

static inline float bt_kv_get(const bt_kv_side *s, int64_t i)
{
    int64_t at = s->offset * s->token + i * s->step;
    uint16_t half;
    if (s->dtype == BT_F32) return ((const float *)s->area)[at];
    if (s->dtype == BT_F16) return bt_f16_to_f32(((const uint16_t *)s->area)[at]);
    if (s->dtype == BT_BF16) return bt_bf16_to_f32(((const uint16_t *)s->area)[at]);
    memcpy(&half, bt_kv_scale_of(s, i), sizeof half);
    int code = *bt_kv_code_of(s, i);
    if (s->dtype == BT_Q8_0)
        code = (int8_t)code;
    else
        code = (i % BT_KV_BLOCK < BT_KV_BLOCK / 2 ? code & 15 : code >> 4) - 8;
    return (float)code * bt_f16_to_f32(half);
}

/* ---- one head in ---- */

/* The scale of a block, f16, and what it stands for. NaN for a block that cannot be scaled. */
static inline uint16_t bt_kv_scale(bt_dtype t, const float *x, float *ret_scale)
{
    float most = 0, least = 0, bad = 0;
    for (int i = 0; i < BT_KV_BLOCK; i++) {
        most = x[i] > most ? x[i] : most;
        least = x[i] < least ? x[i] : least;
        bad += x[i] - x[i]; // NaN for NaN and infinities
    }
    float size = -least >= most ? -least : most, m = -least >= most ? least : most;
    uint16_t half = bt_f32_to_f16(t == BT_Q8_0 ? size / 127 : m / -8);
    if (bad != 0 || (half & 0x7C00) == 0x7C00) half = 0x7E00;
    *ret_scale = bt_f16_to_f32(half);
    return half;
}

static inline int bt_kv_code(float x, float scale, int least, int most)
{
    if (scale == 0 || isnan(scale)) return 0;
    float q = rintf(x / scale);
    return (int)(q < (float)least ? (float)least : q > (float)most ? (float)most : q);
}

/* Write a head of n elements. */
static inline void bt_kv_put(const bt_kv_side *s, const float *x, int64_t n)
{
    int64_t at = s->offset * s->token;
    for (int64_t i = 0; i < n && !bt_kv_is_quantised(s->dtype); i++, at += s->step)
        if (s->dtype == BT_F32)
            ((float *)s->area)[at] = x[i];
        else
            ((uint16_t *)s->area)[at] =
                s->dtype == BT_F16 ? bt_f32_to_f16(x[i]) : bt_f32_to_bf16(x[i]);
    for (int64_t b = 0; b < n && bt_kv_is_quantised(s->dtype); b += BT_KV_BLOCK) {
        float scale;
        uint16_t half = bt_kv_scale(s->dtype, x + b, &scale);
        memcpy(bt_kv_scale_of(s, b), &half, sizeof half);
        uint8_t *code = bt_kv_code_of(s, b);
        if (s->dtype == BT_Q8_0)
            for (int i = 0; i < BT_KV_BLOCK; i++)
                code[i * s->step] = (uint8_t)bt_kv_code(x[b + i], scale, -127, 127);
        else
            for (int i = 0; i < BT_KV_BLOCK / 2; i++) {
                int low = bt_kv_code(x[b + i], scale, -8, 7) + 8,
                    high = bt_kv_code(x[b + i + BT_KV_BLOCK / 2], scale, -8, 7) + 8;
                code[i * s->step] = (uint8_t)(low | high << 4);
            }
    }
}

/* ---- who sees what ---- */

/* The first position a token sees beside the sinks. */
static inline int64_t bt_attn_first(int64_t window, int64_t last)
{
    return window > 0 ? bt_max_i64(0, last - window + 1) : 0;
}

/* The first n bits, 0 <= n <= 64 or beyond. */
static inline uint64_t bt_attn_bits(int64_t n)
{
    return n <= 0 ? 0 : n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* Which of positions p0 .. p0 + 63 a token sees, the first the lowest bit. */
static inline uint64_t bt_attn_seen(int64_t first, int64_t last, int64_t n_sink, int64_t p0)
{
    return bt_attn_bits(last + 1 - p0) & (~bt_attn_bits(first - p0) | bt_attn_bits(n_sink - p0));
}

/* Whether a token sees any position of a chunk. */
static inline bool bt_attn_sees_chunk(int64_t first, int64_t last, int64_t n_sink, int64_t chunk)
{
    int64_t begin = chunk * BT_ATTN_CHUNK, end = begin + BT_ATTN_CHUNK;
    return begin <= last && (first < end || begin < n_sink);
}
