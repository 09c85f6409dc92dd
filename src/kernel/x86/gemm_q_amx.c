// SPDX-License-Identifier: Apache-2.0
/* gemm of quantised weights for AMX. A group's weights are opened as the integers they are in a
 * group, r * (code - offset), 16 bits each, and these as two planes of bytes: high * 256 + low. Both
 * are multiplied by tiles over all of the group's 256 columns, so that nothing has to be scaled on
 * the way. The sums are exact: the bits are those of gemm_avx512vnni.c, which takes the few rows that
 * do not pay for opening.
 *
 *      activations            planes: 16 quads              sums
 *      [16 rows][64 i8]       [16][16 outputs x 4]          [16 rows][16 i32]
 *      tiles 4, 5             low: tile 6, high: tile 7     0, 1: first rows, low and high; 2, 3
 *
 * A unit is two tiles of rows times one panel: 16 tile products, 256 cycles. Its sums leave by way of
 * memory and are scaled, 5 operations for each 16, while the next unit is multiplied: written between
 * its products, for a processor does not look far enough ahead. */
#include "kernel/isa.h"
#include "kernel/x86/gemm_open.h"
#include "kernel/x86/tile_config.h"

enum { UNIT_ROWS = 2 * TILE_ROWS, STEPS = BT_GROUP / 64 };
enum { AMX_ROWS_MIN = 13, AMX_BAND = 512, PLANE_PANELS = 2, FEW_ROWS = 64 };

static void configure(int64_t n_m)
{
    const int64_t n = bt_min_i64(n_m, TILE_ROWS);
    load_tile_config((const int64_t[8]){n, n, n, n, n, n, TILE_ROWS, TILE_ROWS});
}

/* ---- a group of a panel in planes ---- */

typedef struct plane_panel {
    uint8_t low[BT_GROUP / 4][64];
    int8_t high[BT_GROUP / 4][64];
} __attribute__((aligned(64))) plane_panel;

/* Two bytes a word, times r: of one of them r, of the other 0. q8_0's r is unsigned. */
TILE_INLINE __m512i times_r(bt_dtype t, __m512i codes, __m512i r)
{
    if (t != BT_Q8_0) return _mm512_maddubs_epi16(codes, r);
    return _mm512_maddubs_epi16(r, _mm512_xor_si512(codes, _mm512_set1_epi8(-128)));
}

/* A quad's weights, the even columns' and the odd ones' in words, as bytes in two planes. */
TILE_INLINE void open_quad(bt_dtype t, const __m512i codes, const __m512i r, const __m512i r_offset,
                           uint8_t *low, int8_t *high)
{
    const __m512i byte = _mm512_set1_epi16(255);
    __m512i even = times_r(t, codes, r), odd = times_r(t, codes, _mm512_slli_epi16(r, 8));
    if (bt_panel_offset(t) && t != BT_Q8_0) {
        even = _mm512_sub_epi16(even, r_offset);
        odd = _mm512_sub_epi16(odd, r_offset);
    }
    // where `byte` has a bit the first's, else the second's
    _mm512_store_si512(low, _mm512_ternarylogic_epi32(byte, even, _mm512_slli_epi16(odd, 8), 0xCA));
    _mm512_store_si512(high,
                       _mm512_ternarylogic_epi32(byte, _mm512_srli_epi16(even, 8), odd, 0xCA));
}

/* Blocks b .. end of the group at `head`; asks for what lies so at `next`. */
TILE_INLINE void open_blocks(bt_dtype t, const uint8_t *head, const uint8_t *next, int64_t b,
                             int64_t end, plane_panel *w)
{
    const bt_panel_shape s = bt_panel_shape_of(t);
    const int n_quad = 8 / bt_panel_parts(t); // that share an r
    const __m512i offset = _mm512_set1_epi16(bt_panel_offset(t));
    if (!b) ask_for(next, 0, s.head);
    for (; b < end; b++) {
        ask_for(next, s.head + b * s.block, s.block);
#pragma GCC unroll 2
        for (int part = 0; part < bt_panel_parts(t); part++) {
            __m512i wide = load_r(t, head, b, part); // to words, and to bytes in words
            wide = _mm512_mask_blend_epi16(0xAAAAAAAA, wide, _mm512_slli_epi32(wide, 16));
            __m512i r = _mm512_and_si512(wide, _mm512_set1_epi16(255));
            __m512i r_offset = _mm512_mullo_epi16(wide, offset);
#pragma GCC unroll 8
            for (int i = 0; i < n_quad; i++) {
                const int g = part * n_quad + i;
                open_quad(t, load_quad(t, head + s.head + b * s.block, g), r, r_offset,
                          w->low[b * 8 + g], w->high[b * 8 + g]);
            }
        }
    }
}

/* ---- units ---- */

typedef int32_t tile_sums[TILE_ROWS][BT_PANEL_ROWS];

/* A unit that is multiplied and not scaled yet. */
typedef struct pending {
    const tile_sums *sums; // [4]
    const float *scale[2]; // of each tile's rows
    const int16_t *sum[2]; // types with minimums: of these rows' activations
    open_row *acc[2];
    const group_scales *by;
    int n_tile;    // 0: there is none
    int64_t n_row; // of a tile: fewer than 16 where there are no more
} pending;

typedef struct amx_own {
    plane_panel w[PLANE_PANELS];
    group_scales scales[2 * PLANE_PANELS]; // of these panels and those before
    tile_sums sums[2][4];                  // of this unit and of the one before
    open_row acc[OPEN_GROUP * AMX_BAND];
    pending before;
    int turn;              // whose sums are this unit's
    int first_scale;       // of these panels
    const uint8_t *opened; // run_narrow: what w[turn] holds
} __attribute__((aligned(64))) amx_own;

/* Rows of a quarter of the unit: of tile `step` / 2, its first or last 8. */
TILE_INLINE void scale_quarter(bt_dtype t, const pending *u, const int step)
{
    const int tile = step / 2, first = step % 2 * 8;
    if (tile >= u->n_tile) return;
    const group_scales *by = u->by;
    const __m512 d = by->d;
#pragma GCC unroll 8
    for (int i = first; i < first + 8; i++) {
        if (i >= u->n_row) break;
        __m512i sum =
            _mm512_add_epi32(_mm512_load_si512(u->sums[2 * tile][i]),
                             _mm512_slli_epi32(_mm512_load_si512(u->sums[2 * tile + 1][i]), 8));
        __m512 scale = _mm512_set1_ps(u->scale[tile][i]), acc = _mm512_load_ps(u->acc[tile][i]);
        acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(d, scale), acc);
        if (bt_panel_min(t)) {
            const int16_t *blocks = u->sum[tile] + i * BT_GROUP_SUMS + BT_GROUP_HALVES;
            __m512i by_min = _mm512_setzero_si512();
#pragma GCC unroll 4
            for (int p = 0; p < GROUP_PAIRS; p++)
                by_min = _mm512_dpwssd_epi32(by_min, by->mins[p], bcast32(blocks + 2 * p));
            acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(by_min), _mm512_mul_ps(by->m, scale), acc);
        }
        _mm512_store_ps(u->acc[tile][i], acc);
    }
}

TILE_INLINE void multiply(const int8_t *const q[2], const plane_panel *w, const int n_tile,
                          const int64_t step)
{
    _tile_loadd(4, q[0] + step * 64, BT_GROUP);
    _tile_loadd(6, w->low[step * 16], 64);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, w->high[step * 16], 64);
    _tile_dpbssd(1, 4, 7);
    if (n_tile == 1) return;
    _tile_loadd(5, q[1] + step * 64, BT_GROUP);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
}

/* A group to open while another is multiplied. */
typedef struct opening {
    const uint8_t *head, *next;
    int64_t n_block;
    plane_panel *w;
} opening;

/* Multiplies a unit while the one before is scaled and perhaps the one behind opened. */
TILE_INLINE void run_unit(bt_dtype t, const int8_t *const q[2], const plane_panel *w,
                          const int n_tile, int64_t n_step, const pending *before, tile_sums *sums,
                          const opening *behind)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
#pragma GCC unroll 4
    for (int step = 0; step < STEPS; step++) {
        if (step < n_step) multiply(q, w, n_tile, step);
        scale_quarter(t, before, step);
        if (behind)
            open_blocks(t, behind->head, behind->next, 2 * step,
                        bt_min_i64(2 * step + 2, behind->n_block), behind->w);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    if (n_tile == 1) return;
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
}

/* The unit of rows from `at` on; its sums and scales are its caller's. */
TILE_INLINE pending unit_of(const open_job *j, int64_t at, const int8_t *q[2])
{
    const bt_gemm_args *a = j->args;
    pending u = {.n_tile = at + TILE_ROWS < j->n_m ? 2 : 1, .n_row = bt_min_i64(j->n_m, TILE_ROWS)};
    for (int i = 0; i < u.n_tile; i++) {
        int64_t row = j->group * a->n_m + j->m0 + tile_row(j, at + i * TILE_ROWS, TILE_ROWS);
        q[i] = a->act.q + row * BT_GROUP;
        u.scale[i] = a->act.scale + row;
        u.sum[i] = a->act.sum + row * BT_GROUP_SUMS;
    }
    return u;
}

/* All rows of a band times n panels that are open, number `first` of the job and on. */
TILE_INLINE void run_panels(bt_dtype t, const open_job *j, amx_own *o, int64_t first, int64_t n)
{
    const int64_t n_step = bt_div_up(j->n_block, 2);
    pending before = o->before; // here, where no store can be taken for one to it
    for (int64_t at = 0; at < j->n_m; at += UNIT_ROWS) {
        const int8_t *q[2];
        pending u = unit_of(j, at, q);
        for (int64_t p = 0; p < n; p++, o->turn = !o->turn) {
            tile_sums *sums = o->sums[o->turn];
            if (u.n_tile == 2)
                run_unit(t, q, &o->w[p], 2, n_step, &before, sums, NULL);
            else
                run_unit(t, q, &o->w[p], 1, n_step, &before, sums, NULL);
            u.sums = (const tile_sums *)sums;
            u.by = &o->scales[o->first_scale + p];
            for (int i = 0; i < u.n_tile; i++) u.acc[i] = j->acc[first + p] + at + i * TILE_ROWS;
            before = u;
        }
    }
    o->before = before;
}

TILE_INLINE void run_wide(bt_dtype t, const open_job *j, amx_own *o)
{
    for (int64_t i = 0, n; i < j->n_panel; i += n) {
        n = bt_min_i64(PLANE_PANELS, j->n_panel - i);
        for (int64_t p = 0; p < n; p++) {
            int64_t panel = j->panel + i + p;
            const uint8_t *head = group_of_panel(t, j, panel);
            open_blocks(t, head, next_group(t, j, panel), 0, j->n_block, &o->w[p]);
            open_scales(t, head, &o->scales[o->first_scale + p]);
        }
        run_panels(t, j, o, i, n);
        o->first_scale = PLANE_PANELS - o->first_scale;
    }
}

/* One unit of rows, one panel after the other as they lie in memory: while a group is multiplied the
 * one behind it is opened, and the one behind that asked for. */
TILE_INLINE void run_narrow(bt_dtype t, const open_job *j, amx_own *o)
{
    const int64_t n_block = j->args->n_col / BT_BLOCK,
                  n_group = bt_div_up(j->args->n_col, BT_GROUP);
    const int64_t group = (j->group + 1) % n_group;
    const uint8_t *head = group_of_panel(t, j, j->panel), *next = next_group(t, j, j->panel);
    const bool last = !group && j->panel + 1 == j->end;
    plane_panel *w = &o->w[o->turn];
    if (o->opened != head) {
        open_blocks(t, head, next, 0, j->n_block, w);
        open_scales(t, head, &o->scales[o->first_scale]);
    }
    opening behind = {.head = next,
                      .next = next + bt_panel_shape_of(t).group,
                      .n_block =
                          last ? 0 : bt_min_i64(BT_GROUP_BLOCKS, n_block - group * BT_GROUP_BLOCKS),
                      .w = &o->w[!o->turn]};
    const int8_t *q[2];
    pending u = unit_of(j, 0, q), before = o->before;
    u.sums = (const tile_sums *)o->sums[o->turn];
    u.by = &o->scales[o->first_scale];
    for (int i = 0; i < u.n_tile; i++) u.acc[i] = j->acc[0] + i * TILE_ROWS;
    const int64_t n_step = bt_div_up(j->n_block, 2);
    if (u.n_tile == 2)
        run_unit(t, q, w, 2, n_step, &before, o->sums[o->turn], &behind);
    else
        run_unit(t, q, w, 1, n_step, &before, o->sums[o->turn], &behind);
    o->before = u;
    o->turn = !o->turn;
    o->first_scale = (o->first_scale + 1) % (2 * PLANE_PANELS);
    if (!last) open_scales(t, next, &o->scales[o->first_scale]);
    o->opened = last ? NULL : next;
}

TILE_INLINE void run_group(bt_dtype t, const open_job *j, amx_own *o)
{
    if (j->panels == 1)
        run_narrow(t, j, o);
    else
        run_wide(t, j, o);
}

TILE_INLINE void finish(bt_dtype t, amx_own *o)
{
#pragma GCC unroll 4
    for (int step = 0; step < STEPS; step++) scale_quarter(t, &o->before, step);
    o->before.n_tile = 0;
}

static void run_amx(void (*run)(const open_job *, void *), void (*end_of_band)(void *),
                    const bt_gemm_args *a, int64_t begin, int64_t end)
{
    amx_own own;
    own.turn = own.first_scale = 0;
    own.before.n_tile = 0;
    own.opened = NULL;
    configure(a->n_m);
    drive_open(&(open_plan){run, end_of_band, &own, own.acc, AMX_BAND, TILE_ROWS,
                            a->n_m <= UNIT_ROWS  ? 1
                            : a->n_m <= FEW_ROWS ? PLANE_PANELS
                                                 : OPEN_GROUP},
               a, begin, end);
    _tile_release();
}

#define GEMM(lower, upper)                                                                         \
    static void run_##lower(const open_job *job, void *own) { run_group(BT_##upper, job, own); }   \
    static void finish_##lower(void *own) { finish(BT_##upper, own); }                             \
    void bt_gemm_##lower##_amx(const void *args, int64_t begin, int64_t end)                       \
    {                                                                                              \
        const bt_gemm_args *a = args;                                                              \
        if (a->n_m < AMX_ROWS_MIN || begin >= end)                                                 \
            bt_gemm_##lower##_avx512vnni(args, begin, end);                                        \
        else                                                                                       \
            run_amx(run_##lower, finish_##lower, a, begin, end);                                   \
    }

GEMM(q8_0, Q8_0)
GEMM(q4_0, Q4_0)
GEMM(q4_1, Q4_1)
GEMM(q5_0, Q5_0)
GEMM(q5_1, Q5_1)
GEMM(q4_k, Q4_K)
GEMM(q5_k, Q5_K)
GEMM(q6_k, Q6_K)
