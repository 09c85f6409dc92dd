// SPDX-License-Identifier: Apache-2.0
/* op: the built-in operators: their one list and what they share; baton/ops.h says what each takes
 * and gives.
 */
#pragma once
#include "base/bits.h"
#include "base/status.h"
#include "baton/ops.h"
#include "kernel/table.h"

#define BT_OP_LIST(X)                                                                              \
    X(embed)                                                                                       \
    X(gather)                                                                                      \
    X(rmsnorm)                                                                                     \
    X(linear)                                                                                      \
    X(swiglu)                                                                                      \
    X(rope_angles)                                                                                 \
    X(rope_kv)                                                                                     \
    X(attention)

#define BT_OP_DECLARE(name) extern const bt_op bt_op_##name;
BT_OP_LIST(BT_OP_DECLARE)
#undef BT_OP_DECLARE

/* ---- shared by the families ---- */

/* Bytes of a parameter field, all elements; -1 where its type or count is wrong. */
int64_t bt_op_field_bytes(const bt_field *field);

/* The argument block of a record, zeroed, checked to fit. */
#define bt_op_args(launch, type) ((type *)bt_op_args_begin((launch), sizeof(type)))
void *bt_op_args_begin(bt_launch *launch, size_t bytes);

/* Fill everything of record `i` but its arguments. */
void bt_op_launch_begin(const bt_op_bind *node, const bt_op *op, int i, int64_t n_item,
                        bt_launch *ret_launch);

/* One-launch setup. */
static inline void bt_op_setup_one(const bt_op_env *env, bt_slot slot, int64_t grain,
                                   bt_op_setup *ret_setup)
{
    *ret_setup = (bt_op_setup){.fn = {env->kernels->fn[slot]}, .grain = {grain}, .n_launch = 1};
}
