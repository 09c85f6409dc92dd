// SPDX-License-Identifier: Apache-2.0
/* attention: over the pages of each token's sequence (Kwon 2023, sec. 4.1). Positions, sequence
 * numbers and block tables are data the kernel reads, so a growing sequence changes no shape and no
 * plan. */
#include "op/op.h"

enum { Q, POS, SEQ, TABLE, POOL_K, POOL_V, N_IN };

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_attention_param *p = param;
    const bt_op *op = &bt_op_attention;
    int64_t n_tok = in[Q].dim[0], n_kv = in[POOL_K].dim[1], d_head = in[POOL_K].dim[2];
    BT_TRY(bt_op_want_pool(op, in, POOL_K));
    BT_TRY(bt_op_want(op, in, Q, BT_F32, 2));
    BT_TRY(bt_op_want(op, in, POS, BT_I32, 1));
    BT_TRY(bt_op_want(op, in, SEQ, BT_I32, 1));
    BT_TRY(bt_op_want(op, in, TABLE, BT_I32, 2));
    BT_TRY(bt_op_want_dim(op, in, Q, 1, p->n_head * d_head));
    BT_TRY(bt_op_want_dim(op, in, POS, 0, n_tok));
    BT_TRY(bt_op_want_dim(op, in, SEQ, 0, n_tok));
    BT_FAIL_IF(p->n_head % n_kv, INVALID,
               "attention: %d query heads, must be a multiple of %lld KV heads", p->n_head,
               (long long)n_kv);
    *ret_out = in[Q];
    return BT_OK;
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in, (void)out;
    bt_op_setup_one(env, BT_SLOT_attn, 1, ret_setup);
    return BT_OK;
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_attention_param *p = node->param;
    const bt_desc *k = &node->in[POOL_K];
    int64_t n_tok = node->out->dim[0];
    bt_op_launch_begin(node, &bt_op_attention, 0, bt_div_up(n_tok, BT_ATTN_GROUP) * k->dim[1],
                       ret_launch);
    *bt_op_args(ret_launch, bt_attn_args) = (bt_attn_args){.q = node->in_ptr[Q],
                                                           .out = node->out_ptr,
                                                           .pos = node->in_ptr[POS],
                                                           .seq = node->in_ptr[SEQ],
                                                           .table = node->in_ptr[TABLE],
                                                           .pool = {.k = node->in_ptr[POOL_K],
                                                                    .v = node->in_ptr[POOL_V],
                                                                    .dtype = k->dtype,
                                                                    .page_len = (int32_t)k->dim[3],
                                                                    .n_kv = (int32_t)k->dim[1],
                                                                    .d_head = (int32_t)k->dim[2]},
                                                           .n_tok = n_tok,
                                                           .n_page_max = node->in[TABLE].dim[1],
                                                           .n_head = p->n_head,
                                                           .window = p->window,
                                                           .scale = p->scale};
}

/* How many keys a token sees is data, which no descriptor tells: what is known is q, out, the
 * numbers and the whole table. Keys, values and operations are left to those who know lengths. */
static void cost(const void *param, const bt_desc *in, const bt_desc *out, bt_op_cost *ret_cost)
{
    (void)param;
    for (int i = Q; i <= TABLE; i++) ret_cost->bytes += bt_op_desc_bytes(&in[i]);
    ret_cost->bytes += bt_op_desc_bytes(out);
}

static const bt_field fields[] = {
    BT_FIELD(bt_attention_param, n_head, I32, KEY),
    BT_FIELD(bt_attention_param, window, I32, VALUE),
    BT_FIELD(bt_attention_param, scale, F32, VALUE),
};

const bt_op bt_op_attention = {.name = "attention",
                               .n_in = N_IN,
                               .n_in_must = N_IN,
                               .inplace = -1,
                               .param_bytes = sizeof(bt_attention_param),
                               .field = fields,
                               .n_field = BT_COUNT_OF(fields),
                               .infer = infer,
                               .setup = setup,
                               .bind = bind,
                               .cost = cost};
