// SPDX-License-Identifier: Apache-2.0
/* topk: see topk.h. A binary heap with the best on top (Floyd 1964), and a selection by partition
 * (Hoare 1961) that falls back on the heap when its pivots are bad. */
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

static void swap(bt_cand *a, bt_cand *b)
{
    bt_cand was = *a;
    *a = *b;
    *b = was;
}

/* Choose a pivot in cand[0..n), n >= 3, and put those better than it before it. Returns its place
 * and what those before it weigh. */
static int32_t partition(bt_cand *cand, int32_t n, double *ret_weight)
{
    bt_cand *a = &cand[0], *b = &cand[n / 2], *last = &cand[n - 1];
    if (is_better(b, a)) swap(a, b);
    if (is_better(last, b)) swap(b, last);
    if (is_better(b, a)) swap(a, b); // b is the median of the three
    swap(b, last);
    int32_t place = 0;
    double weight = 0;
    for (int32_t i = 0; i < n - 1; i++)
        if (is_better(&cand[i], last)) {
            weight += cand[i].weight;
            swap(&cand[i], &cand[place++]);
        }
    swap(&cand[place], last);
    *ret_weight = weight;
    return place;
}

/* The same as bt_topk_share, by taking one after the other. */
static int32_t share_by_heap(bt_cand *cand, int32_t n, double enough)
{
    int32_t kept = 0;
    double sum = 0;
    bt_topk_build(cand, n);
    while (kept < n && (kept == 0 || sum < enough)) {
        bt_topk_pop(cand, n - kept);
        kept++;
        sum += cand[n - kept].weight;
    }
    bt_topk_keep(cand, n, kept);
    return kept;
}

int32_t bt_topk_share(bt_cand *cand, int32_t n, double enough)
{
    enum { FEW = 64, ROUNDS = 60 }; // good pivots need about log2(n) rounds
    int32_t settled = 0;            // cand[0..settled) are kept, for sure
    for (int round = 0; n - settled > FEW && round < ROUNDS; round++) {
        double before;
        int32_t place = settled + partition(cand + settled, n - settled, &before);
        if (before >= enough && place > settled) {
            n = place;
            continue;
        }
        enough -= before + cand[place].weight;
        settled = place + 1;
        if (enough <= 0) return settled;
    }
    return settled == n ? n : settled + share_by_heap(cand + settled, n - settled, enough);
}

/* Shell sort with the gaps of Ciura 2001. */
void bt_topk_by_id(bt_cand *cand, int32_t n)
{
    static const int32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
        for (int32_t i = gaps[g]; i < n; i++) {
            bt_cand item = cand[i];
            int32_t at = i;
            for (; at >= gaps[g] && cand[at - gaps[g]].id > item.id; at -= gaps[g])
                cand[at] = cand[at - gaps[g]];
            cand[at] = item;
        }
}
