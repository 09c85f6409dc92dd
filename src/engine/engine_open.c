// SPDX-License-Identifier: Apache-2.0
/* engine_open: from a model's path to the parts of an engine: open the file, plan all sizes, make
 * the runner for them. The one place of the engine that knows what a model file is. */
#include "base/clock.h"
#include "base/cpuid.h"
#include "base/meminfo.h"
#include "engine/modelrunner.h"
#include "engine/parts.h"

static bt_capacity_facts facts_of(const bt_engine_config *config, const bt_model_file *file)
{
    const bt_hparams *hp = bt_model_file_hparams(file);
    int64_t weight_bytes = 0;
    for (int64_t i = 0; i < bt_model_file_n_tensor(file); i++)
        weight_bytes += (int64_t)bt_model_file_tensor(file, i)->n_bytes;
    return (bt_capacity_facts){.n_ctx_model = hp->n_ctx_train,
                               .n_vocab = hp->n_vocab,
                               .kv_token_bytes = bt_kv_token_bytes(hp, config->kv_dtype),
                               .free_bytes = bt_mem_available() - weight_bytes,
                               .n_cpu = bt_cpu_count()};
}

static bt_status open_runner(const bt_engine_config *config, const bt_capacity *capacity,
                             bt_engine_parts *parts)
{
    bt_model_runner_config runner = {
        .limits = capacity->sched.limits,
        .n_thread = capacity->n_thread,
        .pin = config->pin_threads,
        .cpu_level = config->cpu_level,
        .pack_cache = config->pack_cache,
        .dispatch_off = config->dispatch_off,
        .n_host_thread = config->n_host_thread,
        .trace = config->trace,
        .progress = {.fn = config->progress, .ctx = config->progress_ctx},
        .ops = &parts->ops};
    int32_t n_thread;
    BT_TRY(bt_model_runner_open(parts->file, &runner, &parts->runner));
    parts->trace = config->trace;
    bt_model_runner_device(&parts->runner, &parts->cpu_level, &n_thread);
    return BT_OK;
}

/* Make all parts but the file, then the engine; what was made is closed on failure. */
static bt_status open_from_file(const bt_engine_config *config, bt_engine_parts *parts,
                                bt_engine **ret_engine)
{
    bt_capacity capacity;
    BT_TRY(bt_kv_dtype_check(bt_model_file_hparams(parts->file), config->kv_dtype));
    bt_capacity_facts facts = facts_of(config, parts->file);
    BT_TRY(bt_capacity_plan(config, &facts, &capacity));
    parts->tokenizer = bt_model_file_tokenizer(parts->file);
    parts->eos = bt_model_file_eos(parts->file, &parts->n_eos);
    BT_TRY(open_runner(config, &capacity, parts));
    bt_status st = bt_engine_open_with(&capacity, parts, ret_engine);
    if (st) parts->runner.close(parts->runner.self);
    return st;
}

static bt_status open_model(const bt_engine_config *config, bt_engine_parts *parts,
                            bt_engine **ret_engine)
{
    BT_TRY(bt_model_file_open(config->model, BT_USE_COMPUTE, &parts->file));
    bt_status st = open_from_file(config, parts, ret_engine);
    if (st) {
        bt_fail_note("opening '%s'", config->model);
        bt_model_file_close(parts->file);
    }
    return st;
}

bt_status bt_engine_open(const bt_engine_config *config, bt_engine **ret_engine)
{
    bt_engine_parts parts = {.open_ns = bt_now_ns(), .close_file = bt_model_file_close};
    BT_FAIL_IF(!config->model, INVALID,
               "model is NULL; a file, a directory or synth:SHAPE is needed");
    BT_FAIL_IF((unsigned)config->kv_dtype >= BT_DTYPE_COUNT, INVALID,
               "kv_dtype is %d; allowed are f32, f16, bf16, q8_0 and q4_0", (int)config->kv_dtype);
    BT_TRY(bt_op_set_open(config->op_libs, config->n_op_lib, &parts.ops)); // before the long part
    bt_status st = open_model(config, &parts, ret_engine);
    if (st) bt_op_set_close(&parts.ops);
    return st;
}
