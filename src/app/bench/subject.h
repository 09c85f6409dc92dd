// SPDX-License-Identifier: Apache-2.0
/* subject: something that decodes a token a step and can be told what the dispatcher is to do
 * without: what `bench dispatch` measures. subject_llama.c runs an executable, subject_engine.c an
 * engine. */
#pragma once
#include "base/status.h"
#include "baton/device.h"
#include "baton/trace.h"

/* What the dispatcher does without. */
typedef struct bt_bench_mode {
    const char *name;      // "plan cache"
    uint32_t off;          // BT_NO_... of dispatch.h
    int32_t n_host_thread; // 1..3
    int32_t n_slot;        // steps in flight, where the subject lets the host run ahead; 1..8
} bt_bench_mode;

/* Some steps in a row, and what is seen of them. */
typedef struct bt_bench_stretch {
    int32_t n_step;
    int64_t *host_ns;  // out [n_step]: what the host spent on getting the step under way
    int64_t *wall_ns;  // out [n_step]: from one step's result to the next one's
    uint64_t n_alloc;  // out: allocations during the steps
    uint64_t checksum; // in and out: chained over all results
} bt_bench_stretch;

typedef struct bt_bench_counts {
    uint64_t plans_built, setups_run, setups_skipped;
} bt_bench_counts;

typedef struct bt_bench_subject {
    void *self;
    bt_status (*run)(void *self, bt_bench_stretch *stretch);      // ends with no step in flight
    void (*count)(const void *self, bt_bench_counts *ret_counts); // since it was opened
    void (*set_trace)(void *self, bt_trace *trace);               // NULL stops
    void (*close)(void *self);
} bt_bench_subject;

/* A graph that subjects can be opened for, one a mode, side by side. */
typedef struct bt_bench_graph {
    const char *name; // "llama-32"
    bt_status (*open)(void *ctx, const bt_bench_mode *mode, bt_bench_subject *ret_subject);
    void *ctx;
} bt_bench_graph;

/* ---- llama-32 ---- */

struct bt_llama_bench;

/* The device, the weights and the graph that its subjects share. `n_step_max`: tokens a subject may
 * decode. The graph of the result is valid until close. */
BT_CHECKED bt_status bt_llama_bench_open(const bt_device_config *device, int32_t n_step_max,
                                         struct bt_llama_bench **ret_bench,
                                         bt_bench_graph *ret_graph);
void bt_llama_bench_caps(const struct bt_llama_bench *bench, bt_device_caps *ret_caps);
void bt_llama_bench_close(struct bt_llama_bench *bench); // its subjects are gone; NULL is nothing

/* ---- a model, through the engine ---- */

typedef struct bt_engine_bench {
    const char *model; // what bt_engine_open takes
    bt_device_config device;
} bt_engine_bench;

bt_bench_graph bt_engine_bench_graph(bt_engine_bench *bench, const char *name);
