// SPDX-License-Identifier: Apache-2.0
/* panel: packing and opening, scalar; the layouts are drawn in panel.h. */
#include "kernel/panel.h"
#include "base/bits.h"
#include "tensor/blocks.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <math.h>

int64_t bt_panel_bytes(bt_dtype dtype, int64_t n_col)
{
    if (dtype == BT_F32) return n_col * 64;
    if (dtype == BT_F16 || dtype == BT_BF16) return (n_col + 1) / 2 * 64;
    assert(bt_dtype_is_quantised(dtype));
    bt_panel_shape s = bt_panel_shape_of(dtype);
    int64_t n_block = n_col / BT_BLOCK, rest = n_block % BT_GROUP_BLOCKS;
    return n_block / BT_GROUP_BLOCKS * s.group + (rest ? s.head + rest * s.block : 0);
}

int64_t bt_panels_bytes(bt_dtype dtype, int64_t n_row, int64_t n_col)
{
    return bt_div_up(n_row, BT_PANEL_ROWS) * bt_panel_bytes(dtype, n_col);
}

typedef struct place {
    uint8_t *head, *bytes;
    int64_t at; // block within its group
} place;

static place find_block(bt_dtype dtype, const void *panel, int64_t block)
{
    bt_panel_shape s = bt_panel_shape_of(dtype);
    uint8_t *head = (uint8_t *)panel + block / BT_GROUP_BLOCKS * s.group;
    int64_t at = block % BT_GROUP_BLOCKS;
    return (place){head, head + s.head + at * s.block, at};
}

static void put_half(uint8_t *at, int row, uint16_t v) { memcpy(at + 2 * row, &v, sizeof v); }

static double get_half(const uint8_t *at, int row)
{
    uint16_t v;
    memcpy(&v, at + 2 * row, sizeof v);
    return bt_f16_to_f32(v);
}

static void put_float(uint8_t *at, int row, float v) { memcpy(at + 4 * row, &v, sizeof v); }

static float get_float(const uint8_t *at, int row)
{
    float v;
    memcpy(&v, at + 4 * row, sizeof v);
    return v;
}

/* ---- scales ---- */

/* What one step of integers up to `limit` is worth, so that all n values fit; NaN poisons a row that
 * holds NaN or an infinity. */
static float step_of(const float *v, int n, int limit)
{
    float top = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(v[i])) return NAN;
        top = fmaxf(top, fabsf(v[i]));
    }
    return top / (float)limit;
}

static int steps(float v, float step, int limit)
{
    if (!(step > 0)) return 0;
    return (int)fminf(fmaxf(rintf(v / step), (float)-limit), (float)limit);
}

static int pair_at(int64_t block, int row) { return row * 2 + (int)(block % 2); }

void bt_panel_put_scales(bt_dtype dtype, const uint16_t *d, const uint16_t *m, int n_block, int row,
                         uint8_t *head)
{
    float v[BT_GROUP_BLOCKS];
    const int limit = dtype == BT_Q8_0 ? 255 : 127;
    for (int b = 0; b < n_block; b++) {
        v[b] = bt_f16_to_f32(d[b]);
        if (dtype == BT_Q8_0) v[b] = fabsf(v[b]);
    }
    float step = step_of(v, n_block, limit);
    put_float(head, row, step);
    for (int b = 0; b < n_block; b++)
        head[bt_panel_r_at(dtype, b, 0) + row] = (uint8_t)steps(v[b], step, limit);
    if (!bt_panel_wide_min(dtype)) return;
    for (int b = 0; b < n_block; b++) v[b] = bt_f16_to_f32(m[b]);
    step = step_of(v, n_block, INT16_MAX);
    put_float(head + 64, row, step);
    for (int b = 0; b < n_block; b++)
        put_half(head + bt_panel_min_at(dtype, b / 2), pair_at(b, row),
                 (uint16_t)steps(v[b], step, INT16_MAX));
}

/* The scales of a block of 256 that has its integers. */
static void put_k_scales(bt_dtype dtype, const bt_codes *c, int row, uint8_t *head)
{
    put_half(head, row, c->d);
    for (int b = 0; b < BT_GROUP_BLOCKS; b++)
        for (int part = 0; part < bt_panel_parts(dtype); part++)
            head[bt_panel_r_at(dtype, b, part) + row] =
                (uint8_t)c->scale[b * bt_panel_parts(dtype) + part];
    if (!bt_panel_min(dtype)) return;
    put_half(head + 32, row, c->m);
    for (int b = 0; b < BT_GROUP_BLOCKS; b++)
        head[bt_panel_min_at(dtype, b / 2) + pair_at(b, row)] = c->min[b];
}

static double get_d(bt_dtype dtype, const uint8_t *head, int row)
{
    return bt_panel_k(dtype) ? get_half(head, row) : get_float(head, row);
}

static int get_r(bt_dtype dtype, const uint8_t *head, int64_t block, int part, int row)
{
    uint8_t r = head[bt_panel_r_at(dtype, block, part) + row];
    return dtype == BT_Q8_0 ? r : (int8_t)r;
}

static double get_min(bt_dtype dtype, const uint8_t *head, int64_t block, int row)
{
    const uint8_t *at = head + bt_panel_min_at(dtype, block / 2);
    int16_t wide;
    if (!bt_panel_min(dtype)) return 0;
    if (!bt_panel_wide_min(dtype)) return -get_half(head + 32, row) * at[pair_at(block, row)];
    memcpy(&wide, at + 2 * pair_at(block, row), sizeof wide);
    return (double)get_float(head + 64, row) * wide;
}

/* ---- codes ---- */

static uint32_t get_word(const uint8_t *at)
{
    uint32_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

static void put_word(uint8_t *at, uint32_t w) { memcpy(at, &w, sizeof w); }

/* 32 codes of one row, four at a time: the word of quad g is q[4g..4g+3]. */
static void put_codes(bt_dtype dtype, uint8_t *bytes, int row, const uint8_t *q)
{
    bool five = bt_panel_fifth(dtype);
    uint8_t *low = bytes + bt_panel_low_at(dtype) + row * 4;
    uint32_t top = 0;
    if (dtype == BT_Q8_0) {
        for (int g = 0; g < 8; g++) put_word(low + g * 64, get_word(q + 4 * g));
        return;
    }
    for (int v = 0; v < 4; v++)
        put_word(low + v * 64, (get_word(q + 4 * v) & 0x0F0F0F0Fu) |
                                   (get_word(q + 4 * v + 16) & 0x0F0F0F0Fu) << 4);
    for (int g = 0; five && g < 8; g++) top |= (get_word(q + 4 * g) >> 4 & 0x01010101u) << g;
    if (five) put_word(bytes + row * 4, top);
    for (int h = 0; dtype == BT_Q6_K && h < 2; h++) {
        const uint8_t *half = q + 16 * h;
        put_word(bytes + h * 64 + row * 4, (get_word(half) >> 4 & 0x03030303u) |
                                               (get_word(half + 4) >> 4 & 0x03030303u) << 2 |
                                               (get_word(half + 8) >> 4 & 0x03030303u) << 4 |
                                               (get_word(half + 12) >> 4 & 0x03030303u) << 6);
    }
}

static uint8_t get_code(bt_dtype dtype, const uint8_t *bytes, int row, int col)
{
    bool five = bt_panel_fifth(dtype);
    const uint8_t *low = bytes + bt_panel_low_at(dtype);
    int quad = col / 4, i = row * 4 + col % 4;
    if (dtype == BT_Q8_0) return bytes[quad * 64 + i];
    unsigned q = low[quad % 4 * 64 + i] >> quad / 4 * 4 & 15;
    if (five) q |= (bytes[i] >> quad & 1u) << 4;
    if (dtype == BT_Q6_K) q |= (bytes[quad / 4 * 64 + i] >> quad % 4 * 2 & 3u) << 4;
    return (uint8_t)q;
}

void bt_panel_open(bt_dtype dtype, const void *panel, int64_t block, bt_panel_block *out)
{
    place p = find_block(dtype, panel, block);
    for (int row = 0; row < BT_PANEL_ROWS; row++) {
        for (int col = 0; col < BT_BLOCK; col++)
            out->q[row][col] = get_code(dtype, p.bytes, row, col);
        for (int half = 0; half < 2; half++)
            out->d[half][row] =
                get_d(dtype, p.head, row) *
                get_r(dtype, p.head, p.at, bt_panel_parts(dtype) == 2 ? half : 0, row);
        out->m[row] = get_min(dtype, p.head, p.at, row);
    }
}

static void pack_floats(bt_dtype dtype, const uint8_t *row, int r, int64_t n_col, uint8_t *panel)
{
    size_t size = dtype == BT_F32 ? 4 : 2;
    for (int64_t col = 0; col < n_col; col++) {
        int64_t at = dtype == BT_BF16 ? (col / 2 * 16 + r) * 2 + col % 2 : col * 16 + r;
        memcpy(panel + (size_t)at * size, row + (size_t)col * size, size);
    }
}

/* q8_0's scales are not negative in a panel. */
static void negate_codes(uint8_t *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++) q[i] = (uint8_t)(q[i] ? 256 - q[i] : 255);
}

/* One row of blocks of 32: codes as they come, scales a group at a time. */
static void pack_small(bt_dtype dtype, const uint8_t *row, int r, int64_t n_block, void *panel)
{
    uint16_t d[BT_GROUP_BLOCKS], m[BT_GROUP_BLOCKS];
    bt_codes codes = {.m = 0};
    for (int64_t b = 0; b < n_block; b++, row += bt_dtype_block_bytes(dtype)) {
        place p = find_block(dtype, panel, b);
        bt_block_open(dtype, row, &codes);
        d[p.at] = codes.d, m[p.at] = codes.m;
        if (dtype == BT_Q8_0 && codes.d >> 15) negate_codes(codes.q, BT_BLOCK);
        put_codes(dtype, p.bytes, r, codes.q);
        if (p.at == BT_GROUP_BLOCKS - 1 || b == n_block - 1)
            bt_panel_put_scales(dtype, d, m, (int)p.at + 1, r, p.head);
    }
}

static void pack_k(bt_dtype dtype, const uint8_t *row, int r, int64_t n_group, void *panel)
{
    bt_codes codes = {.m = 0};
    for (int64_t g = 0; g < n_group; g++, row += bt_dtype_block_bytes(dtype)) {
        bt_block_open(dtype, row, &codes);
        for (int b = 0; b < BT_GROUP_BLOCKS; b++) {
            place p = find_block(dtype, panel, g * BT_GROUP_BLOCKS + b);
            if (!b) put_k_scales(dtype, &codes, r, p.head);
            put_codes(dtype, p.bytes, r, codes.q + b * BT_BLOCK);
        }
    }
}

void bt_panel_pack(bt_dtype dtype, const void *rows, int64_t row_bytes, int n_row, int64_t n_col,
                   void *panel)
{
    memset(panel, 0, (size_t)bt_panel_bytes(dtype, n_col));
    for (int r = 0; r < n_row; r++) {
        const uint8_t *row = (const uint8_t *)rows + r * row_bytes;
        if (bt_dtype_block(dtype) == 1)
            pack_floats(dtype, row, r, n_col, panel);
        else if (bt_panel_k(dtype))
            pack_k(dtype, row, r, n_col / BT_GROUP, panel);
        else
            pack_small(dtype, row, r, n_col / BT_BLOCK, panel);
    }
}
