// SPDX-License-Identifier: Apache-2.0
#include "app/generate.h"
#include "app/console.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/membw.h"
#include <unistd.h>

void bt_generation_done(bt_generation *generation)
{
    bt_buf_done(&generation->text);
    bt_ids_done(&generation->ids);
    *generation = (bt_generation){0};
}

bt_status bt_generate_open(bt_engine_options *options, bt_engine **ret_engine)
{
    bt_bar bar = {0};
    bt_engine_config *config = &options->config;
    config->progress = bt_bar_draw;
    config->progress_ctx = &bar;
    config->n_seq_max = 1;
    config->op_libs = options->op_lib.item;
    config->n_op_lib = options->op_lib.n;
    bt_status st = bt_engine_open(config, ret_engine);
    bt_bar_clear(&bar);
    return st;
}

// ---- the loop ----

static bt_status take_event(bt_generation *g, const bt_event *event, bt_text_fn on_text, void *ctx)
{
    if (event->id >= 0) {
        BT_TRY(bt_ids_add(&g->ids, event->id));
        if (!g->first_ns) g->first_ns = event->time_ns;
        g->last_ns = event->time_ns;
    }
    if (event->text_len) {
        BT_TRY(bt_buf_add(&g->text, event->text, event->text_len));
        if (on_text) BT_TRY(on_text(ctx, event->text, event->text_len));
    }
    g->n_prompt = event->n_prompt;
    return BT_OK;
}

/* Step and take events until the closing one. */
static bt_status drive(bt_engine *engine, bt_request *request, bt_text_fn on_text, void *ctx,
                       bt_generation *g)
{
    bt_event event;
    while (g->finish == BT_FINISH_NONE) {
        if (bt_interrupt_seen() && !g->interrupted) {
            g->interrupted = true;
            bt_request_cancel(request);
        }
        bt_status st = bt_request_next(request, &event);
        if (st == BT_BUSY) {
            BT_TRY(bt_engine_step(engine, NULL));
            continue;
        }
        BT_TRY(st);
        BT_TRY(take_event(g, &event, on_text, ctx));
        g->finish = event.finish;
    }
    BT_FAIL_IF(g->finish == BT_FINISH_ERROR, DEVICE,
               "the generation ended with an error after %d tokens", (int)g->ids.n);
    return BT_OK;
}

bt_status bt_generate(bt_engine *engine, const bt_request_params *params, bt_text_fn on_text,
                      void *ctx, bt_generation *ret_generation)
{
    bt_generation g = {0};
    bt_request *request = NULL;
    bt_interrupt_begin();
    g.submit_ns = bt_now_ns();
    bt_status st = bt_engine_submit(engine, params, &request);
    if (st == BT_OK) st = drive(engine, request, on_text, ctx, &g);
    bt_interrupt_end();
    bt_request_free(request);
    if (st != BT_OK) {
        bt_generation_done(&g);
        return st;
    }
    g.interrupted = g.interrupted && g.finish == BT_FINISH_CANCELLED;
    *ret_generation = g;
    return BT_OK;
}

// ---- figures ----

double bt_figures_memory(int32_t n_thread)
{
    double rate;
    long n = n_thread > 0 ? n_thread : sysconf(_SC_NPROCESSORS_ONLN);
    return bt_membw_measure(n < 1     ? 1
                            : n > 256 ? 256
                                      : (int)n,
                            BT_MEMBW_QUICK, &rate) == BT_OK
               ? rate
               : 0;
}

bt_figures bt_figures_of(const bt_engine *engine, const bt_generation *g, double memory_bytes_s)
{
    bt_engine_stats stats;
    bt_engine_get_stats(engine, &stats);
    bt_figures f = {.load_s = stats.load_s,
                    .n_prompt = g->n_prompt,
                    .n_output = (int32_t)g->ids.n,
                    .memory_bytes_s = memory_bytes_s};
    if (g->first_ns) f.ttft_s = (double)(g->first_ns - g->submit_ns) * 1e-9;
    if (f.ttft_s > 0) f.prefill_tok_s = f.n_prompt / f.ttft_s;
    if (g->last_ns > g->first_ns)
        f.decode_tok_s = (f.n_output - 1) / ((double)(g->last_ns - g->first_ns) * 1e-9);
    f.read_bytes_s = f.decode_tok_s * (double)stats.weight_read_bytes;
    return f;
}

bt_status bt_figures_line(const bt_figures *f, bt_buf *ret_line)
{
    BT_TRY(bt_buf_format(ret_line,
                         "load %.3f s | TTFT %.1f ms | prefill %d tokens, %.0f "
                         "tok/s | decode %d tokens, %.1f tok/s",
                         f->load_s, f->ttft_s * 1e3, f->n_prompt, f->prefill_tok_s, f->n_output,
                         f->decode_tok_s));
    BT_TRY(bt_buf_format(ret_line, " | %.2f GB/s read", f->read_bytes_s * 1e-9));
    if (f->memory_bytes_s > 0)
        BT_TRY(bt_buf_format(ret_line, ", %.0f %% of the %.1f GB/s measured",
                             100 * f->read_bytes_s / f->memory_bytes_s, f->memory_bytes_s * 1e-9));
    return BT_OK;
}

bt_status bt_figures_json(const bt_figures *f, bt_buf *ret_json)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"load_s", f->load_s},
        {"ttft_s", f->ttft_s},
        {"prefill_tokens", f->n_prompt},
        {"prefill_tok_s", f->prefill_tok_s},
        {"decode_tokens", f->n_output},
        {"decode_tok_s", f->decode_tok_s},
        {"read_bytes_s", f->read_bytes_s},
        {"memory_bytes_s", f->memory_bytes_s},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        BT_TRY(bt_buf_format(ret_json, "%s\"%s\": ", i ? ", " : "{", rows[i].name));
        BT_TRY(bt_json_put_f64(ret_json, rows[i].value));
    }
    return bt_buf_text(ret_json, "}");
}
