// SPDX-License-Identifier: Apache-2.0
/* memplan_exact: branch and bound over orders of placement, each block on top of those in its way.
 *
 * Some order gives the optimum: push the blocks of an optimal plan down and place them by ascending
 * offset. The search needs few of all orders. Of the blocks left, let k be the one that could end
 * lowest, at `end`. In a plan where nothing can be pushed down, k either lies there, or a block in
 * conflict with it begins below `end`, on top of placed blocks only: every other choice is
 * dominated (the conflict sets of Giffler and Thompson 1960, "Algorithms for solving production-
 * scheduling problems"; a block is a job that holds its steps, an offset a starting time). */
#include "graph/memplan_exact.h"
#include "base/bits.h"
#include <string.h>

enum { N_MAX = BT_MEMPLAN_EXACT_MAX };

typedef struct search {
    bt_memplan_small *s;
    int32_t n_clique;
    uint32_t clique[N_MAX]; // sets of blocks in conflict pairwise
    uint32_t twin[N_MAX];   // blocks before this one that are like it: they go first
    int64_t at[N_MAX];      // offsets under trial
    bool found;
} search;

/* For each block a clique: it, and those before it that go with all chosen so far. With blocks in
 * order of time and lifetimes that are intervals these are all that matter. */
static void find_cliques(search *x)
{
    for (int32_t i = 0; i < x->s->n; i++) {
        uint32_t clique = 1u << i;
        for (int32_t j = i - 1; j >= 0; j--)
            if ((clique & ~x->s->conflict[j]) == 0) clique |= 1u << j;
        for (int32_t j = i + 1; j < x->s->n; j++)
            if ((clique & ~x->s->conflict[j]) == 0) clique |= 1u << j;
        bool known = false;
        for (int32_t c = 0; c < x->n_clique; c++) known |= x->clique[c] == clique;
        if (!known) x->clique[x->n_clique++] = clique;
    }
}

static void find_twins(search *x)
{
    const bt_memplan_small *s = x->s;
    for (int32_t i = 0; i < s->n; i++)
        for (int32_t j = 0; j < i; j++) {
            uint32_t both = 1u << i | 1u << j;
            if (s->bytes[i] == s->bytes[j] && (s->conflict[i] | both) == (s->conflict[j] | both))
                x->twin[i] |= 1u << j;
        }
}

/* No completion can beat the arena: the blocks left of some clique lie one above the other, none
 * lower than the lowest of them can. */
static bool hopeless(const search *x, uint32_t left, const int64_t *low)
{
    for (int32_t c = 0; c < x->n_clique; c++) {
        int64_t sum = 0, floor = INT64_MAX;
        for (uint32_t rest = x->clique[c] & left; rest; rest &= rest - 1) {
            int32_t i = __builtin_ctz(rest);
            if (low[i] + x->s->bytes[i] >= x->s->arena_bytes) return true;
            sum += x->s->bytes[i];
            floor = bt_min_i64(floor, low[i]);
        }
        if (sum && floor + sum >= x->s->arena_bytes) return true;
    }
    return false;
}

static void keep(search *x)
{
    x->found = true;
    x->s->arena_bytes = 0;
    for (int32_t i = 0; i < x->s->n; i++) {
        x->s->offset[i] = x->at[i];
        x->s->arena_bytes = bt_max_i64(x->s->arena_bytes, x->at[i] + x->s->bytes[i]);
    }
}

/* The blocks to try next, as bits: one of `left` that could end lowest, and those that may keep it
 * from lying there. */
static uint32_t choices(const search *x, uint32_t left, const int64_t *low)
{
    int32_t lowest = -1;
    int64_t end = INT64_MAX;
    uint32_t set = 0;
    for (uint32_t rest = left; rest; rest &= rest - 1) {
        int32_t i = __builtin_ctz(rest);
        if (low[i] + x->s->bytes[i] >= end) continue;
        end = low[i] + x->s->bytes[i];
        lowest = i;
    }
    for (uint32_t rest = left & x->s->conflict[lowest]; rest; rest &= rest - 1) {
        int32_t i = __builtin_ctz(rest);
        if (low[i] < end && !(x->twin[i] & left)) set |= 1u << i;
    }
    return set | 1u << lowest;
}

static int32_t largest(const search *x, uint32_t set)
{
    int32_t best = __builtin_ctz(set);
    for (uint32_t rest = set; rest; rest &= rest - 1)
        if (x->s->bytes[__builtin_ctz(rest)] > x->s->bytes[best]) best = __builtin_ctz(rest);
    return best;
}

/* Place the blocks left, none lower than its `low`, in every order that matters. */
static void descend(search *x, uint32_t left, const int64_t *low)
{
    bt_memplan_small *s = x->s;
    if (!left) {
        keep(x);
        return;
    }
    if (!s->n_node) return;
    s->n_node--;
    if (hopeless(x, left, low)) return;
    for (uint32_t set = choices(x, left, low); set && s->arena_bytes > s->bound_bytes;) {
        int32_t k = largest(x, set);
        int64_t next[N_MAX];
        memcpy(next, low, sizeof next);
        x->at[k] = low[k];
        for (uint32_t rest = left & s->conflict[k]; rest; rest &= rest - 1) {
            int32_t i = __builtin_ctz(rest);
            next[i] = bt_max_i64(next[i], low[k] + s->bytes[k]);
        }
        descend(x, left & ~(1u << k), next);
        set &= ~(1u << k);
    }
}

bool bt_memplan_exact(bt_memplan_small *s)
{
    search x = {.s = s};
    int64_t low[N_MAX] = {0};
    assert(s->n >= 1 && s->n <= N_MAX);
    find_cliques(&x);
    find_twins(&x);
    descend(&x, (1u << s->n) - 1, low);
    return x.found;
}
