// SPDX-License-Identifier: Apache-2.0
/* gemm of bf16 weights for AVX512_BF16: vdpbf16ps multiplies 16 pairs of weights with a pair of
 * activations that is broadcast, and adds both products to an f32 accumulator, one after the other
 * (Intel SDM, VDPBF16PS: rounded to nearest even each time, subnormals taken for 0). 6 x 4 outputs
 * of 16 lanes are 24 accumulators, as in gemm_avx512.c. */
#include <immintrin.h>
#include "kernel/isa.h"
#include "kernel/x86/gemm_drive.h"

TILE_INLINE __m512bh load_pairs(const uint8_t *panel, int64_t pair)
{
    return (__m512bh)_mm512_load_si512(panel + pair * 64);
}

TILE_INLINE __m512bh bcast_pair(const uint16_t *a)
{
    int32_t v;
    __builtin_memcpy(&v, a, sizeof v);
    return (__m512bh)_mm512_set1_epi32(v);
}

TILE_INLINE void tile(const int height, const int width, const tile_job *job)
{
    const int64_t stride = bt_round_up(job->args->n_col, 2);
    const uint16_t *a = job->args->a_bf16 + job->m0 * stride;
    __m512 acc[6][4];
#pragma GCC unroll 6
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            acc[m][p] =
                job->k0 ? _mm512_load_ps(job->acc + m * ACC_STRIDE + p * 16) : _mm512_setzero_ps();
    for (int64_t k = job->k0; k < job->k1; k++) {
        __m512bh w[4];
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) w[p] = load_pairs(job->panels + p * job->panel_bytes, k);
#pragma GCC unroll 6
        for (int m = 0; m < height; m++) {
            __m512bh x = bcast_pair(a + m * stride + 2 * k);
#pragma GCC unroll 4
            for (int p = 0; p < width; p++) acc[m][p] = _mm512_dpbf16_ps(acc[m][p], w[p], x);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            _mm512_store_ps(job->acc + m * ACC_STRIDE + p * 16, acc[m][p]);
}

#define TILE(height, width)                                                                        \
    static void tile_##height##_##width(const tile_job *job) { tile(height, width, job); }
#define TILES(width)                                                                               \
    TILE(1, width) TILE(2, width) TILE(3, width) TILE(4, width) TILE(5, width) TILE(6, width)
#define TILE_ROW(width)                                                                            \
    {                                                                                              \
        tile_1_##width, tile_2_##width, tile_3_##width, tile_4_##width, tile_5_##width,            \
            tile_6_##width                                                                         \
    }
TILES(1)
TILES(2)
TILES(3)
TILES(4)

/* A chunk of 96 pairs of 4 panels fills 24 KiB: it stays in L1 while the rows pass. */
void bt_gemm_bf16_avx512bf16(const void *args, int64_t begin, int64_t end)
{
    static tile_fn *const fn[4][TILE_HEIGHTS] = {TILE_ROW(1), TILE_ROW(2), TILE_ROW(3),
                                                 TILE_ROW(4)};
    const bt_gemm_args *a = args;
    drive_gemm(&(tile_set){fn, 6, 4, BT_BF16, bt_div_up(a->n_col, 2), 96}, a, begin, end);
}
