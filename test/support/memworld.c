// SPDX-License-Identifier: Apache-2.0
#include "support/memworld.h"
#include "base/bits.h"
#include <string.h>

/* ---- problems ---- */

static int32_t n_word(const memworld *w) { return (w->p.n_step + 63) / 64; }
static bool has(const memworld *w, const uint64_t *rows, int32_t row, int32_t b)
{
    return rows[(size_t)row * (size_t)n_word(w) + (size_t)(b / 64)] >> (b % 64) & 1;
}

void memworld_set(memworld *w, uint64_t *rows, int32_t row, int32_t b)
{
    rows[(size_t)row * (size_t)n_word(w) + (size_t)(b / 64)] |= 1ull << (b % 64);
}

void memworld_begin(memworld *w, int32_t n_step, bool partial)
{
    assert_true(n_step <= MEMWORLD_STEPS);
    memset(w, 0, sizeof *w);
    w->p = (bt_memplan_problem){.block = w->block,
                                .n_step = n_step,
                                .before = partial ? w->before : NULL,
                                .touch = partial ? w->touch : NULL,
                                .scratch = w->scratch};
}

int32_t memworld_add(memworld *w, int64_t bytes, int32_t first, int32_t last)
{
    assert_true(w->p.n_block < MEMWORLD_BLOCKS);
    w->block[w->p.n_block] = (bt_memplan_block){.bytes = bytes, .first = first, .last = last};
    return w->p.n_block++;
}

int32_t memworld_add_touched(memworld *w, int64_t bytes, int32_t first, int32_t last)
{
    memworld_set(w, w->touch, w->p.n_block, first);
    memworld_set(w, w->touch, w->p.n_block, last);
    return memworld_add(w, bytes, first, last);
}

static int64_t some_bytes(test_rng *rng)
{
    static const int64_t common[] = {1, 64, 640, 4096};
    int64_t kind = test_range(rng, 0, 5);
    return kind == 0 ? 0 : kind == 1 ? common[test_range(rng, 0, 3)] : test_range(rng, 1, 5000);
}

void memworld_intervals(memworld *w, test_rng *rng, int32_t n, int32_t n_step)
{
    memworld_begin(w, n_step, false);
    for (int32_t i = 0; i < n; i++) {
        int32_t first = (int32_t)test_range(rng, 0, n_step - 1);
        int64_t last = first + test_range(rng, 0, n_step / 3);
        memworld_add(w, some_bytes(rng), first, (int32_t)bt_min_i64(last, n_step - 1));
    }
}

/* Steps dealt to streams; each follows the last of its stream, and some wait for another stream. */
static void random_order(memworld *w, test_rng *rng, int32_t n_step, int32_t n_stream)
{
    int32_t stream[MEMWORLD_STEPS];
    for (int32_t s = 0; s < n_step; s++) stream[s] = (int32_t)test_range(rng, 0, n_stream - 1);
    for (int32_t a = n_step - 1; a >= 0; a--)
        for (int32_t b = a + 1; b < n_step; b++) {
            if (stream[a] != stream[b] && test_range(rng, 0, 19)) continue;
            memworld_set(w, w->before, a, b);
            for (int32_t c = b + 1; c < n_step; c++)
                if (has(w, w->before, b, c)) memworld_set(w, w->before, a, c);
        }
}

void memworld_streams(memworld *w, test_rng *rng, int32_t n, int32_t n_step)
{
    memworld_begin(w, n_step, true);
    random_order(w, rng, n_step, (int32_t)test_range(rng, 1, 4));
    for (int32_t i = 0; i < n; i++) {
        int32_t first = (int32_t)test_range(rng, 0, n_step - 1), last = first;
        int32_t reach = (int32_t)bt_min_i64(n_step - 1, first + test_range(rng, 0, 12));
        memworld_set(w, w->touch, i, first);
        for (int32_t s = first + 1; s <= reach; s++)
            if (has(w, w->before, first, s) && !test_range(rng, 0, 2)) {
                memworld_set(w, w->touch, i, s);
                last = s;
            }
        memworld_add(w, some_bytes(rng), first, last);
    }
}

void memworld_in_a_row(memworld *w)
{
    w->p.before = w->before;
    w->p.touch = w->touch;
    for (int32_t a = 0; a < w->p.n_step; a++)
        for (int32_t b = a + 1; b < w->p.n_step; b++) memworld_set(w, w->before, a, b);
    for (int32_t i = 0; i < w->p.n_block; i++) {
        memworld_set(w, w->touch, i, w->block[i].first);
        memworld_set(w, w->touch, i, w->block[i].last);
    }
}

void memworld_plan(memworld *w)
{
    assert_true(bt_memplan_scratch_bytes(w->p.n_block, w->p.n_step) <= sizeof w->scratch);
    memset(w->scratch, 0xa5, sizeof w->scratch); // what lies there must not matter
    bt_memplan(&w->p, &w->report);
}

bt_status memworld_check(memworld *w) { return bt_memplan_check(&w->p, w->report.arena_bytes); }

/* ---- naive planners ---- */

/* All steps that touch a are over before b is written. */
static bool over(const memworld *w, int32_t a, int32_t b)
{
    if (!w->p.before) return w->block[a].last < w->block[b].first;
    for (int32_t s = 0; s < w->p.n_step; s++)
        if (has(w, w->touch, a, s) && !has(w, w->before, s, w->block[b].first)) return false;
    return true;
}

void memworld_find_conflicts(memworld *w)
{
    assert_true(w->p.n_block <= MEMWORLD_SMALL);
    for (int32_t a = 0; a < w->p.n_block; a++)
        for (int32_t b = 0; b < w->p.n_block; b++)
            w->conflict[a][b] = a != b && w->block[a].bytes && w->block[b].bytes &&
                                !over(w, a, b) && !over(w, b, a);
}

int64_t memworld_pad(const memworld *w, int32_t i) { return (w->block[i].bytes + 63) / 64 * 64; }

/* The room above `from` until the next placed block that conflicts with i; -1 if one is there. */
static int64_t room_at(const memworld *w, const int64_t *offset, int32_t i, int64_t from)
{
    int64_t room = INT64_MAX;
    for (int32_t j = 0; j < w->p.n_block; j++) {
        if (offset[j] < 0 || !w->conflict[i][j]) continue;
        if (offset[j] <= from && from < offset[j] + memworld_pad(w, j)) return -1;
        if (offset[j] > from) room = bt_min_i64(room, offset[j] - from);
    }
    return room;
}

/* The lowest place that fits, or the tightest one: candidates are 0 and the ends of all others. */
static int64_t find_place(const memworld *w, const int64_t *offset, int32_t i, bool tightest)
{
    int64_t best = -1, best_room = 0;
    for (int32_t j = -1; j < w->p.n_block; j++) {
        if (j >= 0 && (offset[j] < 0 || !w->conflict[i][j])) continue;
        int64_t from = j < 0 ? 0 : offset[j] + memworld_pad(w, j),
                room = room_at(w, offset, i, from);
        if (room < memworld_pad(w, i)) continue;
        bool better = tightest && room != best_room ? room < best_room : from < best;
        if (best < 0 || better) {
            best = from;
            best_room = room;
        }
    }
    return best;
}

int64_t memworld_place_all(const memworld *w, const int32_t *order, bool tightest)
{
    int64_t offset[MEMWORLD_SMALL], arena = 0;
    for (int32_t i = 0; i < w->p.n_block; i++) offset[i] = -1;
    for (int32_t k = 0; k < w->p.n_block; k++) {
        int32_t i = order[k];
        if (w->block[i].bytes == 0) continue;
        offset[i] = find_place(w, offset, i, tightest);
        arena = bt_max_i64(arena, offset[i] + memworld_pad(w, i));
    }
    return arena;
}

void memworld_order_of_execution(const memworld *w, int32_t *ret_order)
{
    for (int32_t i = 0; i < w->p.n_block; i++) {
        int32_t k = i;
        for (; k && w->block[ret_order[k - 1]].first > w->block[i].first; k--)
            ret_order[k] = ret_order[k - 1];
        ret_order[k] = i;
    }
}

int64_t memworld_least_arena(const memworld *w, int32_t *order, int32_t k)
{
    if (k == w->p.n_block) return memworld_place_all(w, order, false);
    int64_t least = INT64_MAX;
    for (int32_t j = k; j < w->p.n_block; j++) {
        int32_t swap = order[k];
        order[k] = order[j];
        order[j] = swap;
        least = bt_min_i64(least, memworld_least_arena(w, order, k + 1));
        order[j] = order[k];
        order[k] = swap;
    }
    return least;
}

int64_t memworld_most_at_a_step(const memworld *w)
{
    int64_t most = 0;
    for (int32_t t = 0; t < w->p.n_step; t++) {
        int64_t live = 0;
        for (int32_t i = 0; i < w->p.n_block; i++) {
            bool begun, lasts = false;
            if (w->p.before) {
                begun = w->block[i].first == t || has(w, w->before, w->block[i].first, t);
                for (int32_t s = 0; s < w->p.n_step; s++)
                    lasts |= has(w, w->touch, i, s) && (s == t || has(w, w->before, t, s));
            } else {
                begun = w->block[i].first <= t;
                lasts = t <= w->block[i].last;
            }
            if (begun && lasts) live += memworld_pad(w, i);
        }
        most = bt_max_i64(most, live);
    }
    return most;
}
