// SPDX-License-Identifier: Apache-2.0
/* rope: rotary positions (Su et al. 2021, sec. 3.2.2). The angles of a step's tokens are computed
 * once and shared by all layers; rotating, the optional per-head norm and the write into the paged
 * pool are one pass over q, k and v. */
#include "op/op.h"

enum { POS, FREQ };
enum { QKV, ANGLES, SLOT, POOL_K, POOL_V, Q_NORM, K_NORM, N_IN };

static bt_status angles_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    BT_TRY(bt_op_want(&bt_op_rope_angles, in, POS, BT_I32, 1));
    BT_TRY(bt_op_want(&bt_op_rope_angles, in, FREQ, BT_F32, 1));
    *ret_out = bt_desc_3d(BT_F32, in[POS].dim[0], in[FREQ].dim[0], 2);
    return BT_OK;
}

static bt_status angles_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                              const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in, (void)out;
    bt_op_setup_one(env, BT_SLOT_rope_angles, 8, ret_setup);
    return BT_OK;
}

static void angles_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_rope_angles_param *param = node->param;
    bt_op_launch_begin(node, &bt_op_rope_angles, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_rope_angles_args) =
        (bt_rope_angles_args){.pos = node->in_ptr[POS],
                              .freq = node->in_ptr[FREQ],
                              .out = node->out_ptr,
                              .n_pair = node->out->dim[1],
                              .magnitude = param->magnitude};
}

/* A pair: the angle, its cosine and sine, and magnitude times each; cos and sin count as one. */
static void angles_cost(const void *param, const bt_desc *in, const bt_desc *out,
                        bt_op_cost *ret_cost)
{
    (void)param;
    ret_cost->bytes =
        bt_op_desc_bytes(&in[POS]) + bt_op_desc_bytes(&in[FREQ]) + bt_op_desc_bytes(out);
    ret_cost->ops = 5 * (double)out->dim[0] * (double)out->dim[1];
}

static bt_status kv_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_rope_kv_param *p = param;
    const bt_op *op = &bt_op_rope_kv;
    int64_t n_tok = in[QKV].dim[0], n_kv = in[POOL_V].dim[1], d_head = in[POOL_V].dim[3];
    BT_TRY(bt_op_want_pool(op, in, POOL_K));
    BT_TRY(bt_op_want(op, in, QKV, BT_F32, 2));
    BT_TRY(bt_op_want(op, in, ANGLES, BT_F32, 3));
    BT_TRY(bt_op_want(op, in, SLOT, BT_I64, 1));
    BT_TRY(bt_op_want_dim(op, in, QKV, 1, (p->n_head + 2 * n_kv) * d_head));
    BT_TRY(bt_op_want_dim(op, in, ANGLES, 0, n_tok));
    BT_TRY(bt_op_want_dim(op, in, SLOT, 0, n_tok));
    BT_FAIL_IF(2 * in[ANGLES].dim[1] > d_head, INVALID,
               "rope_kv: %lld pairs do not fit a head of %lld", (long long)in[ANGLES].dim[1],
               (long long)d_head);
    for (int i = Q_NORM; i <= K_NORM; i++) {
        if (!in[i].n_dim) continue;
        BT_TRY(bt_op_want(op, in, i, BT_F32, 1));
        BT_TRY(bt_op_want_dim(op, in, i, 0, d_head));
    }
    *ret_out = bt_desc_2d(BT_F32, n_tok, p->n_head * d_head);
    return BT_OK;
}

static bt_status kv_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                          const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)out;
    bt_op_setup_one(env, BT_SLOT_rope_kv, bt_op_grain(8192, in[QKV].dim[1]), ret_setup);
    return BT_OK;
}

static void kv_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_rope_kv_param *p = node->param;
    bt_op_launch_begin(node, &bt_op_rope_kv, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_rope_kv_args) =
        (bt_rope_kv_args){.qkv = node->in_ptr[QKV],
                          .angles = node->in_ptr[ANGLES],
                          .slot = node->in_ptr[SLOT],
                          .q_norm = node->in_ptr[Q_NORM],
                          .k_norm = node->in_ptr[K_NORM],
                          .q = node->out_ptr,
                          .pool = bt_op_pool(node, POOL_K),
                          .n_head = p->n_head,
                          .n_pair = (int32_t)node->in[ANGLES].dim[1],
                          .norm_eps = p->norm_eps,
                          .interleaved = p->interleaved};
}

/* q and the new tokens' k and v are written, the rest of the pool is not touched. A rotated pair is
 * 4 products and 2 sums; an element that is normed costs 4. */
static void kv_cost(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost)
{
    const bt_rope_kv_param *p = param;
    const bt_desc *v = &in[POOL_V];
    double n_tok = (double)out->dim[0], n_kv = (double)v->dim[1], d_head = (double)v->dim[3];
    double n_pair = n_tok * (p->n_head + n_kv) * (double)in[ANGLES].dim[1];
    for (int i = QKV; i <= SLOT; i++) ret_cost->bytes += bt_op_desc_bytes(&in[i]);
    for (int i = Q_NORM; i <= K_NORM; i++) ret_cost->bytes += bt_op_desc_bytes(&in[i]);
    ret_cost->bytes += bt_op_desc_bytes(out);
    ret_cost->bytes += 2 * n_tok * n_kv * (double)bt_row_bytes(v->dtype, v->dim[3]);
    ret_cost->ops = 6 * n_pair;
    if (in[Q_NORM].n_dim) ret_cost->ops += 4 * n_tok * p->n_head * d_head;
    if (in[K_NORM].n_dim) ret_cost->ops += 4 * n_tok * n_kv * d_head;
}

static const bt_field angles_fields[] = {
    BT_FIELD(bt_rope_angles_param, magnitude, F32, VALUE),
};

const bt_op bt_op_rope_angles = {.name = "rope_angles",
                                 .n_in = 2,
                                 .n_in_must = 2,
                                 .inplace = -1,
                                 .param_bytes = sizeof(bt_rope_angles_param),
                                 .field = angles_fields,
                                 .n_field = BT_COUNT_OF(angles_fields),
                                 .infer = angles_infer,
                                 .setup = angles_setup,
                                 .bind = angles_bind,
                                 .cost = angles_cost};

static const bt_field kv_fields[] = {
    BT_FIELD(bt_rope_kv_param, n_head, I32, KEY),
    BT_FIELD(bt_rope_kv_param, interleaved, I32, VALUE),
    BT_FIELD(bt_rope_kv_param, norm_eps, F32, VALUE),
};

const bt_op bt_op_rope_kv = {.name = "rope_kv",
                             .n_in = N_IN,
                             .n_in_must = Q_NORM,
                             .inplace = -1,
                             .param_bytes = sizeof(bt_rope_kv_param),
                             .field = kv_fields,
                             .n_field = BT_COUNT_OF(kv_fields),
                             .infer = kv_infer,
                             .setup = kv_setup,
                             .bind = kv_bind,
                             .cost = kv_cost};
