// SPDX-License-Identifier: Apache-2.0
/* linear: the matrix product with bias and residual as its epilogue. Up to three weights may stand
 * side by side (q, k and v whose types differ): each fills its columns of the output. Quantised
 * weights take activations quantised to 8 bits, bf16 weights take them rounded to bf16: each form
 * that is needed is made first, once, as a launch of its own into the node's scratch:
 *
 *   x [T, k] -+-> act_quant -> {q, scale, sum} in work -+-> gemm weight 0 -> out [T, 0 .. n0)
 *             |                                         +-> gemm weight 1 -> out [T, n0 .. n0 + n1)
 *             +-> act_bf16 -> pairs in work --------------> gemm weight 2 -> out [T, n0 + n1 ..)
 */
#include "op/op.h"
#include "tensor/quant.h"

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_RESIDUAL, IN_WEIGHT_1, IN_WEIGHT_2, N_IN };
enum { N_WEIGHT = 3 };
static const int weight_at[N_WEIGHT] = {IN_WEIGHT, IN_WEIGHT_1, IN_WEIGHT_2};
enum { TILE_SCALE_AT, TILE_SUM_AT, TILE_BF16_AT }; // byte offsets in the scratch

/* A chunk should cost a worker 10 to 20 us: long against handing it out, short against the step. */
enum { CHUNK_BYTES = 128 << 10, CHUNK_MACS = 4 << 20, MANY_TOKENS = 64 };

static bt_status check_weight(const bt_desc *in, int i)
{
    BT_FAIL_IF(in[i].layout != BT_PANELS || in[i].n_dim != 2 || !bt_dtype_is_weight(in[i].dtype),
               INVALID, "linear: input %d must be a packed matrix", i);
    int64_t block = bt_dtype_block(in[i].dtype);
    BT_FAIL_IF(in[i].dim[1] < 1 || in[i].dim[1] % block, INVALID,
               "linear: input %d has rows of %lld, must be a positive multiple of %lld", i,
               (long long)in[i].dim[1], (long long)block);
    return bt_op_want_dim(&bt_op_linear, in, IN_X, 1, in[i].dim[1]);
}

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    const bt_op *op = &bt_op_linear;
    int64_t n_row = 0;
    BT_TRY(bt_op_want(op, in, IN_X, BT_F32, 2));
    BT_TRY(bt_op_want_near(op, in, IN_X));
    for (int w = 0; w < N_WEIGHT; w++) {
        if (w && !in[weight_at[w]].n_dim) continue;
        BT_TRY(check_weight(in, weight_at[w]));
        n_row += in[weight_at[w]].dim[0];
    }
    if (in[IN_BIAS].n_dim) {
        BT_TRY(bt_op_want(op, in, IN_BIAS, BT_F32, 1));
        BT_TRY(bt_op_want_dim(op, in, IN_BIAS, 0, n_row));
    }
    *ret_out = bt_desc_2d(BT_F32, in[IN_X].dim[0], n_row);
    if (in[IN_RESIDUAL].n_dim)
        BT_FAIL_IF(!bt_desc_equal(&in[IN_RESIDUAL], ret_out), INVALID,
                   "linear: the residual must have the shape of the output");
    return BT_OK;
}

/* Panels a chunk: by the bytes of weights or by the work, whichever is sooner enough; a function of
 * the shapes alone. Whole groups of panels, as kernels work on them (see gemm in kernel.h), and no
 * more: the threads end a product together to within a chunk. */
static int64_t choose_grain(bt_dtype dtype, int64_t n_tok, int64_t n_col)
{
    int64_t by_bytes = CHUNK_BYTES / bt_panel_bytes(dtype, n_col);
    int64_t by_work = CHUNK_MACS / (bt_max_i64(n_tok, 1) * n_col * BT_PANEL_ROWS);
    int64_t group = bt_gemm_act(dtype) != BT_ACT_Q8 ? 4 : n_tok > MANY_TOKENS ? 12 : 6;
    return bt_max_i64(bt_min_i64(by_bytes, by_work) / group, 1) * group;
}

static bool any_takes(const bt_desc *in, bt_act_kind kind)
{
    for (int w = 0; w < N_WEIGHT; w++)
        if (in[weight_at[w]].n_dim && bt_gemm_act(in[weight_at[w]].dtype) == kind) return true;
    return false;
}

/* A launch that rewrites the activations row by row. */
static void add_act(const bt_op_env *env, bt_slot slot, int64_t n_col, bt_op_setup *s)
{
    s->fn[s->n_launch] = env->kernels->fn[slot];
    s->grain[s->n_launch++] = bt_op_grain(16384, n_col);
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param;
    int64_t n_tok = out->dim[0], n_col = in[IN_X].dim[1], n_group = bt_div_up(n_col, BT_GROUP);
    bt_op_setup s = {0};
    if (any_takes(in, BT_ACT_Q8)) {
        add_act(env, BT_SLOT_act_quant, n_col, &s);
        s.tile[TILE_SCALE_AT] = n_tok * n_group * BT_GROUP;
        s.tile[TILE_SUM_AT] = s.tile[TILE_SCALE_AT] + bt_round_up(n_tok * n_group * 4, 64);
        s.work_bytes = s.tile[TILE_SUM_AT] + bt_round_up(n_tok * n_group * BT_GROUP_SUMS * 2, 64);
    }
    if (any_takes(in, BT_ACT_BF16)) {
        add_act(env, BT_SLOT_act_bf16, n_col, &s);
        s.tile[TILE_BF16_AT] = s.work_bytes;
        s.work_bytes += bt_round_up(n_tok * bt_round_up(n_col, 2) * 2, 64);
    }
    for (int w = 0; w < N_WEIGHT; w++) {
        const bt_desc *weight = &in[weight_at[w]];
        if (!weight->n_dim) continue;
        s.fn[s.n_launch] = env->kernels->fn[bt_gemm_slot(weight->dtype)];
        s.grain[s.n_launch++] = choose_grain(weight->dtype, n_tok, n_col);
    }
    *ret_setup = s;
    return BT_OK;
}

static bt_act act_in_work(const bt_op_bind *node)
{
    char *work = node->work;
    return (bt_act){.q = (int8_t *)work,
                    .scale = (float *)(work + node->setup->tile[TILE_SCALE_AT]),
                    .sum = (int16_t *)(work + node->setup->tile[TILE_SUM_AT])};
}

static uint16_t *bf16_in_work(const bt_op_bind *node)
{
    return (uint16_t *)((char *)node->work + node->setup->tile[TILE_BF16_AT]);
}

static int64_t x_stride(const bt_op_bind *node) { return bt_desc_stride(&node->in[IN_X], 0); }

static void bind_act_bf16(const bt_op_bind *node, int i, bt_launch *ret_launch)
{
    int64_t n_col = node->in[IN_X].dim[1];
    bt_op_launch_begin(node, &bt_op_linear, i, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_act_bf16_args) = (bt_act_bf16_args){.x = node->in_ptr[IN_X],
                                                                   .out = bf16_in_work(node),
                                                                   .n_col = n_col,
                                                                   .n_pair = bt_div_up(n_col, 2),
                                                                   .x_stride = x_stride(node)};
}

static void bind_act_quant(const bt_op_bind *node, bt_launch *ret_launch)
{
    int64_t n_col = node->in[IN_X].dim[1];
    bt_op_launch_begin(node, &bt_op_linear, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_act_quant_args) = (bt_act_quant_args){.x = node->in_ptr[IN_X],
                                                                     .out = act_in_work(node),
                                                                     .n_row = node->out->dim[0],
                                                                     .n_col = n_col,
                                                                     .x_stride = x_stride(node)};
}

/* The product with the weight at input `at`, launch number i, into the columns from `column` on. */
static void bind_gemm(const bt_op_bind *node, int at, int i, int64_t column, bt_launch *ret_launch)
{
    const bt_desc *w = &node->in[at];
    const float *bias = node->in_ptr[IN_BIAS], *residual = node->in_ptr[IN_RESIDUAL];
    bt_act_kind act = bt_gemm_act(w->dtype);
    int64_t n_tok = node->out->dim[0], n_panel = n_tok ? bt_div_up(w->dim[0], BT_PANEL_ROWS) : 0;
    bt_op_launch_begin(node, &bt_op_linear, i, n_panel, ret_launch);
    *bt_op_args(ret_launch, bt_gemm_args) =
        (bt_gemm_args){.a = act == BT_ACT_F32 ? node->in_ptr[IN_X] : NULL,
                       .a_bf16 = act == BT_ACT_BF16 ? bf16_in_work(node) : NULL,
                       .act = act == BT_ACT_Q8 ? act_in_work(node) : (bt_act){0},
                       .panels = node->in_ptr[at],
                       .bias = bias ? bias + column : NULL,
                       .residual = residual ? residual + column : NULL,
                       .out = (float *)node->out_ptr + column,
                       .n_m = n_tok,
                       .n_row = w->dim[0],
                       .n_col = w->dim[1],
                       .a_stride = x_stride(node),
                       .out_stride = node->out->dim[1]};
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    int n = 0;
    int64_t column = 0;
    if (any_takes(node->in, BT_ACT_Q8)) bind_act_quant(node, &ret_launch[n++]);
    if (any_takes(node->in, BT_ACT_BF16)) {
        bind_act_bf16(node, n, &ret_launch[n]);
        n++;
    }
    for (int w = 0; w < N_WEIGHT; w++) {
        const bt_desc *weight = &node->in[weight_at[w]];
        if (!weight->n_dim) continue;
        bind_gemm(node, weight_at[w], n, column, &ret_launch[n]);
        column += weight->dim[0];
        n++;
    }
}

/* Products, and what is added to them: a bias and a residual once an output. */
static void cost(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost)
{
    (void)param;
    double n_out = (double)bt_desc_count(out), n_add = 0;
    for (int i = 0; i < N_IN; i++) ret_cost->bytes += bt_op_desc_bytes(&in[i]);
    ret_cost->bytes += bt_op_desc_bytes(out);
    for (int i = IN_BIAS; i <= IN_RESIDUAL; i++) n_add += in[i].n_dim != 0;
    ret_cost->ops = n_out * (2 * (double)in[IN_X].dim[1] + n_add);
}

const bt_op bt_op_linear = {.name = "linear",
                            .n_in = N_IN,
                            .n_in_must = IN_BIAS,
                            .inplace = IN_RESIDUAL,
                            .strided_in = 1u << IN_X,
                            .infer = infer,
                            .setup = setup,
                            .bind = bind,
                            .cost = cost};
