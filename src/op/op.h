// SPDX-License-Identifier: Apache-2.0
/* op: the built-in operators: their one list, their parameters, and what they share.
 *
 *   operator      inputs (optional ones in brackets)                              output
 *   embed         table [V, d] rows, ids [T] i32                                  [T, d]
 *   gather        x [T, d], rows [O] i32                                          [O, d]
 *   rmsnorm       x [T, d], weight [d]                                            [T, d]
 *   linear        x [T, k], weight [n, k] panels, [bias], [residual],             [T, sum n]
 *                 [weight], [weight]
 *   swiglu        gate_up [T, 2 d]                                                [T, d]
 *   rope_angles   pos [T] i32, freq [p]                                           [T, p, 2]
 *   rope_kv       qkv [T, (h + 2 g) e], angles, slot [T] i64, k, v,               q [T, h e]
 *                 [q_norm [e]], [k_norm [e]]
 *   attention     q [T, h e], pos [T], seq [T], table [S, P] i32, k, v            [T, h e]
 *
 * T tokens, O wanted rows, V vocabulary, d width, h query heads, g KV heads, e width of a head, S
 * sequences, P pages of one. k [N, g, e, L] and v [N, g, L, e] are one layer of the paged pool (N
 * pages of L tokens); rope_kv writes them, and attention of the same layer comes after it because
 * it reads rope_kv's output. f32 unless said.
 */
#pragma once
#include "base/bits.h"
#include "base/status.h"
#include "baton/op.h"
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

/* An operator by name; NULL when there is none. */
const bt_op *bt_op_find(const char *name);

/* ---- parameters; operators not listed have none ---- */
typedef struct bt_rmsnorm_param {
    float eps;
} bt_rmsnorm_param;

typedef struct bt_rope_angles_param {
    float magnitude; // multiplies cos and sin
} bt_rope_angles_param;

typedef struct bt_rope_kv_param {
    int32_t n_head;
    int32_t interleaved; // 1: pairs (2i, 2i+1); 0: (i, i + n_pair)
    float norm_eps;
} bt_rope_kv_param;

typedef struct bt_attention_param {
    int32_t n_head;
    int32_t window; // tokens; 0: none
    float scale;
} bt_attention_param;

/* ---- shared by the families ---- */

/* INVALID unless input `i` is of this type and number of dimensions. */
BT_CHECKED bt_status bt_op_want(const bt_op *op, const bt_desc *in, int i, bt_dtype dtype,
                                int n_dim);

/* INVALID unless dimension `d` of input `i` is `want`. */
BT_CHECKED bt_status bt_op_want_dim(const bt_op *op, const bt_desc *in, int i, int d, int64_t want);

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
