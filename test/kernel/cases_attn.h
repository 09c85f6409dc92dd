// SPDX-License-Identifier: Apache-2.0
/* cases_attn: rope_kv and attn over a paged pool: random pages, mixed prefill and decode, unwritten
 * slots full of NaN, table entries past the position that must not be followed. */
#pragma once
#include "kernel/cases_row.h"
#include "kernel/kvpool.h"

enum { N_PAGE = 24, PAGES_A_SEQ = 6, BENCH_KV_TYPES = 4 };

typedef struct pool_data {
    bt_kv_pool pool;
    guarded k, v;
} pool_data;

static const bt_dtype kv_types[] = {BT_F32, BT_F16, BT_BF16, BT_Q8_0, BT_Q4_0};

/* n_page pages of NaN: all bits set is one in every type, as a scale too. */
static pool_data pool_of(bt_dtype dtype, int32_t n_page, int32_t page_len, int32_t n_kv,
                         int32_t d_head)
{
    pool_data p = {.pool = {.dtype = dtype, .page_len = page_len, .n_kv = n_kv, .d_head = d_head}};
    size_t size = (size_t)(n_page * n_kv * bt_kv_area_bytes(&p.pool));
    assert_int_equal(size, bt_row_bytes(dtype, (int64_t)n_page * n_kv * d_head * page_len));
    p.k = guarded_new(size);
    p.v = guarded_new(size);
    memset(p.k.data, 0xFF, size);
    memset(p.v.data, 0xFF, size);
    p.pool.k = p.k.data;
    p.pool.v = p.v.data;
    return p;
}

static pool_data pool_new(bt_dtype dtype, int32_t page_len, int32_t n_kv, int32_t d_head)
{
    return pool_of(dtype, N_PAGE, page_len, n_kv, d_head);
}

static void pool_free(pool_data *p)
{
    guarded_free(&p->k);
    guarded_free(&p->v);
}

/* ---- rope_kv ---- */

/* One step of the type near y: of a code where there are codes. */
static double kv_step(const bt_kv_side *side, int64_t i, double y)
{
    uint16_t half;
    if (!bt_kv_is_quantised(side->dtype))
        return (side->dtype == BT_F32   ? 0x1p-23
                : side->dtype == BT_F16 ? 0x1p-10
                                        : 0x1p-7) *
               fabs(y);
    memcpy(&half, bt_kv_scale_of(side, i), sizeof half);
    return 1.01 * fabs((double)bt_f16_to_f32(half)) + 0x1p-10 * fabs(y);
}

/* Two pools: NaN where nothing was stored, else within one step of the type. */
static void check_pool(const pool_data *got, const pool_data *want, bool is_v)
{
    const char *what = is_v ? "v" : "k";
    check_front(is_v ? &got->v : &got->k, what);
    for (int64_t slot = 0; slot < N_PAGE * got->pool.page_len; slot++)
        for (int kv = 0; kv < got->pool.n_kv; kv++) {
            bt_kv_side g = bt_kv_open(&got->pool, is_v, slot, kv),
                       w = bt_kv_open(&want->pool, is_v, slot, kv);
            for (int i = 0; i < got->pool.d_head; i++) {
                double y = bt_kv_get(&w, i);
                check_close(what, slot, bt_kv_get(&g, i), y,
                            isnan(y) ? 0 : kv_step(&w, i, y) + 4e-6);
            }
        }
}

static void case_rope_kv(bt_slot slot)
{
    static const int heads[][2] = {{8, 4},   {64, 32}, {80, 40}, {128, 64},
                                   {34, 17}, {34, 10}, {64, 16}, {2, 1}};
    for (int i = 0; i < 80; i++) {
        int d = heads[i % 8][0], n_pair = heads[i % 8][1], n_head = 5, n_kv = 2, n_tok = 7,
            norm = i / 8 % 2;
        bt_dtype dtype = kv_types[i < 48 ? i % 3 : 3 + i / 8 % 2];
        if (i >= 48) d = 32 << i % 3, n_pair = d / (2 + i / 3 % 2);
        test_rng rng = {now.seed = (uint64_t)i};
        snprintf(now.shape, sizeof now.shape, "d_head %d n_pair %d norm %d interleaved %d %s", d,
                 n_pair, norm, i / 16 % 2, bt_dtype_name(dtype));
        guarded qkv = guarded_new((size_t)(n_tok * (n_head + 2 * n_kv) * d) * 4),
                q = guarded_new((size_t)(n_tok * n_head * d) * 4);
        guarded angles = guarded_new((size_t)(n_tok * n_pair * 2) * 4),
                q_norm = guarded_new((size_t)d * 4), k_norm = guarded_new((size_t)d * 4);
        fill_normal(&rng, (float *)qkv.data, (int64_t)(qkv.size / 4), 1);
        for (int j = 0; j < n_tok * n_pair; j++) {
            double angle = test_uniform(&rng) * 6;
            ((float *)angles.data)[2 * j] = (float)cos(angle);
            ((float *)angles.data)[2 * j + 1] = (float)sin(angle);
        }
        fill_normal(&rng, (float *)q_norm.data, d, 1);
        fill_normal(&rng, (float *)k_norm.data, d, 1);
        if (i % 5 == 4) ((float *)qkv.data)[test_range(&rng, 0, d - 1)] = NAN;
        int32_t page_len = 16 << i % 3;
        int64_t slots[7];
        for (int j = 0; j < n_tok; j++)
            slots[j] = (j * 5 % N_PAGE) * page_len + test_range(&rng, 0, page_len - 1);
        pool_data want = pool_new(dtype, page_len, n_kv, d);
        float *want_q = malloc(q.size);
        FOR_VERSIONS(slot, fn)
        {
            pool_data got = pool_new(dtype, page_len, n_kv, d),
                      pieces = pool_new(dtype, page_len, n_kv, d);
            bt_rope_kv_args args = {.qkv = (float *)qkv.data,
                                    .angles = (float *)angles.data,
                                    .slot = slots,
                                    .q_norm = norm ? (float *)q_norm.data : NULL,
                                    .k_norm = norm ? (float *)k_norm.data : NULL,
                                    .q = (float *)q.data,
                                    .pool = got.pool,
                                    .n_head = n_head,
                                    .n_pair = n_pair,
                                    .norm_eps = 1e-6f,
                                    .interleaved = i / 16 % 2};
            memset(q.data, SENTINEL, q.size);
            fn(&args, 0, n_tok);
            if (level_ == BT_CPU_LEVEL_REF) {
                memcpy(want_q, q.data, q.size);
                memcpy(want.k.data, got.k.data, got.k.size);
                memcpy(want.v.data, got.v.data, got.v.size);
            }
            for (int64_t j = 0; j < (int64_t)(q.size / 4); j++)
                check_close("q", j, ((float *)q.data)[j], want_q[j], 1e-6 * fabs(want_q[j]) + 2e-6);
            check_pool(&got, &want, false);
            check_pool(&got, &want, true);
            if (bt_kv_is_quantised(dtype)) // values are as they came: no two ways to round them
                check_bits("v", got.v.data, want.v.data, got.v.size);
            float *first = malloc(q.size);
            memcpy(first, q.data, q.size);
            args.pool = pieces.pool;
            run_pieces(&rng, fn, &args, n_tok);
            check_front(&q, "q");
            check_bits("q in pieces", q.data, first, q.size);
            check_bits("k in pieces", pieces.k.data, got.k.data, got.k.size);
            check_bits("v in pieces", pieces.v.data, got.v.data, got.v.size);
            free(first);
            pool_free(&got);
            pool_free(&pieces);
        }
        free(want_q);
        pool_free(&want);
        guarded *all[] = {&qkv, &q, &angles, &q_norm, &k_norm};
        for (size_t j = 0; j < BT_COUNT_OF(all); j++) guarded_free(all[j]);
    }
}

/* The reference's rotation, by hand: a quarter turn, both pairings, the pool's transposed keys. */
static void rope_kv_turns_as_described(void **state)
{
    (void)state;
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        const float qkv[3 * 6] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6},
                            angles[] = {0, 1, 0, 1};
        const float want[2][6] = {{-3, -4, 1, 2, 5, 6}, {-2, 1, -4, 3, 5, 6}};
        const int64_t slot = 16 + 3;
        float q[6];
        pool_data p = pool_new(BT_F32, 16, 1, 6);
        bt_rope_kv_args args = {.qkv = qkv,
                                .angles = angles,
                                .slot = &slot,
                                .q = q,
                                .pool = p.pool,
                                .n_head = 1,
                                .n_pair = 2,
                                .interleaved = interleaved};
        FOR_VERSIONS(BT_SLOT_rope_kv, fn)
        {
            fn(&args, 0, 1);
            for (int i = 0; i < 6; i++) {
                assert_true(q[i] == want[interleaved][i]);
                assert_true(((float *)p.k.data)[(6 + i) * 16 + 3] == want[interleaved][i]);
                assert_true(((float *)p.v.data)[(16 + 3) * 6 + i] == qkv[i]);
            }
        }
        pool_free(&p);
    }
}

/* ---- attn ---- */

typedef struct attn_data {
    pool_data p;
    guarded q, out;
    float *part, *part_top;
    int32_t pos[64], seq[64], *table;
    bt_attn_args args;
    double v_size; // largest |v| written
} attn_data;

/* What one case is made of. */
typedef struct attn_shape {
    bt_dtype dtype;
    int32_t page_len, n_group, d_head, window, n_sink;
    int32_t n_page; // a sequence's
} attn_shape;

static void write_position(test_rng *rng, attn_data *a, int seq, int64_t position)
{
    const bt_kv_pool *pool = &a->p.pool;
    float *x = malloc((size_t)pool->d_head * sizeof *x);
    int64_t slot = a->table[seq * a->args.n_page_max + position / pool->page_len] * pool->page_len +
                   position % pool->page_len;
    for (int kv = 0; kv < pool->n_kv; kv++)
        for (int is_v = 0; is_v < 2; is_v++) {
            bt_kv_side side = bt_kv_open(pool, is_v, slot, kv);
            fill_normal(rng, x, pool->d_head, 1);
            for (int i = 0; is_v && i < pool->d_head; i++)
                a->v_size = fmax(a->v_size, fabs((double)x[i]));
            bt_kv_put(&side, x, pool->d_head);
        }
    free(x);
}

/* Pages of three sequences, in disorder. */
static void deal_pages(test_rng *rng, attn_data *a, int32_t n_page)
{
    a->table = malloc((size_t)(3 * n_page) * sizeof *a->table);
    for (int i = 0; i < 3 * n_page; i++) a->table[i] = i;
    for (int i = 3 * n_page - 1; i > 0; i--) {
        int32_t j = (int32_t)test_range(rng, 0, i), t = a->table[i];
        a->table[i] = a->table[j];
        a->table[j] = t;
    }
}

/* Write a sequence up to position `last`; its last n_new tokens are of the batch. Entries of the
 * table that no token may follow lead nowhere. */
static void add_sequence(test_rng *rng, attn_data *a, const attn_shape *s, int seq, int n_new,
                         int64_t last)
{
    int64_t first_seen = bt_attn_first(s->window, last - n_new + 1);
    for (int64_t p = 0; p <= last; p++)
        if (p >= first_seen || p < s->n_sink) write_position(rng, a, seq, p);
    for (int64_t i = 0; i < s->n_page; i++) {
        int64_t begin = i * s->page_len, end = begin + s->page_len;
        if (begin > last || (end <= first_seen && begin >= s->n_sink))
            a->table[seq * s->n_page + i] = 1 << 30;
    }
    for (int i = 0; i < n_new; i++, a->args.n_tok++) {
        a->pos[a->args.n_tok] = (int32_t)(last - n_new + 1 + i);
        a->seq[a->args.n_tok] = seq;
    }
}

/* Three sequences: a chunk of prefill, single tokens, and a longer chunk, in one batch. */
static attn_data attn_new(test_rng *rng, const attn_shape *s)
{
    attn_data a = {.p = pool_of(s->dtype, 3 * s->n_page, s->page_len, 2, s->d_head)};
    int n_head = 2 * s->n_group;
    a.args = (bt_attn_args){.pool = a.p.pool,
                            .n_page_max = s->n_page,
                            .n_chunk = bt_div_up(s->n_page * s->page_len, BT_ATTN_CHUNK),
                            .n_head = n_head,
                            .window = s->window,
                            .n_sink = s->n_sink,
                            .scale = (float)(1 / sqrt(s->d_head))};
    deal_pages(rng, &a, s->n_page);
    for (int seq = 0; seq < 3; seq++) {
        int n_new = seq == 0 ? 21 : seq == 1 ? 1 : (int)test_range(rng, 1, 12);
        int64_t last = test_range(rng, n_new - 1, s->n_page * 16 - 1);
        if (s->n_page > PAGES_A_SEQ && seq != 1) last = s->n_page * s->page_len - 1 - 7 * seq;
        add_sequence(rng, &a, s, seq, n_new, last);
    }
    a.pos[a.args.n_tok] = -1; // sees nothing
    a.seq[a.args.n_tok++] = 2;
    int64_t n_row = a.args.n_tok * n_head;
    a.q = guarded_new((size_t)(n_row * s->d_head) * 4);
    a.out = guarded_new(a.q.size);
    a.part = malloc((size_t)a.args.n_chunk * a.q.size);
    a.part_top = malloc((size_t)(a.args.n_chunk * n_row) * 2 * sizeof *a.part_top);
    fill_normal(rng, (float *)a.q.data, (int64_t)(a.q.size / 4), 1);
    a.args.q = (float *)a.q.data;
    a.args.out = (float *)a.out.data;
    return a;
}

static void attn_free(attn_data *a)
{
    guarded_free(&a->q);
    guarded_free(&a->out);
    pool_free(&a->p);
    free(a->part);
    free(a->part_top);
    free(a->table);
}

static void attn_point(attn_data *a)
{
    a->args.pos = a->pos;
    a->args.seq = a->seq;
    a->args.table = a->table;
}

static void check_attn_version(test_rng *rng, attn_data *a, bt_range_fn fn, const float *want)
{
    int64_t n_item = bt_div_up(a->args.n_tok, BT_ATTN_GROUP) * a->p.pool.n_kv,
            width = a->args.n_head * a->p.pool.d_head;
    float *out = (float *)a->out.data, *first = malloc(a->out.size),
          *alone = malloc((size_t)width * 4);
    memset(out, SENTINEL, a->out.size);
    fn(&a->args, 0, n_item);
    check_front(&a->out, "out");
    for (int64_t i = 0; i < a->args.n_tok * width; i++)
        check_close("out", i, out[i], want[i], 3e-6 * a->v_size);
    for (int64_t i = (a->args.n_tok - 1) * width; i < a->args.n_tok * width; i++)
        check_close("blind row", i, out[i], 0, 0);
    memcpy(first, out, a->out.size);
    memset(out, SENTINEL, a->out.size);
    run_pieces(rng, fn, &a->args, n_item);
    check_bits("in pieces", out, first, a->out.size);
    for (int64_t t = 0; t < a->args.n_tok; t++) { // each token alone: other tiles, the same bits
        bt_attn_args one = a->args;
        one.q += t * width;
        one.out = alone;
        one.pos += t;
        one.seq += t;
        one.n_tok = 1;
        fn(&one, 0, a->p.pool.n_kv);
        check_bits("alone", alone, first + t * width, (size_t)width * 4);
    }
    free(first);
    free(alone);
}

/* By chunks and merged: the same bits as in one go. */
static void check_attn_parts(test_rng *rng, attn_data *a, bt_range_fn fn, bt_range_fn merge)
{
    bt_attn_args args = a->args;
    int64_t n_item = bt_div_up(args.n_tok, BT_ATTN_GROUP) * a->p.pool.n_kv * args.n_chunk;
    float *whole = malloc(a->out.size);
    fn(&args, 0, n_item / args.n_chunk);
    memcpy(whole, args.out, a->out.size);
    memset(args.out, SENTINEL, a->out.size);
    memset(a->part, 0xFF, a->out.size * (size_t)args.n_chunk);
    memset(a->part_top, 0xFF, (size_t)(args.n_chunk * args.n_tok * args.n_head) * 8);
    args.part = a->part;
    args.part_top = a->part_top;
    run_pieces(rng, fn, &args, n_item);
    run_pieces(rng, merge, &args, args.n_tok * args.n_head);
    check_front(&a->out, "out of parts");
    check_bits("by chunks", args.out, whole, a->out.size);
    free(whole);
}

/* Poison what some rows see: a query, and a key and a value in mid-sequence. */
static void poison(attn_data *a)
{
    const bt_kv_pool *pool = &a->p.pool;
    int64_t p = a->pos[10],
            slot = a->table[p / pool->page_len] * pool->page_len + p % pool->page_len;
    float *x = calloc((size_t)pool->d_head, sizeof *x);
    bt_kv_side k = bt_kv_open(pool, false, slot, 0), v = bt_kv_open(pool, true, slot, 1);
    ((float *)a->q.data)[5 % pool->d_head] = INFINITY;
    x[0] = NAN;
    bt_kv_put(&k, x, pool->d_head);
    x[0] = INFINITY;
    bt_kv_put(&v, x, pool->d_head);
    free(x);
}

static void check_attn(bt_slot slot, const attn_shape *s, bool poisoned)
{
    test_rng rng = {now.seed};
    snprintf(now.shape, sizeof now.shape, "%s page %d x %d group %d d_head %d window %d sinks %d",
             bt_dtype_name(s->dtype), s->page_len, s->n_page, s->n_group, s->d_head, s->window,
             s->n_sink);
    attn_data a = attn_new(&rng, s);
    attn_point(&a);
    float *want = malloc(a.out.size);
    if (poisoned) poison(&a);
    FOR_VERSIONS(slot, fn)
    {
        bt_kernel_table table;
        bt_kernel_table_init(&table, level_);
        if (level_ == BT_CPU_LEVEL_REF) {
            fn(&a.args, 0, bt_div_up(a.args.n_tok, BT_ATTN_GROUP) * a.p.pool.n_kv);
            memcpy(want, a.out.data, a.out.size);
        }
        check_attn_version(&rng, &a, fn, want);
        check_attn_parts(&rng, &a, fn, table.fn[BT_SLOT_attn_merge]);
    }
    free(want);
    attn_free(&a);
}

static void case_attn(bt_slot slot)
{
    static const int groups[] = {1, 4, 2, 3, 7, 8, 9}, widths[] = {64, 8, 80, 128, 34, 16, 2},
                     blocks[] = {64, 32, 96, 128, 160, 32, 64}, windows[] = {0, 0, 5, 40, 16},
                     sinks[] = {0, 4, 0, 1, 20, 0};
    for (int i = 0; i < 84; i++) {
        bt_dtype dtype = kv_types[i % 5];
        const int *w = bt_kv_is_quantised(dtype) ? blocks : widths;
        now.seed = (uint64_t)i;
        check_attn(slot,
                   &(attn_shape){.dtype = dtype,
                                 .page_len = 16 << i / 3 % 3,
                                 .n_group = groups[i % 7],
                                 .d_head = w[(i * 3 + i / 7) % 7],
                                 .window = windows[i / 2 % 5],
                                 .n_sink = sinks[i % 6],
                                 .n_page = PAGES_A_SEQ},
                   i % 4 == 3);
    }
    for (int i = 0; i < 10; i++) { // over several chunks
        now.seed = 1000 + (uint64_t)i;
        int32_t page_len = 16 << i % 3;
        check_attn(slot,
                   &(attn_shape){.dtype = kv_types[i % 5],
                                 .page_len = page_len,
                                 .n_group = 1 + i % 2,
                                 .d_head = 32,
                                 .window = i % 4 == 1   ? 300
                                           : i % 4 == 3 ? 700
                                                        : 0,
                                 .n_sink = i > 4 ? 3 : 0,
                                 .n_page = 1300 / page_len},
                   i == 6);
    }
    now.seed = 2000; // heads wider than what is widened at once
    check_attn(slot, &(attn_shape){BT_F16, 32, 5, 288, 0, 0, PAGES_A_SEQ}, false);
    check_attn(slot, &(attn_shape){BT_Q4_0, 16, 2, 1056, 0, 0, PAGES_A_SEQ}, false);
}

/* A chunk with a much larger score after one with a small one, and the other way round; chunks whose
 * scores are all -inf; weights that are NaN. */
static void case_attn_merge(bt_slot slot)
{
    enum { N_TOK = 5, N_HEAD = 3, N_CHUNK = 5, D_MAX = 34 };
    static const int32_t pos[N_TOK] = {0, 511, 512, 2559, -1};
    static float part[N_TOK * N_HEAD * N_CHUNK * D_MAX], part_top[N_TOK * N_HEAD * N_CHUNK * 2];
    for (int i = 0; i < 12; i++) {
        int d = i % 3 == 0 ? D_MAX : i % 3 == 1 ? 16 : 3;
        test_rng rng = {now.seed = (uint64_t)i};
        snprintf(now.shape, sizeof now.shape, "d_head %d window %d", d, i % 2 * 600);
        guarded out = guarded_new((size_t)(N_TOK * N_HEAD * d) * 4);
        float *want = malloc(out.size);
        fill_normal(&rng, part, N_TOK * N_HEAD * N_CHUNK * d, 1);
        for (int j = 0; j < N_TOK * N_HEAD * N_CHUNK; j++) {
            part_top[2 * j] = (float)(test_normal(&rng) * (i < 6 ? 3 : 60));
            part_top[2 * j + 1] = (float)(1 + test_uniform(&rng) * 500);
            if (i == 7 && j % 7 == 0) part_top[2 * j] = -INFINITY, part_top[2 * j + 1] = 0;
            if (i == 8 && j % 17 == 0) part_top[2 * j + 1] = NAN;
        }
        bt_attn_args args = {.out = (float *)out.data,
                             .pos = pos,
                             .part = part,
                             .part_top = part_top,
                             .pool = {.d_head = d, .n_kv = 1},
                             .n_tok = N_TOK,
                             .n_chunk = N_CHUNK,
                             .n_head = N_HEAD,
                             .window = i % 2 * 600,
                             .n_sink = i % 3};
        FOR_VERSIONS(slot, fn)
        {
            memset(out.data, SENTINEL, out.size);
            run_pieces(&rng, fn, &args, N_TOK * N_HEAD);
            if (level_ == BT_CPU_LEVEL_REF) memcpy(want, out.data, out.size);
            check_front(&out, "out");
            for (int j = 0; j < N_TOK * N_HEAD * d; j++)
                check_close("out", j, ((float *)out.data)[j], want[j], 2e-6);
        }
        free(want);
        guarded_free(&out);
    }
}

/* The reference by hand: equal scores average the values; one large score takes all; a window of
 * 1, and that beside two sinks: (0 + 1 + 17) / 3. */
static void attn_averages_what_it_sees(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++) {
        pool_data p = pool_new(BT_F32, 16, 1, 2);
        const int32_t pos = 17, seq = 0, table[] = {5, 2};
        for (int i = 0; i <= pos; i++) {
            int64_t slot = table[i / 16] * 16 + i % 16;
            bt_kv_side k = bt_kv_open(&p.pool, false, slot, 0),
                       v = bt_kv_open(&p.pool, true, slot, 0);
            float key = shape == 1 && i == 3 ? 50 : 0;
            bt_kv_put(&k, (float[]){key, key}, 2);
            bt_kv_put(&v, (float[]){(float)i, (float)i}, 2);
        }
        const float q[2] = {1, 1}, want = shape == 0 ? 8.5f : shape == 1 ? 3 : shape == 2 ? 17 : 6;
        float out[2];
        bt_attn_args args = {.q = q,
                             .out = out,
                             .pos = &pos,
                             .seq = &seq,
                             .table = table,
                             .pool = p.pool,
                             .n_tok = 1,
                             .n_page_max = 2,
                             .n_head = 1,
                             .window = shape >= 2 ? 1 : 0,
                             .n_sink = shape == 3 ? 2 : 0,
                             .scale = 1};
        FOR_VERSIONS(BT_SLOT_attn, fn)
        {
            fn(&args, 0, 1);
            assert_true(fabsf(out[0] - want) < 1e-5f && fabsf(out[1] - want) < 1e-5f);
        }
        pool_free(&p);
    }
}

/* One sequence of LEN positions and the last n_tok of them as queries. Visible pairs are counted, not
 * all of the square. */
static void bench_attn_at(bt_range_fn fn, bt_dtype dtype, const int *heads, int len, int n_tok)
{
    int n_head = heads[0], n_kv = heads[1], d = heads[2], n_page = len / 64;
    int32_t *pos = calloc((size_t)n_tok, 4), *seq = calloc((size_t)n_tok, 4),
            *table = calloc((size_t)n_page, 4);
    size_t size = (size_t)bt_row_bytes(dtype, (int64_t)len * n_kv * d);
    bt_kv_pool pool = {NULL, NULL, dtype, 64, n_kv, d};
    assert_ok(bt_alloc(&pool.k, size, BT_MEM_MISC)); // huge pages, as the pool has
    assert_ok(bt_alloc(&pool.v, size, BT_MEM_MISC));
    memset(pool.k, 0x11, size);
    memset(pool.v, 0x11, size);
    for (int i = 0; i < n_page; i++) table[i] = (int32_t)((int64_t)i * 37 % n_page);
    double n_pair = 0;
    for (int i = 0; i < n_tok; i++) n_pair += pos[i] = len - n_tok + i;
    float *q = calloc((size_t)n_tok * (size_t)(n_head * d), 4),
          *out = calloc((size_t)n_tok * (size_t)(n_head * d), 4);
    bt_attn_args args = {.q = q,
                         .out = out,
                         .pos = pos,
                         .seq = seq,
                         .table = table,
                         .pool = pool,
                         .n_tok = n_tok,
                         .n_page_max = n_page,
                         .n_head = n_head,
                         .scale = 0.125f};
    snprintf(now.shape, sizeof now.shape, "%4d at %5d %-4s %2d/%d/%d", n_tok, len,
             bt_dtype_name(dtype), n_head, n_kv, d);
    bench_print(fn, &args, bt_div_up(n_tok, 16) * n_kv, 2.0 * (double)size,
                4.0 * (n_pair + n_tok) * n_head * d, 'f');
    bt_free(pool.k);
    bt_free(pool.v);
    void *all[] = {pos, seq, table, q, out};
    for (size_t i = 0; i < BT_COUNT_OF(all); i++) free(all[i]);
}

static void bench_attn(bt_slot slot)
{
    static const int heads[][3] = {{32, 8, 64}, {16, 8, 128}}, lens[] = {512, 4096, 16384};
    static const bt_dtype types[] = {BT_F32, BT_F16, BT_Q8_0, BT_Q4_0};
    FOR_VERSIONS(slot, fn)
    for (int h = 0; h < 2 && level_ != BT_CPU_LEVEL_REF; h++)
        for (int t = 0; t < BENCH_KV_TYPES; t++) {
            for (int i = 0; i < 3; i++) bench_attn_at(fn, types[t], heads[h], lens[i], 1);
            bench_attn_at(fn, types[t], heads[h], 2048, 2048);
            if (t == 1 && level_ > BT_CPU_LEVEL_AVX2)
                bench_attn_at(fn, types[t], heads[h], 4096, 4096);
        }
}
