// SPDX-License-Identifier: Apache-2.0
/* model_runs: the works of the model bench and how they are timed. Works take turns, a round at a
 * time, the machine is measured beside them, and medians are kept. */
#pragma once
#include "app/bench/machine.h"
#include "app/bench/model_shape.h"

enum { BT_BENCH_PROMPT = 16, BT_BENCH_RUN_MAX = 100, BT_BENCH_WORK_MAX = 64 };

/* X(NAME, "as shown") */
#define BT_WORK_LIST(X)                                                                            \
    X(PREFILL, "prefill")                                                                          \
    X(DECODE, "decode")                                                                            \
    X(AT_DEPTH, "decode at depth")                                                                 \
    X(BATCHED, "batched decode")

typedef enum bt_work_kind {
#define BT_WORK_ENUM(name, text) BT_WORK_##name,
    BT_WORK_LIST(BT_WORK_ENUM)
#undef BT_WORK_ENUM
} bt_work_kind;
const char *bt_work_name(bt_work_kind kind);

typedef struct bt_work {
    bt_work_kind kind;
    int32_t n_tok;                  // prefill: of the prompt; else decoded by each stream
    int32_t n_stream;               // that decode together
    int32_t depth;                  // tokens a stream holds before it decodes; 0: as few as it can
    double tok_s[BT_BENCH_RUN_MAX]; // [n_run] of all streams together

    /* what came of it */
    double median, spread; // tokens a second; (max - min) / median
    double seconds;        // the median run's
    bt_model_cost cost;    // of a run
} bt_work;

typedef struct bt_model_bench {
    bt_engine *engine;
    bt_model_shape shape;
    bt_machine machine;
    int32_t n_run, n_chunk;
    bt_work work[BT_BENCH_WORK_MAX];
    int32_t n_work;
} bt_model_bench;

/* Tokens that a stream of this work holds in the end. */
int32_t bt_work_ctx(const bt_work *work);

/* Warm up, run all works n_run times, fill in what came of it. CANCELLED: Ctrl-C. */
BT_CHECKED bt_status bt_model_bench_run(bt_model_bench *bench);

/* What one run took; see bt_streams_run. */
typedef struct bt_run_time {
    double prefill_s;      // from the first step until every stream had a token
    double decode_s;       // all steps in which every stream got one
    int64_t n_decode_step; // how many
} bt_run_time;

/* Run streams of random tokens to their end: n_stream requests that begin together with n_prompt
 * tokens each and get n_out more. `seed`: other tokens. */
typedef struct bt_streams {
    int32_t n_stream, n_prompt, n_out;
    uint64_t seed;
} bt_streams;
BT_CHECKED bt_status bt_streams_run(const bt_model_bench *bench, const bt_streams *streams,
                                    bt_run_time *ret_time);

/* ---- how they are shown ---- */

BT_CHECKED bt_status bt_model_bench_table(const bt_model_bench *bench, bt_buf *out);
BT_CHECKED bt_status bt_model_bench_csv(const bt_model_bench *bench, bt_buf *out);

/* `{"machine": ..., "model": ..., "rows": [...]`, without the brace that closes it. */
BT_CHECKED bt_status bt_model_bench_json(const bt_model_bench *bench, bt_buf *out);
