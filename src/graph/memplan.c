// SPDX-License-Identifier: Apache-2.0
/* memplan: offsets by greedy placement in several orders, the best of which wins, and the verifier.
 *
 * Each order places one block after the other into a gap between those already placed that live
 * with it; an order is left as soon as it cannot win, and all are once the lower bound is reached.
 * By size, best fit: Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
 * inference", sec. 5. In order of execution: what an allocator at run time would do. By lifetime:
 * Sekiyama et al. 2018, "Profile-guided memory optimization for deep neural networks" (their best
 * fit prefers the block that lives longest). By area: what a block holds of bytes x steps.
 * Where no order reaches the bound, the block that spoilt the last one goes first in the next:
 * Joslin and Clements 1999, "Squeaky wheel optimization". */
#include "graph/memplan.h"
#include "base/bits.h"
#include "graph/memplan_exact.h"
#include "graph/memplan_live.h"
#include <string.h>

enum {
    NEAR_MAX = 32,     // neighbours gathered one by one; of more, all placed items are filtered
    RETRY_MAX = 8000,  // spans looked at by retries: some 30 microseconds
    N_NODE_MAX = 2000, // of the exact search
};

typedef struct span {
    int64_t begin, end;
} span;

typedef struct placer {
    const bt_memplan_problem *problem;
    bt_memplan_live live;
    int64_t *offset, *best; // [n] under trial, and of the best plan so far
    int32_t *order;         // [n] items as they are to be placed
    int32_t *by_offset;     // [n_placed] items in ascending offsets
    int32_t n_placed;
    uint64_t *placed;            // [n_word] bits of items
    span *near;                  // [n] in ascending begins: the placed items in the way
    bt_memplan_key *key, *spare; // [n]
    int64_t n_span;              // looked at so far
    int64_t arena_bytes;         // of the best plan
    const char *method;
} placer;

static size_t lay_out(placer *r, const bt_memplan_problem *p, char *base)
{
    size_t n = (size_t)p->n_block, at = bt_memplan_live_bytes(p->n_block, p->n_step);
    r->offset = bt_memplan_cut(base, &at, n, sizeof *r->offset);
    r->best = bt_memplan_cut(base, &at, n, sizeof *r->best);
    r->order = bt_memplan_cut(base, &at, n, sizeof *r->order);
    r->by_offset = bt_memplan_cut(base, &at, n, sizeof *r->by_offset);
    r->placed = bt_memplan_cut(base, &at, (size_t)bt_memplan_words(p->n_block), sizeof *r->placed);
    r->near = bt_memplan_cut(base, &at, n, sizeof *r->near);
    r->key = bt_memplan_cut(base, &at, n, sizeof *r->key);
    r->spare = bt_memplan_cut(base, &at, n, sizeof *r->spare);
    return at;
}

size_t bt_memplan_scratch_bytes(int32_t n_block, int32_t n_step)
{
    bt_memplan_problem p = {.n_block = n_block, .n_step = n_step};
    return lay_out(&(placer){0}, &p, NULL);
}

/* ---- one order ---- */

static span span_of(const placer *r, int32_t i)
{
    return (span){r->offset[i], r->offset[i] + r->live.bytes[i]};
}

/* All placed items, lowest first, those in conflict with an item kept. */
static int32_t filter_placed(placer *r, const uint64_t *row)
{
    int32_t n = 0;
    for (int32_t k = 0; k < r->n_placed; k++)
        if (bt_memplan_has(row, r->by_offset[k])) r->near[n++] = span_of(r, r->by_offset[k]);
    return n;
}

/* What is in item i's way, in ascending order. Returns their number. */
static int32_t find_near(placer *r, int32_t i)
{
    const uint64_t *row = r->live.conflict + (size_t)i * (size_t)r->live.n_word;
    int32_t n = 0;
    for (int32_t w = 0; w < r->live.n_word; w++)
        for (uint64_t bits = row[w] & r->placed[w]; bits; bits &= bits - 1) {
            if (n == NEAR_MAX) return filter_placed(r, row);
            span s = span_of(r, w * 64 + __builtin_ctzll(bits));
            int32_t k = n++;
            for (; k && r->near[k - 1].begin > s.begin; k--) r->near[k] = r->near[k - 1];
            r->near[k] = s;
        }
    return n;
}

static int64_t first_fit(const span *near, int32_t n, int64_t need)
{
    int64_t end = 0;
    for (int32_t k = 0; k < n && near[k].begin - end < need; k++)
        end = bt_max_i64(end, near[k].end);
    return end;
}

/* The tightest gap, the lowest of equals, or on top. */
static int64_t best_fit(const span *near, int32_t n, int64_t need)
{
    int64_t end = 0, best = -1, best_gap = INT64_MAX;
    for (int32_t k = 0; k < n; k++) {
        int64_t gap = near[k].begin - end;
        if (gap >= need && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        end = bt_max_i64(end, near[k].end);
    }
    return best >= 0 ? best : end;
}

static void put(placer *r, int32_t i, int64_t offset)
{
    int32_t lo = 0, hi = r->n_placed;
    while (lo < hi) {
        int32_t mid = (lo + hi) / 2;
        if (r->offset[r->by_offset[mid]] <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    memmove(r->by_offset + lo + 1, r->by_offset + lo,
            (size_t)(r->n_placed - lo) * sizeof *r->by_offset);
    r->by_offset[lo] = i;
    r->n_placed++;
    r->offset[i] = offset;
    bt_memplan_set(r->placed, i);
}

typedef int64_t fit_fn(const span *near, int32_t n, int64_t need);

/* Place all items in r->order and keep the plan if it is the best so far. Returns the place in the
 * order of the item that spoilt it, n if none did. */
static int32_t try_order(placer *r, fit_fn *fit, const char *method)
{
    int64_t top = 0;
    r->n_placed = 0;
    memset(r->placed, 0, (size_t)r->live.n_word * sizeof *r->placed);
    for (int32_t k = 0; k < r->live.n; k++) {
        int32_t i = r->order[k], n_near = find_near(r, i);
        r->n_span += n_near + 4;
        int64_t offset = fit(r->near, n_near, r->live.bytes[i]);
        top = bt_max_i64(top, offset + r->live.bytes[i]);
        if (top >= r->arena_bytes) return k;
        put(r, i, offset);
    }
    int64_t *best = r->offset;
    r->offset = r->best;
    r->best = best;
    r->arena_bytes = top;
    r->method = method;
    return r->live.n;
}

/* ---- the orders ---- */

typedef enum order_by { BY_SIZE, BY_TIME, BY_AREA, BY_LIFE } order_by;

static uint64_t key_of(const placer *r, order_by by, int32_t i)
{
    const bt_memplan_block *b = &r->problem->block[r->live.id[i]];
    uint64_t life = (uint64_t)(b->last - b->first) + 1, area;
    if (by == BY_LIFE) return life;
    return bt_mul_fits((uint64_t)r->live.bytes[i], life, &area) ? area : UINT64_MAX;
}

static void set_order(placer *r, order_by by)
{
    int32_t n = r->live.n;
    if (by == BY_TIME) {
        memcpy(r->order, r->live.in_time, (size_t)n * sizeof *r->order);
        return;
    }
    for (int32_t i = 0; i < n; i++) r->order[i] = i; // by size
    if (by == BY_SIZE) return;
    for (int32_t i = 0; i < n; i++) r->key[i] = (bt_memplan_key){key_of(r, by, i), i};
    bt_memplan_sort(r->key, r->spare, n);
    for (int32_t i = 0; i < n; i++) r->order[i] = r->key[i].item;
}

static bool solved(const placer *r) { return r->arena_bytes == r->live.bound_bytes; }

static void try_greedy(placer *r)
{
    static const struct {
        order_by by;
        fit_fn *fit;
        const char *method;
    } rule[] = {
        {BY_SIZE, best_fit, "best fit by size"},
        {BY_TIME, first_fit, "first fit in order of execution"},
        {BY_TIME, best_fit, "best fit in order of execution"},
        {BY_AREA, best_fit, "best fit by area"},
        {BY_LIFE, best_fit, "best fit by lifetime"},
    };
    for (size_t k = 0; k < BT_COUNT_OF(rule) && !solved(r); k++) {
        set_order(r, rule[k].by);
        try_order(r, rule[k].fit, rule[k].method);
    }
}

/* Begin by size; what cannot be placed below the arena to beat goes first in the next round. */
static void try_retries(placer *r)
{
    int64_t n_span_max = r->n_span + RETRY_MAX;
    set_order(r, BY_SIZE);
    while (!solved(r) && r->n_span < n_span_max) {
        int32_t k = try_order(r, best_fit, "best fit, misfits first");
        if (k == r->live.n) continue;
        int32_t i = r->order[k];
        memmove(r->order + 1, r->order, (size_t)k * sizeof *r->order);
        r->order[0] = i;
    }
}

static void try_exact(placer *r)
{
    const bt_memplan_live *l = &r->live;
    bt_memplan_small s = {.n = l->n,
                          .n_node = N_NODE_MAX,
                          .bound_bytes = l->bound_bytes,
                          .arena_bytes = r->arena_bytes};
    for (int32_t k = 0; k < l->n; k++) {
        s.bytes[k] = l->bytes[l->in_time[k]];
        for (int32_t j = 0; j < l->n; j++)
            if (bt_memplan_has(l->conflict + (size_t)l->in_time[k] * (size_t)l->n_word,
                               l->in_time[j]))
                s.conflict[k] |= 1u << j;
    }
    if (!bt_memplan_exact(&s)) return;
    for (int32_t k = 0; k < l->n; k++) r->best[l->in_time[k]] = s.offset[k];
    r->arena_bytes = s.arena_bytes;
    r->method = "exact search";
}

void bt_memplan(const bt_memplan_problem *problem, bt_memplan_report *ret_report)
{
    placer r = {.problem = problem, .arena_bytes = INT64_MAX, .method = "nothing to place"};
    assert((uintptr_t)problem->scratch % BT_MEMPLAN_ALIGN == 0);
    bt_memplan_live_init(problem, &r.live);
    lay_out(&r, problem, problem->scratch);
    for (int32_t b = 0; b < problem->n_block; b++) problem->block[b].offset = 0;
    if (r.live.n == 0) r.arena_bytes = 0;
    if (!solved(&r)) try_greedy(&r);
    if (!solved(&r)) try_retries(&r);
    if (!solved(&r) && r.live.n <= BT_MEMPLAN_EXACT_MAX) try_exact(&r);
    for (int32_t i = 0; i < r.live.n; i++) problem->block[r.live.id[i]].offset = r.best[i];
    *ret_report = (bt_memplan_report){.arena_bytes = r.arena_bytes,
                                      .bound_bytes = r.live.bound_bytes,
                                      .sum_bytes = r.live.sum_bytes,
                                      .method = r.method};
}

/* ---- the verifier: nothing of the above ---- */

static bool bit(const uint64_t *row, int32_t b) { return row[b / 64] >> (b % 64) & 1; }

/* Every step that touches block `a` is over before step s begins. */
static bool over_before(const bt_memplan_problem *p, int32_t a, int32_t s)
{
    size_t n_word = ((size_t)p->n_step + 63) / 64;
    for (size_t w = 0; w < n_word; w++)
        for (uint64_t bits = p->touch[(size_t)a * n_word + w]; bits; bits &= bits - 1)
            if (!bit(p->before + (w * 64 + (size_t)__builtin_ctzll(bits)) * n_word, s))
                return false;
    return true;
}

/* Two blocks that take room overlap in place and in time. One branch for most pairs: the verifier's
 * time is here. */
static bool clash(const bt_memplan_problem *p, int32_t i, int32_t j)
{
    const bt_memplan_block *a = &p->block[i], *b = &p->block[j];
    bool place = (a->offset + a->bytes > b->offset) & (b->offset + b->bytes > a->offset);
    bool time = (a->last >= b->first) & (b->last >= a->first);
    if (!(place & (time | (p->before != NULL)))) return false;
    return !p->before || (!over_before(p, i, b->first) && !over_before(p, j, a->first));
}

/* A block lies in the arena; its steps are in range, and the first is before all others. */
static bt_status check_block(const bt_memplan_problem *p, int32_t b, int64_t arena_bytes)
{
    const bt_memplan_block *a = &p->block[b];
    size_t n_word = ((size_t)p->n_step + 63) / 64;
    BT_FAIL_IF(a->bytes < 0 || a->offset < 0 || a->offset % BT_MEMPLAN_ALIGN ||
                   a->bytes > arena_bytes || a->offset > arena_bytes - a->bytes,
               INVALID, "block %d of %lld bytes at %lld does not lie in an arena of %lld", b,
               (long long)a->bytes, (long long)a->offset, (long long)arena_bytes);
    BT_FAIL_IF(a->first < 0 || a->first > a->last || a->last >= p->n_step, INVALID,
               "block %d lives from step %d to %d of %d", b, a->first, a->last, p->n_step);
    if (!p->before) return BT_OK;
    const uint64_t *touch = p->touch + (size_t)b * n_word;
    const uint64_t *after = p->before + (size_t)a->first * n_word;
    BT_FAIL_IF(!bit(touch, a->first), INVALID, "block %d is not touched by its first step, %d", b,
               a->first);
    for (size_t v = 0; v < n_word; v++) {
        uint64_t stray = touch[v] & ~after[v];
        if (v == (size_t)a->first / 64) stray &= ~(1ull << (a->first % 64));
        BT_FAIL_IF(stray, INVALID,
                   "block %d: step %d touches it and need not come after the first, %d", b,
                   (int)v * 64 + __builtin_ctzll(stray), a->first);
    }
    return BT_OK;
}

bt_status bt_memplan_check(const bt_memplan_problem *problem, int64_t arena_bytes)
{
    int32_t *id = problem->scratch, n = 0; // those before this one that take room
    for (int32_t i = 0; i < problem->n_block; i++) {
        if (problem->block[i].bytes == 0) continue;
        BT_TRY(check_block(problem, i, arena_bytes));
        for (int32_t k = 0; k < n; k++)
            BT_FAIL_IF(clash(problem, i, id[k]), INVALID, "blocks %d and %d overlap", i, id[k]);
        id[n++] = i;
    }
    return BT_OK;
}
