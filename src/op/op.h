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
    X(attention)                                                                                   \
    X(copy)                                                                                        \
    X(reshape)                                                                                     \
    X(slice)                                                                                       \
    X(chunk)                                                                                       \
    X(permute)                                                                                     \
    X(broadcast)

#define BT_OP_DECLARE(name) extern const bt_op bt_op_##name;
BT_OP_LIST(BT_OP_DECLARE)
#undef BT_OP_DECLARE

/* ---- shared by the families ---- */

/* Bytes of a parameter field, all elements; -1 where its type or count is wrong. */
int64_t bt_op_field_bytes(const bt_field *field);

/* INVALID unless the innermost elements of input `i`, a view perhaps, are neighbours. */
BT_CHECKED bt_status bt_op_want_near(const bt_op *op, const bt_desc *in, int i);

/* INVALID unless inputs `k` and `k` + 1 are one layer of the paged pool, as baton/ops.h draws it. */
BT_CHECKED bt_status bt_op_want_pool(const bt_op *op, const bt_desc *in, int k);
bt_kv_pool bt_op_pool(const bt_op_bind *node, int k); // as kernels take it

/* Bytes of a tensor's elements, each counted once, as it is stored; 0 for an input left out. */
double bt_op_desc_bytes(const bt_desc *desc);

/* Rows a chunk, so that it has about n_element of them: at least one. */
static inline int64_t bt_op_grain(int64_t n_element, int64_t n_col)
{
    return bt_max_i64(1, n_element / bt_max_i64(1, n_col));
}

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
