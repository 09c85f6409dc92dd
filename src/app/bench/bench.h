// SPDX-License-Identifier: Apache-2.0
/* bench: the one list of what `baton bench WHAT` can measure besides a model, which is measured when
 * there is no WHAT. A bench is a command of its own, called "bench WHAT", with its options and its
 * help; it lives in a file of this folder. To add one: a row here, and its `bt_bench_WHAT`. */
#pragma once
#include "app/args.h"

/* X(name, what it measures in one line) */
#define BT_BENCH_LIST(X)                                                                           \
    X(dispatch, BT_BENCH_DISPATCH_SUMMARY)                                                         \
    X(kernels, BT_BENCH_KERNELS_SUMMARY)
#define BT_BENCH_DISPATCH_SUMMARY "what the host spends on a decode step, cache by cache"
#define BT_BENCH_KERNELS_SUMMARY  "every operator by itself, type by type, for 1 to 512 tokens"

#define BT_BENCH_DECLARE(name, summary) extern const bt_command bt_bench_##name;
BT_BENCH_LIST(BT_BENCH_DECLARE)
#undef BT_BENCH_DECLARE

/* The model bench; cmd_bench.c makes it the command without a WHAT. */
enum { BT_N_BENCH_MODEL_GROUP = 3 };
extern const bt_arg_group bt_bench_model_groups[BT_N_BENCH_MODEL_GROUP];
int bt_bench_model_run(const bt_command *self, int argc, char **argv);
