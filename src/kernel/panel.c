// SPDX-License-Identifier: Apache-2.0
/* panel: packing and opening, scalar; the layouts are drawn in panel.h. */
#include "kernel/panel.h"
#include "base/bits.h"
#include "tensor/blocks.h"
#include "tensor/half.h"
#include "tensor/quant.h"

int64_t bt_panel_bytes(bt_dtype dtype, int64_t n_col)
{
    if (dtype == BT_F32) return n_col * 64;
    if (dtype == BT_F16 || dtype == BT_BF16) return (n_col + 1) / 2 * 64;
    assert(bt_dtype_is_quantised(dtype));
    bt_panel_shape s = bt_panel_shape_of(dtype);
    int64_t n_block = n_col / BT_ACT_BLOCK;
    return bt_div_up(n_block, s.chunk) * s.head + n_block * s.block;
}

int64_t bt_panels_bytes(bt_dtype dtype, int64_t n_row, int64_t n_col)
{
    return bt_div_up(n_row, BT_PANEL_ROWS) * bt_panel_bytes(dtype, n_col);
}

typedef struct place {
    uint8_t *head, *bytes;
    int64_t at; // block within its chunk
} place;

static place find_block(bt_dtype dtype, const void *panel, int64_t block)
{
    bt_panel_shape s = bt_panel_shape_of(dtype);
    uint8_t *head = (uint8_t *)panel + block / s.chunk * (s.head + s.chunk * s.block);
    int64_t at = block % s.chunk;
    return (place){head, head + s.head + at * s.block, at};
}

static void put_half(uint8_t *at, int row, uint16_t v) { memcpy(at + 2 * row, &v, sizeof v); }

static double get_half(const uint8_t *at, int row)
{
    uint16_t v;
    memcpy(&v, at + 2 * row, sizeof v);
    return bt_f16_to_f32(v);
}

/* Scales of 32 columns of one row; `group` is which 32 of an opened block of 256. */
static void put_scales(bt_dtype dtype, place p, int row, const bt_codes *c, int group)
{
    uint8_t *small = p.head + 64 + p.at * 32;
    switch (dtype) {
    case BT_Q8_0:
    case BT_Q4_0:
    case BT_Q5_0:
        put_half(p.head + p.at * 32, row, c->d);
        break;
    case BT_Q4_1:
    case BT_Q5_1:
        put_half(p.head, row, c->d);
        put_half(p.head + 32, row, c->m);
        break;
    case BT_Q4_K:
    case BT_Q5_K:
        put_half(p.head, row, c->d);
        put_half(p.head + 32, row, c->m);
        small[row] = (uint8_t)c->scale[group];
        small[16 + row] = c->min[group];
        break;
    default:
        put_half(p.head, row, c->d);
        small[row] = (uint8_t)c->scale[2 * group];
        small[16 + row] = (uint8_t)c->scale[2 * group + 1];
    }
}

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
    bool five = dtype == BT_Q5_0 || dtype == BT_Q5_1 || dtype == BT_Q5_K;
    uint8_t *low = bytes + (five ? 64 : dtype == BT_Q6_K ? 128 : 0) + row * 4;
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
    bool five = dtype == BT_Q5_0 || dtype == BT_Q5_1 || dtype == BT_Q5_K;
    const uint8_t *low = bytes + (five ? 64 : dtype == BT_Q6_K ? 128 : 0);
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
    const uint8_t *small = p.head + 64 + p.at * 32;
    for (int row = 0; row < BT_PANEL_ROWS; row++) {
        for (int col = 0; col < BT_ACT_BLOCK; col++)
            out->q[row][col] = get_code(dtype, p.bytes, row, col);
        double d = get_half(p.head, row), m = 0;
        out->d[0][row] = out->d[1][row] = d;
        if (dtype == BT_Q8_0 || dtype == BT_Q4_0 || dtype == BT_Q5_0)
            out->d[0][row] = out->d[1][row] = get_half(p.head + p.at * 32, row);
        if (dtype == BT_Q4_1 || dtype == BT_Q5_1) m = get_half(p.head + 32, row);
        if (dtype == BT_Q4_K || dtype == BT_Q5_K) {
            out->d[0][row] = out->d[1][row] = d * small[row];
            m = -(get_half(p.head + 32, row) * small[16 + row]);
        }
        if (dtype == BT_Q6_K) {
            out->d[0][row] = d * (int8_t)small[row];
            out->d[1][row] = d * (int8_t)small[16 + row];
        }
        out->m[row] = m;
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

void bt_panel_pack(bt_dtype dtype, const void *rows, int64_t row_bytes, int n_row, int64_t n_col,
                   void *panel)
{
    memset(panel, 0, (size_t)bt_panel_bytes(dtype, n_col));
    int64_t block = bt_dtype_block(dtype), block_bytes = bt_dtype_block_bytes(dtype);
    bt_codes codes = {.m = 0};
    for (int r = 0; r < n_row; r++) {
        const uint8_t *row = (const uint8_t *)rows + r * row_bytes;
        if (block == 1) {
            pack_floats(dtype, row, r, n_col, panel);
            continue;
        }
        for (int64_t col = 0; col < n_col; col += block, row += block_bytes) {
            bt_block_open(dtype, row, &codes);
            for (int g = 0; g < block / BT_ACT_BLOCK; g++) {
                place p = find_block(dtype, panel, col / BT_ACT_BLOCK + g);
                put_scales(dtype, p, r, &codes, g);
                put_codes(dtype, p.bytes, r, codes.q + g * BT_ACT_BLOCK);
            }
        }
    }
}
