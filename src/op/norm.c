// SPDX-License-Identifier: Apache-2.0
/* norm: RMSNorm over the rows of a matrix (Zhang and Sennrich 2019, eq. 4). */
#include "op/op.h"

enum { IN_X, IN_WEIGHT, N_IN };
enum { CHUNK_ELEMENTS = 16384 };

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    BT_TRY(bt_op_want(&bt_op_rmsnorm, in, IN_X, BT_F32, 2));
    BT_TRY(bt_op_want(&bt_op_rmsnorm, in, IN_WEIGHT, BT_F32, 1));
    BT_TRY(bt_op_want_dim(&bt_op_rmsnorm, in, IN_WEIGHT, 0, in[IN_X].dim[1]));
    BT_TRY(bt_op_want_near(&bt_op_rmsnorm, in, IN_X));
    *ret_out = bt_desc_2d(BT_F32, in[IN_X].dim[0], in[IN_X].dim[1]);
    return BT_OK;
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)out;
    bt_op_setup_one(env, BT_SLOT_rmsnorm, bt_op_grain(CHUNK_ELEMENTS, in[IN_X].dim[1]), ret_setup);
    return BT_OK;
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_rmsnorm_param *param = node->param;
    int64_t d = node->out->dim[1];
    bt_op_launch_begin(node, &bt_op_rmsnorm, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_rmsnorm_args) =
        (bt_rmsnorm_args){.x = node->in_ptr[IN_X],
                          .weight = node->in_ptr[IN_WEIGHT],
                          .out = node->out_ptr,
                          .d = d,
                          .x_stride = bt_desc_stride(&node->in[IN_X], 0),
                          .out_stride = d,
                          .eps = param->eps};
}

/* An element: squared and added; then times 1 / rms and times its weight. */
static void cost(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost)
{
    (void)param;
    ret_cost->bytes =
        bt_op_desc_bytes(&in[IN_X]) + bt_op_desc_bytes(&in[IN_WEIGHT]) + bt_op_desc_bytes(out);
    ret_cost->ops = 4 * (double)bt_desc_count(out);
}

static const bt_field fields[] = {
    BT_FIELD(bt_rmsnorm_param, eps, F32, VALUE),
};

const bt_op bt_op_rmsnorm = {.name = "rmsnorm",
                             .n_in = N_IN,
                             .n_in_must = N_IN,
                             .inplace = IN_X,
                             .strided_in = 1u << IN_X,
                             .param_bytes = sizeof(bt_rmsnorm_param),
                             .field = fields,
                             .n_field = BT_COUNT_OF(fields),
                             .infer = infer,
                             .setup = setup,
                             .bind = bind,
                             .cost = cost};
