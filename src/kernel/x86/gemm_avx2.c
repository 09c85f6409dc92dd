// SPDX-License-Identifier: Apache-2.0
/* gemm for AVX2, all weight types. A panel's 16 rows are two vectors of 8 (`side`).
 *
 * vpmaddubsw adds two products of unsigned and signed bytes in 16 bits and saturates, so the codes
 * decide how it is used exactly (activations are within -127..127):
 *
 *   q4   a pair is at most 2 * 15 * 127 = 3810: 8 quads add up in 16 bits (30480)
 *   q5   2 * 31 * 127 = 7874: 4 quads
 *   q6   2 * 63 * 127 = 16002: 2 quads
 *   q8   2 * 255 * 127 does not fit. The code's sign moves to the activation: |w| is at most 128,
 *        2 * 128 * 127 = 32512: 1 quad; the offset is gone with it
 *
 * The float operations and their order are those of gemm_avx512vnni.c: the bits are too. */
#include <immintrin.h>
#include "kernel/isa.h"
#include "kernel/panel.h"
#include "kernel/x86/gemm_drive.h"

enum { HEIGHT_Q = 4, HEIGHT_F = 6 };

/* ---- quantised ---- */

TILE_INLINE bool has_fifth(bt_dtype t) { return t == BT_Q5_0 || t == BT_Q5_1 || t == BT_Q5_K; }
TILE_INLINE bool has_min(bt_dtype t)
{
    return t == BT_Q4_1 || t == BT_Q5_1 || t == BT_Q4_K || t == BT_Q5_K;
}

TILE_INLINE __m256i load32(const uint8_t *p) { return _mm256_load_si256((const __m256i *)p); }

/* 8 rows of quad g: 32 codes, unsigned; signed for q8_0. `block` points at the side's first byte.
 */
TILE_INLINE __m256i load_quad(bt_dtype t, const uint8_t *block, const int g)
{
    if (t == BT_Q8_0) return _mm256_xor_si256(load32(block + g * 64), _mm256_set1_epi8(-128));
    const uint8_t *low = block + (has_fifth(t) ? 64 : t == BT_Q6_K ? 128 : 0);
    __m256i raw = load32(low + g % 4 * 64);
    if (g >= 4) raw = _mm256_srli_epi16(raw, 4);
    __m256i codes = _mm256_and_si256(raw, _mm256_set1_epi8(15));
    if (has_fifth(t)) {
        __m256i bits = load32(block);
        bits =
            g <= 4 ? _mm256_slli_epi16(bits, 4 - (g & 4 ? 4 : g)) : _mm256_srli_epi16(bits, g - 4);
        codes = _mm256_or_si256(codes, _mm256_and_si256(bits, _mm256_set1_epi8(16)));
    }
    if (t == BT_Q6_K) {
        __m256i bits = load32(block + g / 4 * 64);
        const int j = g % 4;
        bits = j <= 2 ? _mm256_slli_epi16(bits, 4 - 2 * j) : _mm256_srli_epi16(bits, 2);
        codes = _mm256_or_si256(codes, _mm256_and_si256(bits, _mm256_set1_epi8(48)));
    }
    return codes;
}

TILE_INLINE __m256 load_half(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)p));
}

/* 8 small integers to f32; `p` is 8-byte aligned. */
TILE_INLINE __m256 load_small(bt_dtype t, const uint8_t *p)
{
    __m128i small = _mm_loadl_epi64((const __m128i *)p);
    return _mm256_cvtepi32_ps(t == BT_Q6_K ? _mm256_cvtepi8_epi32(small)
                                           : _mm256_cvtepu8_epi32(small));
}

TILE_INLINE __m256 load_scale(bt_dtype t, const uint8_t *head, int64_t at, int part, int side)
{
    if (t == BT_Q8_0 || t == BT_Q4_0 || t == BT_Q5_0) return load_half(head + at * 32 + side * 16);
    __m256 d = load_half(head + side * 16);
    if (t == BT_Q4_1 || t == BT_Q5_1) return d;
    return _mm256_mul_ps(d, load_small(t, head + 64 + at * 32 + part * 16 + side * 8));
}

TILE_INLINE __m256 load_min(bt_dtype t, const uint8_t *head, int64_t at, int side)
{
    __m256 m = load_half(head + 32 + side * 16);
    if (t == BT_Q4_1 || t == BT_Q5_1) return m;
    __m256 min = load_small(t, head + 80 + at * 32 + side * 8);
    return _mm256_sub_ps(_mm256_setzero_ps(), _mm256_mul_ps(m, min));
}

TILE_INLINE __m256i bcast32(const void *p)
{
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

TILE_INLINE __m256i compensation(bt_dtype t, const int16_t *sum, int part)
{
    const int off = t == BT_Q8_0 ? 0 : -bt_panel_offset(t);
    if (!off) return _mm256_setzero_si256();
    int pair = t != BT_Q6_K ? (int)(((unsigned)off & 0xFFFF) | (unsigned)off << 16)
               : part       ? (int)((unsigned)off << 16)
                            : (int)((unsigned)off & 0xFFFF);
    return _mm256_madd_epi16(bcast32(sum), _mm256_set1_epi32(pair));
}

/* One part of a block for 8 rows: integer sums, then the scaled fma. */
TILE_INLINE void add_part(bt_dtype t, const int height, const tile_job *job, const uint8_t *head,
                          const uint8_t *block, int64_t at, int64_t b, const int part,
                          const int side, __m256 acc[HEIGHT_Q][2])
{
    const bt_act *act = &job->args->act;
    const int64_t n_block = job->args->n_col / BT_ACT_BLOCK;
    const int g0 = t == BT_Q6_K ? part * 4 : 0, g1 = t == BT_Q6_K ? g0 + 4 : 8;
    const int run = t == BT_Q8_0   ? 1
                    : t == BT_Q6_K ? 2
                    : has_fifth(t) ? 4
                                   : 8; // quads that fit 16 bits
    __m256i sum[HEIGHT_Q], narrow[HEIGHT_Q];
#pragma GCC unroll 4
    for (int m = 0; m < height; m++)
        sum[m] = compensation(t, act->sum + ((job->m0 + m) * n_block + b) * 2, part);
#pragma GCC unroll 8
    for (int g = g0; g < g1; g++) {
        __m256i w = load_quad(t, block + side * 32, g),
                magnitude = t == BT_Q8_0 ? _mm256_abs_epi8(w) : w;
#pragma GCC unroll 4
        for (int m = 0; m < height; m++) {
            __m256i a = bcast32(act->q + ((job->m0 + m) * n_block + b) * BT_ACT_BLOCK + g * 4);
            if (t == BT_Q8_0) a = _mm256_sign_epi8(a, w);
            __m256i pairs = _mm256_maddubs_epi16(magnitude, a);
            narrow[m] = g % run ? _mm256_add_epi16(narrow[m], pairs) : pairs;
            if (g % run == run - 1)
                sum[m] =
                    _mm256_add_epi32(sum[m], _mm256_madd_epi16(narrow[m], _mm256_set1_epi16(1)));
        }
    }
    __m256 d = load_scale(t, head, at, part, side);
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(act->scale[(job->m0 + m) * n_block + b]));
        acc[m][side] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[m]), scale, acc[m][side]);
    }
}

TILE_INLINE void add_mins(bt_dtype t, const int height, const tile_job *job, const uint8_t *head,
                          int64_t at, int64_t b, __m256 acc[HEIGHT_Q][2])
{
    const bt_act *act = &job->args->act;
    const int64_t n_block = job->args->n_col / BT_ACT_BLOCK;
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        int64_t i = (job->m0 + m) * n_block + b;
        __m256i total = _mm256_madd_epi16(bcast32(act->sum + i * 2), _mm256_set1_epi16(1));
        __m256 shift = _mm256_mul_ps(_mm256_cvtepi32_ps(total), _mm256_set1_ps(act->scale[i]));
#pragma GCC unroll 2
        for (int side = 0; side < 2; side++)
            acc[m][side] = _mm256_fmadd_ps(load_min(t, head, at, side), shift, acc[m][side]);
    }
}

TILE_INLINE void tile_q(bt_dtype t, const int height, const tile_job *job)
{
    const bt_panel_shape shape = bt_panel_shape_of(t);
    __m256 acc[HEIGHT_Q][2];
#pragma GCC unroll 8
    for (int i = 0; i < height * 2; i++)
        acc[i / 2][i % 2] = job->k0 ? _mm256_load_ps(job->acc + i / 2 * ACC_STRIDE + i % 2 * 8)
                                    : _mm256_setzero_ps();
    const uint8_t *head =
        job->panels + job->k0 / shape.chunk * (shape.head + shape.chunk * shape.block);
    for (int64_t b = job->k0; b < job->k1; head += shape.head + shape.chunk * shape.block)
        for (int64_t at = 0; at < shape.chunk && b < job->k1; at++, b++) {
            const uint8_t *block = head + shape.head + at * shape.block;
#pragma GCC unroll 2
            for (int side = 0; side < 2; side++) {
                add_part(t, height, job, head, block, at, b, 0, side, acc);
                if (t == BT_Q6_K) add_part(t, height, job, head, block, at, b, 1, side, acc);
            }
            if (has_min(t)) add_mins(t, height, job, head, at, b, acc);
        }
#pragma GCC unroll 8
    for (int i = 0; i < height * 2; i++)
        _mm256_store_ps(job->acc + i / 2 * ACC_STRIDE + i % 2 * 8, acc[i / 2][i % 2]);
}

/* ---- floats ---- */

/* Columns k (even) and k + 1 of bf16 values lie as the low and high halves of 32-bit lanes. */
TILE_INLINE __m256 half_of_pair(__m256i pair, const int odd)
{
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(pair, _mm256_set1_epi32((int)0xFFFF0000))
                                   : _mm256_slli_epi32(pair, 16));
}

TILE_INLINE __m256 load_column(bt_dtype t, const uint8_t *panel, int64_t k, const int odd,
                               const int side)
{
    if (t == BT_F32) return _mm256_load_ps((const float *)(panel + k * 64 + side * 32));
    if (t == BT_F16) return load_half(panel + k * 32 + side * 16);
    return half_of_pair(load32(panel + k * 32 + side * 32), odd);
}

/* Activation m of the tile at column k + odd, in all lanes. */
TILE_INLINE __m256 load_activation(bt_dtype t, const tile_job *job, int m, int64_t k, const int odd)
{
    const bt_gemm_args *a = job->args;
    if (t != BT_BF16) return _mm256_set1_ps(a->a[(job->m0 + m) * a->a_stride + k + odd]);
    return half_of_pair(bcast32(a->a_bf16 + (job->m0 + m) * bt_round_up(a->n_col, 2) + k), odd);
}

TILE_INLINE void add_column(bt_dtype t, const int height, const tile_job *job, int64_t k,
                            const int odd, __m256 acc[HEIGHT_F][2])
{
    __m256 w0 = load_column(t, job->panels, k, odd, 0), w1 = load_column(t, job->panels, k, odd, 1);
#pragma GCC unroll 6
    for (int m = 0; m < height; m++) {
        __m256 x = load_activation(t, job, m, k, odd);
        acc[m][0] = _mm256_fmadd_ps(w0, x, acc[m][0]);
        acc[m][1] = _mm256_fmadd_ps(w1, x, acc[m][1]);
    }
}

TILE_INLINE void tile_f(bt_dtype t, const int height, const tile_job *job)
{
    __m256 acc[HEIGHT_F][2];
#pragma GCC unroll 12
    for (int i = 0; i < height * 2; i++)
        acc[i / 2][i % 2] = job->k0 ? _mm256_load_ps(job->acc + i / 2 * ACC_STRIDE + i % 2 * 8)
                                    : _mm256_setzero_ps();
    int64_t k = job->k0;
    for (; k + 2 <= job->k1; k += 2) {
        add_column(t, height, job, k, 0, acc);
        add_column(t, height, job, t == BT_BF16 ? k : k + 1, t == BT_BF16, acc);
    }
    if (k < job->k1) add_column(t, height, job, k, 0, acc);
#pragma GCC unroll 12
    for (int i = 0; i < height * 2; i++)
        _mm256_store_ps(job->acc + i / 2 * ACC_STRIDE + i % 2 * 8, acc[i / 2][i % 2]);
}

/* ---- the slots ---- */

#define TILE(lower, upper, body, height)                                                           \
    static void tile_##lower##_##height(const tile_job *job) { body(BT_##upper, height, job); }

#define GEMM_Q(lower, upper)                                                                       \
    TILE(lower, upper, tile_q, 1)                                                                  \
    TILE(lower, upper, tile_q, 2)                                                                  \
    TILE(lower, upper, tile_q, 3)                                                                  \
    TILE(lower, upper, tile_q, 4)                                                                  \
    void bt_gemm_##lower##_avx2(const void *args, int64_t begin, int64_t end)                      \
    {                                                                                              \
        static tile_fn *const fn[1][TILE_HEIGHTS] = {                                              \
            {tile_##lower##_1, tile_##lower##_2, tile_##lower##_3, tile_##lower##_4}};             \
        const bt_gemm_args *a = args;                                                              \
        drive_gemm(&(tile_set){fn, HEIGHT_Q, 1, BT_##upper, a->n_col / BT_ACT_BLOCK, 48}, a,       \
                   begin, end);                                                                    \
    }

#define GEMM_F(lower, upper, chunk)                                                                \
    TILE(lower, upper, tile_f, 1)                                                                  \
    TILE(lower, upper, tile_f, 2)                                                                  \
    TILE(lower, upper, tile_f, 3)                                                                  \
    TILE(lower, upper, tile_f, 4)                                                                  \
    TILE(lower, upper, tile_f, 5)                                                                  \
    TILE(lower, upper, tile_f, 6)                                                                  \
    void bt_gemm_##lower##_avx2(const void *args, int64_t begin, int64_t end)                      \
    {                                                                                              \
        static tile_fn *const fn[1][TILE_HEIGHTS] = {{tile_##lower##_1, tile_##lower##_2,          \
                                                      tile_##lower##_3, tile_##lower##_4,          \
                                                      tile_##lower##_5, tile_##lower##_6}};        \
        const bt_gemm_args *a = args;                                                              \
        drive_gemm(&(tile_set){fn, HEIGHT_F, 1, BT_##upper, a->n_col, chunk}, a, begin, end);      \
    }

GEMM_F(f32, F32, 384)
GEMM_F(f16, F16, 768)
GEMM_F(bf16, BF16, 768)
GEMM_Q(q8_0, Q8_0)
GEMM_Q(q4_0, Q4_0)
GEMM_Q(q4_1, Q4_1)
GEMM_Q(q5_0, Q5_0)
GEMM_Q(q5_1, Q5_1)
GEMM_Q(q4_k, Q4_K)
GEMM_Q(q5_k, Q5_K)
GEMM_Q(q6_k, Q6_K)
