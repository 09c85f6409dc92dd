// SPDX-License-Identifier: Apache-2.0
/* parts: what an engine is put together from. bt_engine_open makes the parts of a model file; tests
 * put a function of the prefix in the runner's place. */
#pragma once
#include "engine/capacity.h"
#include "graph/custom.h"

typedef struct bt_engine_parts {
    bt_runner runner;              // closed with the engine
    const bt_tokenizer *tokenizer; // NULL: events carry no text
    const int32_t *eos; // [n_eos] ids that end a generation, besides the tokenizer's; copied
    int32_t n_eos;
    bt_trace *trace;     // NULL: none
    bt_op_set ops;       // what the runner's graph uses; closed after the runner
    bt_model_file *file; // what bt_engine_model answers; may be NULL
    void (*close_file)(
        bt_model_file *file); // called with the engine's end; NULL when there is no file
    const char *cpu_level;    // for the statistics; lives as long as the engine
    int64_t open_ns;          // when opening began, monotonic
} bt_engine_parts;

/* Put an engine together by plan; the runner was made for capacity->sched.limits. On success the
 * engine owns runner, operators and file; on failure the caller still does. */
BT_CHECKED bt_status bt_engine_open_with(const bt_capacity *capacity, const bt_engine_parts *parts,
                                         bt_engine **ret_engine);

/* Tests: the invariants of pages and lists hold, and every page that no running request holds is
 * free. Call it between steps. */
bool bt_engine_check(const bt_engine *engine);
