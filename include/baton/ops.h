// SPDX-License-Identifier: Apache-2.0
/* baton/ops.h: the built-in operators, for those who build graphs by hand.
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
 *   copy          x, any view of a type that is not quantised                     the same, dense
 *
 *   views, which cost nothing:
 *   reshape       x, dense or evenly strided      the same elements in other dimensions
 *   slice         x                               [begin, end) of one dimension
 *   chunk         x                               part i of n equal parts of one dimension
 *   permute       x                               dimensions in another order
 *   broadcast     x                               dimensions of size 1 repeated
 *
 * T tokens, O wanted rows, V vocabulary, d width, h query heads, g KV heads, e width of a head, S
 * sequences, P pages of one. k [N, g, e, L] and v [N, g, L, e] are one layer of the paged pool (N
 * pages of L tokens, L 16, 32 or 64; f32, f16 or bf16; or, where e is a multiple of 32, q8_0 or q4_0,
 * both of them [N, g, L, e] then, each page in the order of its kernels). rope_kv writes them, and
 * attention of the same layer comes after it because it reads rope_kv's output. f32 unless said.
 * rmsnorm's x and linear's x may be strided views whose innermost elements are neighbours.
 */
#ifndef BATON_OPS_H
#define BATON_OPS_H

#include "baton/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- parameters; operators that are not listed have none ---- */
typedef struct bt_rmsnorm_param {
    float eps;
} bt_rmsnorm_param;

typedef struct bt_rope_angles_param {
    float magnitude; /* multiplies cos and sin */
} bt_rope_angles_param;

typedef struct bt_rope_kv_param {
    int32_t n_head;
    int32_t interleaved; /* 1: pairs (2i, 2i+1); 0: (i, i + n_pair) */
    float norm_eps;
} bt_rope_kv_param;

typedef struct bt_attention_param {
    int32_t n_head;
    int32_t window; /* tokens; 0: none */
    float scale;
    int32_t n_sink; /* a sequence's first positions, seen beside the window; 0: none */
} bt_attention_param;

/* -1 stands for what is left over; at most one. */
typedef struct bt_reshape_param {
    int32_t n_dim;
    int32_t dim[BT_DIM_MAX];
} bt_reshape_param;

/* Negative numbers count from the end: end -1 leaves the last one out; end INT32_MAX is the end.
 * Rows stored in blocks are cut between blocks, packed matrices at rows that are multiples of 16. */
typedef struct bt_slice_param {
    int32_t dim;
    int32_t begin, end;
} bt_slice_param;

typedef struct bt_chunk_param {
    int32_t dim;  /* negative: from the end */
    int32_t n, i; /* the dimension must be a multiple of n; 0 <= i < n */
} bt_chunk_param;

/* Output dimension d is input dimension axis[d]; n_dim entries, each once. */
typedef struct bt_permute_param {
    int32_t axis[BT_DIM_MAX];
} bt_permute_param;

/* Dimensions are matched from the innermost; -1 keeps the input's. */
typedef struct bt_broadcast_param {
    int32_t n_dim;
    int32_t dim[BT_DIM_MAX];
} bt_broadcast_param;

/* ---- weights for linear ---- */

/* Pack a matrix for `linear`: rows [n_row, n_col] as in a file (BT_ROWS, any alignment) of any
 * weight type, into device memory (free it with bt_device_free). *ret_desc is what a graph wants.
 * Errors  INVALID: not a matrix of a weight type.  NOMEM. */
BT_API BT_CHECKED bt_status bt_weight_pack(bt_device *device, const bt_desc *rows, const void *data,
                                           bt_desc *ret_desc, void **ret_panels);

#ifdef __cplusplus
}
#endif
#endif
