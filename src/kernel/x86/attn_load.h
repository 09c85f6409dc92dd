// SPDX-License-Identifier: Apache-2.0
/* attn_load: one block of 64 positions of a KV head, as f32 that the products of attn_tile.h read.
 *
 * A block is four runs of 16 positions; each lies in one page, wherever that is. f32 is read where it
 * lies, and so are f16 and bf16 for a few query rows. Else a block is widened once for all rows into
 * an array of the caller's, AREA_COLS elements of the heads at a time:
 *
 *   keys    [d][64]           values  [64][AREA_COLS], columns past the head 0
 *
 * Widening is exact: a code of 8 bits times a scale of 11 is a float. */
#pragma once
#include "base/bits.h"
#include "kernel/kvpool.h"
#include "kernel/x86/simd.h"

enum { BLOCK = 64, RUN = 16, N_RUN = BLOCK / RUN, VECS_A_RUN = RUN / W, AREA_COLS = 128 };

/* Where the runs of a block lie. A run nobody sees has no page and is not read. */
typedef struct attn_block {
    const char *area[N_RUN]; // a page's keys or values of the head; NULL: unseen
    int64_t offset[N_RUN];   // of the run's first position in its page
    const char *next[N_RUN]; // what the next block wants from memory, in four parts; NULL: nothing
} attn_block;

/* What the products read. */
typedef struct attn_floats {
    bt_dtype dtype;         // f32, f16 or bf16
    const char *run[N_RUN]; // keys: element 0 of position 0; values: column 0 of position 0
    int64_t step; // keys: from an element to the next; values: from a position to the next
    const char *next[N_RUN]; // to ask for meanwhile; NULL: nothing
    int64_t next_step;       // bytes from an element's 16 keys, or a position's values, to the next
    int64_t next_two;        // values: bytes of two elements
} attn_floats;

/* Pages lie in an order that only the table knows, and a burst of requests would stall: the products
 * of a block ask for the next one line by line. */
VF_INLINE void ask_for(const char *p)
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) _mm_prefetch(p + 64 * i, _MM_HINT_T0);
}

VF_INLINE int64_t float_bytes(bt_dtype t) { return t == BT_F32 ? 4 : 2; }

VF_INLINE vf codes8(const void *p)
{
#if defined(__AVX512F__)
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
#else
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
#endif
}

/* The codes of 4 bits in W bytes: the low halves and the high ones, less 8. */
VF_INLINE void codes4(const void *p, vf *low, vf *high)
{
#if defined(__AVX512F__)
    vi q = _mm512_cvtepu8_epi32(_mm_loadu_si128(p)), eight = _mm512_set1_epi32(8);
    *low = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_and_si512(q, _mm512_set1_epi32(15)), eight));
    *high = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srli_epi32(q, 4), eight));
#else
    vi q = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p)), eight = _mm256_set1_epi32(8);
    *low = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_and_si256(q, _mm256_set1_epi32(15)), eight));
    *high = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(q, 4), eight));
#endif
}

/* ---- keys: elements d0 .. d0 + n - 1 of 16 positions, into out[n][64] ---- */

VF_INLINE void load_key_floats(bt_dtype t, const char *k, int64_t page_len, int64_t n, float *out)
{
    int64_t step = page_len * float_bytes(t);
    for (int64_t d = 0; d < n; d++, k += step, out += BLOCK)
        for (int i = 0; i < VECS_A_RUN; i++)
            vf_store(out + i * W, vf_from(t, k + i * W * float_bytes(t)));
}

VF_INLINE void load_keys_q8(const char *q, const char *scale, int64_t page_len, int64_t n,
                            float *out)
{
    for (int64_t d = 0; d < n; d += BT_KV_BLOCK, scale += 2 * page_len)
        for (int i = 0; i < VECS_A_RUN; i++) {
            vf s = vf_from_f16(scale + 2 * i * W);
            for (int64_t e = d; e < d + BT_KV_BLOCK; e++)
                vf_store(out + e * BLOCK + i * W, vf_mul(codes8(q + e * page_len + i * W), s));
        }
}

VF_INLINE void load_keys_q4(const char *q, const char *scale, int64_t page_len, int64_t n,
                            float *out)
{
    for (int64_t d = 0; d < n; d += BT_KV_BLOCK, scale += 2 * page_len)
        for (int i = 0; i < VECS_A_RUN; i++) {
            vf s = vf_from_f16(scale + 2 * i * W), low, high;
            float *to = out + d * BLOCK + i * W;
            for (int64_t e = 0; e < BT_KV_BLOCK / 2; e++) {
                codes4(q + (d / 2 + e) * page_len + i * W, &low, &high);
                vf_store(to + e * BLOCK, vf_mul(low, s));
                vf_store(to + (e + BT_KV_BLOCK / 2) * BLOCK, vf_mul(high, s));
            }
        }
}

static attn_floats load_keys(const bt_kv_pool *p, const attn_block *b, int64_t d0, int64_t n,
                             bool in_place, float *to)
{
    in_place = in_place && !bt_kv_is_quantised(p->dtype);
    attn_floats f = {.dtype = in_place ? p->dtype : BT_F32,
                     .step = in_place ? p->page_len : BLOCK,
                     .next_step = bt_kv_codes_bytes(p->dtype, RUN)};
    for (int r = 0; r < N_RUN; r++) {
        f.next[r] = b->next[r] ? b->next[r] + d0 * f.next_step : NULL;
        const char *area = b->area[r];
        int64_t at = d0 * p->page_len + b->offset[r], scale_at = b->offset[r] * 2;
        float *out = to + r * RUN;
        f.run[r] = (char *)out;
        if (!area) continue;
        const char *scale =
            area + bt_kv_scales_at(p) + d0 / BT_KV_BLOCK * p->page_len * 2 + scale_at;
        if (in_place)
            f.run[r] = area + bt_kv_codes_bytes(p->dtype, at);
        else if (p->dtype == BT_F16)
            load_key_floats(BT_F16, area + 2 * at, p->page_len, n, out);
        else if (p->dtype == BT_BF16)
            load_key_floats(BT_BF16, area + 2 * at, p->page_len, n, out);
        else if (p->dtype == BT_Q8_0)
            load_keys_q8(area + at, scale, p->page_len, n, out);
        else
            load_keys_q4(area + d0 / 2 * p->page_len + b->offset[r], scale, p->page_len, n, out);
    }
    return f;
}

/* ---- values: columns c0 .. c0 + n - 1 of 16 positions, into out[16][AREA_COLS] ---- */

VF_INLINE void load_value_floats(bt_dtype t, const char *v, int64_t d_head, int64_t n, float *out)
{
    int64_t whole = n / W * W, size = float_bytes(t);
    for (int j = 0; j < RUN; j++, v += d_head * size, out += AREA_COLS) {
        for (int64_t c = 0; c < whole; c += W) vf_store(out + c, vf_from(t, v + c * size));
        if (whole < n) vf_store(out + whole, vf_from_n(t, v + whole * size, n - whole));
    }
}

VF_INLINE void load_values_q8(const char *q, const char *scale, int64_t d_head, int64_t n,
                              float *out)
{
    int64_t step = d_head / BT_KV_BLOCK * 2;
    for (int j = 0; j < RUN; j++, q += d_head, scale += step, out += AREA_COLS)
        for (int64_t c = 0; c < n; c += BT_KV_BLOCK) {
            uint16_t half;
            memcpy(&half, scale + c / BT_KV_BLOCK * 2, sizeof half);
            vf s = vf_set(_cvtsh_ss(half));
            for (int i = 0; i < BT_KV_BLOCK; i += W)
                vf_store(out + c + i, vf_mul(codes8(q + c + i), s));
        }
}

VF_INLINE void load_values_q4(const char *q, const char *scale, int64_t d_head, int64_t n,
                              float *out)
{
    int64_t step = d_head / BT_KV_BLOCK * 2;
    for (int j = 0; j < RUN; j++, q += d_head / 2, scale += step, out += AREA_COLS)
        for (int64_t c = 0; c < n; c += BT_KV_BLOCK) {
            uint16_t half;
            memcpy(&half, scale + c / BT_KV_BLOCK * 2, sizeof half);
            vf s = vf_set(_cvtsh_ss(half)), low, high;
            for (int i = 0; i < BT_KV_BLOCK / 2; i += W) {
                codes4(q + c / 2 + i, &low, &high);
                vf_store(out + c + i, vf_mul(low, s));
                vf_store(out + c + BT_KV_BLOCK / 2 + i, vf_mul(high, s));
            }
        }
}

static attn_floats load_values(const bt_kv_pool *p, const attn_block *b, int64_t c0, int64_t n,
                               bool in_place, float *to)
{
    in_place = in_place && !bt_kv_is_quantised(p->dtype) && p->d_head % W == 0;
    attn_floats f = {.dtype = in_place ? p->dtype : BT_F32,
                     .step = in_place ? p->d_head : AREA_COLS,
                     .next_step = bt_kv_codes_bytes(p->dtype, p->d_head)};
    f.next_two = bt_kv_codes_bytes(p->dtype, 2);
    for (int r = 0; r < N_RUN; r++) {
        f.next[r] = b->next[r] ? b->next[r] + bt_kv_codes_bytes(p->dtype, c0) : NULL;
        const char *area = b->area[r];
        int64_t at = b->offset[r] * p->d_head + c0;
        float *out = to + r * RUN * AREA_COLS;
        f.run[r] = (char *)out;
        if (!area) continue;
        const char *scale = area + bt_kv_scales_at(p) + at / BT_KV_BLOCK * 2;
        if (in_place)
            f.run[r] = area + bt_kv_codes_bytes(p->dtype, at);
        else if (p->dtype == BT_F32)
            load_value_floats(BT_F32, area + 4 * at, p->d_head, n, out);
        else if (p->dtype == BT_F16)
            load_value_floats(BT_F16, area + 2 * at, p->d_head, n, out);
        else if (p->dtype == BT_BF16)
            load_value_floats(BT_BF16, area + 2 * at, p->d_head, n, out);
        else if (p->dtype == BT_Q8_0)
            load_values_q8(area + at, scale, p->d_head, n, out);
        else
            load_values_q4(area + at / 2, scale, p->d_head, n, out);
    }
    return f;
}
