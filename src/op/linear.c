// SPDX-License-Identifier: Apache-2.0
/* linear: the matrix product with bias and residual as its epilogue. With quantised weights the
 * activations are quantised first, as a launch of their own into the node's scratch:
 *
 *   x [T, k] -> act_quant -> {q, scale, sum} in work -> gemm over panels -> out [T, n]
 */
#include "op/op.h"

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_RESIDUAL, N_IN };
enum { TILE_SCALE_AT, TILE_SUM_AT };   // byte offsets in the scratch

/* A chunk should cost a worker 10 to 20 us: long against handing it out, short against the step. */
enum { CHUNK_BYTES = 128 << 10, CHUNK_MACS = 4 << 20, PANEL_GROUP = 4 };

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    const bt_op *op = &bt_op_linear;
    const bt_desc *w = &in[IN_WEIGHT];
    BT_TRY(bt_op_want(op, in, IN_X, BT_F32, 2));
    BT_FAIL_IF(w->layout != BT_PANELS || w->n_dim != 2, INVALID, "linear: the weight must be a packed matrix");
    BT_TRY(bt_op_want_dim(op, in, IN_X, 1, w->dim[1]));
    if (in[IN_BIAS].n_dim) {
        BT_TRY(bt_op_want(op, in, IN_BIAS, BT_F32, 1));
        BT_TRY(bt_op_want_dim(op, in, IN_BIAS, 0, w->dim[0]));
    }
    *ret_out = bt_desc_2d(BT_F32, in[IN_X].dim[0], w->dim[0]);
    if (in[IN_RESIDUAL].n_dim)
        BT_FAIL_IF(!bt_desc_equal(&in[IN_RESIDUAL], ret_out), INVALID,
                   "linear: the residual must have the shape of the output");
    return BT_OK;
}

/* Panels a chunk: by the bytes of weights or by the work, whichever makes it longer; a function of the
 * shapes alone. Whole groups of panels, for kernels share an activation load among them. */
static int64_t choose_grain(bt_dtype dtype, int64_t n_tok, int64_t n_col)
{
    int64_t by_bytes = CHUNK_BYTES / bt_panel_bytes(dtype, n_col);
    int64_t by_work = CHUNK_MACS / (bt_max_i64(n_tok, 1) * n_col * BT_PANEL_ROWS);
    int64_t n = bt_min_i64(by_bytes, by_work);
    return bt_round_up(bt_max_i64(n, 1), PANEL_GROUP);
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in, const bt_desc *out,
                       bt_op_setup *ret_setup)
{
    (void)param;
    bt_dtype dtype = in[IN_WEIGHT].dtype;
    int64_t n_tok = out->dim[0], n_col = in[IN_X].dim[1], n_block = bt_div_up(n_col, BT_ACT_BLOCK);
    bt_op_setup s = {0};
    if (bt_gemm_takes_act(dtype)) {
        s.fn[s.n_launch] = env->kernels->fn[BT_SLOT_act_quant];
        s.grain[s.n_launch++] = bt_max_i64(1, 16384 / n_col);
        s.tile[TILE_SCALE_AT] = bt_round_up(n_tok * n_block * BT_ACT_BLOCK, 64);
        s.tile[TILE_SUM_AT] = s.tile[TILE_SCALE_AT] + bt_round_up(n_tok * n_block * 4, 64);
        s.work_bytes = s.tile[TILE_SUM_AT] + bt_round_up(n_tok * n_block * 4, 64);
    }
    s.fn[s.n_launch] = env->kernels->fn[bt_gemm_slot(dtype)];
    s.grain[s.n_launch++] = choose_grain(dtype, n_tok, n_col);
    *ret_setup = s;
    return BT_OK;
}

static bt_act act_in_work(const bt_op_bind *node)
{
    char *work = node->work;
    return (bt_act){.q = (int8_t *)work,
                    .scale = (float *)(work + node->setup->tile[TILE_SCALE_AT]),
                    .sum = (int32_t *)(work + node->setup->tile[TILE_SUM_AT])};
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_desc *w = &node->in[IN_WEIGHT];
    int64_t n_tok = node->out->dim[0], n_col = w->dim[1];
    bool takes_act = bt_gemm_takes_act(w->dtype);
    if (takes_act) {
        bt_op_launch_begin(node, &bt_op_linear, 0, n_tok, &ret_launch[0]);
        *bt_op_args(&ret_launch[0], bt_act_quant_args) =
            (bt_act_quant_args){.x = node->in_ptr[IN_X],
                                .out = act_in_work(node),
                                .n_col = n_col,
                                .n_block = bt_div_up(n_col, BT_ACT_BLOCK),
                                .x_stride = n_col};
    }
    bt_launch *gemm = &ret_launch[takes_act];
    int64_t n_panel = n_tok ? bt_div_up(w->dim[0], BT_PANEL_ROWS) : 0;
    bt_op_launch_begin(node, &bt_op_linear, takes_act, n_panel, gemm);
    *bt_op_args(gemm, bt_gemm_args) = (bt_gemm_args){.a = takes_act ? NULL : node->in_ptr[IN_X],
                                                     .act = takes_act ? act_in_work(node) : (bt_act){0},
                                                     .panels = node->in_ptr[IN_WEIGHT],
                                                     .bias = node->in_ptr[IN_BIAS],
                                                     .residual = node->in_ptr[IN_RESIDUAL],
                                                     .out = node->out_ptr,
                                                     .n_m = n_tok,
                                                     .n_row = w->dim[0],
                                                     .n_col = n_col,
                                                     .a_stride = n_col,
                                                     .out_stride = w->dim[0]};
}

const bt_op bt_op_linear = {.name = "linear",
                            .n_in = N_IN,
                            .n_in_must = IN_BIAS,
                            .inplace = IN_RESIDUAL,
                            .infer = infer,
                            .setup = setup,
                            .bind = bind};
