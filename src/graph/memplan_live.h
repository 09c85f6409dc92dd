// SPDX-License-Identifier: Apache-2.0
/* memplan_live: who lives with whom. Turns a memory planning problem, whether its steps are totally
 * or partly ordered, into the one thing placement needs to know: a graph of conflicts among the
 * blocks that take room, as rows of bits. Knows nothing of offsets. */
#pragma once
#include "graph/memplan.h"

typedef struct bt_memplan_live {
    int32_t n;          // blocks that take room: the items. Largest first, equals in order of time
    int32_t n_word;     // words of n bits
    int32_t *id;        // [n] the item's place in problem->block
    int32_t *in_time;   // [n] items in order of execution: ascending first step, then id
    int64_t *bytes;     // [n] padded to the alignment, > 0
    uint64_t *conflict; // [n][n_word] symmetric; bit j of row i: they must not share bytes
    int64_t bound_bytes, sum_bytes;
} bt_memplan_live;

typedef struct bt_memplan_key {
    uint64_t key;
    int32_t item;
} bt_memplan_key;

/* Set bit b of a row of words, or see it. */
static inline void bt_memplan_set(uint64_t *row, int32_t b) { row[b >> 6] |= 1ull << (b & 63); }
static inline bool bt_memplan_has(const uint64_t *row, int32_t b)
{
    return row[b >> 6] >> (b & 63) & 1;
}
static inline int32_t bt_memplan_words(int32_t n_bit) { return (n_bit + 63) / 64; }

/* Cut an array of `count` off the scratch at *at, in units of 64 bytes; NULL base only measures. */
void *bt_memplan_cut(char *base, size_t *at, size_t count, size_t size);

/* Sort by descending key, stably; `spare` is of the same length. */
void bt_memplan_sort(bt_memplan_key *key, bt_memplan_key *spare, int32_t n);

/* Bytes of scratch that bt_memplan_live_init cuts. */
size_t bt_memplan_live_bytes(int32_t n_block, int32_t n_step);

/* Fill *ret_live, whose arrays lie in the problem's scratch from its beginning. */
void bt_memplan_live_init(const bt_memplan_problem *problem, bt_memplan_live *ret_live);
