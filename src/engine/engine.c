// SPDX-License-Identifier: Apache-2.0
/* engine: the conductor's desk. A step is: hear what users wish, plan, run, hand out tokens. Owns
 * nothing but its parts; request has the events, sched the batch, pages the pool, sampler the
 * choice, and the runner the model. */
#include "baton/engine.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/trace.h"
#include "engine/params.h"
#include "engine/parts.h"
#include "engine/sampler.h"
#include <string.h>

struct bt_engine {
    bt_engine_parts parts; // eos replaced by `eog`
    bt_capacity capacity;
    int32_t *eog; // [n_eog] owned: every id that ends a generation, each once
    int32_t n_eog;
    bt_slab *slab;
    bt_sched sched;
    bt_sampler sampler;
    bt_request **alive;                              // [n_request_max] scratch of a step
    uint64_t n_step, n_prompt_token, n_output_token; // the step's; copied into stats
    bt_lock stats_lock;                              // guards stats; never held with another
    bt_engine_stats stats;                           // as of the last step
};

const char *bt_finish_name(bt_finish finish)
{
    static const char *const name[] = {
#define NAME(upper, text) text,
        BT_FINISH_LIST(NAME)
#undef NAME
    };
    return (unsigned)finish < BT_COUNT_OF(name) ? name[finish] : "unknown";
}

/* ---- open and close ---- */

static bool contains(const int32_t *ids, int32_t n, int32_t id)
{
    for (int32_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

/* Gather the ids that end a generation: the parts' own and the tokenizer's. */
static bt_status gather_eog(bt_engine *e)
{
    const bt_engine_parts *p = &e->parts;
    int32_t n_token = p->tokenizer ? bt_tokenizer_n_vocab(p->tokenizer) : 0, n_max = p->n_eos;
    n_token = (int32_t)bt_min_i64(n_token, p->runner.n_vocab);
    for (int32_t id = 0; id < n_token; id++) n_max += bt_tokenizer_is_eog(p->tokenizer, id);
    BT_TRY(bt_alloc_array((void **)&e->eog, (size_t)n_max, sizeof *e->eog, BT_MEM_MISC));
    for (int32_t i = 0; i < p->n_eos; i++)
        if (p->eos[i] >= 0 && p->eos[i] < p->runner.n_vocab &&
            !contains(e->eog, e->n_eog, p->eos[i]))
            e->eog[e->n_eog++] = p->eos[i];
    for (int32_t id = 0; id < n_token; id++)
        if (bt_tokenizer_is_eog(p->tokenizer, id) && !contains(e->eog, e->n_eog, id))
            e->eog[e->n_eog++] = id;
    return BT_OK;
}

static void take_stats(bt_engine *e)
{
    const bt_runner *r = &e->parts.runner;
    bt_runner_counters c = {0};
    if (r->get_counters) r->get_counters(r->self, &c);
    bt_lock_take(&e->stats_lock);
    e->stats.n_running = e->sched.n_running;
    e->stats.n_waiting = e->sched.n_waiting;
    e->stats.n_page_free = bt_pages_n_free(e->sched.pages);
    e->stats.n_preempted = e->sched.n_preempted;
    e->stats.n_step = e->n_step;
    e->stats.n_prompt_token = e->n_prompt_token;
    e->stats.n_output_token = e->n_output_token;
    e->stats.plans_built = c.plans_built;
    e->stats.setups_run = c.setups_run;
    e->stats.setups_skipped = c.setups_skipped;
    e->stats.replays = c.replays;
    e->stats.host_s = (double)c.host_ns * 1e-9;
    bt_lock_give(&e->stats_lock);
}

static void first_stats(bt_engine *e)
{
    const bt_batch_limits *l = &e->capacity.sched.limits;
    const bt_runner *r = &e->parts.runner;
    e->stats = (bt_engine_stats){
        .load_s = e->parts.open_ns ? bt_seconds_since(e->parts.open_ns) : 0,
        .weight_bytes = r->weight_bytes,
        .weight_mapped_bytes = r->weight_mapped_bytes,
        .weight_read_bytes = r->weight_read_bytes,
        .kv_bytes = r->kv_bytes,
        .workspace_bytes = r->workspace_bytes + e->capacity.sched_bytes + e->capacity.sampler_bytes,
        .n_ctx = e->capacity.n_ctx,
        .n_thread = e->capacity.n_thread,
        .page_len = l->page_len,
        .n_launch_max = r->n_launch_max,
        .n_page = l->n_page,
        .cpu_level = e->parts.cpu_level,
    };
    take_stats(e);
}

/* Free all that the engine made itself; the parts stay. */
static void take_apart(bt_engine *e)
{
    bt_slab_close(e->slab);
    bt_sched_done(&e->sched);
    bt_sampler_done(&e->sampler);
    bt_free(e->alive);
    bt_free(e->eog);
    bt_lock_done(&e->stats_lock);
    bt_free(e);
}

bt_status bt_engine_open_with(const bt_capacity *capacity, const bt_engine_parts *parts,
                              bt_engine **ret_engine)
{
    bt_engine *e;
    bt_status st;
    BT_TRY(bt_alloc_zero((void **)&e, sizeof *e, BT_MEM_MISC));
    e->parts = *parts;
    e->capacity = *capacity;
    bt_lock_init(&e->stats_lock);
    if ((st = gather_eog(e)) || (st = bt_slab_open(capacity->n_request_max, &e->slab)) ||
        (st = bt_sched_init(&e->sched, &capacity->sched)) ||
        (st = bt_sampler_init(&e->sampler, parts->runner.n_vocab)) ||
        (st = bt_alloc_array((void **)&e->alive, (size_t)capacity->n_request_max, sizeof *e->alive,
                             BT_MEM_MISC)))
        goto fail;
    e->parts.eos = NULL;
    first_stats(e);
    *ret_engine = e;
    return BT_OK;
fail:
    take_apart(e);
    return st;
}

void bt_engine_close(bt_engine *e)
{
    if (!e) return;
    bt_engine_parts parts = e->parts;
    take_apart(e);
    parts.runner.close(parts.runner.self);
    bt_op_set_close(&parts.ops);
    if (parts.close_file) parts.close_file(parts.file);
}

const bt_tokenizer *bt_engine_tokenizer(const bt_engine *e) { return e->parts.tokenizer; }
const bt_model_file *bt_engine_model(const bt_engine *e) { return e->parts.file; }

void bt_engine_set_trace(bt_engine *e, bt_trace *trace)
{
    e->parts.trace = trace;
    if (e->parts.runner.set_trace) e->parts.runner.set_trace(e->parts.runner.self, trace);
}

void bt_engine_get_stats(const bt_engine *engine, bt_engine_stats *ret_stats)
{
    bt_engine *e = (bt_engine *)engine; // the locks change; what they guard does not
    int32_t n_incoming = bt_slab_n_incoming(e->slab);
    bt_lock_take(&e->stats_lock);
    *ret_stats = e->stats;
    bt_lock_give(&e->stats_lock);
    ret_stats->n_waiting += n_incoming;
}

bool bt_engine_check(const bt_engine *e)
{
    int32_t n_held = 0, n;
    for (int32_t i = 0; i < e->sched.n_running; i++) {
        const bt_request *r = e->sched.running[i];
        if (!bt_pages_seq_table(e->sched.pages, r->seq, &n) || r->n_done >= r->n_id) return false;
        if (n != bt_pages_for(e->sched.pages, r->n_done)) return false; // not one page too many
        n_held += n;
    }
    return bt_pages_check(e->sched.pages, 0) &&
           n_held + bt_pages_n_free(e->sched.pages) == e->capacity.sched.limits.n_page;
}

bt_status bt_engine_submit(bt_engine *e, const bt_request_params *params, bt_request **ret_request)
{
    bt_params_limits limits = {.n_vocab = e->parts.runner.n_vocab,
                               .n_ctx = e->capacity.n_ctx,
                               .has_tokenizer = e->parts.tokenizer != NULL};
    BT_TRY(bt_params_check(params, &limits));
    int32_t n_output_max = bt_params_n_output_max(params, e->capacity.n_ctx);
    return bt_slab_submit(e->slab, params, n_output_max, e->parts.tokenizer, ret_request);
}

/* ---- the end of a request ---- */

static void finish(bt_engine *e, bt_request *r, bt_finish why)
{
    char text[BT_STOP_OUT_MAX];
    bt_event closing = {
        .id = -1, .text = text, .finish = why, .n_prompt = r->n_prompt, .time_ns = bt_now_ns()};
    closing.n_output = closing.index = r->n_id - r->n_prompt;
    if (r->detok) {
        const char *rest;
        size_t len;
        bool ended = r->stop->ended, may_end = closing.n_output >= r->params.min_tokens;
        if (bt_detok_flush(r->detok, &rest, &len) == BT_OK)
            closing.text_len = bt_stop_push(r->stop, rest, len, may_end, text);
        if (r->stop->ended && !ended && why == BT_FINISH_LENGTH) closing.finish = BT_FINISH_STOP;
        closing.text_len += bt_stop_flush(r->stop, text + closing.text_len);
    }
    bt_sched_remove(&e->sched, r);
    bt_request_end(r, &closing); // from here on r may be somebody else's
}

static void finish_all_running(bt_engine *e)
{
    while (e->sched.n_running > 0) finish(e, e->sched.running[0], BT_FINISH_ERROR);
}

/* ---- a step ---- */

/* Take in what was submitted since the last step, and end what was cancelled. */
static void hear_users(bt_engine *e)
{
    bt_sched *s = &e->sched;
    int32_t n = s->n_running + s->n_waiting;
    memcpy(e->alive, s->running, (size_t)s->n_running * sizeof *e->alive);
    memcpy(e->alive + s->n_running, s->waiting, (size_t)s->n_waiting * sizeof *e->alive);
    int32_t n_fresh =
        bt_slab_intake(e->slab, e->alive, n, e->alive + n, e->capacity.n_request_max - n);
    for (int32_t i = 0; i < n_fresh; i++) bt_sched_add(s, e->alive[n + i]);
    for (int32_t i = 0; i < n + n_fresh; i++)
        if (e->alive[i]->doomed) finish(e, e->alive[i], BT_FINISH_CANCELLED);
}

/* Show the user the logits of prompt positions that came out of this step. */
static void show_logits(bt_engine *e, bt_request *r, const float *logits)
{
    int32_t first = r->n_done - r->n_out; // position of the first row
    for (int32_t i = 0; i < r->n_out; i++) {
        int32_t pos = first + i;
        if (pos < r->n_read || pos >= r->n_prompt) continue;
        if (r->params.logits_all || pos == r->n_prompt - 1)
            r->params.logits_fn(r->params.logits_ctx, pos,
                                logits + (int64_t)i * e->parts.runner.n_vocab,
                                e->parts.runner.n_vocab);
        r->n_read = pos + 1;
    }
}

/* Choose the next token from the logits; -1 when nothing is possible. */
static int32_t choose(bt_engine *e, const bt_request *r, const float *logits)
{
    const bt_request_params *p = &r->params;
    bt_sample_input in = {
        .logits = logits, .params = p, .ids = r->ids, .n_id = r->n_id, .n_prompt = r->n_prompt};
    bool too_early = r->n_id - r->n_prompt < p->min_tokens;
    if (p->ignore_eos || too_early) {
        in.forbidden[0] = e->eog;
        in.n_forbidden[0] = e->n_eog;
    }
    if (too_early) {
        in.forbidden[1] = p->stop_ids;
        in.n_forbidden[1] = p->n_stop_id;
    }
    return bt_sampler_choose(&e->sampler, &in);
}

/* Write what the newest token adds to the text that is certain; returns its length. */
static size_t add_text(bt_engine *e, bt_request *r, char *out)
{
    int32_t id = r->ids[r->n_id - 1];
    const char *fresh;
    size_t len;
    if (!r->detok || id >= bt_tokenizer_n_vocab(e->parts.tokenizer))
        return 0; // a padded vocabulary's end
    if (bt_detok_push(r->detok, id, &fresh, &len) != BT_OK) return 0;
    return bt_stop_push(r->stop, fresh, len, r->n_id - r->n_prompt >= r->params.min_tokens, out);
}

/* Give the user a token: its text as far as it is certain, its logprobs. */
static void hand_out(bt_engine *e, bt_request *r, int32_t id)
{
    char text[BT_STOP_OUT_MAX];
    r->ids[r->n_id++] = id;
    e->n_output_token++;
    bt_event event = {.id = id, .text = text, .n_prompt = r->n_prompt, .time_ns = bt_now_ns()};
    event.n_output = r->n_id - r->n_prompt;
    event.index = event.n_output - 1;
    event.text_len = add_text(e, r, text);
    if (r->params.logprobs)
        event.n_top = bt_sampler_logprobs(&e->sampler, id, r->params.n_top_logprobs, &event.logprob,
                                          event.top);
    bt_request_emit(r, &event);
}

/* What the step's logits mean for one request: another token, an end, or nothing yet. */
static void advance(bt_engine *e, bt_request *r, const float *logits)
{
    e->n_prompt_token += (uint64_t)bt_max_i64(0, bt_min_i64(r->n_take, r->n_prompt - r->n_done));
    r->n_done += r->n_take;
    if (r->params.logits_fn) show_logits(e, r, logits);
    if (r->n_done < r->n_id) return;
    if (r->n_output_max == 0) {
        finish(e, r, BT_FINISH_LENGTH);
        return;
    }
    const float *last = logits + (int64_t)(r->n_out - 1) * e->parts.runner.n_vocab;
    int32_t id = choose(e, r, last);
    if (id < 0)
        finish(e, r, BT_FINISH_ERROR);
    else if (contains(e->eog, e->n_eog, id) ||
             contains(r->params.stop_ids, r->params.n_stop_id, id))
        finish(e, r, BT_FINISH_STOP);
    else {
        hand_out(e, r, id);
        if (r->stop && r->stop->ended)
            finish(e, r, BT_FINISH_STOP);
        else if (r->n_id == r->n_prompt + r->n_output_max)
            finish(e, r, BT_FINISH_LENGTH);
    }
}

static void advance_all(bt_engine *e, const float *logits)
{
    int32_t n = e->sched.n_running;
    memcpy(e->alive, e->sched.running, (size_t)n * sizeof *e->alive); // finishing changes the list
    for (int32_t i = 0; i < n; i++)
        if (e->alive[i]->n_take > 0)
            advance(e, e->alive[i],
                    logits + (int64_t)e->alive[i]->first_out * e->parts.runner.n_vocab);
}

static void note_span(const bt_engine *e, const char *name, uint64_t step, int64_t begin_ns)
{
    if (e->parts.trace)
        bt_trace_add(e->parts.trace, &(bt_span){.begin_ns = begin_ns,
                                                .end_ns = bt_now_ns(),
                                                .name = name,
                                                .lane = BT_LANE_ENGINE,
                                                .step = (int32_t)step});
}

/* Set the batch under way, make ready for the next one beside it, wait for its logits. */
static bt_status run_batch(bt_engine *e, const float **ret_logits)
{
    const bt_runner *r = &e->parts.runner;
    int32_t n_tok, n_out;
    BT_TRY(r->begin(r->self, &e->sched.batch));
    if (r->prepare && bt_sched_predict(&e->sched, &n_tok, &n_out))
        r->prepare(r->self, n_tok, n_out);
    return r->finish(r->self, ret_logits);
}

bt_status bt_engine_step(bt_engine *e, int32_t *ret_n_alive)
{
    const float *logits;
    bt_status st = BT_OK;
    int64_t begin_ns = bt_now_ns();
    hear_users(e);
    bt_sched_plan(&e->sched);
    note_span(e, "schedule", e->n_step + 1, begin_ns);
    if (e->sched.batch.n_tok > 0) {
        e->n_step++;
        st = run_batch(e, &logits);
        begin_ns = bt_now_ns();
        if (st == BT_OK)
            advance_all(e, logits);
        else
            finish_all_running(e);
        note_span(e, "sample", e->n_step, begin_ns);
    }
    take_stats(e);
    if (ret_n_alive)
        *ret_n_alive = e->sched.n_running + e->sched.n_waiting + bt_slab_n_incoming(e->slab);
    return st;
}
