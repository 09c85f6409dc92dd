// SPDX-License-Identifier: Apache-2.0
/* gemm of bf16 weights for AMX: TDPBF16PS multiplies a tile of 16 rows x 32 columns of activations
 * with a tile of 32 columns x 16 outputs of weights, which is what 16 pairs of columns of a panel
 * are as they lie. 2 x 2 tiles of accumulators: four products for two loads on each side.
 *
 *   tiles  0 1   accumulators of rows 0..15: panels 0, 1        4   rows 0..15 of the activations
 *          2 3   accumulators of rows 16..31                    5   rows 16..31
 *                                                               6 7 panels 0, 1
 *
 * An output sums its columns 32 at a time: the products of the even and of the odd columns among
 * them, then both together onto the accumulator (Intel SDM, TDPBF16PS; subnormals are taken for 0).
 * Rows of a tile do not meet, and fewer rows compute the same: what a row gets does not depend on
 * how many there are. */
#include <immintrin.h>
#include <string.h>
#include "kernel/isa.h"
#include "kernel/x86/gemm_drive.h"
#include "kernel/x86/tile_config.h"

enum { TILE_BYTES = 1024, STEP_PAIRS = 16, BLOCK_ROWS = 2 * TILE_ROWS };

/* Rows of activations in the upper and in the lower tiles; 0 leaves a tile out. */
static void configure(int64_t upper, int64_t lower)
{
    const int64_t up = bt_max_i64(upper, 1), low = bt_max_i64(lower, 1);
    load_tile_config((const int64_t[8]){up, up, low, low, up, low, TILE_ROWS, TILE_ROWS});
}

/* What a block of outputs is made of: up to 32 rows of activations, 1 or 2 panels. */
typedef struct amx_job {
    const uint16_t *a; // of its first row
    int64_t a_stride;  // pairs' bytes a row
    const uint8_t *panel[2];
    int64_t n_step; // whole steps of 16 pairs
} amx_job;

TILE_INLINE void step(const int n_lower, const int n_panel, const void *a0, const void *a1,
                      int64_t stride, const uint8_t *b0, const uint8_t *b1)
{
    _tile_loadd(4, a0, (size_t)stride);
    _tile_loadd(6, b0, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (n_panel > 1) {
        _tile_loadd(7, b1, 64);
        _tile_dpbf16ps(1, 4, 7);
    }
    if (!n_lower) return;
    _tile_loadd(5, a1, (size_t)stride);
    _tile_dpbf16ps(2, 5, 6);
    if (n_panel > 1) _tile_dpbf16ps(3, 5, 7);
}

TILE_INLINE void run_steps(const amx_job *j, const int n_lower, const int n_panel)
{
    const char *a0 = (const char *)j->a, *a1 = a0 + TILE_ROWS * j->a_stride;
    const uint8_t *b0 = j->panel[0], *b1 = j->panel[n_panel - 1];
    for (int64_t s = 0; s < j->n_step; s++) {
        step(n_lower, n_panel, a0, a1, j->a_stride, b0, b1);
        a0 += 4 * STEP_PAIRS;
        a1 += 4 * STEP_PAIRS;
        b0 += TILE_BYTES;
        b1 += TILE_BYTES;
    }
}

/* The last pairs, fewer than a step, with zeros behind them. */
typedef struct amx_tail {
    uint8_t a[BLOCK_ROWS][64];
    uint8_t b[2][TILE_BYTES];
} amx_tail;

static void fill_tail(amx_tail *t, const amx_job *j, int64_t n_row, int n_panel, int64_t n_pair)
{
    memset(t, 0, sizeof *t);
    for (int64_t r = 0; r < n_row; r++)
        memcpy(t->a[r], (const char *)j->a + r * j->a_stride + j->n_step * 64, (size_t)n_pair * 4);
    for (int p = 0; p < n_panel; p++)
        memcpy(t->b[p], j->panel[p] + j->n_step * TILE_BYTES, (size_t)n_pair * 64);
}

/* `acc` [32][ACC_STRIDE] gets the sums of the block's rows and panels. */
TILE_INLINE void run_block(const amx_job *j, const int n_lower, const int n_panel, int64_t n_row,
                           int64_t n_tail, float *acc)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    run_steps(j, n_lower, n_panel);
    if (n_tail) {
        amx_tail t __attribute__((aligned(64)));
        fill_tail(&t, j, n_row, n_panel, n_tail);
        step(n_lower, n_panel, t.a[0], t.a[TILE_ROWS], 64, t.b[0], t.b[1]);
    }
    _tile_stored(0, acc, ACC_STRIDE * 4);
    if (n_panel > 1) _tile_stored(1, acc + BT_PANEL_ROWS, ACC_STRIDE * 4);
    if (!n_lower) return;
    _tile_stored(2, acc + TILE_ROWS * ACC_STRIDE, ACC_STRIDE * 4);
    if (n_panel > 1) _tile_stored(3, acc + TILE_ROWS * ACC_STRIDE + BT_PANEL_ROWS, ACC_STRIDE * 4);
}

void bt_gemm_bf16_amx(const void *args, int64_t begin, int64_t end)
{
    const bt_gemm_args *a = args;
    float acc[BLOCK_ROWS * ACC_STRIDE] __attribute__((aligned(64)));
    int64_t n_pair = bt_div_up(a->n_col, 2), bytes = bt_panel_bytes(BT_BF16, a->n_col);
    int64_t configured = -1;
    amx_job job = {.a_stride = n_pair * 4, .n_step = n_pair / STEP_PAIRS};
    for (int64_t p = begin, width; p < end; p += width) {
        width = bt_min_i64(end - p, 2);
        for (int w = 0; w < 2; w++)
            job.panel[w] = (const uint8_t *)a->panels + (p + bt_min_i64(w, width - 1)) * bytes;
        for (int64_t m = 0; m < a->n_m; m += BLOCK_ROWS) {
            int64_t n = bt_min_i64(a->n_m - m, BLOCK_ROWS), lower = bt_max_i64(n - TILE_ROWS, 0);
            if (n != configured) configure(n - lower, lower);
            configured = n;
            job.a = a->a_bf16 + m * n_pair * 2;
            if (lower && width > 1)
                run_block(&job, 1, 2, n, n_pair % STEP_PAIRS, acc);
            else if (lower)
                run_block(&job, 1, 1, n, n_pair % STEP_PAIRS, acc);
            else if (width > 1)
                run_block(&job, 0, 2, n, n_pair % STEP_PAIRS, acc);
            else
                run_block(&job, 0, 1, n, n_pair % STEP_PAIRS, acc);
            int64_t n0 = p * BT_PANEL_ROWS;
            write_rows(a, acc, m, n, n0, bt_min_i64(width * BT_PANEL_ROWS, a->n_row - n0));
        }
    }
    if (configured >= 0) _tile_release();
}
