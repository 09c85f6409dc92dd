// SPDX-License-Identifier: Apache-2.0
/* gemm of quantised weights for AVX-512 VNNI: vpdpbusd multiplies a quad of 16 rows x 4 columns of
 * unsigned weights with 4 signed activations that are broadcast from memory.
 *
 * A tile is `height` rows of activations times `width` panels. In a block each output has an
 * integer accumulator, started at the offset's compensation (one vpmaddwd of the activation's pair
 * of sums); after it one conversion, one product of scales and one fma. 4 x 3 outputs of 16 lanes
 * fill the register file: 12 integer and 12 float accumulators, the weights, the broadcasts. */
#include "kernel/isa.h"
#include "kernel/x86/gemm_open.h"

TILE_INLINE __m512i bcast32(const void *p)
{
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* acc += weights (unsigned) * the 4 activations at `a` (signed). */
TILE_INLINE __m512i dot_quad(__m512i acc, __m512i weights, const int8_t *a)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(weights), "m"(*(const int32_t *)a));
    return acc;
}

/* -offset times the sums of the activations: both halves, or the one that has its own scale. */
TILE_INLINE __m512i compensation(bt_dtype t, const int16_t *sum, int half)
{
    const int off = -bt_panel_offset(t);
    if (!off) return _mm512_setzero_si512();
    int pair = t != BT_Q6_K ? (int)(((unsigned)off & 0xFFFF) | (unsigned)off << 16)
               : half       ? (int)((unsigned)off << 16)
                            : (int)((unsigned)off & 0xFFFF);
    return _mm512_madd_epi16(bcast32(sum), _mm512_set1_epi32(pair));
}

TILE_INLINE void add_part(bt_dtype t, const int height, const int width, const tile_job *job,
                          const uint8_t *head, const uint8_t *block, int64_t at, int64_t b,
                          const int part, __m512 acc[4][4])
{
    const bt_act *act = &job->args->act;
    const int64_t n_block = job->args->n_col / BT_ACT_BLOCK;
    const int g0 = t == BT_Q6_K ? part * 4 : 0, g1 = t == BT_Q6_K ? g0 + 4 : 8;
    __m512i sum[4][4];
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        __m512i start = compensation(t, act->sum + ((job->m0 + m) * n_block + b) * 2, part);
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) sum[m][p] = start;
    }
    const int8_t *q = act->q + (job->m0 * n_block + b) * BT_ACT_BLOCK;
#pragma GCC unroll 8
    for (int g = g0; g < g1; g++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) {
            __m512i w = load_quad(t, block + p * job->panel_bytes, g);
#pragma GCC unroll 4
            for (int m = 0; m < height; m++)
                sum[m][p] = dot_quad(sum[m][p], w, q + m * n_block * BT_ACT_BLOCK + g * 4);
        }
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512 d = load_scale(t, head + p * job->panel_bytes, at, part);
#pragma GCC unroll 4
        for (int m = 0; m < height; m++) {
            __m512 scale =
                _mm512_mul_ps(d, _mm512_set1_ps(act->scale[(job->m0 + m) * n_block + b]));
            acc[m][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m][p]), scale, acc[m][p]);
        }
    }
}

TILE_INLINE void add_mins(bt_dtype t, const int height, const int width, const tile_job *job,
                          const uint8_t *head, int64_t at, int64_t b, __m512 acc[4][4])
{
    const bt_act *act = &job->args->act;
    const int64_t n_block = job->args->n_col / BT_ACT_BLOCK;
    __m512 shift[4];
#pragma GCC unroll 4
    for (int m = 0; m < height; m++) {
        int64_t i = (job->m0 + m) * n_block + b;
        __m512i total = _mm512_madd_epi16(bcast32(act->sum + i * 2), _mm512_set1_epi16(1));
        shift[m] = _mm512_mul_ps(_mm512_cvtepi32_ps(total), _mm512_set1_ps(act->scale[i]));
    }
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512 min = load_min(t, head + p * job->panel_bytes, at);
#pragma GCC unroll 4
        for (int m = 0; m < height; m++) acc[m][p] = _mm512_fmadd_ps(min, shift[m], acc[m][p]);
    }
}

TILE_INLINE void tile(bt_dtype t, const int height, const int width, const tile_job *job)
{
    const bt_panel_shape shape = bt_panel_shape_of(t);
    __m512 acc[4][4];
#pragma GCC unroll 4
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            acc[m][p] =
                job->k0 ? _mm512_load_ps(job->acc + m * ACC_STRIDE + p * 16) : _mm512_setzero_ps();
    const uint8_t *head =
        job->panels + job->k0 / shape.chunk * (shape.head + shape.chunk * shape.block);
    for (int64_t b = job->k0; b < job->k1; head += shape.head + shape.chunk * shape.block)
        for (int64_t at = 0; at < shape.chunk && b < job->k1; at++, b++) {
            const uint8_t *block = head + shape.head + at * shape.block;
            add_part(t, height, width, job, head, block, at, b, 0, acc);
            if (t == BT_Q6_K) add_part(t, height, width, job, head, block, at, b, 1, acc);
            if (has_min(t)) add_mins(t, height, width, job, head, at, b, acc);
        }
#pragma GCC unroll 4
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            _mm512_store_ps(job->acc + m * ACC_STRIDE + p * 16, acc[m][p]);
}

#define TILE(lower, upper, height, width)                                                          \
    static void tile_##lower##_##height##_##width(const tile_job *job)                             \
    {                                                                                              \
        tile(BT_##upper, height, width, job);                                                      \
    }
#define TILES(lower, upper, width)                                                                 \
    TILE(lower, upper, 1, width)                                                                   \
    TILE(lower, upper, 2, width)                                                                   \
    TILE(lower, upper, 3, width)                                                                   \
    TILE(lower, upper, 4, width)
#define TILE_ROW(lower, width)                                                                     \
    {                                                                                              \
        tile_##lower##_1_##width, tile_##lower##_2_##width, tile_##lower##_3_##width,              \
            tile_##lower##_4_##width                                                               \
    }

/* A chunk of 16 blocks of 3 panels is at most 26 KiB: it stays in L1 while the rows pass. */
#define GEMM(lower, upper)                                                                         \
    TILES(lower, upper, 1)                                                                         \
    TILES(lower, upper, 2)                                                                         \
    TILES(lower, upper, 3)                                                                         \
    void bt_gemm_##lower##_avx512vnni(const void *args, int64_t begin, int64_t end)                \
    {                                                                                              \
        static tile_fn *const fn[3][6] = {TILE_ROW(lower, 1), TILE_ROW(lower, 2),                  \
                                          TILE_ROW(lower, 3)};                                     \
        const bt_gemm_args *a = args;                                                              \
        drive_gemm(&(tile_set){fn, 4, 3, BT_##upper, a->n_col / BT_ACT_BLOCK, 16}, a, begin, end); \
    }

GEMM(q8_0, Q8_0)
GEMM(q4_0, Q4_0)
GEMM(q4_1, Q4_1)
GEMM(q5_0, Q5_0)
GEMM(q5_1, Q5_1)
GEMM(q4_k, Q4_K)
GEMM(q5_k, Q5_K)
GEMM(q6_k, Q6_K)
