// SPDX-License-Identifier: Apache-2.0
/* modelrunner: the real runner: a model's graph on a device, with the paged KV pool it writes and
 * reads. */
#pragma once
#include "baton/trace.h"
#include "engine/runner.h"
#include "graph/custom.h"
#include "model/file/modelfile.h"

typedef struct bt_model_runner_config {
    bt_batch_limits limits;
    int32_t n_thread;       // 0: one a processor
    bool pin;               // each on its own
    const char *cpu_level;  // NULL: the best there is, capped by $BATON_CPU
    const char *pack_cache; // folder of packed weights; NULL: none
    uint32_t dispatch_off;  // BT_NO_... of dispatch.h
    int32_t n_host_thread;  // 0: one
    bt_trace *trace;        // NULL: none
    bt_progress progress;   // while packing
    const bt_op_set *ops;   // operators of the graph; outlives the runner. NULL: the built-in ones
} bt_model_runner_config;

/* Pack or map the model's weights, build its graph, plan the arena for the largest batch, allocate the
 * pool. `file` must be open for computing and outlive the runner. NOMEM says for what. */
BT_CHECKED bt_status bt_model_runner_open(const bt_model_file *file,
                                          const bt_model_runner_config *config,
                                          bt_runner *ret_runner);

/* The bytes of the KV pool for these limits, exactly as the runner allocates it; -1 when the number
 * overflows. */
int64_t bt_model_runner_kv_bytes(const bt_hparams *hp, const bt_batch_limits *limits);

/* What the device of an open runner is. */
void bt_model_runner_device(const bt_runner *runner, const char **ret_cpu_level,
                            int32_t *ret_n_thread);
