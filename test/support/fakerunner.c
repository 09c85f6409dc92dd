// SPDX-License-Identifier: Apache-2.0
/* fakerunner: see fakerunner.h. What a batch promises is asserted for every batch it gets. */
#include "support/fakerunner.h"
#include "support/support.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <assert.h>
#include <math.h>
#include <string.h>

/* The flat slot of a position, through the block table. */
static int64_t slot_at(const fake_runner *f, const bt_batch *b, int32_t seq, int32_t pos)
{
    assert(pos / f->limits.page_len < f->limits.n_page_max);
    int32_t page = b->table[(int64_t)seq * f->limits.n_page_max + pos / f->limits.page_len];
    assert(page >= 0 && page < f->limits.n_page);
    return (int64_t)page * f->limits.page_len + pos % f->limits.page_len;
}

static void check_batch(const fake_runner *f, const bt_batch *b)
{
    assert(b->n_tok >= 1 && b->n_tok <= f->limits.n_tok_max);
    assert(b->n_seq >= 1 && b->n_seq <= f->limits.n_seq_max);
    assert(b->n_out >= 0 && b->n_out <= f->limits.n_out_max);
    for (int32_t i = 0; i < b->n_tok; i++) {
        assert(b->ids[i] >= 0 && b->ids[i] < f->n_vocab);
        assert(b->seq[i] == (i ? b->seq[i - 1] : 0) || b->seq[i] == b->seq[i - 1] + 1);
        if (i && b->seq[i] == b->seq[i - 1]) assert(b->pos[i] == b->pos[i - 1] + 1);
        assert(b->slot[i] == slot_at(f, b, b->seq[i], b->pos[i]));
    }
    assert(b->seq[b->n_tok - 1] == b->n_seq - 1);
    for (int32_t i = 0; i < b->n_out; i++)
        assert(b->out_row[i] < b->n_tok && b->out_row[i] > (i ? b->out_row[i - 1] : -1));
}

static void write_logits(fake_runner *f, const bt_batch *b, int32_t row, float *logits)
{
    static _Thread_local int32_t ids[FAKE_CTX];
    int32_t seq = b->seq[row], pos = b->pos[row];
    uint64_t h = 0;
    for (int32_t p = 0; p <= pos; p++) {
        int64_t slot = slot_at(f, b, seq, p);
        h = bt_hash_pair(h, f->pool[slot]);
        ids[p] = f->pool_id[slot];
    }
    for (int32_t v = 0; v < f->n_vocab; v++)
        logits[v] = (float)((double)(bt_hash_pair(h, (uint64_t)v) >> 11) * 0x1p-53 * 8 - 4);
    if (f->script) logits[f->script(f->script_ctx, ids, pos + 1)] = 100;
}

static bt_status begin(void *self, const bt_batch *b)
{
    fake_runner *f = self;
    check_batch(f, b);
    f->n_run++;
    f->n_tok_last = b->n_tok;
    f->n_seq_last = b->n_seq;
    if (b->n_tok > f->n_tok_most) f->n_tok_most = b->n_tok;
    if (f->n_run == f->fail_at)
        return bt_fail(BT_DEVICE, "the fake device fails at run %lld", (long long)f->n_run);
    for (int32_t i = 0; i < b->n_tok; i++) {
        int32_t pos = b->pos[i];
        uint64_t before = pos ? f->pool[slot_at(f, b, b->seq[i], pos - 1)] : 0;
        f->pool[b->slot[i]] = bt_hash_pair(before, (uint64_t)b->ids[i]);
        f->pool_id[b->slot[i]] = b->ids[i];
    }
    for (int32_t i = 0; i < b->n_out; i++)
        write_logits(f, b, b->out_row[i], f->logits + (int64_t)i * f->n_vocab);
    for (int32_t i = 0; f->n_run == f->poison_at && i < b->n_out * f->n_vocab; i++)
        f->logits[i] = f->poison;
    return BT_OK;
}

static bt_status finish(void *self, const float **ret_logits)
{
    *ret_logits = ((fake_runner *)self)->logits;
    return BT_OK;
}

static void free_parts(fake_runner *f)
{
    bt_free(f->pool);
    bt_free(f->pool_id);
    bt_free(f->logits);
    f->pool = NULL;
    f->pool_id = NULL;
    f->logits = NULL;
}

static void close_fake(void *self)
{
    fake_runner *f = self;
    free_parts(f);
    f->closed = true;
}

bt_capacity_facts fake_facts(void)
{
    return (bt_capacity_facts){.n_ctx_model = FAKE_CTX,
                               .n_vocab = FAKE_VOCAB,
                               .kv_token_bytes = FAKE_KV_TOKEN_BYTES,
                               .free_bytes = 1 << 28,
                               .n_cpu = 2};
}

static bt_status make_pool(fake_runner *f)
{
    size_t n_slot = (size_t)f->limits.n_page * (size_t)f->limits.page_len;
    BT_TRY(bt_alloc_array((void **)&f->pool, n_slot, sizeof *f->pool, BT_MEM_KV));
    BT_TRY(bt_alloc_array((void **)&f->pool_id, n_slot, sizeof *f->pool_id, BT_MEM_KV));
    return bt_alloc_array((void **)&f->logits, (size_t)f->limits.n_out_max * (size_t)f->n_vocab,
                          sizeof *f->logits, BT_MEM_DEVICE);
}

bt_status fake_open(const bt_engine_config *config, fake_runner *f, const bt_tokenizer *tokenizer,
                    int32_t eos, bt_engine **ret_engine)
{
    bt_capacity capacity;
    bt_capacity_facts facts = fake_facts();
    if (f->n_vocab) facts.n_vocab = f->n_vocab;
    BT_TRY(bt_capacity_plan(config, &facts, &capacity));
    f->limits = capacity.sched.limits;
    f->n_vocab = facts.n_vocab;
    f->closed = false;
    bt_status st = make_pool(f);
    if (st == BT_OK) {
        bt_engine_parts parts = {.runner = {.begin = begin,
                                            .finish = finish,
                                            .close = close_fake,
                                            .self = f,
                                            .n_vocab = f->n_vocab,
                                            .kv_bytes = capacity.kv_bytes},
                                 .tokenizer = tokenizer,
                                 .eos = &eos,
                                 .n_eos = 1,
                                 .cpu_level = "fake"};
        st = bt_engine_open_with(&capacity, &parts, ret_engine);
    }
    if (st) free_parts(f);
    return st;
}

void fake_job_reset(fake_job *job)
{
    bt_request_params keep = job->params;
    memset(job, 0, sizeof *job);
    job->params = keep;
}

static void take_event(fake_job *job, const bt_event *e)
{
    assert_int_equal(job->finish, BT_FINISH_NONE);
    assert_true(job->text_len + e->text_len < sizeof job->text);
    if (e->text_len) memcpy(job->text + job->text_len, e->text, e->text_len);
    job->text_len += e->text_len;
    job->finish = e->finish;
    job->n_prompt = e->n_prompt;
    job->n_output = e->n_output;
    assert_int_equal(e->index, job->n);
    if (e->id < 0) {
        assert_int_not_equal(e->finish, BT_FINISH_NONE);
        assert_int_equal(e->n_output, job->n);
        return;
    }
    assert_int_equal(e->finish, BT_FINISH_NONE);
    assert_int_equal(e->n_output, job->n + 1);
    job->ids[job->n] = e->id;
    job->logprob[job->n] = e->logprob;
    memcpy(job->top[job->n], e->top, (size_t)e->n_top * sizeof *e->top);
    job->n++;
}

void fake_job_read(fake_job *job)
{
    bt_event e;
    bt_status st;
    while ((st = bt_request_next(job->request, &e)) == BT_OK) take_event(job, &e);
    assert_int_equal(st, job->finish == BT_FINISH_NONE ? BT_BUSY : BT_NOTFOUND);
}

bool fake_jobs_equal(const fake_job *a, const fake_job *b)
{
    size_t n = (size_t)a->n;
    return a->n == b->n && a->finish == b->finish && a->text_len == b->text_len &&
           !memcmp(a->ids, b->ids, n * sizeof *a->ids) &&
           !memcmp(a->logprob, b->logprob, n * sizeof *a->logprob) &&
           !memcmp(a->top, b->top, n * sizeof *a->top) && !memcmp(a->text, b->text, a->text_len);
}

void fake_run(bt_engine *engine, fake_job *job, int32_t n_job)
{
    int32_t n_alive = 0;
    for (int32_t i = 0; i < n_job; i++)
        if (!job[i].request) assert_ok(bt_engine_submit(engine, &job[i].params, &job[i].request));
    do {
        assert_ok(bt_engine_step(engine, &n_alive));
        assert_true(bt_engine_check(engine));
        for (int32_t i = 0; i < n_job; i++) fake_job_read(&job[i]);
    } while (n_alive > 0);
    for (int32_t i = 0; i < n_job; i++) {
        assert_int_not_equal(job[i].finish, BT_FINISH_NONE);
        bt_request_free(job[i].request);
        job[i].request = NULL;
    }
    bt_engine_stats stats;
    bt_engine_get_stats(engine, &stats);
    assert_int_equal(stats.n_page_free, stats.n_page); // nothing leaked
}
