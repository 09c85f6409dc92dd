// SPDX-License-Identifier: Apache-2.0
/* gemm of quantised weights for AMX: TDPBSSD multiplies 16 rows x 32 columns of activations with 32
 * columns x 16 outputs of codes, a block of a panel as it lies opened (gemm_open.h), signed. The
 * integer sums are exact, so the bits are those of gemm_avx512vnni.c, which takes the few rows that
 * do not pay for a tile.
 *
 *      activations        codes: a block's 8 quads      integer sums, stored
 *      [16 rows][32 i8]   [8][16 outputs x 4 i8]        [16 rows][16 i32]
 *      tiles 4, 5         tiles 6, 7                    tiles 0..3
 *
 * A sum leaves its tile by way of memory and is scaled into 16 vectors of accumulators, one a row,
 * that stay in registers for a chunk of K. A tile is not renamed: what is stored must have been
 * multiplied a while ago. So block b is scaled while b + 1 is stored and b + LEAD multiplied, over
 * the border between tiles of rows too.
 *
 * Measured on Sapphire Rapids: beside tile instructions, of whatever kind, 512-bit arithmetic runs
 * at one instead of two a cycle, so a block's 48 operations of scaling are the bound, 17 ns, where
 * VNNI takes 27 for the products and 9 for the scaling. */
#include "kernel/isa.h"
#include "kernel/x86/gemm_open.h"

enum { TILE_ROWS = 16, LEAD = 3, AMX_ROWS_MIN = 32 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t n_row[16];
} tile_config;

/* Blocks are multiplied whole, or in halves of 16 columns where the format scales by 16. */
static void configure(bt_dtype t)
{
    tile_config c = {.palette = 1};
    const int n_quad = t == BT_Q6_K ? 4 : 8;
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? 4 * n_quad : 64);
        c.n_row[i] = (uint8_t)(i < 6 ? TILE_ROWS : n_quad);
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(c));
}

/* One tile of rows times one panel, over a chunk. */
typedef struct amx_job {
    const int8_t *a;      // its activations
    const int8_t *next_a; // those of the tile that comes next
    const open_block *w;
    int64_t n_part; // blocks, or halves
    const float (*scale)[OPEN_BLOCKS], (*shift)[OPEN_BLOCKS];
    int32_t (*sums)[TILE_ROWS * BT_PANEL_ROWS]; // [4], where tiles are stored
} amx_job;

TILE_INLINE void multiply(bt_dtype t, const int8_t *rows, const open_block *open, int64_t part,
                          const int slot)
{
    const void *a = rows + part * (t == BT_Q6_K ? 16 : 32);
    const void *w = t == BT_Q6_K ? open[part / 2].q[part % 2 * 4] : open[part].q[0];
#define MULTIPLY(c, x, y)                                                                          \
    _tile_zero(c);                                                                                 \
    _tile_loadd(x, a, OPEN_BLOCKS *BT_ACT_BLOCK);                                                  \
    _tile_loadd(y, w, 64);                                                                         \
    _tile_dpbssd(c, x, y);
    if (slot == 0) {
        MULTIPLY(0, 4, 6)
    } else if (slot == 1) {
        MULTIPLY(1, 5, 7)
    } else if (slot == 2) {
        MULTIPLY(2, 4, 6)
    } else {
        MULTIPLY(3, 5, 7)
    }
#undef MULTIPLY
}

TILE_INLINE void store(const amx_job *j, const int slot)
{
    if (slot == 0) _tile_stored(0, j->sums[0], 64);
    if (slot == 1) _tile_stored(1, j->sums[1], 64);
    if (slot == 2) _tile_stored(2, j->sums[2], 64);
    if (slot == 3) _tile_stored(3, j->sums[3], 64);
}

TILE_INLINE void scale_rows(bt_dtype t, const amx_job *j, int64_t part, const int slot,
                            __m512 acc[TILE_ROWS])
{
    const int64_t b = t == BT_Q6_K ? part / 2 : part;
    const int32_t *sums = j->sums[slot];
    __m512 d = _mm512_load_ps(j->w[b].d[t == BT_Q6_K ? part % 2 : 0]);
#pragma GCC unroll 16
    for (int m = 0; m < TILE_ROWS; m++) {
        __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums + m * BT_PANEL_ROWS));
        acc[m] = _mm512_fmadd_ps(sum, _mm512_mul_ps(d, _mm512_set1_ps(j->scale[m][b])), acc[m]);
    }
    if (!has_min(t)) return;
    __m512 min = _mm512_load_ps(j->w[b].m);
#pragma GCC unroll 16
    for (int m = 0; m < TILE_ROWS; m++)
        acc[m] = _mm512_fmadd_ps(min, _mm512_set1_ps(j->shift[m][b]), acc[m]);
}

/* The first LEAD parts of a tile, and the store of its first. */
TILE_INLINE void begin_tile(bt_dtype t, const amx_job *j)
{
    multiply(t, j->a, j->w, 0, 0);
    if (1 < j->n_part) multiply(t, j->a, j->w, 1, 1);
    if (2 < j->n_part) multiply(t, j->a, j->w, 2, 2);
    store(j, 0);
}

/* A whole chunk of a tile that was begun; begins the next. */
TILE_INLINE void run_whole(bt_dtype t, const amx_job *j, __m512 acc[TILE_ROWS])
{
    const int n = t == BT_Q6_K ? 2 * OPEN_BLOCKS : OPEN_BLOCKS;
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) {
        multiply(t, i + LEAD < n ? j->a : j->next_a, j->w, (i + LEAD) % n, (i + LEAD) % 4);
        store(j, (i + 1) % 4);
        scale_rows(t, j, i, i % 4, acc);
    }
}

/* The rest of a row of weights, fewer blocks than a chunk, of a tile that was begun. */
TILE_INLINE void run_rest(bt_dtype t, const amx_job *j, __m512 acc[TILE_ROWS])
{
    const int64_t n = j->n_part;
    for (int64_t part = 0; part < n; part += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            if (part + i + LEAD < n) multiply(t, j->a, j->w, part + i + LEAD, (i + LEAD) % 4);
            if (part + i + 1 < n) store(j, (i + 1) % 4);
            if (part + i < n) scale_rows(t, j, part + i, i, acc);
        }
}

TILE_INLINE void run_tile(bt_dtype t, const amx_job *j, const bool whole, const bool first,
                          float (*out)[BT_PANEL_ROWS])
{
    __m512 acc[TILE_ROWS];
#pragma GCC unroll 16
    for (int m = 0; m < TILE_ROWS; m++)
        acc[m] = first ? _mm512_setzero_ps() : _mm512_load_ps(out[m]);
    if (whole)
        run_whole(t, j, acc);
    else
        run_rest(t, j, acc);
#pragma GCC unroll 16
    for (int m = 0; m < TILE_ROWS; m++) _mm512_store_ps(out[m], acc[m]);
}

/* All tiles of a band times one opened panel. */
TILE_INLINE void run_tiles(bt_dtype t, open_job *o, open_acc *acc)
{
    int32_t sums[4][TILE_ROWS * BT_PANEL_ROWS] __attribute__((aligned(64)));
    const bool whole = o->n_k == OPEN_BLOCKS, first = o->k0 == 0;
    for (int64_t at = 0; at < o->n_m; at += TILE_ROWS) {
        int64_t m = tile_row(o, at, TILE_ROWS), next = tile_row(o, at + TILE_ROWS, TILE_ROWS);
        amx_job j = {.a = o->rows.q[m],
                     .next_a = o->rows.q[next],
                     .w = o->w[0],
                     .n_part = t == BT_Q6_K ? 2 * o->n_k : o->n_k,
                     .scale = (const float(*)[OPEN_BLOCKS])o->rows.scale[m],
                     .shift = (const float(*)[OPEN_BLOCKS])o->rows.shift[m],
                     .sums = sums};
        if (at == 0 || !whole) begin_tile(t, &j);
        if (whole)
            run_tile(t, &j, true, first, &(*acc)[at]);
        else
            run_tile(t, &j, false, first, &(*acc)[at]);
    }
}

#define GEMM(lower, upper)                                                                         \
    static void run_##lower(open_job *job, open_acc *acc, int64_t n_panel)                         \
    {                                                                                              \
        (void)n_panel; /* 1 */                                                                     \
        run_tiles(BT_##upper, job, acc);                                                           \
    }                                                                                              \
    void bt_gemm_##lower##_amx(const void *args, int64_t begin, int64_t end)                       \
    {                                                                                              \
        static const open_plan plan = {run_##lower, 1, TILE_ROWS, true};                           \
        const bt_gemm_args *a = args;                                                              \
        if (a->n_m < AMX_ROWS_MIN || begin >= end) {                                               \
            bt_gemm_##lower##_avx512vnni(args, begin, end);                                        \
            return;                                                                                \
        }                                                                                          \
        configure(BT_##upper);                                                                     \
        drive_open(BT_##upper, &plan, a, begin, end);                                              \
        _tile_release();                                                                           \
    }

GEMM(q8_0, Q8_0)
GEMM(q4_0, Q4_0)
GEMM(q4_1, Q4_1)
GEMM(q5_0, Q5_0)
GEMM(q5_1, Q5_1)
GEMM(q4_k, Q4_K)
GEMM(q5_k, Q5_K)
GEMM(q6_k, Q6_K)
