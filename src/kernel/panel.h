// SPDX-License-Identifier: Apache-2.0
/* panel: how 16 rows of a quantised weight matrix lie in memory for the integer product.
 *
 * A panel is one sequential stream of groups of 256 columns: a head (scales), then 8 blocks of 32
 * columns (fewer in the last one). Heads and blocks are multiples of 64 bytes, so every vector load
 * is aligned.
 *
 *   w[row][col] = d[row] * r[block][row] * (code - offset) + m[row] * min[block][row]
 *
 * d and m are the group's, one float a row; r and min are the block's, small integers. So a group's
 * products sum up in integers, exactly, in whatever order a kernel likes, and are scaled once.
 *
 *   type             head bytes: contents                                     block bytes  bits
 *   q8_0             192: d f32 [16], r u8 [8][16]                            512          8.375
 *   q4_0             192: d f32 [16], r i8 [8][16]                            256          4.375
 *   q5_0             192: the same                                            320          5.375
 *   q4_1             512: d f32 [16], m f32 [16], r i8 [8][16],               256          5
 *                         min i16 [4][16][2]
 *   q5_1             512: the same                                            320          6
 *   q4_k             320: d f16 [16], m f16 [16], r u8 [8][16],               256          4.625
 *                         min u8 [4][16][2]
 *   q5_k             320: the same                                            320          5.625
 *   q6_k             320: d f16 [16], 32 unused, r i8 [8][2][16]              384          6.625
 *
 * (bits: a weight's, heads included. Minimums lie in pairs of blocks, for vpdpwssd. q6_k has an r
 * for each 16 columns; the m of q4_k and q5_k is subtracted.)
 *
 * The K types have these integers in their files. The others have an f16 scale a block, which is
 * rounded to an r: d is the group's largest scale / 127 (q8_0: / 255, its scales are not negative; a
 * block with a negative one has its codes negated, where -128 becomes 127), r = scale / d to nearest
 * even. So a scale is off by at most 0.4 % (0.2 %) of the group's largest, a few hundredths of what a
 * code is off by. Minimums are 16 bits: m is the largest / 32767.
 *
 * Codes are unsigned bytes. A "quad" g (0..7) is the 64 bytes [16 rows][4 columns 4g..4g+3]: one
 * vpdpbusd multiplies it with 4 activations that are broadcast, 16 are a tile for AMX.
 *
 *   q8_0    8 quads
 *   q4_*    4 vectors v: low nibbles are quad v, high nibbles quad v + 4
 *   q5_*    1 vector F: bit g of byte i is the fifth bit of byte i of quad g; then the 4 of q4
 *   q6_k    2 vectors T: bits 2j, 2j+1 of byte i of T[h] top byte i of quad 4h + j; then the 4
 *           of q4
 */
#pragma once
#include "kernel/kernel.h"

#define PANEL_INLINE static inline __attribute__((always_inline, unused))

typedef struct bt_panel_shape {
    int64_t head;  // bytes
    int64_t block; // bytes
    int64_t group; // bytes of a whole one
} bt_panel_shape;

/* Types by what they have; all of this folds to constants where the type is one. */
PANEL_INLINE bool bt_panel_fifth(bt_dtype t)
{
    return t == BT_Q5_0 || t == BT_Q5_1 || t == BT_Q5_K;
}
PANEL_INLINE bool bt_panel_k(bt_dtype t) { return t == BT_Q4_K || t == BT_Q5_K || t == BT_Q6_K; }
PANEL_INLINE bool bt_panel_wide_min(bt_dtype t) { return t == BT_Q4_1 || t == BT_Q5_1; }
PANEL_INLINE bool bt_panel_min(bt_dtype t)
{
    return bt_panel_wide_min(t) || t == BT_Q4_K || t == BT_Q5_K;
}
PANEL_INLINE int bt_panel_parts(bt_dtype t) { return t == BT_Q6_K ? 2 : 1; } // r's a block

PANEL_INLINE bt_panel_shape bt_panel_shape_of(bt_dtype t)
{
    bt_panel_shape s = {
        .head = bt_panel_wide_min(t) ? 512
                : bt_panel_k(t)      ? 320
                                     : 192,
        .block = t == BT_Q8_0        ? 512
                 : t == BT_Q6_K      ? 384
                 : bt_panel_fifth(t) ? 320
                                     : 256,
    };
    s.group = s.head + BT_GROUP_BLOCKS * s.block;
    return s;
}

/* Where in a head the r of a block (or half of one) and the minimums of a pair of blocks are. */
PANEL_INLINE int64_t bt_panel_r_at(bt_dtype t, int64_t block, int part)
{
    return (bt_panel_wide_min(t) ? 128 : 64) + (block * bt_panel_parts(t) + part) * BT_PANEL_ROWS;
}
PANEL_INLINE int64_t bt_panel_min_at(bt_dtype t, int64_t pair)
{
    return bt_panel_wide_min(t) ? 256 + pair * 64 : 192 + pair * 32;
}

/* What unsigned codes are shifted by; 0 for the types with minimums. */
PANEL_INLINE int bt_panel_offset(bt_dtype t)
{
    return t == BT_Q8_0 ? 128 : t == BT_Q4_0 ? 8 : t == BT_Q5_0 ? 16 : t == BT_Q6_K ? 32 : 0;
}

/* Where a block's nibbles begin. */
PANEL_INLINE int bt_panel_low_at(bt_dtype t)
{
    return bt_panel_fifth(t) ? 64 : t == BT_Q6_K ? 128 : 0;
}

/* One block of a panel, opened: w[row][col] = d[col / 16][row] * (q[row][col] - offset) + m[row].
 */
typedef struct bt_panel_block {
    uint8_t q[BT_PANEL_ROWS][BT_BLOCK];
    double d[2][BT_PANEL_ROWS];
    double m[BT_PANEL_ROWS];
} bt_panel_block;

void bt_panel_open(bt_dtype dtype, const void *panel, int64_t block, bt_panel_block *out);

/* Pack 16 rows or fewer (the rest are zeros) into one panel. */
void bt_panel_pack(bt_dtype dtype, const void *rows, int64_t row_bytes, int n_row, int64_t n_col,
                   void *panel);

/* Scales of one row's group into a head, for the types whose scales are f16: n_block of them. */
void bt_panel_put_scales(bt_dtype dtype, const uint16_t *d, const uint16_t *m, int n_block, int row,
                         uint8_t *head);
