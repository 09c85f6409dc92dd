// SPDX-License-Identifier: Apache-2.0
/* cases_attn: rope_kv and attn over a paged pool: random pages, mixed prefill and decode, unwritten
 * slots full of NaN, table entries past the position that must not be followed. */
#pragma once
#include "kernel/cases_row.h"
#include "kernel/kvpool.h"

enum { N_PAGE = 24, PAGES_A_SEQ = 6 };

typedef struct pool_data {
    bt_kv_pool pool;
    guarded k, v;
} pool_data;

static pool_data pool_new(bt_dtype dtype, int32_t page_len, int32_t n_kv, int32_t d_head)
{
    pool_data p = {.pool = {.dtype = dtype, .page_len = page_len, .n_kv = n_kv, .d_head = d_head}};
    size_t size = (size_t)(N_PAGE * n_kv * d_head * page_len) * (dtype == BT_F32 ? 4 : 2);
    p.k = guarded_new(size);
    p.v = guarded_new(size);
    memset(p.k.data, 0xFF, size); // NaN in every type
    memset(p.v.data, 0xFF, size);
    p.pool.k = p.k.data;
    p.pool.v = p.v.data;
    return p;
}

static void pool_free(pool_data *p)
{
    guarded_free(&p->k);
    guarded_free(&p->v);
}

/* ---- rope_kv ---- */

/* Two pools: equal bits where nothing was stored, else within one step of the type (and `size`). */
static void check_pool(const char *what, const pool_data *got, const pool_data *want,
                       const guarded *g, const guarded *w)
{
    bool wide = got->pool.dtype == BT_F32;
    double step = wide ? 0x1p-23 : got->pool.dtype == BT_F16 ? 0x1p-10 : 0x1p-7;
    check_front(g, what);
    for (int64_t i = 0; i < (int64_t)(g->size / (wide ? 4 : 2)); i++) {
        double x = bt_kv_get(g->data, got->pool.dtype, i),
               y = bt_kv_get(w->data, want->pool.dtype, i);
        check_close(what, i, (float)x, y, step * fabs(y) + 4e-6);
    }
}

static void case_rope_kv(bt_slot slot)
{
    static const int heads[][2] = {{8, 4},   {64, 32}, {80, 40}, {128, 64},
                                   {34, 17}, {34, 10}, {64, 16}, {2, 1}};
    for (int i = 0; i < 48; i++) {
        int d = heads[i % 8][0], n_pair = heads[i % 8][1], n_head = 5, n_kv = 2, n_tok = 7,
            norm = i / 8 % 2;
        bt_dtype dtype = (bt_dtype)(BT_F32 + i % 3);
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
            check_pool("k", &got, &want, &got.k, &want.k);
            check_pool("v", &got, &want, &got.v, &want.v);
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
    int32_t pos[64], seq[64], table[4 * PAGES_A_SEQ];
    bt_attn_args args;
    double v_size; // largest |v| written
} attn_data;

static void write_position(test_rng *rng, attn_data *a, int seq, int64_t position)
{
    const bt_kv_pool *pool = &a->p.pool;
    int64_t slot = a->table[seq * PAGES_A_SEQ + position / pool->page_len] * pool->page_len +
                   position % pool->page_len;
    for (int kv = 0; kv < pool->n_kv; kv++)
        for (int i = 0; i < pool->d_head; i++) {
            double v = test_normal(rng);
            a->v_size = fmax(a->v_size, fabs(v));
            bt_kv_put(pool->k, pool->dtype, bt_k_at(pool, slot, kv) + (int64_t)i * pool->page_len,
                      (float)test_normal(rng));
            bt_kv_put(pool->v, pool->dtype, bt_v_at(pool, slot, kv) + i, (float)v);
        }
}

/* Three sequences: a chunk of prefill, single tokens, and a longer chunk, in one batch. */
static attn_data attn_new(test_rng *rng, bt_dtype dtype, int32_t page_len, int n_group, int d_head,
                          int32_t window)
{
    attn_data a = {.p = pool_new(dtype, page_len, 2, d_head)};
    int order[N_PAGE], n_tok = 0, n_head = 2 * n_group;
    for (int i = 0; i < N_PAGE; i++) order[i] = i;
    for (int i = N_PAGE - 1; i > 0; i--) {
        int j = (int)test_range(rng, 0, i), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (int seq = 0; seq < 3; seq++) {
        int n_new = seq == 0 ? 21 : seq == 1 ? 1 : (int)test_range(rng, 1, 12);
        int64_t last = test_range(rng, n_new - 1, PAGES_A_SEQ * 16 - 1);
        int64_t used = last / page_len + 1;
        for (int i = 0; i < PAGES_A_SEQ; i++)
            a.table[seq * PAGES_A_SEQ + i] = i < used ? order[seq * PAGES_A_SEQ + i] : 1 << 30;
        for (int64_t p = 0; p <= last; p++) write_position(rng, &a, seq, p);
        for (int i = 0; i < n_new; i++, n_tok++) {
            a.pos[n_tok] = (int32_t)(last - n_new + 1 + i);
            a.seq[n_tok] = seq;
        }
    }
    a.pos[n_tok] = -1; // sees nothing
    a.seq[n_tok++] = 2;
    a.q = guarded_new((size_t)(n_tok * n_head * d_head) * 4);
    a.out = guarded_new(a.q.size);
    fill_normal(rng, (float *)a.q.data, (int64_t)(a.q.size / 4), 1);
    a.args = (bt_attn_args){.q = (float *)a.q.data,
                            .out = (float *)a.out.data,
                            .pool = a.p.pool,
                            .n_tok = n_tok,
                            .n_page_max = PAGES_A_SEQ,
                            .n_head = n_head,
                            .window = window,
                            .scale = (float)(1 / sqrt(d_head))};
    return a;
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

static void case_attn(bt_slot slot)
{
    static const int groups[] = {1, 4, 2, 3, 7, 8, 9}, widths[] = {64, 8, 80, 128, 34, 16, 2},
                     windows[] = {0, 0, 5, 40, 16};
    for (int i = 0; i < 70; i++) {
        bt_dtype dtype = (bt_dtype)(BT_F32 + i % 3);
        int n_group = groups[i % 7], d_head = widths[(i * 3 + i / 7) % 7];
        int32_t page_len = 16 << i / 3 % 3, window = windows[i % 5];
        test_rng rng = {now.seed = (uint64_t)i};
        snprintf(now.shape, sizeof now.shape, "%s page %d group %d d_head %d window %d",
                 bt_dtype_name(dtype), page_len, n_group, d_head, window);
        attn_data a = attn_new(&rng, dtype, page_len, n_group, d_head, window);
        attn_point(&a);
        float *want = malloc(a.out.size);
        if (i % 4 ==
            3) { // poison what some rows see: a query, and a key and a value in mid-sequence
            const bt_kv_pool *pool = &a.p.pool;
            int64_t p = a.pos[10], at_slot = a.table[p / page_len] * page_len + p % page_len;
            ((float *)a.q.data)[5] = INFINITY;
            bt_kv_put(pool->k, dtype, bt_k_at(pool, at_slot, 0), NAN);
            bt_kv_put(pool->v, dtype, bt_v_at(pool, at_slot, 1), INFINITY);
        }
        FOR_VERSIONS(slot, fn)
        {
            if (level_ == BT_CPU_LEVEL_REF) {
                fn(&a.args, 0, bt_div_up(a.args.n_tok, BT_ATTN_GROUP) * a.p.pool.n_kv);
                memcpy(want, a.out.data, a.out.size);
            }
            check_attn_version(&rng, &a, fn, want);
        }
        free(want);
        guarded_free(&a.q);
        guarded_free(&a.out);
        pool_free(&a.p);
    }
}

/* The reference by hand: equal scores average the values; one large score takes all; a window of 1.
 */
static void attn_averages_what_it_sees(void **state)
{
    (void)state;
    for (int shape = 0; shape < 3; shape++) {
        pool_data p = pool_new(BT_F32, 16, 1, 2);
        const int32_t pos = 17, seq = 0, table[] = {5, 2};
        for (int i = 0; i <= pos; i++) {
            int64_t slot = table[i / 16] * 16 + i % 16;
            for (int j = 0; j < 2; j++) {
                bt_kv_put(p.pool.k, BT_F32, bt_k_at(&p.pool, slot, 0) + j * 16,
                          shape == 1 && i == 3 ? 50 : 0);
                bt_kv_put(p.pool.v, BT_F32, bt_v_at(&p.pool, slot, 0) + j, (float)i);
            }
        }
        const float q[2] = {1, 1}, want = shape == 0 ? 8.5f : shape == 1 ? 3 : 17;
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
                             .window = shape == 2 ? 1 : 0,
                             .scale = 1};
        FOR_VERSIONS(BT_SLOT_attn, fn)
        {
            fn(&args, 0, 1);
            assert_true(fabsf(out[0] - want) < 1e-5f && fabsf(out[1] - want) < 1e-5f);
        }
        pool_free(&p);
    }
}

static void bench_attn(bt_slot slot)
{
    enum { LEN = 4096, D = 64, KV = 8, GROUP = 4, TOK = 128 };
    int32_t pos[TOK], seq[TOK] = {0}, *table = calloc(LEN / 64, 4);
    for (int i = 0; i < LEN / 64; i++) table[i] = i;
    size_t size = (size_t)LEN * KV * D * 2;
    bt_kv_pool pool = {aligned_alloc(64, size), aligned_alloc(64, size), BT_F16, 64, KV, D};
    memset(pool.k, 0x11, size);
    memset(pool.v, 0x11, size);
    float *q = calloc((size_t)TOK * KV * GROUP * D, 4),
          *out = calloc((size_t)TOK * KV * GROUP * D, 4);
    FOR_VERSIONS(slot, fn)
    for (int n_tok = 1; n_tok <= TOK && level_ != BT_CPU_LEVEL_REF; n_tok += TOK - 1) {
        for (int i = 0; i < n_tok; i++) pos[i] = LEN - n_tok + i;
        bt_attn_args args = {.q = q,
                             .out = out,
                             .pos = pos,
                             .seq = seq,
                             .table = table,
                             .pool = pool,
                             .n_tok = n_tok,
                             .n_page_max = LEN / 64,
                             .n_head = KV * GROUP,
                             .scale = 0.125f};
        snprintf(now.shape, sizeof now.shape, "%d tokens at %d, f16, 32/8 heads", n_tok, LEN);
        bench_print(fn, &args, bt_div_up(n_tok, 16) * KV, 2.0 * (double)size,
                    4.0 * n_tok * LEN * KV * GROUP * D, 'f');
    }
    free(pool.k);
    free(pool.v);
    free(q);
    free(out);
    free(table);
}
