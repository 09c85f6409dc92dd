// SPDX-License-Identifier: Apache-2.0
/* generate: one request from submit to its end, and the figures about it. */
#pragma once
#include "app/options.h"
#include "app/prompt.h"
#include "base/buf.h"
#include "baton/engine.h"

/* Called with each piece of text as it comes; a failure ends the generation. */
typedef bt_status (*bt_text_fn)(void *ctx, const char *text, size_t len);

typedef struct bt_generation {
    bt_buf text; // all of it
    bt_ids ids;  // generated tokens
    bt_finish finish;
    bool interrupted; // by Ctrl-C; finish is CANCELLED
    int32_t n_prompt;
    int64_t submit_ns, first_ns, last_ns; // monotonic; 0: no token came
} bt_generation;

void bt_generation_done(bt_generation *generation);

/* Open an engine for one request at a time; a bar shows the loading on a terminal. */
BT_CHECKED bt_status bt_generate_open(bt_engine_options *options, bt_engine **ret_engine);

/* Run a request alone on an engine. Ctrl-C cancels it, which is no failure.
 * `on_text` may be NULL. */
BT_CHECKED bt_status bt_generate(bt_engine *engine, const bt_request_params *params,
                                 bt_text_fn on_text, void *ctx, bt_generation *ret_generation);

/* Seconds and rates; a rate that cannot be told is 0. */
typedef struct bt_figures {
    double load_s, ttft_s;
    int32_t n_prompt, n_output;
    double prefill_tok_s;  // prompt tokens / TTFT
    double decode_tok_s;   // tokens after the first / the time they took
    double read_bytes_s;   // weight bytes a step reads * decode_tok_s
    double memory_bytes_s; // measured; 0: not measured
} bt_figures;

/* Measure how fast memory can be read, with as many threads as the engine will
 * have (0: one a processor); 0 when it could not be measured. */
double bt_figures_memory(int32_t n_thread);

bt_figures bt_figures_of(const bt_engine *engine, const bt_generation *generation,
                         double memory_bytes_s);

/* The line of figures, without a newline. */
BT_CHECKED bt_status bt_figures_line(const bt_figures *figures, bt_buf *ret_line);

/* The figures as a JSON object. */
BT_CHECKED bt_status bt_figures_json(const bt_figures *figures, bt_buf *ret_json);
