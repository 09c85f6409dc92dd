// SPDX-License-Identifier: Apache-2.0
/* bench_dispatch: what the dispatcher's caches are worth: the host's time for a decode step in each
 * of six modes, on a graph built by hand and on a model. dispatch_rows.c measures and
 * dispatch_report.c prints. */
#include "app/bench/bench.h"
#include "app/bench/dispatch_rows.h"
#include "app/console.h"
#include "app/options.h"
#include <stdio.h>
#include <string.h>

typedef struct dispatch_options {
    bt_model_options model;
    bt_device_config device;
    int32_t n_step;
    bool json;
} dispatch_options;

enum { STEPS_LEAST = 20, STEPS_MOST = 10000 };

#define AT(member) offsetof(dispatch_options, member)
static const bt_arg args[] = {
    {"steps", 0, BT_ARG_I32, AT(n_step), STEPS_LEAST, STEPS_MOST, "N",
     "tokens decoded in each mode; default 1000"},
    {"threads", 0, BT_ARG_I32, AT(device.n_thread), 1, 256, "N",
     "worker threads of the device; default: one a processor"},
    {"cpu", 0, BT_ARG_TEXT, AT(device.cpu_level), 0, 0, "LEVEL",
     "highest kernels: ref, avx2, avx512, ...; default: $BATON_CPU or the best"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL, "one JSON object instead of a table"},
};
#undef AT

static const bt_arg_group groups[] = {
    {"Bench", args, sizeof args / sizeof args[0], 0},
    BT_GROUP_MODEL(dispatch_options, model),
};

enum { N_GRAPH = 2 };

static bt_status measure(const dispatch_options *o, const char *model, bt_dispatch_report *report,
                         bt_dispatch_row row[N_GRAPH * BT_MODE_COUNT])
{
    bt_engine_bench engine = {.model = model, .device = o->device};
    struct bt_llama_bench *llama;
    bt_bench_graph graph[N_GRAPH];
    BT_TRY(bt_llama_bench_open(&o->device, o->n_step + BT_DISPATCH_TRACED, &llama, &graph[0]));
    bt_llama_bench_caps(llama, &report->device);
    bt_status st = bt_dispatch_measure(&graph[0], o->n_step, row);
    bt_llama_bench_close(llama);
    BT_TRY(st);
    bool bundled = !strcmp(model, BATON_STORY_SOURCE) || !strcmp(model, BATON_STORY_INSTALLED);
    graph[1] = bt_engine_bench_graph(&engine, bundled ? "story" : "model");
    return bt_dispatch_measure(&graph[1], o->n_step, row + BT_MODE_COUNT);
}

static bt_status measure_and_print(const dispatch_options *o, const char *model)
{
    bt_buf out = {0};
    bt_dispatch_row row[N_GRAPH * BT_MODE_COUNT];
    bt_dispatch_report report = {.n_step = o->n_step, .row = row, .n_graph = N_GRAPH};
    bt_status st = measure(o, model, &report, row);
    if (st == BT_OK)
        st = o->json ? bt_dispatch_json(&report, &out) : bt_dispatch_table(&report, &out);
    if (st == BT_OK) fwrite(out.data, 1, out.len, stdout);
    bt_buf_done(&out);
    return st;
}

static int run_dispatch(const bt_command *self, int argc, char **argv)
{
    dispatch_options o = {.model = BT_MODEL_DEFAULTS, .n_step = 1000};
    bt_buf path = {0};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    if ((status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON)
        status = measure_and_print(&o, path.data) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    bt_buf_done(&path);
    return status;
}

const bt_command bt_bench_dispatch = {
    .name = "bench dispatch",
    .summary = BT_BENCH_DISPATCH_SUMMARY,
    .operands = "",
    .notes =
        "Two graphs: 'llama-32', a decoder of 32 narrow layers built by hand, and the model\n"
        "('story': the bundled one) through an engine, one stream of requests. Each decodes N\n"
        "tokens in six modes:\n"
        "\n"
        "  no caches    every step sets up every node and plans its memory\n"
        "  node cache   setups of nodes come from a cache, plans are made anew\n"
        "  plan cache   a step looks its plan up\n"
        "  setup reuse  a step whose inputs look as they did last time does not even look\n"
        "  pipeline     the same, on three host threads; llama-32 with three steps in flight\n"
        "  captured     everything: a step is a replay\n"
        "\n"
        "The modes take turns in five rounds, and medians are shown. The host's time is what\n"
        "submitting a step takes on its thread; none of the device's work is in it. Of a\n"
        "pipeline it is the slowest stage (llama-32) or the thread that submits (model).\n"
        "tok/s is that of the median step. The device's idle share comes from 33 more steps,\n"
        "under a trace. When a mode does not give the bits of the others, the command fails.\n"
        "The model is opened six times, and takes six times its memory.",
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_dispatch,
};
