// SPDX-License-Identifier: Apache-2.0
/* gemm of float weights for AVX-512: activations are broadcast, 16-bit weights widened (f16 by
 * conversion; bf16 by shift and mask, and so are its bf16 activations), one fma an element. 6 x 4
 * outputs of 16 lanes are 24 accumulators: enough to hide the latency of fma, and few loads for
 * each of them. */
#include <immintrin.h>
#include "kernel/isa.h"
#include "kernel/x86/gemm_drive.h"

TILE_INLINE __m512 load_column(bt_dtype t, const uint8_t *panel, int64_t k)
{
    if (t == BT_F32) return _mm512_load_ps(panel + k * 64);
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(panel + k * 32)));
}

/* Columns k (even) and k + 1 of bf16 values lie as the low and high halves of 32-bit lanes. */
TILE_INLINE __m512 half_of_pair(__m512i pair, const int odd)
{
    return _mm512_castsi512_ps(odd ? _mm512_and_si512(pair, _mm512_set1_epi32((int)0xFFFF0000))
                                   : _mm512_slli_epi32(pair, 16));
}

/* Activation m of the tile at column k + odd, in all lanes. */
TILE_INLINE __m512 load_activation(bt_dtype t, const tile_job *job, int m, int64_t k, const int odd)
{
    const bt_gemm_args *a = job->args;
    if (t != BT_BF16) return _mm512_set1_ps(a->a[(job->m0 + m) * a->a_stride + k + odd]);
    int32_t pair;
    __builtin_memcpy(&pair, a->a_bf16 + (job->m0 + m) * bt_round_up(a->n_col, 2) + k, sizeof pair);
    return half_of_pair(_mm512_set1_epi32(pair), odd);
}

TILE_INLINE void add_column(bt_dtype t, const int height, const int width, const tile_job *job,
                            int64_t k, const int odd, __m512 acc[6][4])
{
    __m512 w[4];
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        const uint8_t *panel = job->panels + p * job->panel_bytes;
        w[p] = t == BT_BF16 ? half_of_pair(_mm512_load_si512(panel + k * 32), odd)
                            : load_column(t, panel, k);
    }
#pragma GCC unroll 6
    for (int m = 0; m < height; m++) {
        __m512 x = load_activation(t, job, m, k, odd);
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) acc[m][p] = _mm512_fmadd_ps(w[p], x, acc[m][p]);
    }
}

TILE_INLINE void tile(bt_dtype t, const int height, const int width, const tile_job *job)
{
    __m512 acc[6][4];
#pragma GCC unroll 6
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            acc[m][p] =
                job->k0 ? _mm512_load_ps(job->acc + m * ACC_STRIDE + p * 16) : _mm512_setzero_ps();
    int64_t k = job->k0;
    for (; k + 2 <= job->k1; k += 2) {
        add_column(t, height, width, job, k, 0, acc);
        if (t == BT_BF16)
            add_column(t, height, width, job, k, 1, acc);
        else
            add_column(t, height, width, job, k + 1, 0, acc);
    }
    if (k < job->k1) add_column(t, height, width, job, k, 0, acc);
#pragma GCC unroll 6
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
    TILE(lower, upper, 4, width)                                                                   \
    TILE(lower, upper, 5, width)                                                                   \
    TILE(lower, upper, 6, width)
#define TILE_ROW(lower, width)                                                                     \
    {                                                                                              \
        tile_##lower##_1_##width, tile_##lower##_2_##width, tile_##lower##_3_##width,              \
            tile_##lower##_4_##width, tile_##lower##_5_##width, tile_##lower##_6_##width           \
    }

/* A chunk of columns of 4 panels fills 24 KiB: it stays in L1 while the rows pass. */
#define GEMM(lower, upper, chunk)                                                                  \
    TILES(lower, upper, 1)                                                                         \
    TILES(lower, upper, 2)                                                                         \
    TILES(lower, upper, 3)                                                                         \
    TILES(lower, upper, 4)                                                                         \
    void bt_gemm_##lower##_avx512(const void *args, int64_t begin, int64_t end)                    \
    {                                                                                              \
        static tile_fn *const fn[4][TILE_HEIGHTS] = {TILE_ROW(lower, 1), TILE_ROW(lower, 2),       \
                                                     TILE_ROW(lower, 3), TILE_ROW(lower, 4)};      \
        const bt_gemm_args *a = args;                                                              \
        drive_gemm(&(tile_set){fn, 6, 4, BT_##upper, a->n_col, chunk}, a, begin, end);             \
    }

GEMM(f32, F32, 96)
GEMM(f16, F16, 192)
GEMM(bf16, BF16, 192)
