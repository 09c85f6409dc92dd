// SPDX-License-Identifier: Apache-2.0
/* blocks: the quantised blocks of GGUF files, opened into plain codes and closed again.
 *
 * A block is a run of 32 or 256 weights. Opened, every type looks the same: unsigned codes in
 * column order, a scale, perhaps a minimum, and for the K types a small scale (and minimum) for
 * each group of columns. What a code stands for, in f32, each operation rounded once:
 *
 *   q8_0 q4_0 q5_0   d * (q - offset)                    offset 128, 8, 16
 *   q4_1 q5_1        d * q + m
 *   q4_k q5_k        (d * scale) * q - (m * min)         a scale and a min for 32 columns
 *   q6_k             (d * scale) * (q - 32)              a scale for 16 columns
 *
 * Source: the GGUF specification's block formats. Shared by quant.c (rows) and kernel/panel.c
 * (panels).
 */
#pragma once
#include "tensor/dtype.h"

enum { BT_CODES_MAX = 256 };

typedef struct bt_codes {
    uint8_t q[BT_CODES_MAX]; // bt_dtype_block of them
    int8_t scale[16];        // K types: q4_k, q5_k 8 of 0..63; q6_k 16 of -128..127
    uint8_t min[8];          // q4_k, q5_k: 0..63
    uint16_t d, m;           // f16; m: *_1 and q4_k, q5_k (dmin)
} bt_codes;

void bt_block_open(bt_dtype dtype, const void *block, bt_codes *out);
void bt_block_close(bt_dtype dtype, const bt_codes *codes, void *block);
