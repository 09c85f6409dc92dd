// SPDX-License-Identifier: Apache-2.0
/* memworld: random memory planning problems, and naive planners to hold the real one to. Conflicts
 * are computed step by step from the definition; nothing of the planner is used. */
#pragma once
#include "support/support.h"
#include "graph/memplan.h"

enum { MEMWORLD_BLOCKS = 1024, MEMWORLD_STEPS = 512, MEMWORLD_SMALL = 64 };

typedef struct memworld {
    bt_memplan_problem p; // its arrays are those below
    bt_memplan_report report;
    bt_memplan_block block[MEMWORLD_BLOCKS];
    uint64_t before[MEMWORLD_STEPS * MEMWORLD_STEPS / 64];
    uint64_t touch[MEMWORLD_BLOCKS * MEMWORLD_STEPS / 64];
    bool conflict[MEMWORLD_SMALL][MEMWORLD_SMALL]; // of at most that many blocks
    _Alignas(64) char scratch[1 << 20];
} memworld;

typedef void memworld_make(memworld *w, test_rng *rng, int32_t n_block, int32_t n_step);

/* An empty world of n_step steps: in a row, or with `partial` in no order as yet. */
void memworld_begin(memworld *w, int32_t n_step, bool partial);

/* Set bit b of a row of `before` or `touch`. */
void memworld_set(memworld *w, uint64_t *rows, int32_t row, int32_t b);

/* Add a block; _touched also marks its first and last step in `touch`. Returns its number. */
int32_t memworld_add(memworld *w, int64_t bytes, int32_t first, int32_t last);
int32_t memworld_add_touched(memworld *w, int64_t bytes, int32_t first, int32_t last);

memworld_make memworld_intervals, memworld_streams;

/* Say the same world, whose steps are in a row, as a partial order. */
void memworld_in_a_row(memworld *w);

/* Plan over scratch full of rubbish; verify. */
void memworld_plan(memworld *w);
bt_status memworld_check(memworld *w);

/* ---- naive ---- */

int64_t memworld_pad(const memworld *w, int32_t i);
void memworld_find_conflicts(memworld *w); // first of all
void memworld_order_of_execution(const memworld *w, int32_t *ret_order);

/* The arena when blocks go into the lowest gap, or the tightest, in this order. */
int64_t memworld_place_all(const memworld *w, const int32_t *order, bool tightest);

/* The least of those over all orders that agree with `order` before position k. */
int64_t memworld_least_arena(const memworld *w, int32_t *order, int32_t k);

/* The most bytes that live at one step: begun, and touched at it or after it. */
int64_t memworld_most_at_a_step(const memworld *w);
