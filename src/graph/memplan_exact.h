// SPDX-License-Identifier: Apache-2.0
/* memplan_exact: the least arena for a few blocks, by branch and bound. */
#pragma once
#include "base/status.h"

enum { BT_MEMPLAN_EXACT_MAX = 31 };

typedef struct bt_memplan_small {
    int32_t n;                               // 1..BT_MEMPLAN_EXACT_MAX
    int32_t n_node;                          // in: nodes it may visit; out: those left over
    int64_t bytes[BT_MEMPLAN_EXACT_MAX];     // > 0
    uint32_t conflict[BT_MEMPLAN_EXACT_MAX]; // symmetric; bit j of i: they must not share bytes
    int64_t bound_bytes;                     // stop when this is reached
    int64_t arena_bytes;                     // in: the arena to beat; out: the least one found
    int64_t offset[BT_MEMPLAN_EXACT_MAX];    // out: where it was beaten
} bt_memplan_small;

/* Find offsets that need less than s->arena_bytes; true when some do. They are the optimum, and
 * false means that the arena to beat is, unless all nodes were spent (n_node is 0). */
bool bt_memplan_exact(bt_memplan_small *s);
