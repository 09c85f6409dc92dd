// SPDX-License-Identifier: Apache-2.0
/* memplan: where the intermediate values of a run lie in one arena.
 *
 * A block lives from the step that writes it to the last step that touches it. Blocks that may live
 * at the same time must not overlap; others may share bytes. Which those are is a question of
 * order: steps that run one after the other make lifetimes intervals; steps on several streams are
 * only partly ordered, and what no order separates lives together.
 *
 *   bytes ^  |--- a ---|      |-- d --|
 *         |  |------ b ------|
 *         |        |--- c ---------|
 *         +-----------------------------> steps
 *
 * Who lives with whom is memplan_live's, the search for the least arena memplan_exact's.
 */
#pragma once
#include "base/status.h"

enum { BT_MEMPLAN_ALIGN = 64 };

typedef struct bt_memplan_block {
    int64_t bytes;       // >= 0; 0 takes no room
    int32_t first, last; // steps: where it is written, and the last step that touches it; 0 <=
                         // first <= last < n_step. With `before`, `last` only guides the search
    int64_t offset;      // the answer, a multiple of 64; 0 for a block without bytes
} bt_memplan_block;

typedef struct bt_memplan_problem {
    bt_memplan_block *block; // [n_block] the caller's; the sum of their padded bytes fits 63 bits
    int32_t n_block, n_step;
    const uint64_t *before; // NULL: steps run one after the other. Else [n_step][n_word], n_word =
                            // words of n_step bits: bit b of row a: step a is over before b begins.
                            // Transitive, without cycles; bits past n_step are 0
    const uint64_t *touch;  // with `before`: [n_block][n_word], bit s: step s reads or writes the
                            // block. `first` is among them, and before all the others
    void *scratch;          // bt_memplan_scratch_bytes, 64-byte aligned: planning allocates nothing
} bt_memplan_problem;

typedef struct bt_memplan_report {
    int64_t arena_bytes;
    int64_t bound_bytes; // no plan can do with less: bytes of blocks that all live together
    int64_t sum_bytes;   // without sharing
    const char *method;  // which algorithm won; static text
} bt_memplan_report;

/* Bytes of scratch for a problem of this size; grows with n_block^2 / 8. */
size_t bt_memplan_scratch_bytes(int32_t n_block, int32_t n_step);

/* Choose all offsets: the best of several greedy orders of placement, and on small problems the
 * least arena there is. Never worse than first fit, best fit or bump allocation in order of
 * execution. Two blocks may share bytes iff every step that touches one is over before the first
 * step of the other begins. The same problem always gets the same offsets. */
void bt_memplan(const bt_memplan_problem *problem, bt_memplan_report *ret_report);

/* Prove that no two blocks that live together overlap, from the problem and the offsets alone.
 * INVALID names two blocks that do, one that reaches past `arena_bytes`, or one whose steps are not
 * in order. Uses nothing that the planner left in the scratch, only the room. */
BT_CHECKED bt_status bt_memplan_check(const bt_memplan_problem *problem, int64_t arena_bytes);
