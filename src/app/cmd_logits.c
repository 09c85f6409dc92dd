// SPDX-License-Identifier: Apache-2.0
/* logits: what the model says after the last token of a prompt, every number of
 * it. */
#include "app/commands.h"
#include "app/console.h"
#include "app/generate.h"
#include "app/options.h"
#include "base/json.h"
#include <stdio.h>
#include <string.h>

typedef struct logits_options {
    bt_model_options model;
    bt_engine_options engine;
    const char *prompt, *ids;
    bool special, json;
} logits_options;

#define AT(member) offsetof(logits_options, member)
static const bt_arg args[] = {
    {"prompt", 'p', BT_ARG_TEXT, AT(prompt), 0, 0, "TEXT",
     "a text; bos comes before it as the model's files say"},
    {"ids", 0, BT_ARG_TEXT, AT(ids), 0, 0, "1,2,3", "exactly these tokens"},
    {"special", 0, BT_ARG_FLAG, AT(special), 0, 0, NULL,
     "special tokens spelled out in the text count as such"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL,
     "as {\"ids\": [...], \"logits\": [...]}; else one \"id logit\" a line"},
};
#undef AT

static const bt_arg_group groups[] = {
    {"Prompt", args, sizeof args / sizeof args[0], 0},
    BT_GROUP_MODEL(logits_options, model),
    BT_GROUP_ENGINE(logits_options, engine),
};

/* Where the engine's call leaves its copy. */
typedef struct logits_row {
    float *value; // [n_vocab], NULL until it came
    int32_t n_vocab;
    bt_status status; // of the copying
} logits_row;

static void keep_row(void *ctx, int32_t pos, const float *logits, int32_t n_vocab)
{
    (void)pos;
    logits_row *row = ctx;
    size_t bytes = (size_t)n_vocab * sizeof *logits;
    row->status = bt_resize((void **)&row->value, bytes, BT_MEM_MISC);
    if (row->status != BT_OK) return;
    memcpy(row->value, logits, bytes);
    row->n_vocab = n_vocab;
}

static bt_status find_ids(const logits_options *o, const bt_engine *engine, bt_ids *ids)
{
    const bt_tokenizer *tokenizer = bt_engine_tokenizer(engine);
    int32_t n_vocab = tokenizer ? bt_tokenizer_n_vocab(tokenizer) : INT32_MAX;
    if (o->ids) return bt_ids_parse(ids, o->ids, strlen(o->ids), n_vocab);
    BT_TRY(bt_prompt_tokenizer(bt_engine_model(engine), o->engine.config.model, &tokenizer));
    unsigned flags = BT_ENCODE_BOS | (o->special ? BT_ENCODE_SPECIAL : 0);
    return bt_ids_encode(ids, tokenizer, o->prompt, strlen(o->prompt), flags);
}

static bt_status put_row(const logits_row *row, const bt_ids *ids, bool json, bt_buf *out)
{
    if (json) BT_TRY(bt_buf_text(out, "{\"ids\": ["));
    for (size_t i = 0; json && i < ids->n; i++)
        BT_TRY(bt_buf_format(out, i ? ", %d" : "%d", ids->id[i]));
    if (json) BT_TRY(bt_buf_text(out, "], \"logits\": ["));
    for (int32_t i = 0; i < row->n_vocab; i++) {
        if (json)
            BT_TRY(bt_buf_text(out, i ? ", " : ""));
        else
            BT_TRY(bt_buf_format(out, "%d ", i));
        BT_TRY(bt_json_put_f32(out, row->value[i]));
        if (!json) BT_TRY(bt_buf_text(out, "\n"));
    }
    return json ? bt_buf_text(out, "]}\n") : BT_OK;
}

static bt_status print_logits(const logits_options *o, bt_engine *engine)
{
    bt_ids ids = {0};
    bt_generation g = {0};
    bt_buf out = {0};
    logits_row row = {0};
    bt_request_params params;
    bt_request_defaults(&params);
    bt_status st = find_ids(o, engine, &ids);
    params.ids = ids.id;
    params.n_id = (int32_t)ids.n;
    params.max_tokens = 0;
    params.logits_fn = keep_row;
    params.logits_ctx = &row;
    if (st == BT_OK) st = bt_generate(engine, &params, NULL, NULL, &g);
    if (st == BT_OK) st = row.status;
    if (st == BT_OK && g.interrupted) st = bt_fail(BT_CANCELLED, "interrupted");
    if (st == BT_OK) st = put_row(&row, &ids, o->json, &out);
    if (st == BT_OK) fwrite(out.data, 1, out.len, stdout);
    bt_free(row.value);
    bt_buf_done(&out);
    bt_generation_done(&g);
    bt_ids_done(&ids);
    return st;
}

static bt_status open_and_print(logits_options *o)
{
    bt_engine *engine = NULL;
    bt_status st = bt_generate_open(&o->engine, &engine);
    if (st == BT_OK) st = print_logits(o, engine);
    bt_engine_close(engine);
    return st;
}

static int run_logits(const bt_command *self, int argc, char **argv)
{
    logits_options o = {.model = BT_MODEL_DEFAULTS};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    if (!o.prompt == !o.ids) return bt_args_usage(self, "one of --prompt and --ids must be given");
    bt_buf path = {0};
    if ((status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON) {
        o.engine.config.model = path.data;
        status = open_and_print(&o) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    }
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_logits = {
    .name = "logits",
    .summary = "print the logits after a prompt",
    .operands = "",
    .notes = "Numbers are printed with the fewest digits that read back as the "
             "same 32-bit float.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_logits,
};
