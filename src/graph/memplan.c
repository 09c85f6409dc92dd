// SPDX-License-Identifier: Apache-2.0
/* memplan: size-ordered best fit (Pisarchyk and Lee 2020, "Efficient memory management for deep
 * neural net inference", sec. 5: greedy by size). */
#include "graph/memplan.h"
#include "base/bits.h"

static bool lives_with(const bt_memplan_block *a, const bt_memplan_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int64_t padded(int64_t bytes) { return bt_round_up(bytes, BT_MEMPLAN_ALIGN); }

/* Put block k into the tightest gap between the blocks in `placed` (ascending offsets) it lives
 * with. */
static int64_t best_offset(const bt_memplan_block *block, const int32_t *placed, int32_t n_placed,
                           int32_t k)
{
    int64_t end = 0, best = -1, best_gap = INT64_MAX, need = padded(block[k].bytes);
    for (int32_t i = 0; i < n_placed; i++) {
        const bt_memplan_block *b = &block[placed[i]];
        if (!lives_with(b, &block[k])) continue;
        int64_t gap = b->offset - end;
        if (gap >= need && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        end = bt_max_i64(end, b->offset + padded(b->bytes));
    }
    return best >= 0 ? best : end;
}

/* Insertion into the placed list, ordered by offset. */
static void insert_placed(const bt_memplan_block *block, int32_t *placed, int32_t n_placed,
                          int32_t k)
{
    int32_t i = n_placed;
    for (; i && block[placed[i - 1]].offset > block[k].offset; i--) placed[i] = placed[i - 1];
    placed[i] = k;
}

/* The largest block whose offset is still -1, or -1; the first of equals. */
static int32_t largest_left(const bt_memplan_block *block, int32_t n)
{
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++)
        if (block[i].offset < 0 && (best < 0 || block[i].bytes > block[best].bytes)) best = i;
    return best;
}

int64_t bt_memplan(bt_memplan_block *block, int32_t n, int32_t *scratch)
{
    int64_t arena_bytes = 0;
    int32_t n_placed = 0, k;
    for (int32_t i = 0; i < n; i++) block[i].offset = -1;
    while ((k = largest_left(block, n)) >= 0) {
        if (block[k].bytes == 0) {
            block[k].offset = 0;
            continue;
        }
        block[k].offset = best_offset(block, scratch, n_placed, k);
        insert_placed(block, scratch, n_placed++, k);
        arena_bytes = bt_max_i64(arena_bytes, block[k].offset + padded(block[k].bytes));
    }
    return arena_bytes;
}

int64_t bt_memplan_bound(const bt_memplan_block *block, int32_t n)
{
    int64_t bound = 0;
    for (int32_t i = 0; i < n; i++) { // the live set is largest where some block begins
        int64_t live = 0;
        for (int32_t j = 0; j < n; j++)
            if (block[j].first <= block[i].first && block[i].first <= block[j].last)
                live += padded(block[j].bytes);
        bound = bt_max_i64(bound, live);
    }
    return bound;
}

bt_status bt_memplan_check(const bt_memplan_block *block, int32_t n, int64_t arena_bytes)
{
    for (int32_t i = 0; i < n; i++) {
        const bt_memplan_block *a = &block[i];
        BT_FAIL_IF(a->bytes && (a->offset < 0 || a->offset % BT_MEMPLAN_ALIGN ||
                                a->offset + a->bytes > arena_bytes),
                   INVALID, "block %d at %lld does not lie in the arena", i, (long long)a->offset);
        for (int32_t j = 0; j < i; j++) {
            const bt_memplan_block *b = &block[j];
            bool apart = a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            BT_FAIL_IF(a->bytes && b->bytes && lives_with(a, b) && !apart, INVALID,
                       "blocks %d and %d overlap", i, j);
        }
    }
    return BT_OK;
}
