// SPDX-License-Identifier: Apache-2.0
/* act_quant for AVX-512: a group of 256 stays in registers.
 *
 * The quotient x / scale is wanted only as an integer. x * (1 / scale) is within 1e-4 of it, so it
 * rounds to the same integer unless it lies that near to a half: such a vector is divided, and so is
 * a group whose scale is no ordinary number. */
#include "kernel/isa.h"
#include "kernel/x86/act_block.h"

enum { VECTORS = BT_GROUP / W };

/* Sums of each 16 and each 32 of 128 bytes: sums of unsigned bytes, less 16 * 128. */
static void sum_bytes(const int8_t *q, int16_t *halves, int16_t *blocks)
{
    const __m512i sign = _mm512_set1_epi8(-128), zero = _mm512_setzero_si512();
    __m512i a = _mm512_sad_epu8(_mm512_xor_si512(_mm512_load_si512(q), sign), zero);
    __m512i b = _mm512_sad_epu8(_mm512_xor_si512(_mm512_load_si512(q + 64), sign), zero);
    __m512i both = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m128i words = _mm_sub_epi16(_mm512_cvtepi64_epi16(both), _mm_set1_epi16(2048));
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    words = _mm_shuffle_epi8(words, order);
    _mm_storeu_si128((__m128i *)halves, words);
    _mm_storel_epi64((__m128i *)blocks, _mm_hadd_epi16(words, words));
}

static void quant_whole(const float *x, int8_t *q, float *scale, int16_t *sum)
{
    __m512 v[VECTORS];
    __m512i top = _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int i = 0; i < VECTORS; i++) {
        v[i] = vf_load(x + i * W);
        top = vi_max(top, vi_magnitude(v[i]));
    }
    uint32_t largest = vi_largest(top);
    if (largest < 0x10000000 || largest >= 0x7F800000) { // below 2^-95, or not finite
        quant_group(x, BT_GROUP, q, scale, sum);
        return;
    }
    *scale = bt_bits_f32(largest) / 127.0f;
    __m512 inverse = vf_set(1 / *scale);
    unsigned near = 0;
#pragma GCC unroll 16
    for (int i = 0; i < VECTORS; i++) {
        __m512 y = _mm512_mul_ps(v[i], inverse);
        __m512i n = _mm512_cvtps_epi32(y);
        __m512 off = _mm512_abs_ps(_mm512_sub_ps(y, _mm512_cvtepi32_ps(n)));
        near |= (unsigned)(_mm512_cmp_ps_mask(off, vf_set(0.4999f), _CMP_GT_OQ) != 0) << i;
        _mm_store_si128((__m128i *)(q + i * W), _mm512_cvtepi32_epi8(n));
    }
    for (; near; near &= near - 1) {
        int i = __builtin_ctz(near);
        quant_vector(vf_load(x + i * W), *scale, q + i * W);
    }
    sum_bytes(q, sum, sum + BT_GROUP_HALVES);
    sum_bytes(q + 128, sum + 8, sum + BT_GROUP_HALVES + 4);
}

void bt_act_quant_avx512(const void *args, int64_t begin, int64_t end)
{
    const bt_act_quant_args *a = args;
    for (int64_t row = begin; row < end; row++)
        for (int64_t col = 0; col < a->n_col; col += BT_GROUP) {
            int64_t at = col / BT_GROUP * a->n_row + row, n = bt_min_i64(BT_GROUP, a->n_col - col);
            const float *x = a->x + row * a->x_stride + col;
            int8_t *q = a->out.q + at * BT_GROUP;
            int16_t *sum = a->out.sum + at * BT_GROUP_SUMS;
            if (n == BT_GROUP)
                quant_whole(x, q, &a->out.scale[at], sum);
            else
                quant_group(x, n, q, &a->out.scale[at], sum);
        }
}
