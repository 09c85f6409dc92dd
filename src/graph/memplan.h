// SPDX-License-Identifier: Apache-2.0
/* memplan: where the intermediate values of a run lie in one arena.
 *
 * A block lives from the step that writes it to the last step that reads it. Blocks that live at
 * the same time must not overlap; others may share bytes.
 *
 *   bytes ^  |--- a ---|      |-- d --|
 *         |  |------ b ------|
 *         |        |--- c ---------|
 *         +-----------------------------> steps
 */
#pragma once
#include "base/status.h"

enum { BT_MEMPLAN_ALIGN = 64 };

typedef struct bt_memplan_block {
    int64_t bytes;       // >= 0; 0 takes no room
    int32_t first, last; // steps, both included, first <= last
    int64_t offset;      // the answer, a multiple of 64
} bt_memplan_block;

/* Choose all offsets: the largest block first, each into the tightest gap among the blocks already
 * placed that live at the same time. `scratch` holds n + 1 numbers. Returns the arena's bytes. */
int64_t bt_memplan(bt_memplan_block *block, int32_t n, int32_t *scratch);

/* The most bytes that live at one step: no plan can do with less. */
int64_t bt_memplan_bound(const bt_memplan_block *block, int32_t n);

/* INVALID names two blocks that overlap in both time and place, or one that reaches past
 * `arena_bytes`. */
BT_CHECKED bt_status bt_memplan_check(const bt_memplan_block *block, int32_t n,
                                      int64_t arena_bytes);
