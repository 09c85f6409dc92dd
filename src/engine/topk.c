// SPDX-License-Identifier: Apache-2.0
/* topk: see topk.h. A binary heap with the best on top (Floyd 1964), and a selection by the leading
 * bits of the key, which leaves the last few to the heap. */
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

/* A number that is larger for the better of two: the bits of the key, put in the order of what they
 * mean (both zeros are one), or that of ids among equal keys. */
static uint64_t rank_of(const bt_cand *c, bool by_id)
{
    double key = c->key + 0.0;
    int64_t bits;
    if (by_id) return (uint64_t)(INT32_MAX - c->id);
    memcpy(&bits, &key, sizeof bits);
    return (uint64_t)(bits < 0 ? ~bits : bits ^ INT64_MIN);
}

/* Candidates on shelves by rank, the best on shelf 0. */
typedef struct shelves {
    uint64_t lowest, highest; // rank
    int shift;                // ranks a shelf: 2^shift
    bool by_id;
} shelves;

enum { N_SHELF = 256 };

static uint64_t shelf_of(const shelves *s, const bt_cand *c)
{
    return (s->highest - rank_of(c, s->by_id)) >> s->shift;
}

static shelves shelves_for(const bt_cand *cand, int32_t n, bool by_id)
{
    shelves s = {.lowest = UINT64_MAX, .by_id = by_id};
    for (int32_t i = 0; i < n; i++) {
        uint64_t rank = rank_of(&cand[i], by_id);
        s.lowest = rank < s.lowest ? rank : s.lowest;
        s.highest = rank > s.highest ? rank : s.highest;
    }
    while ((s.highest - s.lowest) >> s.shift >= N_SHELF) s.shift++;
    return s;
}

/* The shelf on which the weight reaches `enough`, or the last one; what those before it weigh. */
static uint64_t find_shelf(const shelves *s, const bt_cand *cand, int32_t n, double enough,
                           double *ret_before)
{
    double weight[N_SHELF] = {0}, before = 0;
    uint64_t at = 0, last = (s->highest - s->lowest) >> s->shift;
    for (int32_t i = 0; i < n; i++) weight[shelf_of(s, &cand[i])] += cand[i].weight;
    while (at < last && before + weight[at] < enough) before += weight[at++];
    *ret_before = before;
    return at;
}

/* Move those on shelves before `end` to the front; returns how many they are. Nobody can foretell
 * which: each is swapped with the first that is not, and only the count depends on it. */
static int32_t gather(const shelves *s, bt_cand *cand, int32_t n, uint64_t end)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        bt_cand c = cand[i];
        cand[i] = cand[kept];
        cand[kept] = c;
        kept += shelf_of(s, &c) < end;
    }
    return kept;
}

int32_t bt_topk_share(bt_cand *cand, int32_t n, double enough)
{
    enum { FEW = 64 };
    int32_t settled = 0; // cand[0..settled) are kept, for sure; cand[settled..n) perhaps
    bool by_id = false;
    while (n - settled > FEW) {
        bt_cand *rest = cand + settled;
        shelves s = shelves_for(rest, n - settled, by_id);
        double before;
        uint64_t shelf = find_shelf(&s, rest, n - settled, enough, &before);
        n = settled + gather(&s, rest, n - settled, shelf + 1);
        settled += gather(&s, rest, n - settled, shelf);
        enough -= before;
        by_id = by_id || s.lowest == s.highest; // equal keys stay so
    }
    return settled == n ? n : settled + share_by_heap(cand + settled, n - settled, enough);
}
