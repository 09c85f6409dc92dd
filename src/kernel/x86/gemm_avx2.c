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
 * A pair of these sums times r, by vpmaddwd, is what a group adds up: exact, so the bits are those of
 * gemm_avx512vnni.c. */
#include <immintrin.h>
#include "kernel/isa.h"
#include "kernel/panel.h"
#include "kernel/x86/gemm_drive.h"

enum { HEIGHT_Q = 4, HEIGHT_F = 6 };

/* ---- quantised ---- */

TILE_INLINE __m256i load32(const uint8_t *p) { return _mm256_load_si256((const __m256i *)p); }

/* 8 rows of quad g: 32 codes, unsigned; signed for q8_0. `block` points at the side's first byte.
 */
TILE_INLINE __m256i load_quad(bt_dtype t, const uint8_t *block, const int g)
{
    if (t == BT_Q8_0) return _mm256_xor_si256(load32(block + g * 64), _mm256_set1_epi8(-128));
    __m256i raw = load32(block + bt_panel_low_at(t) + g % 4 * 64);
    if (g >= 4) raw = _mm256_srli_epi16(raw, 4);
    __m256i codes = _mm256_and_si256(raw, _mm256_set1_epi8(15));
    if (bt_panel_fifth(t)) {
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

/* 8 rows' r of a block, or of a half of it, each twice: as words. */
TILE_INLINE __m256i load_r(bt_dtype t, const uint8_t *head, int64_t b, const int part, int side)
{
    __m128i r = _mm_loadl_epi64((const __m128i *)(head + bt_panel_r_at(t, b, part) + side * 8));
    r = _mm_unpacklo_epi8(r, r);
    return t == BT_Q8_0 ? _mm256_cvtepu8_epi16(r) : _mm256_cvtepi8_epi16(r);
}

TILE_INLINE __m256 load_d(bt_dtype t, const uint8_t *head, int side)
{
    return bt_panel_k(t) ? load_half(head + side * 16)
                         : _mm256_load_ps((const float *)head + side * 8);
}

TILE_INLINE __m256 load_m(bt_dtype t, const uint8_t *head, int side)
{
    if (bt_panel_wide_min(t)) return _mm256_load_ps((const float *)(head + 64) + side * 8);
    return _mm256_sub_ps(_mm256_setzero_ps(), load_half(head + 32 + side * 16));
}

/* Minimums of a pair of blocks, 8 rows of two words. */
TILE_INLINE __m256i load_mins(bt_dtype t, const uint8_t *head, int64_t pair, int side)
{
    const uint8_t *at = head + bt_panel_min_at(t, pair);
    if (bt_panel_wide_min(t)) return load32(at + side * 32);
    return _mm256_cvtepu8_epi16(_mm_load_si128((const __m128i *)(at + side * 16)));
}

TILE_INLINE __m256i bcast32(const void *p)
{
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* The sums of 16 activations in words: what r times -offset has to be multiplied with. q6_k's halves
 * have an r of their own. */
TILE_INLINE __m256i sums_of_part(bt_dtype t, const int16_t *sum, const int part)
{
    const int keep = t != BT_Q6_K ? -1 : part ? (int)0xFFFF0000 : 0xFFFF;
    return _mm256_and_si256(bcast32(sum), _mm256_set1_epi32(keep));
}

/* One part of block b for 8 rows of weights, whose rows of activations begin at `row`. */
TILE_INLINE void add_part(bt_dtype t, const int height, const tile_job *job, const uint8_t *head,
                          int64_t row, int64_t b, const int part, const int side,
                          __m256i group[HEIGHT_Q])
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const bt_act *act = &job->args->act;
    const int g0 = t == BT_Q6_K ? part * 4 : 0, g1 = t == BT_Q6_K ? g0 + 4 : 8;
    const int run = t == BT_Q8_0        ? 1
                    : t == BT_Q6_K      ? 2
                    : bt_panel_fifth(t) ? 4
                                        : 8; // quads that fit 16 bits
    const int8_t *q = act->q + row * BT_GROUP + b * BT_BLOCK;
    const __m256i r = load_r(t, head, b, part, side);
    __m256i narrow[HEIGHT_Q];
#pragma GCC unroll 8
    for (int g = g0; g < g1; g++) {
        __m256i w = load_quad(t, head + s.head + b * s.block + side * 32, g),
                magnitude = t == BT_Q8_0 ? _mm256_abs_epi8(w) : w;
#pragma GCC unroll 4
        for (int m = 0; m < height; m++) {
            __m256i a = bcast32(q + m * BT_GROUP + g * 4);
            if (t == BT_Q8_0) a = _mm256_sign_epi8(a, w);
            __m256i pairs = _mm256_maddubs_epi16(magnitude, a);
            narrow[m] = g % run ? _mm256_add_epi16(narrow[m], pairs) : pairs;
            if (g % run == run - 1)
                group[m] = _mm256_add_epi32(group[m], _mm256_madd_epi16(narrow[m], r));
        }
    }
    if (t == BT_Q8_0 || !bt_panel_offset(t)) return;
    const __m256i back = _mm256_mullo_epi16(r, _mm256_set1_epi16((short)-bt_panel_offset(t)));
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        __m256i sums = sums_of_part(t, act->sum + (row + m) * BT_GROUP_SUMS + b * 2, part);
        group[m] = _mm256_add_epi32(group[m], _mm256_madd_epi16(sums, back));
    }
}

/* acc += f32(sum) * (d * scale). */
TILE_INLINE void add_scaled(float *acc, __m256i sum, __m256 d, float scale)
{
    __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(scale));
    _mm256_store_ps(acc, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factor, _mm256_load_ps(acc)));
}

TILE_INLINE void add_mins(bt_dtype t, const int height, const tile_job *job, const uint8_t *head,
                          int64_t row, const int side)
{
    const bt_act *act = &job->args->act;
    const __m256 d = load_m(t, head, side);
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        const int16_t *blocks = act->sum + (row + m) * BT_GROUP_SUMS + BT_GROUP_HALVES;
        __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int pair = 0; pair < BT_GROUP_BLOCKS / 2; pair++)
            sum = _mm256_add_epi32(
                sum, _mm256_madd_epi16(load_mins(t, head, pair, side), bcast32(blocks + 2 * pair)));
        add_scaled(job->acc + m * ACC_STRIDE + side * 8, sum, d, act->scale[row + m]);
    }
}

TILE_INLINE void tile_q(bt_dtype t, const int height, const tile_job *job)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const int64_t n_block = job->args->n_col / BT_BLOCK;
    for (int m = 0; job->k0 == 0 && m < height; m++)
        memset(job->acc + m * ACC_STRIDE, 0, BT_PANEL_ROWS * sizeof *job->acc);
    for (int64_t k = job->k0; k < job->k1; k++) {
        const uint8_t *head = job->panels + k * s.group;
        const int64_t row = k * job->args->n_m + job->m0,
                      n = bt_min_i64(BT_GROUP_BLOCKS, n_block - k * BT_GROUP_BLOCKS);
#pragma GCC unroll 2
        for (int side = 0; side < 2; side++) {
            __m256i group[HEIGHT_Q];
#pragma GCC unroll 4
            for (int m = 0; m < height; m++) group[m] = _mm256_setzero_si256();
            for (int64_t b = 0; b < n; b++) {
                add_part(t, height, job, head, row, b, 0, side, group);
                if (bt_panel_parts(t) == 2) add_part(t, height, job, head, row, b, 1, side, group);
            }
            const __m256 d = load_d(t, head, side);
#pragma GCC unroll 4
            for (int m = 0; m < height; m++)
                add_scaled(job->acc + m * ACC_STRIDE + side * 8, group[m], d,
                           job->args->act.scale[row + m]);
            if (bt_panel_min(t)) add_mins(t, height, job, head, row, side);
        }
    }
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
        drive_gemm(&(tile_set){fn, HEIGHT_Q, 1, BT_##upper, bt_div_up(a->n_col, BT_GROUP), 6}, a,  \
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
