// SPDX-License-Identifier: Apache-2.0
/* modelrunner: one batch = one plan (found, or made for a new number of tokens) = one list of
 * launches.
 *
 * Only the numbers of tokens and of wanted rows are shapes. Positions, slots and block tables are
 * data in arrays that never move, so a plan is bound once and a growing sequence hits the same
 * plan. */
#include "engine/modelrunner.h"
#include "base/bits.h"
#include "device/cpu.h"
#include "graph/plan.h"
#include "model/decoder.h"

enum { N_PLAN = 32 };

typedef struct model_runner {
    const bt_hparams *hp;
    bt_batch_limits limits;
    bt_device *device;
    bt_stream *stream;
    bt_weights *weights;
    bt_graph *graph;
    bt_plan_cache *plans;
    void *kv; // all pools, one block
    void *arena;
    bt_desc *in_desc; // [n_input] of the current batch
    void **in_ptr;    // [n_input]
    int32_t n_input;
    const bt_batch *batch; // whose arrays are bound; must stay the same
} model_runner;

static bool pool_bytes(const bt_hparams *hp, const bt_batch_limits *limits, int64_t *ret_bytes)
{
    int64_t n = bt_dtype_block_bytes(limits->kv_dtype);
    return bt_mul_fits(n, (int64_t)limits->n_page, &n) &&
           bt_mul_fits(n, (int64_t)limits->page_len, &n) &&
           bt_mul_fits(n, (int64_t)hp->n_kv * hp->d_head, &n) && n < INT64_MAX - 64 &&
           (*ret_bytes = bt_round_up(n, 64), true);
}

int64_t bt_model_runner_kv_bytes(const bt_hparams *hp, const bt_batch_limits *limits)
{
    int64_t n;
    return pool_bytes(hp, limits, &n) && bt_mul_fits(n, (int64_t)hp->n_layer * 2, &n) ? n : -1;
}

/* Input descriptors for n_tok tokens of which n_out are wanted. */
static void describe_inputs(const model_runner *r, int64_t n_tok, int64_t n_out, bt_desc *ret_desc)
{
    const bt_batch_limits *l = &r->limits;
    const bt_hparams *hp = r->hp;
    ret_desc[BT_DECODER_IDS] = bt_desc_1d(BT_I32, n_tok);
    ret_desc[BT_DECODER_POS] = bt_desc_1d(BT_I32, n_tok);
    ret_desc[BT_DECODER_SEQ] = bt_desc_1d(BT_I32, n_tok);
    ret_desc[BT_DECODER_SLOT] = bt_desc_1d(BT_I64, n_tok);
    ret_desc[BT_DECODER_TABLE] = bt_desc_2d(BT_I32, l->n_seq_max, l->n_page_max);
    ret_desc[BT_DECODER_OUT_ROW] = bt_desc_1d(BT_I32, n_out);
    for (int32_t i = 0; i < hp->n_layer; i++) {
        bt_desc *pool = &ret_desc[BT_DECODER_KV + 2 * i];
        pool[0] = bt_desc_4d(l->kv_dtype, l->n_page, hp->n_kv, hp->d_head, l->page_len);
        pool[1] = bt_desc_4d(l->kv_dtype, l->n_page, hp->n_kv, l->page_len, hp->d_head);
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

static bt_status run(void *self, const bt_batch *batch, const float **ret_logits)
{
    model_runner *r = self;
    bt_plan *plan;
    if (!r->batch) point_inputs(r, batch);
    assert(r->batch == batch && batch->n_tok <= r->limits.n_tok_max &&
           batch->n_out <= r->limits.n_out_max);
    describe_inputs(r, batch->n_tok, batch->n_out, r->in_desc);
    BT_TRY(bt_plan_cache_get(r->plans, r->in_desc, &plan));
    bt_plan_cache_bind(r->plans, plan, r->in_ptr, r->arena);
    BT_TRY(bt_stream_submit(r->stream, plan->launch, plan->n_launch));
    BT_TRY(bt_stream_sync(r->stream));
    *ret_logits = bt_plan_output(plan, 0);
    return BT_OK;
}

static void close_runner(void *self)
{
    model_runner *r = self;
    bt_plan_cache_free(r->plans);
    bt_graph_unref(r->graph);
    bt_weights_free(r->weights);
    if (r->device) bt_device_free(r->device, r->arena);
    bt_stream_free(r->stream);
    bt_device_close(r->device);
    bt_free(r->kv);
    bt_free(r->in_desc);
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

static bt_status open_parts(model_runner *r, const bt_model_file *file,
                            const bt_model_runner_config *config, bt_runner *ret)
{
    bt_op_env env;
    r->n_input = BT_DECODER_KV + 2 * r->hp->n_layer;
    BT_TRY(
        bt_alloc_array((void **)&r->in_desc, (size_t)r->n_input, sizeof *r->in_desc, BT_MEM_PLAN));
    BT_TRY(bt_alloc_array((void **)&r->in_ptr, (size_t)r->n_input, sizeof *r->in_ptr, BT_MEM_PLAN));
    BT_TRY(bt_device_open(
        "cpu", &(bt_device_config){.n_thread = config->n_thread, .cpu_level = config->cpu_level},
        &r->device));
    BT_TRY(bt_stream_new(r->device, &r->stream));
    env = (bt_op_env){.kernels = r->device->kernels};
    BT_TRY(
        bt_weights_load(file, bt_device_cpu_team(r->device), &env, &config->progress, &r->weights));
    BT_TRY(bt_decoder_build(r->hp, r->weights, config->ops, &r->graph));
    describe_inputs(r, r->limits.n_tok_max, r->limits.n_out_max, r->in_desc);
    BT_TRY(bt_plan_cache_new(r->graph, &env, r->in_desc, N_PLAN, &r->plans));
    ret->workspace_bytes = bt_plan_cache_arena_bytes(r->plans);
    BT_TRY(bt_device_alloc(r->device, (size_t)ret->workspace_bytes, &r->arena));
    return alloc_kv(r, &ret->kv_bytes);
}

bt_status bt_model_runner_open(const bt_model_file *file, const bt_model_runner_config *config,
                               bt_runner *ret_runner)
{
    model_runner *r;
    BT_TRY(bt_alloc_zero((void **)&r, sizeof *r, BT_MEM_MODEL));
    r->hp = bt_model_file_hparams(file);
    r->limits = config->limits;
    bt_runner ret = {.run = run, .close = close_runner, .self = r, .n_vocab = r->hp->n_vocab};
    bt_status st = open_parts(r, file, config, &ret);
    if (st != BT_OK) {
        close_runner(r);
        return st;
    }
    ret.weight_bytes = ret.weight_read_bytes = r->weights->packed_bytes;
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
