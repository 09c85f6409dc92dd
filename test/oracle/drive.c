// SPDX-License-Identifier: Apache-2.0
/* drive: see drive.h. */
#include "oracle/drive.h"
#include "model/file/modelfile.h"
#include "oracle/memory.h"
#include "support/support.h"
#include <string.h>

enum {
    STEP_MAX = 100000
}; // far more than any test takes: a request that never ends fails the test

bt_engine *drive_open(const bt_engine_config *config)
{
    bt_engine *e = NULL;
    assert_ok(bt_engine_open(config, &e));
    return e;
}

static void take_logits(void *ctx, int32_t pos, const float *logits, int32_t n_vocab)
{
    drive *d = ctx;
    if (pos < 0 || pos >= d->n_id || n_vocab != d->n_vocab) {
        d->differed = true;
        return;
    }
    float *row = d->logits + (int64_t)pos * n_vocab;
    if (d->n_seen[pos]++ && memcmp(row, logits, (size_t)n_vocab * sizeof *row)) d->differed = true;
    memcpy(row, logits, (size_t)n_vocab * sizeof *row);
}

void drive_submit(bt_engine *e, drive *d)
{
    bt_request_params p;
    bt_request_defaults(&p);
    p.ids = d->ids;
    p.n_id = d->n_id;
    p.max_tokens = d->n_more;
    p.ignore_eos = true;
    p.temperature = d->temperature;
    p.seed = d->seed;
    p.logprobs = true;
    p.n_top_logprobs = DRIVE_TOP;
    d->n_vocab = bt_model_file_hparams(bt_engine_model(e))->n_vocab;
    d->token = fresh((size_t)d->n_more, sizeof *d->token);
    if (!d->no_logits) {
        d->logits = fresh((size_t)d->n_id * (size_t)d->n_vocab, sizeof *d->logits);
        d->n_seen = fresh((size_t)d->n_id, sizeof *d->n_seen);
        p.logits_fn = take_logits;
        p.logits_ctx = d;
        p.logits_all = true;
    }
    assert_ok(bt_engine_submit(e, &p, &d->request));
}

bool drive_collect(drive *d)
{
    bt_event event;
    while (d->finish == BT_FINISH_NONE && bt_request_next(d->request, &event) == BT_OK) {
        if (event.finish != BT_FINISH_NONE) {
            d->finish = event.finish;
            break;
        }
        if (event.id < 0) continue;
        assert_true(d->n_out < d->n_more);
        drive_token *t = &d->token[d->n_out++];
        t->id = event.id;
        t->logprob = event.logprob;
        assert_int_equal(event.n_top, DRIVE_TOP);
        memcpy(t->top, event.top, sizeof t->top);
    }
    return d->finish != BT_FINISH_NONE;
}

void drive_finish(bt_engine *e, drive *d, int n)
{
    for (int step = 0; step < STEP_MAX; step++) {
        int n_ended = 0;
        for (int i = 0; i < n; i++) n_ended += drive_collect(&d[i]);
        if (n_ended == n) return;
        assert_ok(bt_engine_step(e, NULL));
    }
    fail_msg("requests have not ended after %d steps", STEP_MAX);
}

void drive_run(bt_engine *e, drive *d)
{
    drive_submit(e, d);
    drive_finish(e, d, 1);
    assert_int_equal(d->finish, BT_FINISH_LENGTH);
    assert_int_equal(d->n_out, d->n_more);
    for (int32_t i = 0; d->n_seen && i < d->n_id; i++) assert_int_equal(d->n_seen[i], 1);
}

void drive_done(drive *d)
{
    bt_request_free(d->request);
    free(d->logits);
    free(d->n_seen);
    free(d->token);
    d->request = NULL;
    d->logits = NULL;
    d->n_seen = NULL;
    d->token = NULL;
    d->n_out = 0;
    d->finish = BT_FINISH_NONE;
}

void assert_same_bits(const char *what, const drive *got, const drive *want)
{
    if (got->differed) fail_msg("%s: a prompt position's logits came twice, with other bits", what);
    assert_int_equal(got->finish, want->finish);
    for (int32_t i = 0; got->logits && want->logits && i < want->n_id; i++) {
        const float *a = got->logits + (int64_t)i * got->n_vocab,
                    *b = want->logits + (int64_t)i * want->n_vocab;
        if (!got->n_seen[i]) fail_msg("%s: no logits of position %d", what, i);
        if (!memcmp(a, b, (size_t)want->n_vocab * sizeof *a)) continue;
        int32_t j = 0;
        while (!memcmp(&a[j], &b[j], sizeof *a)) j++;
        fail_msg("%s: logit %d of position %d is %.9g, wanted %.9g", what, j, i, (double)a[j],
                 (double)b[j]);
    }
    if (got->n_out != want->n_out)
        fail_msg("%s: %d tokens, wanted %d", what, got->n_out, want->n_out);
    for (int32_t i = 0; i < want->n_out; i++) {
        const drive_token *a = &got->token[i], *b = &want->token[i];
        if (!memcmp(a, b, sizeof *a)) continue;
        fail_msg(
            "%s: token %d is %d with logprob %.9g, wanted %d with %.9g (or the top ones differ)",
            what, i, a->id, (double)a->logprob, b->id, (double)b->logprob);
    }
}
