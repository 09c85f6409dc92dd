// SPDX-License-Identifier: Apache-2.0
/* gemm_open: quantised panels read with AVX-512, and the loops for many rows, shared by VNNI and
 * AMX.
 *
 * With few rows a block's codes are unpacked on the way into the multiplier. With many that would
 * be done again for every few rows, so a group of 256 columns is opened once into a buffer that lies
 * in L1, in the form that the multiplier wants, and all rows of a band pass over it:
 *
 *   for some panels
 *     for a band of rows
 *       for a group of K
 *         for few panels     open them; the tiles add to `acc`
 *       add bias and residual, write
 *
 * A group's integer sums are exact and its float operations few, so the bits are those of the direct
 * tiles. */
#pragma once
#include <immintrin.h>
#include "kernel/panel.h"
#include "kernel/x86/gemm_drive.h"

/* ---- what a panel holds ---- */

TILE_INLINE __m512i bcast32(const void *p)
{
    int32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* Quad g of a block: 64 unsigned codes; see panel.h. */
TILE_INLINE __m512i load_quad(bt_dtype t, const uint8_t *block, const int g)
{
    if (t == BT_Q8_0) return _mm512_load_si512(block + g * 64);
    __m512i raw = _mm512_load_si512(block + bt_panel_low_at(t) + g % 4 * 64);
    if (g >= 4) raw = _mm512_srli_epi16(raw, 4);
    __m512i codes = _mm512_and_si512(raw, _mm512_set1_epi8(15));
    if (bt_panel_fifth(t)) {
        __m512i bits = _mm512_load_si512(block);
        bits =
            g <= 4 ? _mm512_slli_epi16(bits, 4 - (g & 4 ? 4 : g)) : _mm512_srli_epi16(bits, g - 4);
        codes = _mm512_ternarylogic_epi32(codes, bits, _mm512_set1_epi8(16),
                                          0xF8); // codes | (bits & 16)
    }
    if (t == BT_Q6_K) {
        __m512i bits = _mm512_load_si512(block + g / 4 * 64);
        const int j = g % 4;
        bits = j <= 2 ? _mm512_slli_epi16(bits, 4 - 2 * j) : _mm512_srli_epi16(bits, 2);
        codes = _mm512_ternarylogic_epi32(codes, bits, _mm512_set1_epi8(48), 0xF8);
    }
    return codes;
}

TILE_INLINE __m512 load_half(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)p));
}

/* The 16 rows' r of a block, or of a half of it. */
TILE_INLINE __m512i load_r(bt_dtype t, const uint8_t *head, int64_t block, const int part)
{
    __m128i r = _mm_load_si128((const __m128i *)(head + bt_panel_r_at(t, block, part)));
    return t == BT_Q8_0 ? _mm512_cvtepu8_epi32(r) : _mm512_cvtepi8_epi32(r);
}

TILE_INLINE __m512 load_d(bt_dtype t, const uint8_t *head)
{
    return bt_panel_k(t) ? load_half(head) : _mm512_load_ps((const float *)head);
}

TILE_INLINE __m512 load_m(bt_dtype t, const uint8_t *head)
{
    if (bt_panel_wide_min(t)) return _mm512_load_ps((const float *)(head + 64));
    return _mm512_sub_ps(_mm512_setzero_ps(), load_half(head + 32));
}

/* Minimums of a pair of blocks, 16 rows of two words. */
TILE_INLINE __m512i load_mins(bt_dtype t, const uint8_t *head, int64_t pair)
{
    const uint8_t *at = head + bt_panel_min_at(t, pair);
    if (bt_panel_wide_min(t)) return _mm512_load_si512(at);
    return _mm512_cvtepu8_epi16(_mm256_load_si256((const __m256i *)at));
}

enum { GROUP_PAIRS = BT_GROUP_BLOCKS / 2 };

/* What a group's sums are scaled with. */
typedef struct group_scales {
    __m512i mins[GROUP_PAIRS]; // types with minimums; and m
    __m512 d, m;
} group_scales;

TILE_INLINE void open_scales(bt_dtype t, const uint8_t *head, group_scales *s)
{
    s->d = load_d(t, head);
    if (!bt_panel_min(t)) return;
    s->m = load_m(t, head);
    for (int i = 0; i < GROUP_PAIRS; i++) s->mins[i] = load_mins(t, head, i);
}

/* Two 16-bit factors whose vpmaddwd with a block's pair of sums is -offset times the sum of its
 * activations: both halves, or the one that has its own r. */
TILE_INLINE int offset_pair(bt_dtype t, int offset, int half)
{
    const unsigned off = (unsigned)-offset;
    return t != BT_Q6_K ? (int)((off & 0xFFFF) | off << 16)
           : half       ? (int)(off << 16)
                        : (int)(off & 0xFFFF);
}

/* ---- many rows ---- */

enum { OPEN_GROUP = 12 };

typedef float open_row[BT_PANEL_ROWS];

/* One band, one group, some panels. */
typedef struct open_job {
    const bt_gemm_args *args;
    int64_t m0, n_m;           // rows
    int64_t panel, n_panel;    // at most plan->panels
    int64_t end;               // panel behind the last of all
    int64_t group, n_block;    // of K, and the blocks it has
    int64_t panels;            // plan->panels
    open_row *acc[OPEN_GROUP]; // [rows of tiles] each
} open_job;

/* How a file's tiles are driven. */
typedef struct open_plan {
    void (*run)(const open_job *job, void *own); // adds a group's products to acc
    void (*finish)(void *own);                   // what run may have left for later; or NULL
    void *own;                                   // buffers of the file's
    open_row *acc;                               // [OPEN_GROUP, band]
    int64_t band;                                // rows
    int64_t unit;                                // rows of a tile
    int64_t panels;                              // side by side, at most OPEN_GROUP
} open_plan;

TILE_INLINE const uint8_t *group_of_panel(bt_dtype t, const open_job *j, int64_t panel)
{
    return (const uint8_t *)j->args->panels + panel * bt_panel_bytes(t, j->args->n_col) +
           j->group * bt_panel_shape_of(t).group;
}

/* What comes in the place of a group: the panel's next, or the first of the panel that takes this
 * one's place. */
TILE_INLINE const uint8_t *next_group(bt_dtype t, const open_job *j, int64_t panel)
{
    const int64_t bytes = bt_panel_bytes(t, j->args->n_col), step = bt_panel_shape_of(t).group;
    const uint8_t *first = (const uint8_t *)j->args->panels + panel * bytes;
    int64_t next = (j->group + 1) * step;
    return next < bytes ? first + next : first + j->panels * bytes;
}

/* Ask for what lies at `next` as `from` lies in a group, n bytes. */
TILE_INLINE void ask_for(const uint8_t *next, int64_t from, int64_t n)
{
    for (int64_t i = from; i < from + n; i += 64) _mm_prefetch(next + i, _MM_HINT_T1);
}

/* Where the tile that ought to begin at row m of a band does begin: a last one that would reach
 * past the band is moved back over rows that have a tile already, and computes them again. Its
 * accumulators lie at m all the same. */
TILE_INLINE int64_t tile_row(const open_job *j, int64_t m, int64_t unit)
{
    return bt_max_i64(0, bt_min_i64(m, j->n_m - unit));
}

TILE_INLINE void write_band(const open_job *j, int64_t unit)
{
    const bt_gemm_args *a = j->args;
    for (int64_t m = 0; m < j->n_m; m++) {
        int64_t tile = m / unit * unit, at = tile + m - tile_row(j, tile, unit);
        for (int64_t p = 0; p < j->n_panel; p++) {
            int64_t n0 = (j->panel + p) * BT_PANEL_ROWS, left = a->n_row - n0;
            int64_t i = (j->m0 + m) * a->out_stride + n0;
            __mmask16 mask = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xFFFF);
            __m512 sum = _mm512_load_ps(j->acc[p][at]);
            if (a->bias) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, a->bias + n0));
            if (a->residual) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, a->residual + i));
            _mm512_mask_storeu_ps(a->out + i, mask, sum);
        }
    }
}

TILE_INLINE void drive_open(const open_plan *plan, const bt_gemm_args *a, int64_t begin,
                            int64_t end)
{
    const int64_t n_block = a->n_col / BT_BLOCK;
    open_job j = {.args = a, .end = end, .panels = plan->panels};
    for (int i = 0; i < OPEN_GROUP; i++) j.acc[i] = plan->acc + i * plan->band;
    for (j.panel = begin; j.panel < end; j.panel += j.n_panel) {
        j.n_panel = bt_min_i64(end - j.panel, plan->panels);
        for (j.m0 = 0; j.m0 < a->n_m; j.m0 += j.n_m) {
            int64_t rest = a->n_m - j.m0;
            j.n_m = bt_min_i64(plan->band, rest);
            if (rest > j.n_m && rest - j.n_m < plan->unit) j.n_m -= plan->unit; // the last has one
            for (int64_t p = 0; p < j.n_panel; p++)
                memset(j.acc[p], 0, (size_t)bt_round_up(j.n_m, plan->unit) * sizeof(open_row));
            for (j.group = 0; j.group * BT_GROUP_BLOCKS < n_block; j.group++) {
                j.n_block = bt_min_i64(BT_GROUP_BLOCKS, n_block - j.group * BT_GROUP_BLOCKS);
                plan->run(&j, plan->own);
            }
            if (plan->finish) plan->finish(plan->own);
            write_band(&j, plan->unit);
        }
    }
}
