// SPDX-License-Identifier: Apache-2.0
/* perplexity: how well a model foretells a text.
 *
 * The text is encoded once, as the model's files say (bos first where the model
 * adds one), and cut into windows of C = --ctx tokens. Each window repeats the
 * token that its first scored token follows:
 *
 *   model adds bos:   [bos t1 .. t(C-1)] [bos tC .. t(2C-2)] ...     bos starts
 * every window otherwise:        [t0 t1 .. t(C-1)] [t(C-1) tC .. t(2C-2)] ...
 * windows share one token
 *
 * All tokens of a window but its first are scored given those before them in
 * the window, so every token of the text after the very first (bos counts) is
 * scored exactly once, and a text that fits one window has the plain mean. Sums
 * run in order in double precision.
 */
#include "app/commands.h"
#include "app/console.h"
#include "app/generate.h"
#include "app/options.h"
#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct perplexity_options {
    bt_model_options model;
    bt_engine_options engine;
    const char *file;
    bool json;
} perplexity_options;

static const bt_arg args[] = {
    {"file", 'f', BT_ARG_TEXT, offsetof(perplexity_options, file), 0, 0, "FILE",
     "the text; '-' is standard input"},
    {"json", 0, BT_ARG_FLAG, offsetof(perplexity_options, json), 0, 0, NULL,
     "as {\"nll\": ..., \"perplexity\": ..., \"tokens\": ...}"},
};

static const bt_arg_group groups[] = {
    {"Input", args, 2, 0},
    BT_GROUP_MODEL(perplexity_options, model),
    BT_GROUP_ENGINE(perplexity_options, engine),
};

/* The window at work, and the sums so far. */
typedef struct scorer {
    const int32_t *ids; // [n_id], the window
    int32_t n_id;
    double nll; // summed over n_scored tokens
    int64_t n_scored;
} scorer;

/* log(sum(exp(logits))) - logits[id], in double. */
static double token_nll(const float *logits, int32_t n_vocab, int32_t id)
{
    double top = logits[0], sum = 0;
    for (int32_t i = 1; i < n_vocab; i++)
        if (logits[i] > top) top = logits[i];
    for (int32_t i = 0; i < n_vocab; i++) sum += exp(logits[i] - top);
    return log(sum) + top - logits[id];
}

static void score_position(void *ctx, int32_t pos, const float *logits, int32_t n_vocab)
{
    scorer *s = ctx;
    if (pos + 1 >= s->n_id) return;
    s->nll += token_nll(logits, n_vocab, s->ids[pos + 1]);
    s->n_scored++;
}

static bt_status score_window(bt_engine *engine, scorer *s)
{
    bt_generation g = {0};
    bt_request_params params;
    int64_t before = s->n_scored;
    bt_request_defaults(&params);
    params.ids = s->ids;
    params.n_id = s->n_id;
    params.max_tokens = 0;
    params.logits_fn = score_position;
    params.logits_ctx = s;
    params.logits_all = true;
    BT_TRY(bt_generate(engine, &params, NULL, NULL, &g));
    bool interrupted = g.interrupted;
    bt_generation_done(&g);
    BT_FAIL_IF(interrupted, CANCELLED, "interrupted after %lld tokens", (long long)before);
    BT_FAIL_IF(s->n_scored - before != s->n_id - 1, DEVICE, "%lld of %d tokens were scored",
               (long long)(s->n_scored - before), s->n_id - 1);
    return BT_OK;
}

static bt_status score_text(bt_engine *engine, const bt_ids *ids, bool repeats_bos, scorer *s)
{
    bt_engine_stats stats;
    bt_ids window = {0};
    bt_bar bar = {0};
    bt_status st = BT_OK;
    bt_engine_get_stats(engine, &stats);
    size_t stride = (size_t)stats.n_ctx - 1;
    for (size_t at = 0; st == BT_OK && at + 1 < ids->n; at += stride) {
        size_t n = ids->n - at < stride + 1 ? ids->n - at : stride + 1;
        if ((st = bt_ids_reserve(&window, n)) != BT_OK) break;
        memcpy(window.id, ids->id + at, n * sizeof *window.id);
        if (repeats_bos) window.id[0] = ids->id[0];
        s->ids = window.id;
        s->n_id = (int32_t)n;
        st = score_window(engine, s);
        bt_bar_draw(&bar, "scoring", at + n, ids->n);
    }
    bt_bar_clear(&bar);
    bt_ids_done(&window);
    return st;
}

static bt_status print_score(const scorer *s, bool json)
{
    double nll = s->nll / (double)s->n_scored;
    if (!json) {
        printf("nll %.6f, perplexity %.4f over %lld tokens\n", nll, exp(nll),
               (long long)s->n_scored);
        return BT_OK;
    }
    bt_buf out = {0};
    bt_status st = bt_buf_text(&out, "{\"nll\": ");
    if (st == BT_OK) st = bt_json_put_f64(&out, nll);
    if (st == BT_OK) st = bt_buf_text(&out, ", \"perplexity\": ");
    if (st == BT_OK) st = bt_json_put_f64(&out, exp(nll));
    if (st == BT_OK) st = bt_buf_format(&out, ", \"tokens\": %lld}", (long long)s->n_scored);
    if (st == BT_OK) puts(out.data);
    bt_buf_done(&out);
    return st;
}

static bt_status score_file(const perplexity_options *o, bt_engine *engine)
{
    const bt_tokenizer *tokenizer;
    bt_buf text = {0};
    bt_ids ids = {0};
    scorer s = {0};
    bt_status st = bt_prompt_tokenizer(bt_engine_model(engine), o->engine.config.model, &tokenizer);
    if (st == BT_OK) st = bt_console_read(o->file, &text);
    if (st == BT_OK)
        st = bt_ids_encode(&ids, tokenizer, text.data ? text.data : "", text.len, BT_ENCODE_BOS);
    if (st == BT_OK && ids.n < 2)
        st = bt_fail(BT_INVALID, "'%s' has %zu tokens, must have 2 or more", o->file, ids.n);
    if (st == BT_OK) st = score_text(engine, &ids, bt_tokenizer_adds_bos(tokenizer), &s);
    if (st == BT_OK) st = print_score(&s, o->json);
    bt_ids_done(&ids);
    bt_buf_done(&text);
    return st;
}

static bt_status open_and_score(perplexity_options *o)
{
    bt_engine *engine = NULL;
    bt_status st = bt_generate_open(&o->engine, &engine);
    if (st == BT_OK) st = score_file(o, engine);
    bt_engine_close(engine);
    return st;
}

static int run_perplexity(const bt_command *self, int argc, char **argv)
{
    perplexity_options o = {.model = BT_MODEL_DEFAULTS};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    if (!o.file) return bt_args_usage(self, "there is no text; give one with -f FILE or -f -");
    if (o.engine.config.n_ctx == 1)
        return bt_args_usage(self, "--ctx is 1, must be 2 or more to score anything");
    bt_buf path = {0};
    if ((status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON) {
        o.engine.config.model = path.data;
        status = open_and_score(&o) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    }
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_perplexity = {
    .name = "perplexity",
    .summary = "measure how well a model foretells a text",
    .operands = "",
    .notes = "The text is cut into windows of --ctx tokens, each beginning "
             "with bos where the model adds one (else\n"
             "with the last token of the window before). Every token after the "
             "text's first is scored once,\n"
             "given those before it in its window; nll is the mean, in nats.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_perplexity,
};
