// SPDX-License-Identifier: Apache-2.0
/* panel: how 16 rows of a quantised weight matrix lie in memory for the integer product.
 *
 * A panel is one sequential stream of chunks. A chunk is a head (scales) and 1, 2 or 8 blocks; a
 * block is 32 columns of 16 rows. Heads and blocks are multiples of 64 bytes, so every vector load
 * is aligned. The last chunk may hold one block of two; it is then cut short after it.
 *
 *   type   blocks  head bytes: contents                                    block bytes  bits
 *   q8_0   2       64:  d f16 [2][16]                                      512          8.5
 *   q4_0   2       64:  d f16 [2][16]                                      256          4.5
 *   q5_0   2       64:  d f16 [2][16]                                      320          5.5
 *   q4_1   1       64:  d f16 [16], m f16 [16]                             256          5
 *   q5_1   1       64:  d f16 [16], m f16 [16]                             320          6
 *   q4_k   8       320: d f16 [16], dmin f16 [16], 8 x (scale u8 [16],     256          4.625
 *                       min u8 [16])
 *   q5_k   8       320: the same                                           320          5.625
 *   q6_k   8       320: d f16 [16], 32 unused, 8 x (scale i8 [2][16])      384          6.625
 *
 * (bits: a weight's, heads included; [2][16] of q6_k are the block's two halves)
 *
 * Codes are unsigned bytes. A "quad" g (0..7) is the 64 bytes [16 rows][4 columns 4g..4g+3]: one
 * vpdpbusd multiplies it with 4 activations that are broadcast.
 *
 *   q8_0    8 quads
 *   q4_*    4 vectors v: low nibbles are quad v, high nibbles quad v + 4
 *   q5_*    1 vector F: bit g of byte i is the fifth bit of byte i of quad g; then the 4 of q4
 *   q6_k    2 vectors T: bits 2j, 2j+1 of byte i of T[h] top byte i of quad 4h + j; then the 4
 *           of q4
 */
#pragma once
#include "kernel/kernel.h"

typedef struct bt_panel_shape {
    int64_t chunk; // blocks a chunk
    int64_t head;  // bytes
    int64_t block; // bytes
} bt_panel_shape;

/* The shape of a quantised type; folds to constants where the type is one. */
static inline __attribute__((always_inline)) bt_panel_shape bt_panel_shape_of(bt_dtype dtype)
{
    bool small = dtype == BT_Q8_0 || dtype == BT_Q4_0 || dtype == BT_Q5_0;
    bool one = dtype == BT_Q4_1 || dtype == BT_Q5_1;
    bool five = dtype == BT_Q5_0 || dtype == BT_Q5_1 || dtype == BT_Q5_K;
    return (bt_panel_shape){
        .chunk = small ? 2
                 : one ? 1
                       : 8,
        .head = small || one ? 64 : 320,
        .block = dtype == BT_Q8_0   ? 512
                 : dtype == BT_Q6_K ? 384
                 : five             ? 320
                                    : 256,
    };
}

/* What unsigned codes are shifted by; 0 for the types with minimums. */
static inline __attribute__((always_inline)) int bt_panel_offset(bt_dtype dtype)
{
    return dtype == BT_Q8_0   ? 128
           : dtype == BT_Q4_0 ? 8
           : dtype == BT_Q5_0 ? 16
           : dtype == BT_Q6_K ? 32
                              : 0;
}

/* One block of a panel, opened: w[row][col] = d[col / 16][row] * (q[row][col] - offset) + m[row].
 */
typedef struct bt_panel_block {
    uint8_t q[BT_PANEL_ROWS][BT_ACT_BLOCK];
    double d[2][BT_PANEL_ROWS];
    double m[BT_PANEL_ROWS];
} bt_panel_block;

void bt_panel_open(bt_dtype dtype, const void *panel, int64_t block, bt_panel_block *out);

/* Pack 16 rows or fewer (the rest are zeros) into one panel. */
void bt_panel_pack(bt_dtype dtype, const void *rows, int64_t row_bytes, int n_row, int64_t n_col,
                   void *panel);
