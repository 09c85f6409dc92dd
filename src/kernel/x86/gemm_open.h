// SPDX-License-Identifier: Apache-2.0
/* gemm_open: quantised panels read with AVX-512, and the loops for many rows, shared by VNNI and
 * AMX.
 *
 * With few rows a block's codes are unpacked on the way into the multiplier. With many that would
 * be done again for every few rows, so a chunk of K is opened once into a buffer that lies in L1,
 * one byte a code and scales in f32, and all rows of a band pass over it:
 *
 *   for a group of panels
 *     for a band of rows
 *       for a chunk of K     gather the band's activations: dense, for strides of 2^n share few sets
 *         for few panels     open their blocks
 *           the tiles        of VNNI or AMX; accumulators lie in `acc` between chunks
 *       add bias and residual, write
 *
 * A job is 170 KiB of stack. The float operations of an output and their order are those of the
 * direct tiles. */
#pragma once
#include <immintrin.h>
#include "kernel/panel.h"
#include "kernel/x86/gemm_drive.h"

TILE_INLINE bool has_fifth(bt_dtype t) { return t == BT_Q5_0 || t == BT_Q5_1 || t == BT_Q5_K; }
TILE_INLINE bool has_min(bt_dtype t)
{
    return t == BT_Q4_1 || t == BT_Q5_1 || t == BT_Q4_K || t == BT_Q5_K;
}

/* ---- a panel's block ---- */

/* Quad g of a block: 64 unsigned codes; see panel.h. */
TILE_INLINE __m512i load_quad(bt_dtype t, const uint8_t *block, const int g)
{
    if (t == BT_Q8_0) return _mm512_load_si512(block + g * 64);
    const uint8_t *low = block + (has_fifth(t) ? 64 : t == BT_Q6_K ? 128 : 0);
    __m512i raw = _mm512_load_si512(low + g % 4 * 64);
    if (g >= 4) raw = _mm512_srli_epi16(raw, 4);
    __m512i codes = _mm512_and_si512(raw, _mm512_set1_epi8(15));
    if (has_fifth(t)) {
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

/* The 16 rows' scale for one half of block `at` of a chunk. */
TILE_INLINE __m512 load_scale(bt_dtype t, const uint8_t *head, int64_t at, int half)
{
    if (t == BT_Q8_0 || t == BT_Q4_0 || t == BT_Q5_0) return load_half(head + at * 32);
    if (t == BT_Q4_1 || t == BT_Q5_1) return load_half(head);
    __m128i small = _mm_load_si128((const __m128i *)(head + 64 + at * 32 + half * 16));
    __m512i wide = t == BT_Q6_K ? _mm512_cvtepi8_epi32(small) : _mm512_cvtepu8_epi32(small);
    return _mm512_mul_ps(load_half(head), _mm512_cvtepi32_ps(wide));
}

/* What the sum of activations is multiplied with. */
TILE_INLINE __m512 load_min(bt_dtype t, const uint8_t *head, int64_t at)
{
    if (t == BT_Q4_1 || t == BT_Q5_1) return load_half(head + 32);
    __m128i small = _mm_load_si128((const __m128i *)(head + 80 + at * 32));
    __m512 min = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(small));
    return _mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(load_half(head + 32), min));
}

/* Two 16-bit factors whose vpmaddwd with a block's pair of sums is -offset times the sum of its
 * activations: both halves, or the one that has its own scale. */
TILE_INLINE int offset_pair(bt_dtype t, int half)
{
    const unsigned off = (unsigned)-bt_panel_offset(t);
    return t != BT_Q6_K ? (int)((off & 0xFFFF) | off << 16)
           : half       ? (int)(off << 16)
                        : (int)(off & 0xFFFF);
}

/* ---- opened ---- */

enum { OPEN_BLOCKS = 8, OPEN_PANELS = 3, OPEN_BAND = 128, OPEN_GROUP = 12 };

typedef struct open_block {
    uint8_t q[8][64]; // quads: unsigned codes, or signed with the offset taken out
    float d[2][BT_PANEL_ROWS];
    float m[BT_PANEL_ROWS]; // types with minimums
} __attribute__((aligned(64))) open_block;

/* A band's activations in a chunk. */
typedef struct open_rows {
    int8_t q[OPEN_BAND][OPEN_BLOCKS * BT_ACT_BLOCK];
    float scale[OPEN_BAND][OPEN_BLOCKS];
    float shift[OPEN_BAND][OPEN_BLOCKS];      // scale * sum, for the minimums
    int32_t start[2][OPEN_BAND][OPEN_BLOCKS]; // -offset * sum, of the block or of its halves
} __attribute__((aligned(64))) open_rows;

typedef float open_acc[OPEN_BAND][BT_PANEL_ROWS]; // of one panel

typedef struct open_job {
    const bt_gemm_args *args;
    open_block w[OPEN_PANELS][OPEN_BLOCKS];
    open_rows rows;
    open_acc acc[OPEN_GROUP] __attribute__((aligned(64)));
    int64_t m0, n_m; // the band
    int64_t k0, n_k; // the chunk's blocks
} open_job;

TILE_INLINE void open_one(bt_dtype t, const bool sign, const uint8_t *head, const uint8_t *block,
                          int64_t at, open_block *w)
{
    const int off = bt_panel_offset(t);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        __m512i codes = load_quad(t, block, g);
        if (sign && off) codes = _mm512_sub_epi8(codes, _mm512_set1_epi8((char)off));
        _mm512_store_si512(w->q[g], codes);
    }
    _mm512_store_ps(w->d[0], load_scale(t, head, at, 0));
    if (t == BT_Q6_K) _mm512_store_ps(w->d[1], load_scale(t, head, at, 1));
    if (has_min(t)) _mm512_store_ps(w->m, load_min(t, head, at));
}

/* Blocks k0 .. k0 + n_k of one panel; asks for the bytes `ahead` of them. */
TILE_INLINE void open_chunk(bt_dtype t, const bool sign, const uint8_t *panel, int64_t ahead,
                            const open_job *j, open_block *w)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const int64_t step = s.head + s.chunk * s.block;
    const uint8_t *head = panel + j->k0 / s.chunk * step;
    for (int64_t b = 0; b < j->n_k; head += step) {
        for (int64_t i = 0; i < s.head; i += 64) _mm_prefetch(head + ahead + i, _MM_HINT_T0);
        for (int64_t at = 0; at < s.chunk && b < j->n_k; at++, b++) {
            const uint8_t *block = head + s.head + at * s.block;
            for (int64_t i = 0; i < s.block; i += 64) _mm_prefetch(block + ahead + i, _MM_HINT_T0);
            open_one(t, sign, head, block, at, w + b);
        }
    }
}

TILE_INLINE void gather_rows(bt_dtype t, const bool sign, open_job *j)
{
    const bt_act *act = &j->args->act;
    const int64_t n_block = j->args->n_col / BT_ACT_BLOCK;
    const __mmask8 mask = (__mmask8)((1u << j->n_k) - 1);
    open_rows *r = &j->rows;
    for (int64_t m = 0; m < j->n_m; m++) {
        int64_t at = (j->m0 + m) * n_block + j->k0;
        const int8_t *q = act->q + at * BT_ACT_BLOCK;
        for (int64_t i = 0; i < j->n_k * BT_ACT_BLOCK; i += 64) {
            __mmask8 part = i + 64 > j->n_k * BT_ACT_BLOCK ? 0x0F : 0xFF;
            _mm_prefetch(q + i + OPEN_BLOCKS * BT_ACT_BLOCK, _MM_HINT_T0);
            _mm512_store_si512(r->q[m] + i, _mm512_maskz_loadu_epi64(part, q + i));
        }
        __m256 scale = _mm256_maskz_loadu_ps(mask, act->scale + at);
        __m256i sum = _mm256_maskz_loadu_epi32(mask, act->sum + at * 2);
        _mm256_store_ps(r->scale[m], scale);
        if (has_min(t)) {
            __m256i total = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
            _mm256_store_ps(r->shift[m], _mm256_mul_ps(_mm256_cvtepi32_ps(total), scale));
        }
        for (int h = 0; !sign && h < (t == BT_Q6_K ? 2 : 1); h++)
            _mm256_store_si256((__m256i *)r->start[h][m],
                               _mm256_madd_epi16(sum, _mm256_set1_epi32(offset_pair(t, h))));
    }
}

/* How a file's tiles are driven. */
typedef struct open_plan {
    void (*run)(open_job *job, open_acc *acc, int64_t n_panel); // the chunk of opened panels
    int64_t width;                                              // panels opened together
    int64_t unit;                                               // rows of a tile
    bool sign;
} open_plan;

/* Where the tile that ought to begin at row m of a band does begin: a last one that would reach
 * past the band is moved back over rows that have a tile already, and computes them again. Its
 * accumulators lie at m all the same. */
TILE_INLINE int64_t tile_row(const open_job *j, int64_t m, int64_t unit)
{
    return bt_max_i64(0, bt_min_i64(m, j->n_m - unit));
}

TILE_INLINE void write_band(const open_job *j, int64_t unit, int64_t panel, int64_t n_panel)
{
    const bt_gemm_args *a = j->args;
    for (int64_t m = 0; m < j->n_m; m++) {
        int64_t tile = m / unit * unit, at = tile + m - tile_row(j, tile, unit);
        for (int64_t p = 0; p < n_panel; p++) {
            int64_t n0 = (panel + p) * BT_PANEL_ROWS, left = a->n_row - n0;
            int64_t i = (j->m0 + m) * a->out_stride + n0;
            __mmask16 mask = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xFFFF);
            __m512 sum = _mm512_load_ps(j->acc[p][at]);
            if (a->bias) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, a->bias + n0));
            if (a->residual) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, a->residual + i));
            _mm512_mask_storeu_ps(a->out + i, mask, sum);
        }
    }
}

TILE_INLINE void run_band(bt_dtype t, const open_plan *plan, open_job *j, int64_t p,
                          int64_t n_panel)
{
    const int64_t n_block = j->args->n_col / BT_ACT_BLOCK;
    const bt_panel_shape s = bt_panel_shape_of(t);
    const int64_t bytes = bt_panel_bytes(t, j->args->n_col);
    for (j->k0 = 0; j->k0 < n_block; j->k0 += OPEN_BLOCKS) {
        int64_t done = j->k0 / s.chunk * (s.head + s.chunk * s.block); // of the panel's bytes
        int64_t ahead = OPEN_BLOCKS / s.chunk * (s.head + s.chunk * s.block);
        if (done + ahead >= bytes) ahead = OPEN_GROUP * bytes - done;
        j->n_k = bt_min_i64(OPEN_BLOCKS, n_block - j->k0);
        gather_rows(t, plan->sign, j);
        for (int64_t i = 0, n; i < n_panel; i += n) {
            n = bt_min_i64(plan->width, n_panel - i);
            for (int64_t o = 0; o < n; o++)
                open_chunk(t, plan->sign, (const uint8_t *)j->args->panels + (p + i + o) * bytes,
                           ahead, j, j->w[o]);
            plan->run(j, j->acc + i, n);
        }
    }
}

TILE_INLINE void drive_open(bt_dtype t, const open_plan *plan, const bt_gemm_args *a, int64_t begin,
                            int64_t end)
{
    open_job j;
    j.args = a;
    for (int64_t p = begin, n_panel; p < end; p += n_panel) {
        n_panel = bt_min_i64(end - p, OPEN_GROUP);
        for (j.m0 = 0; j.m0 < a->n_m; j.m0 += j.n_m) {
            int64_t rest = a->n_m - j.m0;
            j.n_m = bt_min_i64(OPEN_BAND, rest);
            if (rest > j.n_m && rest - j.n_m < plan->unit) j.n_m -= plan->unit; // the last has one
            run_band(t, plan, &j, p, n_panel);
            write_band(&j, plan->unit, p, n_panel);
        }
    }
}
