// SPDX-License-Identifier: Apache-2.0
/* run: one prompt, one answer, streamed; then a line of figures on stderr. */
#include "app/commands.h"
#include "app/console.h"
#include "app/conversation.h"
#include "app/generate.h"
#include "app/options.h"
#include "base/json.h"
#include <stdio.h>

typedef struct run_options {
    bt_model_options model;
    bt_engine_options engine;
    bt_prompt_options prompt;
    bt_sampling_options sampling;
    bool json, echo, quiet;
} run_options;

enum { DEFAULT_TOKENS = 256 };

#define AT(member) offsetof(run_options, member)
static const bt_arg args[] = {
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL,
     "one JSON object at the end instead of text and figures"},
    {"echo", 0, BT_ARG_FLAG, AT(echo), 0, 0, NULL, "print a raw prompt before what continues it"},
    {"quiet", 'q', BT_ARG_FLAG, AT(quiet), 0, 0, NULL,
     "no figures, and no time spent on measuring memory"},
};

static const bt_arg_group groups[] = {
    BT_GROUP_PROMPT(run_options, prompt),
    BT_GROUP_SAMPLING(run_options, sampling),
    {"Output", args, 3, 0},
    BT_GROUP_MODEL(run_options, model),
    BT_GROUP_ENGINE(run_options, engine),
};

static bt_status print_text(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    fwrite(text, 1, len, stdout);
    return bt_console_flush();
}

static bt_status print_json(const bt_generation *g, const bt_figures *figures)
{
    bt_buf out = {0};
    bt_status st = bt_buf_text(&out, "{\"text\": ");
    if (st == BT_OK) st = bt_json_put_text(&out, g->text.data ? g->text.data : "", g->text.len);
    if (st == BT_OK) st = bt_buf_text(&out, ", \"ids\": [");
    for (size_t i = 0; st == BT_OK && i < g->ids.n; i++)
        st = bt_buf_format(&out, i ? ", %d" : "%d", g->ids.id[i]);
    if (st == BT_OK)
        st = bt_buf_format(
            &out, "], \"finish_reason\": \"%s\", \"timings\": ", bt_finish_name(g->finish));
    if (st == BT_OK) st = bt_figures_json(figures, &out);
    if (st == BT_OK) st = bt_buf_text(&out, "}\n");
    if (st == BT_OK) st = print_text(NULL, out.data, out.len);
    bt_buf_done(&out);
    return st;
}

static bt_status print_figures(const bt_figures *figures)
{
    bt_buf line = {0};
    bt_status st = bt_figures_line(figures, &line);
    if (st == BT_OK) fprintf(stderr, "%s\n", line.data);
    bt_buf_done(&line);
    return st;
}

static bt_status answer(run_options *o, bt_engine *engine, const bt_buf *text,
                        double memory_bytes_s, bool *ret_interrupted)
{
    bt_generation g = {0};
    bt_ids ids = {0};
    bt_status st =
        bt_prompt_encode(&o->prompt, bt_engine_model(engine), o->engine.config.model, text, &ids);
    if (st == BT_OK && o->echo && o->prompt.raw && !o->json)
        st = print_text(NULL, text->data ? text->data : "", text->len);
    bt_request_params *params = &o->sampling.params;
    params->ids = ids.id;
    params->n_id = (int32_t)ids.n;
    params->stop = o->sampling.stop.item;
    params->n_stop = o->sampling.stop.n;
    if (st == BT_OK) st = bt_generate(engine, params, o->json ? NULL : print_text, NULL, &g);
    if (st == BT_OK) {
        bt_figures figures = bt_figures_of(engine, &g, memory_bytes_s);
        *ret_interrupted = g.interrupted;
        if (o->json) {
            st = print_json(&g, &figures);
        } else {
            st = print_text(NULL, "\n", 1);
            if (st == BT_OK && !o->quiet) st = print_figures(&figures);
        }
    }
    bt_generation_done(&g);
    bt_ids_done(&ids);
    return st;
}

static int run_prompt(run_options *o, const bt_buf *text)
{
    bt_engine *engine = NULL;
    bool interrupted = false;
    double memory_bytes_s = o->quiet ? 0 : bt_figures_memory(o->engine.config.n_thread);
    bt_status st = bt_generate_open(&o->engine, &engine);
    if (st == BT_OK) st = answer(o, engine, text, memory_bytes_s, &interrupted);
    int status = st != BT_OK ? bt_console_fail() : interrupted ? BT_EXIT_INTERRUPTED : BT_EXIT_OK;
    bt_engine_close(engine);
    return status;
}

static int run_run(const bt_command *self, int argc, char **argv)
{
    run_options o = {.model = BT_MODEL_DEFAULTS};
    bt_request_defaults(&o.sampling.params);
    o.sampling.params.max_tokens = DEFAULT_TOKENS;
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    bt_buf path = {0}, text = {0};
    if ((status = bt_prompt_options_read(self, &o.prompt, &text)) == BT_ARGS_GO_ON &&
        (status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON) {
        o.engine.config.model = path.data;
        status = run_prompt(&o, &text);
    }
    bt_buf_done(&text);
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_run = {
    .name = "run",
    .summary = "answer or continue one prompt",
    .operands = "",
    .notes = "Prints the text as it comes, then a line of figures on standard "
             "error. Where the model has a chat\n"
             "template the prompt is a user's message, unless --raw. At most 256 "
             "tokens, greedy, unless told\n"
             "otherwise. Ctrl-C ends the generation; the exit status is then 130.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_run,
};
