// SPDX-License-Identifier: Apache-2.0
/* trace: run one request under a trace, write the timeline, say step by step who let the device idle.
 * The trace is attached once the model is loaded and made large enough for the run beforehand. */
#include "app/commands.h"
#include "app/console.h"
#include "app/conversation.h"
#include "app/generate.h"
#include "app/tracereport.h"
#include "base/file.h"
#include <stdio.h>
#include <string.h>

typedef struct trace_options {
    bt_model_options model;
    bt_engine_options engine;
    bt_prompt_options prompt;
    const char *out, *svg;
    int32_t n_decode, n_span;
    bool json;
} trace_options;

enum {
    CHUNK = 256,         // prompt tokens a step: the engine's default, but the trace is sized by it
    DEFAULT_DECODE = 32, // steps
    DECODE_MAX = 1 << 20, // steps
    HOST_SPANS = 8,       // a step, on the host's lanes
    SPANS_MAX = 1 << 20   // where nobody says how many; 96 MB
};

static const char default_prompt[] = "Once upon a time";

#define AT(member) offsetof(trace_options, member)
static const bt_arg args[] = {
    {"output", 'o', BT_ARG_TEXT, AT(out), 0, 0, "FILE",
     "the timeline, for Perfetto or chrome://tracing"},
    {"svg", 0, BT_ARG_TEXT, AT(svg), 0, 0, "FILE", "the same as a picture"},
    {"steps", 'n', BT_ARG_I32, AT(n_decode), 0, DECODE_MAX, "N",
     "decode steps after the prompt; default 32"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL, "the figures as one JSON object"},
    {"spans", 0, BT_ARG_I32, AT(n_span), 1, 1 << 24, "N",
     "spans to keep; default: what the run takes, at most 1048576"},
};
#undef AT

static const bt_arg_group groups[] = {
    {"Trace", args, sizeof args / sizeof args[0], 0},
    BT_GROUP_PROMPT(trace_options, prompt),
    BT_GROUP_MODEL(trace_options, model),
    BT_GROUP_ENGINE(trace_options, engine),
};

/* A run under way, and what came of it. */
typedef struct traced {
    bt_engine *engine;
    bt_trace *trace;
    int32_t *n_prompt; // [n_max] prompt tokens that each step read
    int32_t n_run, n_max;
    bool interrupted;
} traced;

// ---- the run ----

/* One step; how much of the prompt it read is what the engine has counted since. */
static bt_status run_step(traced *t, bt_engine_stats *stats)
{
    bt_engine_stats before = *stats;
    BT_TRY(bt_engine_step(t->engine, NULL));
    bt_engine_get_stats(t->engine, stats);
    if (stats->n_step > before.n_step && t->n_run < t->n_max)
        t->n_prompt[t->n_run++] = (int32_t)(stats->n_prompt_token - before.n_prompt_token);
    return BT_OK;
}

static bt_status run_request(traced *t, bt_request *request)
{
    bt_event event;
    bt_engine_stats stats;
    bt_finish finish = BT_FINISH_NONE;
    bt_engine_get_stats(t->engine, &stats);
    while (finish == BT_FINISH_NONE) {
        if (bt_interrupt_seen() && !t->interrupted) {
            t->interrupted = true;
            bt_request_cancel(request);
        }
        bt_status st = bt_request_next(request, &event);
        if (st == BT_BUSY) {
            BT_TRY(run_step(t, &stats));
            continue;
        }
        BT_TRY(st);
        finish = event.finish;
    }
    BT_FAIL_IF(finish == BT_FINISH_ERROR, DEVICE, "the run ended with an error after %d steps",
               t->n_run);
    t->interrupted = t->interrupted && finish == BT_FINISH_CANCELLED;
    return BT_OK;
}

/* The prompt gives the first token, each decode step one more. */
static bt_status submit_and_run(traced *t, const bt_ids *ids, int32_t n_decode)
{
    bt_request_params params;
    bt_request *request = NULL;
    bt_request_defaults(&params);
    params.ids = ids->id;
    params.n_id = (int32_t)ids->n;
    params.max_tokens = n_decode + 1;
    params.ignore_eos = true;
    bt_interrupt_begin();
    bt_engine_set_trace(t->engine, t->trace);
    bt_status st = bt_engine_submit(t->engine, &params, &request);
    if (st == BT_OK) st = run_request(t, request);
    bt_engine_set_trace(t->engine, NULL);
    bt_interrupt_end();
    bt_request_free(request);
    return st;
}

/* A trace with room for the run, and room to note its steps. */
static bt_status make_room(traced *t, const trace_options *o, int64_t n_id)
{
    bt_engine_stats stats;
    bt_engine_get_stats(t->engine, &stats);
    int64_t room = stats.n_ctx - n_id - 1, n_decode = o->n_decode < room ? o->n_decode : room;
    int64_t n_step = (n_id + CHUNK - 1) / CHUNK + (n_decode > 0 ? n_decode : 0) + 1;
    int64_t n_span = n_step * (stats.n_launch_max + HOST_SPANS);
    if (n_decode < o->n_decode && n_decode >= 0)
        bt_console_note("the context of %d tokens has room for %lld of %d decode steps",
                        stats.n_ctx, (long long)n_decode, o->n_decode);
    if (n_span > SPANS_MAX) n_span = SPANS_MAX;
    t->n_max = (int32_t)n_step;
    BT_TRY(bt_alloc_array((void **)&t->n_prompt, (size_t)n_step, sizeof *t->n_prompt, BT_MEM_MISC));
    return bt_trace_new(o->n_span ? o->n_span : (int32_t)n_span, &t->trace);
}

// ---- what is told ----

static bt_status print_report(const traced *t, bool json)
{
    bt_trace_report report = {0};
    bt_buf out = {0};
    bt_status st = bt_trace_report_of(t->trace, t->n_prompt, t->n_run, &report);
    if (st == BT_OK)
        st = json ? bt_trace_report_json(&report, &out) : bt_trace_report_text(&report, &out);
    if (st == BT_OK) fwrite(out.data, 1, out.len, stdout);
    bt_buf_done(&out);
    bt_trace_report_done(&report);
    return st;
}

static bt_status run_and_write(const trace_options *o, const bt_buf *text, traced *t)
{
    bt_ids ids = {0};
    bt_status st = bt_prompt_encode(&o->prompt, bt_engine_model(t->engine), o->engine.config.model,
                                    text, &ids);
    if (st == BT_OK) st = make_room(t, o, (int64_t)ids.n);
    if (st == BT_OK) st = submit_and_run(t, &ids, o->n_decode);
    if (st == BT_OK) st = bt_trace_write_json(t->trace, o->out);
    if (st == BT_OK && o->svg) st = bt_trace_write_svg(t->trace, o->svg);
    if (st == BT_OK) st = print_report(t, o->json);
    bt_ids_done(&ids);
    return st;
}

/* Before a model is loaded and run for it: can there be a file of that name? */
static bt_status try_file(const char *path)
{
    bt_writer writer;
    BT_FAIL_IF(bt_file_is_dir(path), IO, "cannot write '%s': it is a folder", path);
    BT_TRY(bt_writer_open(&writer, path));
    bt_writer_abort(&writer);
    return BT_OK;
}

static int trace_prompt(trace_options *o, const bt_buf *text)
{
    traced t = {0};
    bt_status st = try_file(o->out);
    if (st == BT_OK && o->svg) st = try_file(o->svg);
    if (st == BT_OK) st = bt_generate_open(&o->engine, &t.engine);
    if (st == BT_OK) st = run_and_write(o, text, &t);
    int status = st != BT_OK ? bt_console_fail() : t.interrupted ? BT_EXIT_INTERRUPTED : BT_EXIT_OK;
    bt_engine_close(t.engine);
    bt_trace_free(t.trace);
    bt_free(t.n_prompt);
    return status;
}

static int run_trace(const bt_command *self, int argc, char **argv)
{
    trace_options o = {.model = BT_MODEL_DEFAULTS, .n_decode = DEFAULT_DECODE};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    if (!o.out)
        return bt_args_usage(self, "there is no file for the timeline; give one with -o FILE");
    if (o.svg && !strcmp(o.out, o.svg))
        return bt_args_usage(self, "--output and --svg are both '%s'", o.out);
    if (!o.prompt.text && !o.prompt.file) {
        o.prompt.text = default_prompt;
        o.prompt.raw = !o.prompt.system;
    }
    bt_buf path = {0}, text = {0};
    if ((status = bt_prompt_options_read(self, &o.prompt, &text)) == BT_ARGS_GO_ON &&
        (status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON) {
        o.engine.config.model = path.data;
        o.engine.config.n_chunk = CHUNK;
        status = trace_prompt(&o, &text);
    }
    bt_buf_done(&text);
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_trace = {
    .name = "trace",
    .summary = "record a timeline, and say who let the device idle",
    .operands = "",
    .notes = "Reads a prompt (\"Once upon a time\" where none is given), decodes N tokens "
             "and prints, for each step,\n"
             "how long it took, how long the device was busy, and who is to blame for the rest. "
             "The last line sums up\n"
             "the decode steps but for the first 2. Files appear only when they are whole.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_trace,
};
