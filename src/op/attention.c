// SPDX-License-Identifier: Apache-2.0
/* attention: over the pages of each token's sequence (Kwon 2023, sec. 4.1). Positions, sequence
 * numbers and block tables are data the kernel reads, so a growing sequence changes no shape and no
 * plan.
 *
 * A few tokens of few KV heads are few items for the workers: then each chunk of positions is one,
 * and a second launch folds what they found. It has no items otherwise, which costs next to nothing.
 * The bits are the same, so this is a matter of time only. */
#include "op/op.h"

enum { Q, POS, SEQ, TABLE, POOL_K, POOL_V, N_IN };

static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    const bt_attention_param *p = param;
    const bt_op *op = &bt_op_attention;
    int64_t n_tok = in[Q].dim[0], n_kv = in[POOL_V].dim[1], d_head = in[POOL_V].dim[3];
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

/* ---- by chunks ---- */

enum { TILE_N_CHUNK }; // of a full table; 0: chunks are not items of their own

/* Bytes of one token's partial sums. */
static int64_t part_bytes(const bt_attention_param *p, const bt_desc *in, int64_t n_chunk)
{
    return p->n_head * n_chunk * (in[POOL_V].dim[3] + 2) * (int64_t)sizeof(float);
}

static int64_t count_chunks(const bt_desc *in)
{
    return bt_div_up(in[TABLE].dim[1] * in[POOL_V].dim[2], BT_ATTN_CHUNK);
}

/* The most tokens of a batch that is taken by chunks: 0 where the KV heads are enough or sequences
 * are short. */
static int64_t tokens_by_chunks(const bt_attention_param *p, const bt_desc *in)
{
    enum { FEW_HEADS = 8, PART_BYTES_MAX = 16 << 20 };
    int64_t n_chunk = count_chunks(in);
    if (in[POOL_V].dim[1] >= FEW_HEADS || n_chunk < 2) return 0;
    return bt_min_i64(BT_ATTN_GROUP, PART_BYTES_MAX / part_bytes(p, in, n_chunk));
}

static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in,
                       const bt_desc *out, bt_op_setup *ret_setup)
{
    int64_t n_tok = out->dim[0], n_max = tokens_by_chunks(param, in), n_chunk = count_chunks(in);
    bt_op_setup s = {.fn = {env->kernels->fn[BT_SLOT_attn], env->kernels->fn[BT_SLOT_attn_merge]},
                     .grain = {1, 4},
                     .n_launch = 2};
    if (n_tok <= n_max) s.tile[TILE_N_CHUNK] = n_chunk;
    // The largest batch is planned for, so more tokens never want less.
    if (n_max) s.work_bytes = part_bytes(param, in, n_chunk) * bt_min_i64(n_tok, n_max);
    *ret_setup = s;
    return BT_OK;
}

static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_attention_param *p = node->param;
    int64_t n_tok = node->out->dim[0], n_chunk = node->setup->tile[TILE_N_CHUNK],
            n_part = n_tok * p->n_head * n_chunk, n_kv = node->in[POOL_V].dim[1];
    bt_attn_args args = {
        .q = node->in_ptr[Q],
        .out = node->out_ptr,
        .pos = node->in_ptr[POS],
        .seq = node->in_ptr[SEQ],
        .table = node->in_ptr[TABLE],
        .part = n_chunk ? node->work : NULL,
        .part_top = n_chunk ? (float *)node->work + n_part * node->in[POOL_V].dim[3] : NULL,
        .pool = bt_op_pool(node, POOL_K),
        .n_tok = n_tok,
        .n_page_max = node->in[TABLE].dim[1],
        .n_chunk = n_chunk,
        .n_head = p->n_head,
        .window = p->window,
        .n_sink = p->n_sink,
        .scale = p->scale};
    bt_op_launch_begin(node, &bt_op_attention, 0,
                       bt_div_up(n_tok, BT_ATTN_GROUP) * n_kv * bt_max_i64(n_chunk, 1),
                       &ret_launch[0]);
    *bt_op_args(&ret_launch[0], bt_attn_args) = args;
    bt_op_launch_begin(node, &bt_op_attention, 1, n_chunk ? n_tok * p->n_head : 0, &ret_launch[1]);
    *bt_op_args(&ret_launch[1], bt_attn_args) = args;
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
    BT_FIELD(bt_attention_param, n_sink, I32, VALUE),
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
