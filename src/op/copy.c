// SPDX-License-Identifier: Apache-2.0
/* copy: any view made dense, for operators that want their input so. */
#include "op/op.h"

enum { CHUNK_ELEMENTS = 16384 };

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    BT_FAIL_IF(in->layout != BT_ROWS || bt_dtype_is_quantised(in->dtype), INVALID,
               "copy: the input is %s%s, must be of a type whose elements stand alone",
               in->layout == BT_ROWS ? "" : "packed ", bt_dtype_name(in->dtype));
    *ret_out = *in;
    for (int32_t d = 0; d < BT_DIM_MAX; d++) ret_out->stride[d] = 0;
    ret_out->strided = 0;
    return BT_OK;
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in;
    bt_op_setup_one(env, BT_SLOT_copy, bt_op_grain(CHUNK_ELEMENTS, out->dim[out->n_dim - 1]),
                    ret_setup);
    return BT_OK;
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_desc *in = &node->in[0];
    bt_copy_args args = {.x = node->in_ptr[0],
                         .out = node->out_ptr,
                         .dim = {1, 1, 1, 1},
                         .element_bytes = bt_dtype_block_bytes(in->dtype)};
    for (int32_t d = 0, at = BT_DIM_MAX - in->n_dim; d < in->n_dim; d++, at++) {
        args.dim[at] = in->dim[d];
        args.stride[at] = bt_desc_stride(in, d);
    }
    bt_op_launch_begin(node, &bt_op_copy, 0, args.dim[0] * args.dim[1] * args.dim[2], ret_launch);
    *bt_op_args(ret_launch, bt_copy_args) = args;
}

const bt_op bt_op_copy = {.name = "copy",
                          .n_in = 1,
                          .n_in_must = 1,
                          .inplace = -1,
                          .strided_in = 1,
                          .infer = infer,
                          .setup = setup,
                          .bind = bind};
