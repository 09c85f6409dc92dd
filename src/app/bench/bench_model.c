// SPDX-License-Identifier: Apache-2.0
/* bench_model: `baton bench` with no other word: how fast a model is here, and what of the machine
 * that takes. model_runs.c measures, model_report.c and model_ops.c show. */
#include "app/bench/bench.h"
#include "app/bench/model_ops.h"
#include "app/console.h"
#include "app/options.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/membw.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 16, TOKENS_MOST = 1 << 24, STREAMS_MOST = 1024, CTX_DEFAULT = 8192 };

typedef struct number_list {
    int32_t item[LIST_MAX];
    int32_t n;
} number_list;

typedef struct model_options {
    bt_model_options model;
    bt_engine_config config;
    const char *prefill, *decode, *depth, *batch; // as given; NULL: the default
    int32_t n_run, n_chunk;
    bool json, csv, ops;
} model_options;

#define AT(member) offsetof(model_options, member)
static const bt_arg args[] = {
    {"prefill", 'p', BT_ARG_TEXT, AT(prefill), 0, 0, "N,...",
     "read prompts of so many tokens; 0: none; default 512"},
    {"decode", 'n', BT_ARG_TEXT, AT(decode), 0, 0, "N,...",
     "decode so many tokens; 0: nothing; default 128"},
    {"depth", 'd', BT_ARG_TEXT, AT(depth), 0, 0, "N,...",
     "also decode behind prompts of so many tokens"},
    {"batch", 'b', BT_ARG_TEXT, AT(batch), 0, 0, "N,...",
     "decode so many streams together; 0: none; default 1,2,4,8,16,32"},
    {"runs", 0, BT_ARG_I32, AT(n_run), 1, BT_BENCH_RUN_MAX, "N", "runs of each; default 3"},
    {"ops", 0, BT_ARG_FLAG, AT(ops), 0, 0, NULL, "also say which operators take the time"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL, "one JSON object instead of a table"},
    {"csv", 0, BT_ARG_FLAG, AT(csv), 0, 0, NULL, "comma-separated rows instead of a table"},
};

static const bt_arg engine_args[] = {
    {"threads", 't', BT_ARG_I32, AT(config.n_thread), 1, 256, "N",
     "worker threads; default: one a processor"},
    {"cpu", 0, BT_ARG_TEXT, AT(config.cpu_level), 0, 0, "LEVEL",
     "highest kernels: ref, avx2, avx512, ...; default: $BATON_CPU or the best"},
    {"kv-type", 0, BT_ARG_DTYPE, AT(config.kv_dtype), 0, 0, "TYPE",
     "keys and values in f32 (default), f16 or bf16"},
    {"pin", 0, BT_ARG_FLAG, AT(config.pin_threads), 0, 0, NULL,
     "keep each worker on a processor of its own"},
    {"chunk", 0, BT_ARG_I32, AT(n_chunk), 1, 65536, "N",
     "tokens of a prompt that are read in one step; default 512"},
};
#undef AT

const bt_arg_group bt_bench_model_groups[BT_N_BENCH_MODEL_GROUP] = {
    {"Bench", args, BT_COUNT_OF(args), 0},
    BT_GROUP_MODEL(model_options, model),
    {"Engine", engine_args, BT_COUNT_OF(engine_args), 0},
};

// ---- what to run ----

/* "8,16": numbers in lo..most; a 0 stands for none. */
static int parse_list(const bt_command *self, const char *name, const char *text, int32_t most,
                      number_list *ret_list)
{
    number_list list = {.n = 0};
    const char *at = text;
    for (;;) {
        char *end;
        long value = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
        if (value < 0 || value > most || (*end != 0 && *end != ','))
            return bt_args_usage(self,
                                 "--%s is '%s', must be numbers from 0 to %d with commas "
                                 "between them",
                                 name, text, most);
        if (value > 0 && list.n == LIST_MAX)
            return bt_args_usage(self, "--%s is '%s', must be %d numbers at most", name, text,
                                 LIST_MAX);
        if (value > 0) list.item[list.n++] = (int32_t)value;
        if (!*end) break;
        at = end + 1;
    }
    *ret_list = list;
    return BT_ARGS_GO_ON;
}

static void add_work(bt_model_bench *b, bt_work_kind kind, int32_t n_tok, int32_t n_stream,
                     int32_t depth)
{
    b->work[b->n_work++] =
        (bt_work){.kind = kind, .n_tok = n_tok, .n_stream = n_stream, .depth = depth};
}

/* One batched row a batch and one row a depth: of the first number of tokens. */
static int list_works(const bt_command *self, const model_options *o, bt_model_bench *b)
{
    number_list prefill, decode, depth = {.n = 0}, batch;
    int status;
    if ((status = parse_list(self, "prefill", o->prefill ? o->prefill : "512", TOKENS_MOST,
                             &prefill)) != BT_ARGS_GO_ON ||
        (status = parse_list(self, "decode", o->decode ? o->decode : "128", TOKENS_MOST,
                             &decode)) != BT_ARGS_GO_ON ||
        (status = parse_list(self, "depth", o->depth ? o->depth : "0", TOKENS_MOST, &depth)) !=
            BT_ARGS_GO_ON ||
        (status = parse_list(self, "batch", o->batch ? o->batch : "1,2,4,8,16,32", STREAMS_MOST,
                             &batch)) != BT_ARGS_GO_ON)
        return status;
    for (int32_t i = 0; i < prefill.n; i++) add_work(b, BT_WORK_PREFILL, prefill.item[i], 1, 0);
    for (int32_t i = 0; i < decode.n; i++) add_work(b, BT_WORK_DECODE, decode.item[i], 1, 0);
    for (int32_t i = 0; i < depth.n && decode.n; i++)
        add_work(b, BT_WORK_AT_DEPTH, decode.item[0], 1, depth.item[i]);
    for (int32_t i = 0; i < batch.n && decode.n; i++)
        add_work(b, BT_WORK_BATCHED, decode.item[0], batch.item[i], 0);
    if (!b->n_work) return bt_args_usage(self, "there is nothing to run; give -p, -n or -d");
    return BT_ARGS_GO_ON;
}

// ---- the engine ----

/* Room for the work that needs most, with pages of up to 64 tokens. */
static bt_status open_engine(const model_options *o, const char *model, bt_model_bench *b)
{
    bt_engine_config c = o->config;
    int64_t n_ctx = 0, n_kv = CTX_DEFAULT, n_stream = 1;
    for (int32_t i = 0; i < b->n_work; i++) {
        const bt_work *w = &b->work[i];
        n_ctx = bt_max_i64(n_ctx, bt_work_ctx(w));
        n_kv = bt_max_i64(n_kv, w->n_stream * bt_round_up(bt_work_ctx(w) + 1, 64));
        n_stream = bt_max_i64(n_stream, w->n_stream);
    }
    c.model = model;
    c.n_ctx = n_ctx > CTX_DEFAULT ? (int32_t)bt_min_i64(n_ctx, INT32_MAX) : 0;
    c.n_kv_token = bt_max_i64(n_kv, n_ctx);
    c.n_seq_max = (int32_t)n_stream;
    c.n_chunk = b->n_chunk;
    c.n_tok_step_max = (int32_t)bt_max_i64(bt_max_i64(512, n_stream), b->n_chunk);
    bt_bar bar = {0};
    c.progress = bt_bar_draw;
    c.progress_ctx = &bar;
    bt_status st = bt_engine_open(&c, &b->engine);
    bt_bar_clear(&bar);
    return st;
}

/* Defaults give way to a small context; what was asked for does not. */
static bt_status fit_works(const model_options *o, bt_model_bench *b)
{
    bt_engine_stats stats;
    bt_engine_get_stats(b->engine, &stats);
    for (int32_t i = 0; i < b->n_work; i++) {
        bt_work *w = &b->work[i];
        int32_t over = bt_work_ctx(w) - stats.n_ctx;
        bool given = w->kind == BT_WORK_PREFILL ? o->prefill != NULL : o->decode || w->depth;
        if (over <= 0) continue;
        BT_FAIL_IF(given || w->n_tok <= over, LIMIT,
                   "%s of %d tokens at depth %d needs a context of %d, the model's is %d",
                   bt_work_name(w->kind), w->n_tok, w->depth, bt_work_ctx(w), stats.n_ctx);
        w->n_tok -= over;
    }
    BT_TRY(bt_machine_init(stats.cpu_level, stats.n_thread, bt_membw_beyond_caches(), &b->machine));
    return bt_model_shape_of(b->engine, o->config.kv_dtype, &b->shape);
}

// ---- the run ----

/* The tables of one prompt and of decoding, at the first depth if there is one. */
static bt_status put_ops(const model_options *o, const bt_model_bench *b, bt_buf *out)
{
    int32_t n_prompt = 0, depth = BT_BENCH_PROMPT;
    bool decodes = false;
    bt_op_table table;
    for (int32_t i = b->n_work; i-- > 0;) {
        const bt_work *w = &b->work[i];
        if (w->kind == BT_WORK_PREFILL) n_prompt = w->n_tok;
        if (w->kind == BT_WORK_AT_DEPTH) depth = w->depth;
        decodes = decodes || w->kind != BT_WORK_PREFILL;
    }
    if (o->json) BT_TRY(bt_buf_text(out, ",\n\"ops\": [\n"));
    if (n_prompt) {
        BT_TRY(bt_op_table_of(b, true, n_prompt, &table));
        BT_TRY(o->json ? bt_op_table_json(b, &table, out) : bt_op_table_text(b, &table, out));
        if (o->json && decodes) BT_TRY(bt_buf_text(out, ",\n"));
    }
    if (decodes) {
        BT_TRY(bt_op_table_of(b, false, depth, &table));
        BT_TRY(o->json ? bt_op_table_json(b, &table, out) : bt_op_table_text(b, &table, out));
    }
    return o->json ? bt_buf_text(out, "]") : BT_OK;
}

static bt_status run_and_print(const model_options *o, bt_model_bench *b)
{
    bt_buf out = {0};
    bt_interrupt_begin();
    bt_status st = bt_model_bench_run(b);
    if (st == BT_OK)
        st = o->json  ? bt_model_bench_json(b, &out)
             : o->csv ? bt_model_bench_csv(b, &out)
                      : bt_model_bench_table(b, &out);
    if (st == BT_OK && o->ops) st = put_ops(o, b, &out);
    if (st == BT_OK && o->json) st = bt_buf_text(&out, "}\n");
    bt_interrupt_end();
    if (st == BT_OK) fwrite(out.data, 1, out.len, stdout);
    bt_buf_done(&out);
    return st;
}

static int bench(const model_options *o, const char *model, bt_model_bench *b)
{
    bt_status st = open_engine(o, model, b);
    if (st == BT_OK) st = fit_works(o, b);
    if (st == BT_OK) st = run_and_print(o, b);
    bt_engine_close(b->engine);
    if (st == BT_CANCELLED) return BT_EXIT_INTERRUPTED;
    return st == BT_OK ? BT_EXIT_OK : bt_console_fail();
}

static int check_options(const bt_command *self, const model_options *o)
{
    if (o->json && o->csv) return bt_args_usage(self, "--json and --csv are both given");
    if (o->ops && o->csv) return bt_args_usage(self, "--ops has no place in --csv; take --json");
    return BT_ARGS_GO_ON;
}

int bt_bench_model_run(const bt_command *self, int argc, char **argv)
{
    model_options o = {.model = BT_MODEL_DEFAULTS, .n_run = 3, .n_chunk = 512};
    bt_model_bench *b = NULL;
    bt_buf path = {0};
    const char *operand;
    int status = bt_args_parse(self, argc, argv, &o, &operand);
    if (status != BT_ARGS_GO_ON || (status = check_options(self, &o)) != BT_ARGS_GO_ON)
        return status;
    if (bt_alloc_zero((void **)&b, sizeof *b, BT_MEM_MISC) != BT_OK) return bt_console_fail();
    b->n_run = o.n_run;
    b->n_chunk = o.n_chunk;
    if ((status = list_works(self, &o, b)) == BT_ARGS_GO_ON &&
        (status = bt_model_options_resolve(self, &o.model, &path)) == BT_ARGS_GO_ON)
        status = bench(&o, path.data, b);
    bt_buf_done(&path);
    bt_free(b);
    return status;
}
