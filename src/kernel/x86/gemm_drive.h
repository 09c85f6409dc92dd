// SPDX-License-Identifier: Apache-2.0
/* gemm_drive: the loops round a register tile, shared by the instruction sets' gemm files.
 *
 *   for a group of `width` panels                     weights come from memory once
 *     for a band of M_BAND rows                       (once more for each further band)
 *       for a chunk of K that keeps the group in L1
 *         for a tile of `height` rows                 the register tile: accumulators in registers
 *       add bias and residual, write
 *
 * Accumulators rest in a small buffer between chunks. A resting place does not change bits, and
 * each output still sums its K in ascending order with one accumulator: height, width, bands and
 * chunks are free choices that no result can show. */
#pragma once
#include "base/bits.h"
#include <string.h>
#include "kernel/kernel.h"

#define TILE_INLINE static inline __attribute__((always_inline))

enum { TILE_HEIGHTS = 12, M_BAND = 60, PANELS_MAX = 4, ACC_STRIDE = PANELS_MAX * BT_PANEL_ROWS };

/* What a tile works on: rows m0.. and panels 0.. of `panels`, K units k0..k1 (blocks or columns).
 */
typedef struct tile_job {
    const bt_gemm_args *args;
    const uint8_t *panels;
    int64_t panel_bytes;
    float *acc; // [height][ACC_STRIDE]; read unless k0 is 0, always written
    int64_t m0, k0, k1;
} tile_job;

typedef void tile_fn(const tile_job *job);

/* The tiles of one weight type: fn[width - 1][height - 1]. */
typedef struct tile_set {
    tile_fn *const (*fn)[TILE_HEIGHTS];
    int height, width; // largest there are
    bt_dtype dtype;
    int64_t n_k;   // K units of the matrix
    int64_t chunk; // K units a chunk
} tile_set;

TILE_INLINE void write_rows(const bt_gemm_args *a, const float *acc, int64_t m0, int64_t n_m,
                            int64_t n0, int64_t n)
{
    for (int64_t m = 0; m < n_m; m++, acc += ACC_STRIDE) {
        float sum[ACC_STRIDE];
        int64_t at = (m0 + m) * a->out_stride + n0;
        for (int64_t i = 0; i < n; i++) sum[i] = a->bias ? acc[i] + a->bias[n0 + i] : acc[i];
        for (int64_t i = 0; i < n; i++)
            a->out[at + i] = a->residual ? sum[i] + a->residual[at + i] : sum[i];
    }
}

__attribute__((unused)) static void drive_gemm(const tile_set *set, const bt_gemm_args *a,
                                               int64_t begin, int64_t end)
{
    float acc[M_BAND][ACC_STRIDE] __attribute__((aligned(64)));
    int64_t bytes = bt_panel_bytes(set->dtype, a->n_col), width;
    int64_t chunk = a->n_m <= set->height ? set->n_k : set->chunk;
    tile_job job = {.args = a, .panel_bytes = bytes};
    for (int64_t p = begin; p < end; p += width) {
        width = bt_min_i64(end - p, set->width);
        job.panels = (const uint8_t *)a->panels + p * bytes;
        for (int64_t band = 0; band < a->n_m; band += M_BAND) {
            int64_t n_m = bt_min_i64(M_BAND, a->n_m - band);
            for (job.k0 = 0; job.k0 < set->n_k; job.k0 = job.k1) {
                job.k1 = bt_min_i64(set->n_k, job.k0 + chunk);
                for (int64_t m = 0, height; m < n_m; m += height) {
                    height = bt_min_i64(set->height, n_m - m);
                    job.acc = acc[m];
                    job.m0 = band + m;
                    set->fn[width - 1][height - 1](&job);
                }
            }
            int64_t n0 = p * BT_PANEL_ROWS;
            write_rows(a, acc[0], band, n_m, n0, bt_min_i64(width * BT_PANEL_ROWS, a->n_row - n0));
        }
    }
}
