// SPDX-License-Identifier: Apache-2.0
/* attn_body: the walk over positions, for either vector width. A file defines NAME(slot) and
 * ROWS_MAX before it includes this.
 *
 * Up to ROWS_PASS query rows (tokens x heads that share a KV head) of one sequence walk the cache
 * together in blocks of 64 positions: a block is read and widened once for all of them. attn_tile.h
 * is the arithmetic. After every 512 positions the rows' sums are merged into what was before, or
 * left as they are for attn_merge: both fold the same numbers in the same order. */
#include "kernel/isa.h"
#include "kernel/x86/attn_tile.h"

enum {
    ROWS_PASS = 64,
    ACC_FLOATS = ROWS_PASS * AREA_COLS,
    ROWS_IN_PLACE =
        ROWS_MAX > 2 ? ROWS_MAX : 2 * ROWS_MAX, // widening again costs less than storing
};

typedef struct attn_pass {
    const bt_attn_args *a;
    const int32_t *pages;   // of the sequence
    int64_t kv, begin, end; // positions outside [begin, end) are others' work
    int64_t sure;           // from here on every position up to the last is seen by a row
    int n_row;
    uint64_t seen; // by any row, in this block
    attn_block k, v;
    attn_row row[ROWS_PASS];
    attn_scores score[ROWS_PASS] __attribute__((aligned(64)));
    float acc[ACC_FLOATS] __attribute__((aligned(64)));
    float area[BLOCK * AREA_COLS] __attribute__((aligned(64))); // keys, then values
} attn_pass;

/* ---- chunks ---- */

static float exp2_of(float x)
{
    float lane[W];
    vf_store(lane, vf_exp2(vf_set(x)));
    return lane[0];
}

/* to = to * f + from * g, where one factor is 1. */
static void add_scaled(float *to, float f, const float *from, float g, int64_t n)
{
    for (int64_t i = 0; i < n; i += W) {
        vf x = vf_load_n(to + i, n - i), y = vf_load_n(from + i, n - i);
        vf_store_n(to + i, f == 1 ? vf_fma(y, vf_set(g), x) : vf_fma(x, vf_set(f), y), n - i);
    }
}

/* Fold a chunk (its largest score, its weights, its values) into what the chunks before it gave. */
static void fold_chunk(attn_row *row, float top, float weight, const float *acc, int64_t d_head)
{
    if (!row->has_chunk) {
        row->has_chunk = true;
        row->all_top = top;
        row->all_weight = weight;
        memcpy(row->out, acc, (size_t)d_head * sizeof *acc);
    } else if (top > row->all_top) {
        float f = exp2_of(row->all_top - top);
        add_scaled(row->out, f, acc, 1, d_head);
        add_scaled(&row->all_weight, f, &weight, 1, 1);
        row->all_top = top;
    } else {
        float g = top == row->all_top ? 1 : exp2_of(top - row->all_top);
        add_scaled(row->out, 1, acc, g, d_head);
        add_scaled(&row->all_weight, 1, &weight, g, 1);
    }
}

static void divide_row(const attn_row *row, int64_t d_head)
{
    for (int64_t i = 0; row->has_chunk && i < d_head; i += W)
        vf_store_n(row->out + i,
                   vf_div(vf_load_n(row->out + i, d_head - i), vf_set(row->all_weight)),
                   d_head - i);
}

static float sum_lanes(const float *lane)
{
    float part[RUN];
    memcpy(part, lane, sizeof part);
    for (int n = RUN / 2; n; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    return part[0];
}

static void close_chunk(attn_pass *p, int64_t chunk)
{
    const bt_attn_args *a = p->a;
    int64_t d_head = a->pool.d_head;
    for (int r = 0; r < p->n_row; r++) {
        attn_row *row = &p->row[r];
        if (!row->is_open) continue;
        row->is_open = false;
        float weight = sum_lanes(row->weight);
        if (!a->part) {
            fold_chunk(row, row->top, weight, row->acc, d_head);
            continue;
        }
        int64_t at = (row->out - a->out) / d_head * a->n_chunk + chunk;
        a->part_top[2 * at] = row->top;
        a->part_top[2 * at + 1] = weight;
        memcpy(a->part + at * d_head, row->acc, (size_t)d_head * sizeof *row->acc);
    }
}

static void open_chunk(attn_row *row, int64_t d_head)
{
    row->is_open = true;
    row->top = -INFINITY;
    memset(row->weight, 0, sizeof row->weight);
    memset(row->acc, 0, (size_t)bt_round_up(d_head, RUN) * sizeof *row->acc);
}

/* ---- blocks ---- */

/* Which positions of the block at p0 each row sees. */
static void look(attn_pass *p, int64_t p0)
{
    for (int r = 0; r < p->n_row; r++) {
        attn_row *row = &p->row[r];
        row->seen = bt_attn_seen(row->first, row->last, p->a->n_sink, p0);
        p->seen |= row->seen;
        if (row->seen && !row->is_open) open_chunk(row, p->a->pool.d_head);
    }
}

/* Where a head's area in the page of a position lies in both arrays. */
static int64_t area_at(const attn_pass *p, int64_t position)
{
    const bt_kv_pool *pool = &p->a->pool;
    int64_t page = p->pages[position / pool->page_len];
    return (page * pool->n_kv + p->kv) * bt_kv_area_bytes(pool);
}

/* `end`: where the walk ends. */
static void find_block(attn_pass *p, int64_t p0, int64_t end)
{
    const bt_kv_pool *pool = &p->a->pool;
    int64_t run_bytes = bt_kv_area_bytes(pool) * RUN / pool->page_len;
    for (int r = 0; r < N_RUN; r++) {
        int64_t position = p0 + r * RUN, next = position + BLOCK,
                in_page = next % pool->page_len / RUN * run_bytes;
        p->k.area[r] = p->v.area[r] = p->k.next[r] = p->v.next[r] = NULL;
        p->k.offset[r] = p->v.offset[r] = position % pool->page_len;
        if (!run_of(p->seen, r)) continue; // a page that nobody sees may be gone
        p->k.area[r] = (const char *)pool->k + area_at(p, position);
        p->v.area[r] = (const char *)pool->v + area_at(p, position);
        if (next >= end || next < p->sure) continue;
        p->k.next[r] = (const char *)pool->k + area_at(p, next) + in_page;
        p->v.next[r] = (const char *)pool->v + area_at(p, next) + in_page;
    }
}

static uint64_t tile_seen(const attn_row *row, int n)
{
    uint64_t seen = 0;
    for (int r = 0; r < n; r++) seen |= row[r].seen;
    return seen;
}

/* Rows of the tile at row r: as even as can be, not six and one. */
static int tile_rows(int n_row, int r)
{
    int n_tile = (n_row + ROWS_MAX - 1) / ROWS_MAX, most = (n_row + n_tile - 1) / n_tile;
    return (int)bt_min_i64(most, n_row - r);
}

static void pass_block(attn_pass *p)
{
    const bt_attn_args *a = p->a;
    int64_t d_head = a->pool.d_head;
    bool in_place = a->pool.dtype == BT_F32 || p->n_row <= ROWS_IN_PLACE;
    for (int64_t d = 0; d < d_head; d += AREA_COLS) {
        int64_t n_d = bt_min_i64(AREA_COLS, d_head - d);
        attn_floats k = load_keys(&a->pool, &p->k, d, n_d, in_place, p->area);
        for (int r = 0, n; r < p->n_row; r += n) {
            n = tile_rows(p->n_row, r);
            score_tiles[k.dtype][n - 1](&p->row[r], &p->score[r], &k, tile_seen(&p->row[r], n), d,
                                        n_d);
            memset(k.next, 0, sizeof k.next);
        }
    }
    float scale = (float)(a->scale * 1.4426950408889634);
    for (int r = 0; r < p->n_row; r++) weigh_row(&p->row[r], p->score[r], scale, d_head);
    for (int64_t c = 0; c < d_head; c += AREA_COLS) {
        int64_t n_col = bt_min_i64(AREA_COLS, d_head - c);
        attn_floats v = load_values(&a->pool, &p->v, c, n_col, in_place, p->area);
        for (int r = 0, n; r < p->n_row; r += n) {
            n = tile_rows(p->n_row, r);
            add_tiles[v.dtype][n - 1](&p->row[r], &p->score[r], &v, c, n_col);
            memset(v.next, 0, sizeof v.next);
        }
    }
}

static void walk_blocks(attn_pass *p)
{
    int64_t first = INT64_MAX, end = p->begin, n_sink = p->a->n_sink;
    for (int r = 0; r < p->n_row; r++) {
        first = bt_min_i64(first, p->row[r].first);
        end = bt_max_i64(end, bt_min_i64(p->row[r].last + 1, p->end));
    }
    p->sure = first;
    for (int64_t p0 = p->begin; p0 < end; p0 += BLOCK) {
        p->seen = 0;
        if (p0 < n_sink || p0 + BLOCK > first) look(p, p0);
        if (p->seen) {
            find_block(p, p0, end);
            pass_block(p);
        }
        if ((p0 + BLOCK) % BT_ATTN_CHUNK == 0) close_chunk(p, p0 / BT_ATTN_CHUNK);
    }
    if (end > p->begin) close_chunk(p, (end - 1) / BT_ATTN_CHUNK);
    for (int r = 0; !p->a->part && r < p->n_row; r++) divide_row(&p->row[r], p->a->pool.d_head);
}

/* ---- items ---- */

static void add_row(attn_pass *p, int64_t t, int64_t head)
{
    const bt_attn_args *a = p->a;
    int64_t d_head = a->pool.d_head, at = (t * a->n_head + head) * d_head;
    attn_row *row = &p->row[p->n_row];
    *row = (attn_row){.q = a->q + at, .out = a->out + at, .last = a->pos[t]};
    row->acc = p->acc + p->n_row++ * bt_round_up(d_head, RUN);
    row->first = bt_attn_first(a->window, row->last);
    if (!a->part) memset(row->out, 0, (size_t)d_head * sizeof *row->out); // sees nothing: 0
}

/* Rows of an item in order of token and head; a pass ends where it is full or the sequence changes.
 */
static void attend_item(attn_pass *p, int64_t t0, int64_t t1)
{
    const bt_attn_args *a = p->a;
    int64_t n_group = a->n_head / a->pool.n_kv;
    int n_row_max = (int)bt_min_i64(ROWS_PASS, ACC_FLOATS / bt_round_up(a->pool.d_head, RUN));
    p->n_row = 0;
    for (int64_t t = t0; t < t1; t++)
        for (int64_t h = 0; h < n_group; h++) {
            add_row(p, t, p->kv * n_group + h);
            bool token_ends = h == n_group - 1;
            bool ends = token_ends && (t + 1 == t1 || a->seq[t + 1] != a->seq[t]);
            if (p->n_row < n_row_max && !ends) continue;
            p->pages = a->table + a->seq[t] * a->n_page_max;
            walk_blocks(p);
            p->n_row = 0;
        }
}

void NAME(attn)(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    attn_pass p;
    p.a = a;
    int64_t n_part = a->part ? a->n_chunk : 1;
    for (int64_t item = begin; item < end; item++) {
        int64_t group = item / (a->pool.n_kv * n_part), chunk = item / a->pool.n_kv % n_part;
        p.kv = item % a->pool.n_kv;
        p.begin = chunk * BT_ATTN_CHUNK;
        p.end = a->part ? p.begin + BT_ATTN_CHUNK : INT64_MAX;
        attend_item(&p, group * BT_ATTN_GROUP, bt_min_i64((group + 1) * BT_ATTN_GROUP, a->n_tok));
    }
}

void NAME(attn_merge)(const void *args, int64_t begin, int64_t end)
{
    const bt_attn_args *a = args;
    int64_t d_head = a->pool.d_head;
    for (int64_t i = begin; i < end; i++) {
        int64_t last = a->pos[i / a->n_head], first = bt_attn_first(a->window, last);
        attn_row row = {.out = a->out + i * d_head};
        memset(row.out, 0, (size_t)d_head * sizeof *row.out);
        for (int64_t c = 0; c * BT_ATTN_CHUNK <= last; c++) {
            int64_t at = i * a->n_chunk + c;
            if (!bt_attn_sees_chunk(first, last, a->n_sink, c)) continue;
            fold_chunk(&row, a->part_top[2 * at], a->part_top[2 * at + 1], a->part + at * d_head,
                       d_head);
        }
        divide_row(&row, d_head);
    }
}
