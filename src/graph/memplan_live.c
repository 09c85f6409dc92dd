// SPDX-License-Identifier: Apache-2.0
/* memplan_live: conflicts of blocks, and the lower bound that follows from them.
 *
 * Blocks that are in conflict pairwise (a clique) lie one above the other in every plan. Where
 * steps are totally ordered, lifetimes are intervals, and the heaviest clique is the heaviest set
 * that lives at one step (Helly). Where they are not, the blocks that have begun at step t and are
 * not over before it are a clique too; others are grown greedily. */
#include "graph/memplan_live.h"
#include "base/bits.h"
#include <string.h>

typedef struct arrays {
    int32_t *n_first;            // [n_step + 1] for counting
    int32_t *active;             // [n] items that live now
    int64_t *live;               // [n_step] bytes
    uint64_t *over;              // [words of n_step]
    uint64_t *grow;              // [words of n]
    bt_memplan_key *key, *spare; // [n]
} arrays;

void *bt_memplan_cut(char *base, size_t *at, size_t count, size_t size)
{
    void *array = base ? base + *at : NULL;
    *at += (count * size + 63) & ~(size_t)63;
    return array;
}

static size_t lay_out(char *base, int32_t n_block, int32_t n_step, bt_memplan_live *l, arrays *a)
{
    size_t at = 0, n = (size_t)n_block, n_word = (size_t)bt_memplan_words(n_block);
    l->id = bt_memplan_cut(base, &at, n, sizeof *l->id);
    l->in_time = bt_memplan_cut(base, &at, n, sizeof *l->in_time);
    l->bytes = bt_memplan_cut(base, &at, n, sizeof *l->bytes);
    l->conflict = bt_memplan_cut(base, &at, n * n_word, sizeof *l->conflict);
    a->n_first = bt_memplan_cut(base, &at, (size_t)n_step + 1, sizeof *a->n_first);
    a->active = bt_memplan_cut(base, &at, n, sizeof *a->active);
    a->live = bt_memplan_cut(base, &at, (size_t)n_step, sizeof *a->live);
    a->over = bt_memplan_cut(base, &at, (size_t)bt_memplan_words(n_step), sizeof *a->over);
    a->grow = bt_memplan_cut(base, &at, n_word, sizeof *a->grow);
    a->key = bt_memplan_cut(base, &at, n, sizeof *a->key);
    a->spare = bt_memplan_cut(base, &at, n, sizeof *a->spare);
    return at;
}

size_t bt_memplan_live_bytes(int32_t n_block, int32_t n_step)
{
    return lay_out(NULL, n_block, n_step, &(bt_memplan_live){0}, &(arrays){0});
}

static void merge(const bt_memplan_key *from, bt_memplan_key *to, int32_t mid, int32_t n)
{
    int32_t i = 0, j = mid;
    for (int32_t k = 0; k < n; k++)
        to[k] = j == n || (i < mid && from[i].key >= from[j].key) ? from[i++] : from[j++];
}

void bt_memplan_sort(bt_memplan_key *key, bt_memplan_key *spare, int32_t n)
{
    bt_memplan_key *from = key, *to = spare;
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t at = 0; at < n; at += 2 * run) {
            int32_t len = n - at < 2 * run ? n - at : 2 * run;
            merge(from + at, to + at, len < run ? len : run, len);
        }
        bt_memplan_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != key) memcpy(key, from, (size_t)n * sizeof *key);
}

/* The items: first in order of time by counting, then by size. */
static void collect(const bt_memplan_problem *p, bt_memplan_live *l, arrays *a)
{
    int32_t *by_time = a->active, *n_first = a->n_first;
    memset(n_first, 0, ((size_t)p->n_step + 1) * sizeof *n_first);
    for (int32_t b = 0; b < p->n_block; b++) {
        const bt_memplan_block *block = &p->block[b];
        assert(block->bytes >= 0 && block->first >= 0 && block->first <= block->last &&
               block->last < p->n_step);
        if (block->bytes) n_first[block->first + 1]++;
    }
    for (int32_t s = 0; s < p->n_step; s++) n_first[s + 1] += n_first[s];
    l->n = n_first[p->n_step];
    l->n_word = bt_memplan_words(l->n);
    for (int32_t b = 0; b < p->n_block; b++)
        if (p->block[b].bytes) by_time[n_first[p->block[b].first]++] = b;
    for (int32_t r = 0; r < l->n; r++)
        a->key[r] = (bt_memplan_key){(uint64_t)p->block[by_time[r]].bytes, r};
    bt_memplan_sort(a->key, a->spare, l->n);
    for (int32_t i = 0; i < l->n; i++) {
        l->id[i] = by_time[a->key[i].item];
        l->in_time[a->key[i].item] = i;
        l->bytes[i] = bt_round_up(p->block[l->id[i]].bytes, BT_MEMPLAN_ALIGN);
        l->sum_bytes += l->bytes[i];
    }
}

/* Total order: sweep over the items as they begin, with the list of those that still live. */
static void meet_in_time(const bt_memplan_problem *p, bt_memplan_live *l, int32_t *active)
{
    int32_t n_active = 0;
    memset(l->conflict, 0, (size_t)l->n * (size_t)l->n_word * sizeof *l->conflict);
    for (int32_t r = 0; r < l->n; r++) {
        int32_t i = l->in_time[r], first = p->block[l->id[i]].first, n_keep = 0;
        uint64_t *row = l->conflict + (size_t)i * (size_t)l->n_word;
        int64_t live = l->bytes[i];
        for (int32_t k = 0; k < n_active; k++) {
            int32_t j = active[k];
            if (p->block[l->id[j]].last < first) continue;
            active[n_keep++] = j;
            bt_memplan_set(row, j);
            bt_memplan_set(l->conflict + (size_t)j * (size_t)l->n_word, i);
            live += l->bytes[j];
        }
        active[n_keep++] = i;
        n_active = n_keep;
        l->bound_bytes = bt_max_i64(l->bound_bytes, live);
    }
}

/* The steps before which all steps that touch block b are over. */
static void find_over(const bt_memplan_problem *p, int32_t b, uint64_t *over)
{
    size_t n_word = (size_t)bt_memplan_words(p->n_step);
    const uint64_t *touch = p->touch + (size_t)b * n_word;
    memcpy(over, p->before + (size_t)p->block[b].first * n_word, n_word * sizeof *over);
    for (size_t w = 0; w < n_word; w++)
        for (uint64_t bits = touch[w]; bits; bits &= bits - 1) {
            const uint64_t *row = p->before + (w * 64 + (size_t)__builtin_ctzll(bits)) * n_word;
            for (size_t v = 0; v < n_word; v++) over[v] &= row[v];
        }
}

/* Add an item's bytes to the steps at which it lives: not before its first, and not over. Two that
 * live at t are in conflict: if one were over before the other's first, it would be before t. */
static void add_live(const bt_memplan_problem *p, int32_t b, const uint64_t *over, int64_t *live)
{
    size_t n_word = (size_t)bt_memplan_words(p->n_step);
    int64_t bytes = bt_round_up(p->block[b].bytes, BT_MEMPLAN_ALIGN);
    const uint64_t *after = p->before + (size_t)p->block[b].first * n_word;
    live[p->block[b].first] += bytes;
    for (size_t w = 0; w < n_word; w++)
        for (uint64_t bits = after[w] & ~over[w]; bits; bits &= bits - 1)
            live[w * 64 + (size_t)__builtin_ctzll(bits)] += bytes;
}

/* The bytes of a clique with item i: the largest that goes with all chosen so far, again and again.
 * Items are numbered by size, so this is one walk over the candidates. */
static int64_t clique_bytes(const bt_memplan_live *l, int32_t i, uint64_t *grow)
{
    size_t n_word = (size_t)l->n_word;
    int64_t bytes = l->bytes[i];
    memcpy(grow, l->conflict + (size_t)i * n_word, n_word * sizeof *grow);
    for (size_t w = 0; w < n_word; w++)
        while (grow[w]) {
            size_t j = w * 64 + (size_t)__builtin_ctzll(grow[w]);
            bytes += l->bytes[j];
            for (size_t v = w; v < n_word; v++) grow[v] &= l->conflict[j * n_word + v];
        }
    return bytes;
}

/* Partial order: all are in conflict but those of which one is over before the other begins. */
static void meet_in_order(const bt_memplan_problem *p, bt_memplan_live *l, arrays *a)
{
    size_t n_word = (size_t)l->n_word;
    int32_t *first = a->active;
    memset(a->live, 0, (size_t)p->n_step * sizeof *a->live);
    memset(l->conflict, 0xff, (size_t)l->n * n_word * sizeof *l->conflict);
    for (int32_t i = 0; i < l->n; i++) {
        uint64_t *row = l->conflict + (size_t)i * n_word;
        if (l->n & 63) row[n_word - 1] &= (1ull << (l->n & 63)) - 1;
        first[i] = p->block[l->id[i]].first;
    }
    for (int32_t i = 0; i < l->n; i++) {
        uint64_t *row = l->conflict + (size_t)i * n_word;
        find_over(p, l->id[i], a->over);
        add_live(p, l->id[i], a->over, a->live);
        row[i >> 6] &= ~(1ull << (i & 63));
        for (int32_t j = 0; j < l->n; j++) {
            if (!bt_memplan_has(a->over, first[j])) continue;
            row[j >> 6] &= ~(1ull << (j & 63));
            l->conflict[(size_t)j * n_word + (size_t)(i >> 6)] &= ~(1ull << (i & 63));
        }
    }
    for (int32_t s = 0; s < p->n_step; s++) l->bound_bytes = bt_max_i64(l->bound_bytes, a->live[s]);
    for (int32_t i = 0; i < l->n; i++)
        l->bound_bytes = bt_max_i64(l->bound_bytes, clique_bytes(l, i, a->grow));
}

void bt_memplan_live_init(const bt_memplan_problem *problem, bt_memplan_live *ret_live)
{
    arrays a;
    *ret_live = (bt_memplan_live){0};
    lay_out(problem->scratch, problem->n_block, problem->n_step, ret_live, &a);
    collect(problem, ret_live, &a);
    if (problem->before)
        meet_in_order(problem, ret_live, &a);
    else
        meet_in_time(problem, ret_live, a.active);
}
