// SPDX-License-Identifier: Apache-2.0
/* fakerunner: a model that is a hash of the prefix. It keeps a KV pool of its own, one number a
 * slot: the hash of all tokens up to there, written where `slot` says and read back through
 * `table`, as a real one does. A wrong page, a stale slot, a missing or doubled token changes the
 * logits that follow. */
#pragma once
#include "engine/parts.h"

typedef struct fake_runner {
    bt_batch_limits limits;
    int32_t n_vocab;
    uint64_t *pool;   // [n_page * page_len]
    int32_t *pool_id; // [n_page * page_len] the token itself
    float *logits;    // [n_out_max, n_vocab]
    /* When set: the token that must follow ids[0..n); its logit is far above the rest. */
    int32_t (*script)(void *ctx, const int32_t *ids, int32_t n);
    void *script_ctx;
    float poison;           // when poison_at says so, every logit is this
    int64_t n_run, fail_at; // runs so far; the run that fails (0: none)
    int64_t poison_at;      // the run whose logits are poison (0: none)
    int32_t n_tok_last, n_seq_last, n_tok_most;
    bool closed;
} fake_runner;

enum { FAKE_VOCAB = 61, FAKE_CTX = 1024, FAKE_KV_TOKEN_BYTES = 12 };

/* What bt_capacity_plan is told of the fake model. */
bt_capacity_facts fake_facts(void);

/* Open an engine over `fake`, whose script and other wishes may be set before or after.
 * `tokenizer` may be NULL; `eos` < 0: none. */
bt_status fake_open(const bt_engine_config *config, fake_runner *fake,
                    const bt_tokenizer *tokenizer, int32_t eos, bt_engine **ret_engine);

/* A request and all that came out of it. */
typedef struct fake_job {
    bt_request_params params;
    bt_request *request;
    int32_t ids[FAKE_CTX];
    float logprob[FAKE_CTX];
    bt_token_logprob top[FAKE_CTX][BT_TOP_LOGPROBS_MAX];
    int32_t n;
    char text[1 << 14];
    size_t text_len;
    bt_finish finish; // NONE while it goes on
    int32_t n_prompt, n_output;
} fake_job;

void fake_job_reset(fake_job *job);                         // keeps the parameters
void fake_job_read(fake_job *job);                          // take every event there is
bool fake_jobs_equal(const fake_job *a, const fake_job *b); // all that came out, bit for bit

/* Submit (what has no request yet), then step and read until all have ended, checking the
 * invariants after each step; then free the requests. */
void fake_run(bt_engine *engine, fake_job *job, int32_t n_job);
