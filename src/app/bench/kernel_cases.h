// SPDX-License-Identifier: Apache-2.0
/* kernel_cases: the kernels of `bench kernels`, each as a graph that holds nothing but nodes of its
 * operator, in the sizes of a 1B model, for M tokens. Weights of a product come as so many copies as
 * the caches cannot hold, where M is small enough for that to matter. */
#pragma once
#include "app/bench/machine.h"
#include "baton/dispatch.h"
#include "baton/ops.h"

/* What can be timed: an operator and the type of what it reads. */
typedef struct bt_kernel_case {
    const char *op;
    bt_dtype type;
} bt_kernel_case;

/* The i-th; false past the end. */
bool bt_kernel_case_at(int32_t i, bt_kernel_case *ret_case);

/* One of them for M tokens, ready to run. */
typedef struct bt_kernel_run {
    bt_device *device;
    bt_context *context;
    bt_graph *graph;
    bt_exec *exec;
    void *block[64]; // of the device: all that the nodes read
    int32_t n_block;
    int32_t n_node;    // that one step runs
    bt_op_cost cost;   // of one node
    bt_peak_type peak; // what its operations count against
} bt_kernel_run;

BT_CHECKED bt_status bt_kernel_run_open(bt_device *device, const bt_kernel_case *which, int32_t m,
                                        bt_kernel_run *ret_run);
BT_CHECKED bt_status bt_kernel_run_step(const bt_kernel_run *run);
void bt_kernel_run_close(bt_kernel_run *run);
