// SPDX-License-Identifier: Apache-2.0
/* act_quant for AVX-512: four blocks of 32 at a time.
 *
 * The quotient x / scale is wanted only as an integer. x * (1 / scale) is within 1e-4 of it, so it
 * rounds to the same integer unless it lies that near to a half: such a block, and one whose scale
 * is no ordinary number, is done with the division, alone. */
#include "kernel/isa.h"
#include "kernel/x86/act_block.h"
#include "tensor/half.h"
#include "base/bits.h"
#include <math.h>

enum { BLOCKS = 4 };

/* The largest magnitude of each of four blocks, as the bits of a float. */
static __m128i largest_of_four(const __m512 v[BLOCKS][2])
{
    __m512i t[BLOCKS];
    for (int b = 0; b < BLOCKS; b++) t[b] = vi_max(vi_magnitude(v[b][0]), vi_magnitude(v[b][1]));
    __m512i x = vi_max(_mm512_unpacklo_epi32(t[0], t[1]), _mm512_unpackhi_epi32(t[0], t[1]));
    __m512i y = vi_max(_mm512_unpacklo_epi32(t[2], t[3]), _mm512_unpackhi_epi32(t[2], t[3]));
    __m512i z = vi_max(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
    __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(z), _mm512_extracti64x4_epi64(z, 1));
    return _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Sums of the 8 halves of four blocks of bytes: sums of unsigned bytes, less 16 * 128. */
static void sum_halves(const int8_t *q, int16_t *sum)
{
    const __m512i sign = _mm512_set1_epi8(-128), zero = _mm512_setzero_si512();
    __m512i a = _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(q), sign), zero);
    __m512i b = _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(q + 64), sign), zero);
    __m512i both = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m128i words = _mm_sub_epi16(_mm512_cvtepi64_epi16(both), _mm_set1_epi16(2048));
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    _mm_storeu_si128((__m128i *)sum, _mm_shuffle_epi8(words, order));
}

static void quant_four(const float *x, int8_t *q, float *scale, int16_t *sum)
{
    __m512 v[BLOCKS][2];
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < 2; i++) v[b][i] = vf_load(x + b * 32 + i * W);
    __m128i top = largest_of_four(v);
    __m128 s = _mm_div_ps(_mm_castsi128_ps(top), _mm_set1_ps(127));
    float inverse[BLOCKS];
    _mm_storeu_ps(inverse, _mm_div_ps(_mm_set1_ps(1), s));
    __mmask8 odd = _mm_cmplt_epi32_mask(top, _mm_set1_epi32(0x10000000)) | // below 2^-95
                   _mm_cmpgt_epi32_mask(top, _mm_set1_epi32(0x7F7FFFFF));
    unsigned redo = odd;
    for (int b = 0; b < BLOCKS; b++) {
        __mmask16 near = 0;
        for (int i = 0; i < 2; i++) {
            __m512 y = _mm512_mul_ps(v[b][i], _mm512_set1_ps(inverse[b]));
            __m512i n = _mm512_cvtps_epi32(y);
            __m512 off = _mm512_abs_ps(_mm512_sub_ps(y, _mm512_cvtepi32_ps(n)));
            near |= _mm512_cmp_ps_mask(off, _mm512_set1_ps(0.4999f), _CMP_GT_OQ);
            _mm_storeu_si128((__m128i *)(q + b * 32 + i * W), _mm512_cvtepi32_epi8(n));
        }
        redo |= (unsigned)(near != 0) << b;
    }
    _mm_storeu_ps(scale, s);
    sum_halves(q, sum);
    for (; redo; redo &= redo - 1) {
        int b = __builtin_ctz(redo);
        quant_block(x + b * 32, 32, q + b * 32, scale + b, sum + b * 2);
    }
}

void bt_act_quant_avx512(const void *args, int64_t begin, int64_t end)
{
    const bt_act_quant_args *a = args;
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->x_stride;
        int8_t *q = a->out.q + row * a->n_block * BT_ACT_BLOCK;
        float *scale = a->out.scale + row * a->n_block;
        int16_t *sum = a->out.sum + row * a->n_block * 2;
        int64_t b = 0;
        for (; (b + BLOCKS) * BT_ACT_BLOCK <= a->n_col; b += BLOCKS)
            quant_four(x + b * BT_ACT_BLOCK, q + b * BT_ACT_BLOCK, scale + b, sum + b * 2);
        for (; b < a->n_block; b++)
            quant_block(x + b * BT_ACT_BLOCK, bt_min_i64(BT_ACT_BLOCK, a->n_col - b * BT_ACT_BLOCK),
                        q + b * BT_ACT_BLOCK, scale + b, sum + b * 2);
    }
}
