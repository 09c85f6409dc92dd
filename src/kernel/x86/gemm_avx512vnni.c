// SPDX-License-Identifier: Apache-2.0
/* gemm of quantised weights for AVX-512 VNNI: vpdpbusd multiplies a quad of 16 rows x 4 columns of
 * unsigned weights with 4 signed activations that are broadcast from memory.
 *
 * A tile is `height` rows of activations times `width` panels. In a block each output has an integer
 * sum, started at the offset's compensation (one vpmaddwd of the activation's pair of sums), which
 * goes times r into the group's. After 8 blocks one conversion, one product of scales and one fma.
 * 4 x 3 outputs of 16 lanes fill the register file: the block's sums and the group's, the weights,
 * the broadcasts.
 *
 * Multiplying 32 bits takes two operations and adding one, to 8 products. Sums of codes of 4 bits
 * fit 16 bits, once they are signed (|code - 8| <= 8): those of two blocks are put side by side and
 * one vpdpwssd adds both, 3 operations to 16. Types whose codes have no offset get theirs back, 8
 * times r times the sums of activations. */
#include "kernel/isa.h"
#include "kernel/x86/gemm_open.h"

/* acc += weights (unsigned) * the 4 activations at `a` (signed), broadcast on the way. */
TILE_INLINE __m512i dot_quad(__m512i acc, __m512i weights, const int8_t *a)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(weights), "m"(*(const int32_t *)a));
    return acc;
}

/* Codes of 4 bits; and the offset that sums are made with. */
TILE_INLINE bool is_nibble(bt_dtype t)
{
    return !bt_panel_fifth(t) && t != BT_Q6_K && t != BT_Q8_0;
}
TILE_INLINE int sum_offset(bt_dtype t) { return is_nibble(t) ? 8 : bt_panel_offset(t); }

/* The words of two vectors of 32-bit numbers that fit them, side by side. */
TILE_INLINE __m512i side_by_side(__m512i even, __m512i odd)
{
    return _mm512_mask_blend_epi16(0xAAAAAAAA, even, _mm512_slli_epi32(odd, 16));
}

/* The r of a pair of blocks. A block that the last group lacks has 0. */
TILE_INLINE __m512i load_r_pair(bt_dtype t, const uint8_t *head, int64_t pair)
{
    return side_by_side(load_r(t, head, 2 * pair, 0), load_r(t, head, 2 * pair + 1, 0));
}

/* What a group's sums come to: acc += f32(sum) * (d * scale). */
TILE_INLINE void add_scaled(float *acc, __m512i sum, __m512 d, float scale)
{
    __m512 factor = _mm512_mul_ps(d, _mm512_set1_ps(scale));
    _mm512_store_ps(acc, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factor, _mm512_load_ps(acc)));
}

/* Words for each pair of blocks of a group (minimums, or r) times the sums of these of a row. */
TILE_INLINE __m512i times_sums(const __m512i mins[GROUP_PAIRS], const int16_t *sum)
{
    __m512i total = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < GROUP_PAIRS; i++)
        total = _mm512_dpwssd_epi32(total, mins[i], bcast32(sum + BT_GROUP_HALVES + 2 * i));
    return total;
}

/* ---- many rows: opened panels, 4 rows x 3 panels ---- */

enum { OPEN_HEIGHT = 4, OPEN_PANELS = 3, OPEN_BAND = 128 };

/* Two blocks' sums leave room for 4 x 2. */
TILE_INLINE int open_width(bt_dtype t) { return is_nibble(t) ? 2 : OPEN_PANELS; }

/* A group of a panel: codes, one byte each, and all that goes with them. */
typedef struct open_panel {
    uint8_t q[BT_GROUP_BLOCKS][8][64];
    int32_t r[BT_GROUP_BLOCKS][2][BT_PANEL_ROWS];
    __m512i r_pairs[GROUP_PAIRS]; // codes of 4 bits: r of two blocks, side by side
    group_scales by;
} __attribute__((aligned(64))) open_panel;

typedef struct open_own {
    open_panel w[OPEN_PANELS];
    int32_t start[2][OPEN_BAND][BT_GROUP_BLOCKS]; // -offset * sum, of a block or of its halves
    open_row acc[OPEN_GROUP * OPEN_BAND];
} __attribute__((aligned(64))) open_own;

TILE_INLINE void open_group(bt_dtype t, const uint8_t *head, const uint8_t *next, int64_t n_block,
                            open_panel *w)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    ask_for(next, 0, s.head);
    for (int64_t b = 0; b < n_block; b++) {
        ask_for(next, s.head + b * s.block, s.block);
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            _mm512_store_si512(w->q[b][g], load_quad(t, head + s.head + b * s.block, g));
#pragma GCC unroll 2
        for (int part = 0; part < bt_panel_parts(t); part++)
            _mm512_store_si512(w->r[b][part], load_r(t, head, b, part));
    }
    for (int i = 0; is_nibble(t) && i < GROUP_PAIRS; i++) w->r_pairs[i] = load_r_pair(t, head, i);
    open_scales(t, head, &w->by);
}

TILE_INLINE void prepare_rows(bt_dtype t, const open_job *j, open_own *o)
{
    const int16_t *sum = j->args->act.sum + (j->group * j->args->n_m + j->m0) * BT_GROUP_SUMS;
    for (int64_t m = 0; sum_offset(t) && m < j->n_m; m++, sum += BT_GROUP_SUMS) {
        __m256i pair = _mm256_loadu_si256((const __m256i *)sum);
#pragma GCC unroll 2
        for (int h = 0; h < bt_panel_parts(t); h++)
            _mm256_store_si256(
                (__m256i *)o->start[h][m],
                _mm256_madd_epi16(pair, _mm256_set1_epi32(offset_pair(t, sum_offset(t), h))));
    }
}

/* The sums of one part of a block. A broadcast serves the panels, a quad the rows: 7 loads for 12
 * products. */
TILE_INLINE void open_sums(bt_dtype t, const int width, const open_own *o, const int8_t *q,
                           int64_t m, int64_t b, const int part,
                           __m512i sum[OPEN_HEIGHT][OPEN_PANELS])
{
    const int g0 = t == BT_Q6_K ? part * 4 : 0, g1 = t == BT_Q6_K ? g0 + 4 : 8;
#pragma GCC unroll 4
    for (int r = 0; r < OPEN_HEIGHT; r++)
#pragma GCC unroll 3
        for (int p = 0; p < width; p++)
            sum[r][p] = sum_offset(t) ? _mm512_set1_epi32(o->start[part][m + r][b])
                                      : _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int g = g0; g < g1; g++) {
        __m512i w[OPEN_PANELS];
#pragma GCC unroll 3
        for (int p = 0; p < width; p++) w[p] = _mm512_load_si512(o->w[p].q[b][g]);
#pragma GCC unroll 4
        for (int r = 0; r < OPEN_HEIGHT; r++) {
            __m512i a = bcast32(q + r * BT_GROUP + b * BT_BLOCK + g * 4);
#pragma GCC unroll 3
            for (int p = 0; p < width; p++) sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], w[p], a);
        }
    }
}

TILE_INLINE void open_part(bt_dtype t, const int width, const open_own *o, const int8_t *q,
                           int64_t m, int64_t b, const int part,
                           __m512i group[OPEN_HEIGHT][OPEN_PANELS])
{
    __m512i sum[OPEN_HEIGHT][OPEN_PANELS];
    open_sums(t, width, o, q, m, b, part, sum);
#pragma GCC unroll 3
    for (int p = 0; p < width; p++) {
        __m512i factor = _mm512_load_si512(o->w[p].r[b][part]);
#pragma GCC unroll 4
        for (int r = 0; r < OPEN_HEIGHT; r++)
            group[r][p] = _mm512_add_epi32(group[r][p], _mm512_mullo_epi32(sum[r][p], factor));
    }
}

/* A pair of blocks with codes of 4 bits. */
TILE_INLINE void open_pair(bt_dtype t, const int width, const open_own *o, const int8_t *q,
                           int64_t m, int64_t b, __m512i group[OPEN_HEIGHT][OPEN_PANELS])
{
    __m512i even[OPEN_HEIGHT][OPEN_PANELS], odd[OPEN_HEIGHT][OPEN_PANELS];
    open_sums(t, width, o, q, m, b, 0, even);
    open_sums(t, width, o, q, m, b + 1, 0, odd);
#pragma GCC unroll 3
    for (int p = 0; p < width; p++)
#pragma GCC unroll 4
        for (int r = 0; r < OPEN_HEIGHT; r++)
            group[r][p] = _mm512_dpwssd_epi32(group[r][p], side_by_side(even[r][p], odd[r][p]),
                                              o->w[p].r_pairs[b / 2]);
}

TILE_INLINE void open_tile(bt_dtype t, const int width, const open_job *j, const open_own *o,
                           int64_t i, int64_t at)
{
    const int64_t m = tile_row(j, at, OPEN_HEIGHT), row = j->group * j->args->n_m + j->m0 + m;
    const int8_t *q = j->args->act.q + row * BT_GROUP;
    const int16_t *sum = j->args->act.sum + row * BT_GROUP_SUMS;
    __m512i group[OPEN_HEIGHT][OPEN_PANELS];
#pragma GCC unroll 4
    for (int r = 0; r < OPEN_HEIGHT; r++)
#pragma GCC unroll 3
        for (int p = 0; p < width; p++)
            group[r][p] =
                is_nibble(t) && !bt_panel_offset(t)
                    ? _mm512_slli_epi32(times_sums(o->w[p].r_pairs, sum + r * BT_GROUP_SUMS), 3)
                    : _mm512_setzero_si512();
    for (int64_t b = 0; is_nibble(t) && b < j->n_block; b += 2)
        open_pair(t, width, o, q, m, b, group);
    for (int64_t b = 0; !is_nibble(t) && b < j->n_block; b++) {
        open_part(t, width, o, q, m, b, 0, group);
        if (bt_panel_parts(t) == 2) open_part(t, width, o, q, m, b, 1, group);
    }
#pragma GCC unroll 4
    for (int r = 0; r < OPEN_HEIGHT; r++) {
        float scale = j->args->act.scale[row + r];
#pragma GCC unroll 3
        for (int p = 0; p < width; p++) {
            float *acc = j->acc[i + p][at + r];
            add_scaled(acc, group[r][p], o->w[p].by.d, scale);
            if (bt_panel_min(t))
                add_scaled(acc, times_sums(o->w[p].by.mins, sum + r * BT_GROUP_SUMS), o->w[p].by.m,
                           scale);
        }
    }
}

TILE_INLINE void open_tiles(bt_dtype t, const open_job *j, open_own *o)
{
    prepare_rows(t, j, o);
    for (int64_t i = 0, n; i < j->n_panel; i += n) {
        n = bt_min_i64(open_width(t), j->n_panel - i);
        for (int64_t p = 0; p < n; p++) {
            int64_t panel = j->panel + i + p;
            open_group(t, group_of_panel(t, j, panel), next_group(t, j, panel), j->n_block,
                       &o->w[p]);
        }
        for (int64_t at = 0; at < j->n_m; at += OPEN_HEIGHT) {
            if (n == 3)
                open_tile(t, open_width(t), j, o, i, at);
            else if (n == 2)
                open_tile(t, 2, j, o, i, at);
            else
                open_tile(t, 1, j, o, i, at);
        }
    }
}

/* ---- few rows: codes unpacked on the way ---- */

enum { TALL = TILE_HEIGHTS };
enum { PAIR_TILE = 9 }; // outputs of which registers hold two sums each beside the group's
enum { AHEAD = 2048, AHEAD_TALL = 4096 }; // bytes: what comes in memory's latency, and to spare

/* -offset times the sum of a block's activations, or of half of them. */
TILE_INLINE __m512i compensation(bt_dtype t, const int16_t *sum, int half)
{
    if (!sum_offset(t)) return _mm512_setzero_si512();
    return _mm512_madd_epi16(bcast32(sum), _mm512_set1_epi32(offset_pair(t, sum_offset(t), half)));
}

/* The sums of one part of block b of the group whose rows begin at `row`. */
TILE_INLINE void block_sums(bt_dtype t, const int height, const int width, const tile_job *job,
                            const uint8_t *head, int64_t row, int64_t b, const int part,
                            __m512i sum[TALL][3])
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const bt_act *act = &job->args->act;
    const uint8_t *block = head + s.head + b * s.block;
    const int g0 = t == BT_Q6_K ? part * 4 : 0, g1 = t == BT_Q6_K ? g0 + 4 : 8;
#pragma GCC unroll 12
    for (int m = 0; m < height; m++) {
        __m512i start = compensation(t, act->sum + (row + m) * BT_GROUP_SUMS + b * 2, part);
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) sum[m][p] = start;
    }
    const int8_t *q = act->q + row * BT_GROUP + b * BT_BLOCK;
#pragma GCC unroll 8
    for (int g = g0; g < g1; g++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) {
            __m512i w = load_quad(t, block + p * job->panel_bytes, g);
#pragma GCC unroll 12
            for (int m = 0; m < height; m++)
                sum[m][p] = dot_quad(sum[m][p], w, q + m * BT_GROUP + g * 4);
        }
}

TILE_INLINE void add_part(bt_dtype t, const int height, const int width, const tile_job *job,
                          const uint8_t *head, int64_t row, int64_t b, const int part,
                          __m512i group[TALL][3])
{
    __m512i sum[TALL][3];
    block_sums(t, height, width, job, head, row, b, part, sum);
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512i r = load_r(t, head + p * job->panel_bytes, b, part);
#pragma GCC unroll 12
        for (int m = 0; m < height; m++)
            group[m][p] = _mm512_add_epi32(group[m][p], _mm512_mullo_epi32(sum[m][p], r));
    }
}

/* Blocks b and b + 1 with codes of 4 bits. */
TILE_INLINE void add_pair(bt_dtype t, const int height, const int width, const tile_job *job,
                          const uint8_t *head, int64_t row, int64_t b, __m512i group[TALL][3])
{
    __m512i even[TALL][3], odd[TALL][3];
    block_sums(t, height, width, job, head, row, b, 0, even);
    block_sums(t, height, width, job, head, row, b + 1, 0, odd);
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512i r = load_r_pair(t, head + p * job->panel_bytes, b / 2);
#pragma GCC unroll 12
        for (int m = 0; m < height; m++)
            group[m][p] = _mm512_dpwssd_epi32(group[m][p], side_by_side(even[m][p], odd[m][p]), r);
    }
}

/* Codes without an offset were summed with one: 8 times r times the sums goes back. */
TILE_INLINE void give_back(bt_dtype t, const int height, const int width, const tile_job *job,
                           const uint8_t *head, int64_t row, __m512i group[TALL][3])
{
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512i r[GROUP_PAIRS];
#pragma GCC unroll 4
        for (int i = 0; i < GROUP_PAIRS; i++) r[i] = load_r_pair(t, head + p * job->panel_bytes, i);
#pragma GCC unroll 12
        for (int m = 0; m < height; m++) {
            __m512i off = times_sums(r, job->args->act.sum + (row + m) * BT_GROUP_SUMS);
            group[m][p] = _mm512_add_epi32(group[m][p], _mm512_slli_epi32(off, 3));
        }
    }
}

TILE_INLINE void add_mins(bt_dtype t, const int height, const int width, const tile_job *job,
                          const uint8_t *head, int64_t row)
{
    const bt_act *act = &job->args->act;
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512i mins[GROUP_PAIRS];
        __m512 d = load_m(t, head + p * job->panel_bytes);
#pragma GCC unroll 4
        for (int i = 0; i < GROUP_PAIRS; i++)
            mins[i] = load_mins(t, head + p * job->panel_bytes, i);
#pragma GCC unroll 12
        for (int m = 0; m < height; m++)
            add_scaled(job->acc + m * ACC_STRIDE + p * 16,
                       times_sums(mins, act->sum + (row + m) * BT_GROUP_SUMS), d,
                       act->scale[row + m]);
    }
}

/* Ask for the weights that will be wanted AHEAD bytes later (of one panel alone, whose stream is the
 * only one, further); past the end of a panel that is the start of the one that takes its place in
 * the next group. */
TILE_INLINE void ask_ahead(const tile_job *job, const int width, const uint8_t *block, int64_t n)
{
    const uint8_t *from = block + (width == 1 ? AHEAD_TALL : AHEAD);
    if (from >= job->panels + job->panel_bytes) from += (width - 1) * job->panel_bytes;
#pragma GCC unroll 4
    for (int p = 0; p < width; p++)
        for (int64_t i = 0; i < n; i += 64)
            _mm_prefetch(from + p * job->panel_bytes + i, _MM_HINT_T0);
}

TILE_INLINE void add_group(bt_dtype t, const int height, const int width, const tile_job *job,
                           const uint8_t *head, int64_t row, int64_t n_block)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    __m512i group[TALL][3];
#pragma GCC unroll 12
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++) group[m][p] = _mm512_setzero_si512();
    const bool pairs = is_nibble(t) && height * width <= PAIR_TILE;
    int64_t b = 0;
    ask_ahead(job, width, head, s.head);
    for (; pairs && b + 2 <= n_block; b += 2) {
        ask_ahead(job, width, head + s.head + b * s.block, 2 * s.block);
        add_pair(t, height, width, job, head, row, b, group);
    }
    for (; b < n_block; b++) {
        ask_ahead(job, width, head + s.head + b * s.block, s.block);
        add_part(t, height, width, job, head, row, b, 0, group);
        if (bt_panel_parts(t) == 2) add_part(t, height, width, job, head, row, b, 1, group);
    }
    if (is_nibble(t) && !bt_panel_offset(t)) give_back(t, height, width, job, head, row, group);
#pragma GCC unroll 4
    for (int p = 0; p < width; p++) {
        __m512 d = load_d(t, head + p * job->panel_bytes);
#pragma GCC unroll 12
        for (int m = 0; m < height; m++)
            add_scaled(job->acc + m * ACC_STRIDE + p * 16, group[m][p], d,
                       job->args->act.scale[row + m]);
    }
    if (bt_panel_min(t)) add_mins(t, height, width, job, head, row);
}

/* The whole of K: groups k0 (0) .. k1. */
TILE_INLINE void tile(bt_dtype t, const int height, const int width, const tile_job *job)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const int64_t n_block = job->args->n_col / BT_BLOCK;
#pragma GCC unroll 12
    for (int m = 0; m < height; m++)
#pragma GCC unroll 4
        for (int p = 0; p < width; p++)
            _mm512_store_ps(job->acc + m * ACC_STRIDE + p * 16, _mm512_setzero_ps());
    for (int64_t k = job->k0; k < job->k1; k++)
        add_group(t, height, width, job, job->panels + k * s.group, k * job->args->n_m + job->m0,
                  bt_min_i64(BT_GROUP_BLOCKS, n_block - k * BT_GROUP_BLOCKS));
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
#define TALL_TILES(lower, upper)                                                                   \
    TILE(lower, upper, 5, 1)                                                                       \
    TILE(lower, upper, 6, 1)                                                                       \
    TILE(lower, upper, 7, 1)                                                                       \
    TILE(lower, upper, 8, 1)                                                                       \
    TILE(lower, upper, 9, 1)                                                                       \
    TILE(lower, upper, 10, 1)                                                                      \
    TILE(lower, upper, 11, 1)                                                                      \
    TILE(lower, upper, 12, 1)
#define TILE_ROW(lower, width)                                                                     \
    {                                                                                              \
        tile_##lower##_1_##width, tile_##lower##_2_##width, tile_##lower##_3_##width,              \
            tile_##lower##_4_##width                                                               \
    }
#define TALL_ROW(lower)                                                                            \
    {                                                                                              \
        NULL, NULL, NULL, NULL, tile_##lower##_5_1, tile_##lower##_6_1, tile_##lower##_7_1,        \
            tile_##lower##_8_1, tile_##lower##_9_1, tile_##lower##_10_1, tile_##lower##_11_1,      \
            tile_##lower##_12_1                                                                    \
    }

static void run_open(void (*run)(const open_job *, void *), const bt_gemm_args *a, int64_t begin,
                     int64_t end)
{
    open_own own;
    drive_open(&(open_plan){run, NULL, &own, own.acc, OPEN_BAND, OPEN_HEIGHT, OPEN_GROUP}, a, begin,
               end);
}

#define GEMM(lower, upper)                                                                         \
    TILES(lower, upper, 1)                                                                         \
    TILES(lower, upper, 2)                                                                         \
    TILES(lower, upper, 3)                                                                         \
    TALL_TILES(lower, upper)                                                                       \
    static void open_##lower(const open_job *job, void *own) { open_tiles(BT_##upper, job, own); } \
    void bt_gemm_##lower##_avx512vnni(const void *args, int64_t begin, int64_t end)                \
    {                                                                                              \
        static tile_fn *const low[3][TILE_HEIGHTS] = {TILE_ROW(lower, 1), TILE_ROW(lower, 2),      \
                                                      TILE_ROW(lower, 3)};                         \
        static tile_fn *const tall[1][TILE_HEIGHTS] = {TALL_ROW(lower)};                           \
        const bt_gemm_args *a = args;                                                              \
        const int64_t n_group = bt_div_up(a->n_col, BT_GROUP);                                     \
        if (a->n_m <= 4)                                                                           \
            drive_gemm(&(tile_set){low, 4, 3, BT_##upper, n_group, 0}, a, begin, end);             \
        else if (a->n_m <= TALL)                                                                   \
            drive_gemm(&(tile_set){tall, TALL, 1, BT_##upper, n_group, 0}, a, begin, end);         \
        else                                                                                       \
            run_open(open_##lower, a, begin, end);                                                 \
    }

GEMM(q8_0, Q8_0)
GEMM(q4_0, Q4_0)
GEMM(q4_1, Q4_1)
GEMM(q5_0, Q5_0)
GEMM(q5_1, Q5_1)
GEMM(q4_k, Q4_K)
GEMM(q5_k, Q5_K)
GEMM(q6_k, Q6_K)
