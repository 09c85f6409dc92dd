// SPDX-License-Identifier: Apache-2.0
/* topk: see topk.h. A binary heap with the best on top (Floyd 1964). */
#include "engine/topk.h"
#include <stdbool.h>
#include <string.h>

static bool is_better(const bt_cand *a, const bt_cand *b)
{
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static void sift_down(bt_cand *heap, int32_t n, int32_t at)
{
    bt_cand item = heap[at];
    while (at < n / 2) { // has a child; 2 * at + 1 cannot overflow
        int32_t child = 2 * at + 1;
        if (child + 1 < n && is_better(&heap[child + 1], &heap[child])) child++;
        if (!is_better(&heap[child], &item)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

void bt_topk_build(bt_cand *cand, int32_t n)
{
    for (int32_t at = n / 2; at-- > 0;) sift_down(cand, n, at);
}

void bt_topk_pop(bt_cand *cand, int32_t n)
{
    bt_cand best = cand[0];
    cand[0] = cand[n - 1];
    cand[n - 1] = best;
    sift_down(cand, n - 1, 0);
}

void bt_topk_keep(bt_cand *cand, int32_t n, int32_t n_keep)
{
    memmove(cand, cand + (n - n_keep), (size_t)n_keep * sizeof *cand);
}
