// SPDX-License-Identifier: Apache-2.0
/* capacity: see capacity.h. Products cannot overflow: the largest, tokens * bytes a token, is
 * checked; the rest is bounded by the field limits below. */
#include "engine/capacity.h"
#include "base/bits.h"
#include "engine/sampler.h"

enum {
    N_CTX_DEFAULT_MAX = 8192,
    N_SEQ_DEFAULT = 16,
    N_SEQ_LIMIT = 1024,
    N_QUEUE_DEFAULT = 256,
    N_QUEUE_LIMIT = 1 << 16,
    N_TOK_STEP_DEFAULT = 512,
    N_TOK_STEP_LIMIT = 1 << 16,
    N_CHUNK_DEFAULT = 256,
    N_THREAD_LIMIT = 256,
    PAGE_LEN_DEFAULT = 32,
    N_EXTRA_OUT = 31, // rows of logits beyond one a sequence, for those who want all of a prompt's
};

bt_status bt_kv_dtype_check(const bt_hparams *hp, bt_dtype kv_dtype)
{
    BT_FAIL_IF(kv_dtype != BT_F32 && kv_dtype != BT_F16 && kv_dtype != BT_BF16 &&
                   kv_dtype != BT_Q8_0 && kv_dtype != BT_Q4_0,
               INVALID, "kv_dtype is %s (%d); allowed are f32, f16, bf16, q8_0 and q4_0",
               bt_dtype_name(kv_dtype), (int)kv_dtype);
    int64_t block = bt_dtype_block(kv_dtype);
    BT_FAIL_IF(hp->d_head % block, INVALID,
               "kv_dtype is %s, which wants heads of a multiple of %lld; the model's are %d wide",
               bt_dtype_name(kv_dtype), (long long)block, hp->d_head);
    return BT_OK;
}

int64_t bt_kv_token_bytes(const bt_hparams *hp, bt_dtype kv_dtype)
{
    return 2 * (int64_t)hp->n_layer * bt_row_bytes(kv_dtype, (int64_t)hp->n_kv * hp->d_head);
}

/* Set *field to `fallback` where it is 0, and refuse it outside 1..max. */
static bt_status settle(int32_t *field, const char *name, int64_t fallback, int64_t max)
{
    BT_FAIL_IF(*field < 0 || *field > max, INVALID, "%s is %d; allowed are 1 to %lld", name, *field,
               (long long)max);
    if (*field == 0) *field = (int32_t)bt_max_i64(1, bt_min_i64(fallback, max));
    return BT_OK;
}

/* Resolve every field of the configuration but the size of the pool. */
static bt_status settle_config(bt_engine_config *c, const bt_capacity_facts *facts)
{
    BT_TRY(settle(&c->n_ctx, "n_ctx", N_CTX_DEFAULT_MAX, facts->n_ctx_model));
    BT_TRY(settle(&c->n_thread, "n_thread", facts->n_cpu, N_THREAD_LIMIT));
    int32_t n_tok_step = c->n_tok_step_max;
    BT_TRY(settle(&n_tok_step, "n_tok_step_max", N_TOK_STEP_DEFAULT, N_TOK_STEP_LIMIT));
    bool step_given = c->n_tok_step_max != 0;
    int64_t n_seq = step_given ? bt_min_i64(N_SEQ_DEFAULT, n_tok_step) : N_SEQ_DEFAULT;
    BT_TRY(settle(&c->n_seq_max, "n_seq_max", n_seq, N_SEQ_LIMIT));
    BT_FAIL_IF(step_given && n_tok_step < c->n_seq_max, INVALID,
               "n_tok_step_max is %d; at least n_seq_max (%d) is needed", n_tok_step, c->n_seq_max);
    c->n_tok_step_max = (int32_t)bt_max_i64(n_tok_step, c->n_seq_max);
    BT_TRY(settle(&c->n_queue_max, "n_queue_max", N_QUEUE_DEFAULT, N_QUEUE_LIMIT));
    BT_TRY(settle(&c->n_chunk, "n_chunk", N_CHUNK_DEFAULT, BT_CTX_MAX));
    if (c->page_len == 0) c->page_len = PAGE_LEN_DEFAULT;
    BT_FAIL_IF(c->page_len != 16 && c->page_len != 32 && c->page_len != 64, INVALID,
               "page_len is %d; allowed are 16, 32 and 64", c->page_len);
    BT_FAIL_IF(c->n_kv_token < 0 || (c->n_kv_token > 0 && c->n_kv_token < c->n_ctx), INVALID,
               "n_kv_token is %lld; at least n_ctx (%d) is needed", (long long)c->n_kv_token,
               c->n_ctx);
    return BT_OK;
}

/* Pages of the pool: what was asked for, or what all requests need as far as memory lets them. */
static bt_status plan_pool(const bt_engine_config *c, const bt_capacity_facts *facts,
                           int32_t *ret_n_page)
{
    int64_t n_page_max = bt_div_up(c->n_ctx, c->page_len), page_bytes, all_bytes;
    BT_FAIL_IF(!bt_mul_fits((int64_t)c->page_len, facts->kv_token_bytes, &page_bytes), LIMIT,
               "a KV token of %lld bytes", (long long)facts->kv_token_bytes);
    int64_t n_page = bt_div_up(c->n_kv_token, c->page_len);
    if (c->n_kv_token == 0) {
        int64_t half = facts->free_bytes / 2 / bt_max_i64(page_bytes, 1);
        n_page = bt_max_i64(n_page_max, bt_min_i64(n_page_max * c->n_seq_max, half));
    }
    BT_FAIL_IF(n_page > INT32_MAX, INVALID, "n_kv_token is %lld: more than %d pages of %d tokens",
               (long long)c->n_kv_token, INT32_MAX, c->page_len);
    BT_FAIL_IF(
        !bt_mul_fits(n_page, page_bytes, &all_bytes) || all_bytes > facts->free_bytes, NOMEM,
        "a KV pool of %lld tokens of %lld bytes needs %.1f MiB, %.1f MiB are free; n_ctx is %d",
        (long long)(n_page * c->page_len), (long long)facts->kv_token_bytes,
        (double)n_page * (double)page_bytes / 0x1p20, (double)facts->free_bytes / 0x1p20, c->n_ctx);
    *ret_n_page = (int32_t)n_page;
    return BT_OK;
}

bt_status bt_capacity_plan(const bt_engine_config *config, const bt_capacity_facts *facts,
                           bt_capacity *ret_capacity)
{
    bt_engine_config c = *config;
    int32_t n_page;
    BT_TRY(settle_config(&c, facts));
    BT_TRY(plan_pool(&c, facts, &n_page));
    int32_t n_request_max = c.n_seq_max + c.n_queue_max;
    bt_sched_config sched = {
        .limits = {.n_tok_max = c.n_tok_step_max,
                   .n_seq_max = c.n_seq_max,
                   .n_out_max = (int32_t)bt_min_i64(c.n_tok_step_max, c.n_seq_max + N_EXTRA_OUT),
                   .n_page_max = (int32_t)bt_div_up(c.n_ctx, c.page_len),
                   .n_page = n_page,
                   .page_len = c.page_len,
                   .kv_dtype = c.kv_dtype},
        .n_chunk = c.n_chunk,
        .n_request_max = n_request_max,
        .policy = &bt_policy_fcfs,
    };
    *ret_capacity = (bt_capacity){
        .n_ctx = c.n_ctx,
        .n_thread = c.n_thread,
        .n_request_max = n_request_max,
        .sched = sched,
        .kv_bytes = (int64_t)n_page * c.page_len * facts->kv_token_bytes,
        .sched_bytes = (int64_t)bt_sched_bytes(&sched),
        .sampler_bytes = (int64_t)bt_sampler_bytes(facts->n_vocab),
        .slab_bytes = (int64_t)bt_slab_bytes(n_request_max),
    };
    return BT_OK;
}
