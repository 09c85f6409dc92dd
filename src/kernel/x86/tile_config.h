// SPDX-License-Identifier: Apache-2.0
/* tile_config: the shape of AMX's eight tiles, as ldtilecfg reads it. */
#pragma once
#include <stdint.h>

enum { TILE_ROWS = 16 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t n_row[16];
} tile_config;

/* Tiles of 64 bytes a row. */
static inline void load_tile_config(const int64_t n_row[8])
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.n_row[i] = (uint8_t)n_row[i];
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(c)); // the intrinsic names 8 of its 64 bytes
}
