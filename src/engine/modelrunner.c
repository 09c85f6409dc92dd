// SPDX-License-Identifier: Apache-2.0
/* modelrunner: one batch = one step of an executable: the model's graph on a device.
 *
 * Only the numbers of tokens and of wanted rows are shapes. Positions, slots and block tables are
 * data in arrays that never move, so a plan is bound once, and a growing sequence hits the same
 * plan. While the device runs a step the next one's plan is made, if it is not there yet. */
#include "engine/modelrunner.h"
#include "base/bits.h"
#include "base/clock.h"
#include "baton/dispatch.h"
#include "device/cpu.h"
#include "graph/graph.h"
#include "model/decoder.h"

typedef struct model_runner {
    const bt_hparams *hp;
    bt_batch_limits limits;
    bt_device *device;
    bt_context *context;
    bt_weights *weights;
    bt_exec *exec;
    void *kv;           // all pools, one block
    bt_desc *in_desc;   // [n_input] of the current batch
    bt_desc *next_desc; // [n_input] of the batch that is prepared
    void **in_ptr;      // [n_input]
    int32_t n_input;
    const bt_batch *batch; // whose arrays are bound; must stay the same
    bt_ticket ticket;      // of the step under way
    bool no_plan_cache;    // plans are not kept: none can be made ahead
    int64_t host_ns;
} model_runner;

static bool pool_bytes(const bt_hparams *hp, const bt_batch_limits *limits, int64_t *ret_bytes)
{
    int64_t n = bt_row_bytes(limits->kv_dtype, (int64_t)hp->n_kv * hp->d_head);
    return bt_mul_fits(n, (int64_t)limits->n_page, &n) &&
           bt_mul_fits(n, (int64_t)limits->page_len, &n) && n < INT64_MAX - 64 &&
           (*ret_bytes = bt_round_up(n, 64), true);
}

int64_t bt_model_runner_kv_bytes(const bt_hparams *hp, const bt_batch_limits *limits)
{
    int64_t n;
    return pool_bytes(hp, limits, &n) && bt_mul_fits(n, (int64_t)hp->n_layer * 2, &n) ? n : -1;
}

/* The shapes that depend on the batch: n_tok tokens of which n_out are wanted. */
static void describe_batch(int64_t n_tok, int64_t n_out, bt_desc *ret_desc)
{
    ret_desc[BT_DECODER_IDS].dim[0] = n_tok;
    ret_desc[BT_DECODER_POS].dim[0] = n_tok;
    ret_desc[BT_DECODER_SEQ].dim[0] = n_tok;
    ret_desc[BT_DECODER_SLOT].dim[0] = n_tok;
    ret_desc[BT_DECODER_OUT_ROW].dim[0] = n_out;
}

/* All inputs, at the largest batch. */
static void describe_inputs(const model_runner *r, bt_desc *ret_desc)
{
    const bt_batch_limits *l = &r->limits;
    const bt_hparams *hp = r->hp;
    ret_desc[BT_DECODER_IDS] = bt_desc_1d(BT_I32, l->n_tok_max);
    ret_desc[BT_DECODER_POS] = bt_desc_1d(BT_I32, l->n_tok_max);
    ret_desc[BT_DECODER_SEQ] = bt_desc_1d(BT_I32, l->n_tok_max);
    ret_desc[BT_DECODER_SLOT] = bt_desc_1d(BT_I64, l->n_tok_max);
    ret_desc[BT_DECODER_TABLE] = bt_desc_2d(BT_I32, l->n_seq_max, l->n_page_max);
    ret_desc[BT_DECODER_OUT_ROW] = bt_desc_1d(BT_I32, l->n_out_max);
    for (int32_t i = 0; i < hp->n_layer; i++) {
        bt_desc *pool = &ret_desc[BT_DECODER_KV + 2 * i];
        pool[1] = bt_desc_4d(l->kv_dtype, l->n_page, hp->n_kv, l->page_len, hp->d_head);
        pool[0] = pool[1];
        if (bt_dtype_is_quantised(l->kv_dtype)) continue; // blocks run along the width
        pool[0].dim[2] = hp->d_head;
        pool[0].dim[3] = l->page_len;
    }
}

static void point_inputs(model_runner *r, const bt_batch *batch)
{
    r->batch = batch;
    r->in_ptr[BT_DECODER_IDS] = batch->ids;
    r->in_ptr[BT_DECODER_POS] = batch->pos;
    r->in_ptr[BT_DECODER_SEQ] = batch->seq;
    r->in_ptr[BT_DECODER_SLOT] = batch->slot;
    r->in_ptr[BT_DECODER_TABLE] = batch->table;
    r->in_ptr[BT_DECODER_OUT_ROW] = batch->out_row;
}

static bt_status begin(void *self, const bt_batch *batch)
{
    model_runner *r = self;
    int64_t begin_ns = bt_now_ns();
    if (!r->batch) point_inputs(r, batch);
    assert(r->batch == batch && batch->n_tok <= r->limits.n_tok_max &&
           batch->n_out <= r->limits.n_out_max);
    describe_batch(batch->n_tok, batch->n_out, r->in_desc);
    bt_status st = bt_exec_submit(r->exec, r->in_desc, r->in_ptr, -1, &r->ticket);
    r->host_ns += bt_now_ns() - begin_ns;
    return st;
}

/* A plan that has to be made is made beside the device, which therefore has to begin by itself. One
 * that cannot be made will say so when its batch comes. */
static void prepare(void *self, int32_t n_tok, int32_t n_out)
{
    model_runner *r = self;
    if (r->no_plan_cache || n_tok > r->limits.n_tok_max || n_out > r->limits.n_out_max) return;
    describe_batch(n_tok, n_out, r->next_desc);
    if (bt_exec_is_prepared(r->exec, r->next_desc)) return;
    bt_status st = bt_exec_start(r->exec);
    if (st == BT_OK) st = bt_exec_prepare(r->exec, r->next_desc);
    (void)st;
}

static bt_status finish(void *self, const float **ret_logits)
{
    model_runner *r = self;
    BT_TRY(bt_exec_wait(r->exec, r->ticket, -1));
    *ret_logits = bt_exec_output(r->exec, r->ticket, 0);
    return BT_OK;
}

static void get_counters(const void *self, bt_runner_counters *ret_counters)
{
    const model_runner *r = self;
    bt_exec_counters c;
    bt_exec_get_counters(r->exec, &c);
    *ret_counters = (bt_runner_counters){.plans_built = c.plans_built,
                                         .setups_run = c.setups_run,
                                         .setups_skipped = c.setups_skipped,
                                         .replays = c.replays,
                                         .host_ns = r->host_ns};
}

static void set_trace(void *self, bt_trace *trace)
{
    bt_device_set_trace(((model_runner *)self)->device, trace);
}

static void close_runner(void *self)
{
    model_runner *r = self;
    bt_exec_close(r->exec);
    bt_context_close(r->context);
    bt_weights_free(r->weights);
    bt_device_close(r->device);
    bt_free(r->kv);
    bt_free(r->in_desc);
    bt_free(r->next_desc);
    bt_free(r->in_ptr);
    bt_free(r);
}

static bt_status alloc_kv(model_runner *r, int64_t *ret_bytes)
{
    int64_t total = bt_model_runner_kv_bytes(r->hp, &r->limits), each;
    BT_FAIL_IF(total < 0 || !pool_bytes(r->hp, &r->limits, &each), NOMEM,
               "the KV pool of %d pages is too large", r->limits.n_page);
    BT_TRY(bt_alloc_zero(&r->kv, (size_t)total, BT_MEM_KV));
    for (int32_t i = 0; i < 2 * r->hp->n_layer; i++)
        r->in_ptr[BT_DECODER_KV + i] = (char *)r->kv + i * each;
    *ret_bytes = total;
    return BT_OK;
}

static bt_status open_exec(model_runner *r, const bt_model_runner_config *config, bt_runner *ret)
{
    bt_graph *graph;
    bt_exec_memory memory;
    bt_context_config context = {.n_host_thread = config->n_host_thread};
    BT_TRY(bt_context_open(r->device, &context, &r->context));
    BT_TRY(bt_decoder_build(r->hp, r->weights, config->ops, &graph));
    describe_inputs(r, r->in_desc);
    describe_inputs(r, r->next_desc);
    bt_status st = bt_exec_open(
        r->context, graph,
        &(bt_exec_config){.max_desc = r->in_desc, .n_slot = 1, .off = config->dispatch_off},
        &r->exec);
    ret->n_launch_max = graph->n_launch_max;
    bt_graph_unref(graph); // the executable keeps it
    BT_TRY(st);
    bt_exec_get_memory(r->exec, &memory);
    ret->workspace_bytes = memory.arena_bytes + memory.output_bytes;
    return BT_OK;
}

static bt_status open_parts(model_runner *r, const bt_model_file *file,
                            const bt_model_runner_config *config, bt_runner *ret)
{
    r->n_input = BT_DECODER_KV + 2 * r->hp->n_layer;
    size_t n_input = (size_t)r->n_input;
    BT_TRY(bt_alloc_array((void **)&r->in_desc, n_input, sizeof *r->in_desc, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&r->next_desc, n_input, sizeof *r->next_desc, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&r->in_ptr, n_input, sizeof *r->in_ptr, BT_MEM_PLAN));
    BT_TRY(bt_device_open("cpu",
                          &(bt_device_config){.n_thread = config->n_thread,
                                              .pin = config->pin,
                                              .cpu_level = config->cpu_level},
                          &r->device));
    bt_device_set_trace(r->device, config->trace);
    bt_op_env env = {.kernels = r->device->kernels};
    BT_TRY(bt_weights_load(file,
                           &(bt_weights_config){.team = bt_device_cpu_team(r->device),
                                                .env = &env,
                                                .progress = &config->progress,
                                                .pack_cache = config->pack_cache},
                           &r->weights));
    BT_TRY(open_exec(r, config, ret));
    return alloc_kv(r, &ret->kv_bytes);
}

bt_status bt_model_runner_open(const bt_model_file *file, const bt_model_runner_config *config,
                               bt_runner *ret_runner)
{
    model_runner *r;
    BT_TRY(bt_alloc_zero((void **)&r, sizeof *r, BT_MEM_MODEL));
    r->hp = bt_model_file_hparams(file);
    r->limits = config->limits;
    r->no_plan_cache = config->dispatch_off & BT_NO_PLAN_CACHE;
    bt_runner ret = {.begin = begin,
                     .prepare = prepare,
                     .finish = finish,
                     .get_counters = get_counters,
                     .set_trace = set_trace,
                     .close = close_runner,
                     .self = r,
                     .n_vocab = r->hp->n_vocab};
    bt_status st = open_parts(r, file, config, &ret);
    if (st != BT_OK) {
        close_runner(r);
        return st;
    }
    ret.weight_bytes = ret.weight_read_bytes = r->weights->packed_bytes;
    ret.weight_mapped_bytes = r->weights->packed.bytes ? r->weights->packed_bytes : 0;
    *ret_runner = ret;
    return BT_OK;
}

void bt_model_runner_device(const bt_runner *runner, const char **ret_cpu_level,
                            int32_t *ret_n_thread)
{
    const model_runner *r = runner->self;
    bt_device_caps caps;
    bt_device_get_caps(r->device, &caps);
    *ret_cpu_level = caps.level;
    *ret_n_thread = caps.n_thread;
}
