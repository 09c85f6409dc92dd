// SPDX-License-Identifier: Apache-2.0
/* act: gated activations over a fused gate and up projection (Shazeer 2020, "GLU variants",
 * SwiGLU). */
#include "op/op.h"

enum { COLUMNS_PER_ITEM = 64 }; // the swiglu kernel's item

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    BT_TRY(bt_op_want(&bt_op_swiglu, in, 0, BT_F32, 2));
    BT_FAIL_IF(in[0].dim[1] % 2, INVALID, "swiglu: %lld columns, must be even",
               (long long)in[0].dim[1]);
    *ret_out = bt_desc_2d(BT_F32, in[0].dim[0], in[0].dim[1] / 2);
    return BT_OK;
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in, (void)out;
    bt_op_setup_one(env, BT_SLOT_swiglu, 64, ret_setup);
    return BT_OK;
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    int64_t n_tok = node->out->dim[0], d = node->out->dim[1];
    bt_op_launch_begin(node, &bt_op_swiglu, 0, n_tok * bt_div_up(d, COLUMNS_PER_ITEM), ret_launch);
    *bt_op_args(ret_launch, bt_swiglu_args) =
        (bt_swiglu_args){.gate_up = node->in_ptr[0], .out = node->out_ptr, .n_tok = n_tok, .d = d};
}

/* An element: exp, 1 + it, the quotient, and the product with up; exp counts as one. */
static void cost(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost)
{
    (void)param;
    ret_cost->bytes = bt_op_desc_bytes(&in[0]) + bt_op_desc_bytes(out);
    ret_cost->ops = 4 * (double)bt_desc_count(out);
}

const bt_op bt_op_swiglu = {.name = "swiglu",
                            .n_in = 1,
                            .n_in_must = 1,
                            .inplace = -1,
                            .infer = infer,
                            .setup = setup,
                            .bind = bind,
                            .cost = cost};
