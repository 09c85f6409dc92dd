// SPDX-License-Identifier: Apache-2.0
/* simd: one vocabulary for vectors of 16 (AVX-512) or 8 (AVX2) floats, chosen by the flags of the
 * file that includes it, so that a kernel's body is written once. All static; round to nearest
 * even. */
#pragma once
#include <immintrin.h>
#include <string.h>
#include "baton/tensor.h"

#define VF_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)

enum { W = 16 };
typedef __m512 vf;
typedef __m512i vi;

VF_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
VF_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VF_INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
VF_INLINE __mmask16 first_lanes(int64_t n) { return (__mmask16)(n >= 16 ? 0xFFFF : (1u << n) - 1); }
VF_INLINE vf vf_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
VF_INLINE void vf_store_n(float *p, vf x, int64_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), x);
}
VF_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VF_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); } // b where either is NaN
VF_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VF_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VF_INLINE vf vf_pow2_times(vf x, vf n) { return _mm512_scalef_ps(x, n); }

/* Lanes whose bit is set of x, `other` elsewhere. */
VF_INLINE vf vf_select(vf x, uint64_t bits, float other)
{
    return _mm512_mask_mov_ps(vf_set(other), (__mmask16)bits, x);
}

VF_INLINE float vf_largest(vf x) { return _mm512_reduce_max_ps(x); }
VF_INLINE vf vf_from_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
VF_INLINE vf vf_from_bf16(const void *p)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
VF_INLINE void vf_to_f16(void *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p,
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
VF_INLINE void vf_to_bf16(void *p, vf x)
{
    __m512i bits = _mm512_castps_si512(x), top = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512i h = _mm512_mask_or_epi32(_mm512_srli_epi32(up, 16), nan, top, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(h));
}

/* a0 b0 a1 b1 ... (2W floats) to a and b. */
VF_INLINE void vf_split_pairs(const float *p, vf *a, vf *b)
{
    __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    vf x = vf_load(p), y = vf_load(p + 16);
    *a = _mm512_permutex2var_ps(x, even, y);
    *b = _mm512_permutex2var_ps(x, _mm512_add_epi32(even, _mm512_set1_epi32(1)), y);
}
VF_INLINE vf vf_swap_pairs(vf x) { return _mm512_permute_ps(x, 0xB1); }
VF_INLINE vf vf_even_twice(vf x) { return _mm512_moveldup_ps(x); }
VF_INLINE vf vf_odd_twice(vf x) { return _mm512_movehdup_ps(x); }
VF_INLINE vf vf_negate_even(vf x)
{
    return _mm512_castsi512_ps(
        _mm512_xor_si512(_mm512_castps_si512(x), _mm512_set1_epi64(0x80000000)));
}

/* Sum of squares in double, lanes in a fixed order. */
typedef struct vf_squares {
    __m512d lo, hi;
} vf_squares;
VF_INLINE vf_squares vf_squares_zero(void)
{
    return (vf_squares){_mm512_setzero_pd(), _mm512_setzero_pd()};
}
VF_INLINE void vf_squares_add(vf_squares *s, vf x)
{
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x)),
            hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    s->lo = _mm512_fmadd_pd(lo, lo, s->lo);
    s->hi = _mm512_fmadd_pd(hi, hi, s->hi);
}
VF_INLINE double vf_squares_sum(vf_squares s)
{
    return _mm512_reduce_add_pd(_mm512_add_pd(s.lo, s.hi));
}

/* For act_quant: magnitudes as integers, and rounded values to bytes with their sum. */
VF_INLINE vi vi_magnitude(vf x)
{
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7FFFFFFF));
}
VF_INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
VF_INLINE uint32_t vi_largest(vi x) { return (uint32_t)_mm512_reduce_max_epi32(x); }
VF_INLINE int vf_to_bytes(int8_t *p, vf x)
{
    __m512i q = _mm512_cvtps_epi32(x);
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(q));
    return _mm512_reduce_add_epi32(q);
}

#else

enum { W = 8 };
typedef __m256 vf;
typedef __m256i vi;

VF_INLINE vf vf_set(float x) { return _mm256_set1_ps(x); }
VF_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VF_INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
VF_INLINE vi lane_numbers(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
VF_INLINE vi first_lanes(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n > 8 ? 8 : n)), lane_numbers());
}
VF_INLINE vf vf_load_n(const float *p, int64_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
VF_INLINE void vf_store_n(float *p, vf x, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), x); }
VF_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VF_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VF_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); } // b where either is NaN
VF_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VF_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x * 2^n in two exact steps and one rounded one, |n| <= 250. */
VF_INLINE vf vf_pow2_times(vf x, vf n)
{
    __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1),
            rest = _mm256_sub_epi32(all, half);
    __m256i bias = _mm256_set1_epi32(127);
    vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return vf_mul(vf_mul(x, a), b);
}

/* Lanes whose bit is set of x, `other` elsewhere. */
VF_INLINE vf vf_select(vf x, uint64_t bits, float other)
{
    __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_and_si256(_mm256_set1_epi32((int)(bits & 0xFF)), bit);
    return _mm256_blendv_ps(vf_set(other), x, _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit)));
}

VF_INLINE float vf_largest(vf x)
{
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
VF_INLINE vf vf_from_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
VF_INLINE vf vf_from_bf16(const void *p)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
VF_INLINE void vf_to_f16(void *p, vf x)
{
    _mm_storeu_si128((__m128i *)p,
                     _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
VF_INLINE void vf_to_bf16(void *p, vf x)
{
    __m256i bits = _mm256_castps_si256(x), top = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    __m256i h = _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), quiet, nan);
    h = _mm256_permute4x64_epi64(_mm256_packus_epi32(h, h), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(h));
}

/* a0 b0 a1 b1 ... (2W floats) to a and b. */
VF_INLINE void vf_split_pairs(const float *p, vf *a, vf *b)
{
    vf x = vf_load(p), y = vf_load(p + 8);
    vf even = _mm256_shuffle_ps(x, y, 0x88), odd = _mm256_shuffle_ps(x, y, 0xDD);
    *a = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(even), 0xD8));
    *b = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(odd), 0xD8));
}
VF_INLINE vf vf_swap_pairs(vf x) { return _mm256_permute_ps(x, 0xB1); }
VF_INLINE vf vf_even_twice(vf x) { return _mm256_moveldup_ps(x); }
VF_INLINE vf vf_odd_twice(vf x) { return _mm256_movehdup_ps(x); }
VF_INLINE vf vf_negate_even(vf x)
{
    return _mm256_xor_ps(x, _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000)));
}

/* Sum of squares in double, lanes in a fixed order. */
typedef struct vf_squares {
    __m256d lo, hi;
} vf_squares;
VF_INLINE vf_squares vf_squares_zero(void)
{
    return (vf_squares){_mm256_setzero_pd(), _mm256_setzero_pd()};
}
VF_INLINE void vf_squares_add(vf_squares *s, vf x)
{
    __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(x)),
            hi = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    s->lo = _mm256_fmadd_pd(lo, lo, s->lo);
    s->hi = _mm256_fmadd_pd(hi, hi, s->hi);
}
VF_INLINE double vf_squares_sum(vf_squares s)
{
    double part[4];
    _mm256_storeu_pd(part, _mm256_add_pd(s.lo, s.hi));
    return (part[0] + part[2]) + (part[1] + part[3]);
}

/* For act_quant: magnitudes as integers, and rounded values to bytes with their sum. */
VF_INLINE vi vi_magnitude(vf x)
{
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
}
VF_INLINE vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
VF_INLINE uint32_t vi_largest(vi x)
{
    __m128i y = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_max_epi32(y, _mm_shuffle_epi32(y, 0x4E));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(y, _mm_shuffle_epi32(y, 0xB1)));
}
VF_INLINE int vf_to_bytes(int8_t *p, vf x)
{
    __m256i q = _mm256_cvtps_epi32(x);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
    __m128i sum = _mm_madd_epi16(words, _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1)));
}

#endif

/* W elements of a float type from p; and the first n of them (n <= W), not touching the rest. */
VF_INLINE vf vf_from(bt_dtype dtype, const void *p)
{
    return dtype == BT_F32 ? vf_load(p) : dtype == BT_F16 ? vf_from_f16(p) : vf_from_bf16(p);
}

VF_INLINE vf vf_from_n(bt_dtype dtype, const void *p, int64_t n)
{
    if (dtype == BT_F32) return vf_load_n(p, n);
    uint16_t part[W] = {0};
    memcpy(part, p, (size_t)n * sizeof *part);
    return vf_from(dtype, part);
}

VF_INLINE void vf_to_n(bt_dtype dtype, void *p, vf x, int64_t n)
{
    if (dtype == BT_F32) {
        vf_store_n(p, x, n);
        return;
    }
    uint16_t part[W];
    if (dtype == BT_F16)
        vf_to_f16(part, x);
    else
        vf_to_bf16(part, x);
    memcpy(p, part, (size_t)n * sizeof *part);
}

/* exp(x), about 1 ulp: x = n ln2 + r with |r| <= ln2 / 2, a polynomial in r (the classic single
 * precision one, Cephes expf), times 2^n. NaN stays NaN, -inf gives 0, results past the range inf.
 */
VF_INLINE vf vf_exp(vf x)
{
    x = vf_max(vf_set(-110), x); // below: 0; the order of operands keeps NaN
    x = vf_min(vf_set(100), x);
    vf n = vf_round(vf_mul(x, vf_set(1.44269504f)));
    vf r = vf_fnma(n, vf_set(0.693359375f), x);
    r = vf_fnma(n, vf_set(-2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(p, vf_mul(r, r), vf_add(r, vf_set(1)));
    return vf_pow2_times(p, n);
}

/* 2^x, about 1 ulp, for x <= 100: x = n + r with |r| <= 1/2, a polynomial in r that is 1 at 0, times
 * 2^n. NaN stays NaN, below -126 it may be 0. */
VF_INLINE vf vf_exp2(vf x)
{
    x = vf_max(vf_set(-150), x); // the order of operands keeps NaN
    vf n = vf_round(x), r = vf_add(x, vf_mul(n, vf_set(-1)));
    vf p = vf_set(0.000154531634f);
    p = vf_fma(p, r, vf_set(0.00133908633f));
    p = vf_fma(p, r, vf_set(0.00961808302f));
    p = vf_fma(p, r, vf_set(0.0555035695f));
    p = vf_fma(p, r, vf_set(0.240226507f));
    p = vf_fma(p, r, vf_set(0.693147182f));
    p = vf_fma(p, r, vf_set(1));
    return vf_pow2_times(p, n);
}
