// SPDX-License-Identifier: Apache-2.0
/* embed: rows picked by number: of the embedding table (in its file format), and of activations. */
#include "op/op.h"

enum { IN_TABLE, IN_IDS, N_IN };

static int64_t row_grain(int64_t d) { return bt_op_grain(16384, d); }

static bt_status embed_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    const bt_desc *table = &in[IN_TABLE];
    BT_FAIL_IF(table->layout != BT_ROWS || table->n_dim != 2, INVALID,
               "embed: the table must be a matrix of rows");
    BT_TRY(bt_op_want(&bt_op_embed, in, IN_IDS, BT_I32, 1));
    *ret_out = bt_desc_2d(BT_F32, in[IN_IDS].dim[0], table->dim[1]);
    return BT_OK;
}

static bt_status embed_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                             const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in;
    bt_op_setup_one(env, BT_SLOT_embed, row_grain(out->dim[1]), ret_setup);
    return BT_OK;
}

static void embed_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const bt_desc *table = &node->in[IN_TABLE];
    bt_op_launch_begin(node, &bt_op_embed, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_embed_args) =
        (bt_embed_args){.table = node->in_ptr[IN_TABLE],
                        .ids = node->in_ptr[IN_IDS],
                        .out = node->out_ptr,
                        .n_vocab = table->dim[0],
                        .d = table->dim[1],
                        .row_bytes = bt_row_bytes(table->dtype, table->dim[1]),
                        .dtype = table->dtype};
}

/* As many rows as there are ids, not the whole table. A plain type is only moved. */
static void embed_cost(const void *param, const bt_desc *in, const bt_desc *out,
                       bt_op_cost *ret_cost)
{
    (void)param;
    bt_desc rows = *out;
    rows.dtype = in[IN_TABLE].dtype;
    ret_cost->bytes =
        bt_op_desc_bytes(&rows) + bt_op_desc_bytes(&in[IN_IDS]) + bt_op_desc_bytes(out);
    ret_cost->ops = bt_dtype_is_quantised(rows.dtype) ? 2 * (double)bt_desc_count(out) : 0;
}

static bt_status gather_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    BT_TRY(bt_op_want(&bt_op_gather, in, 0, BT_F32, 2));
    BT_TRY(bt_op_want(&bt_op_gather, in, 1, BT_I32, 1));
    *ret_out = bt_desc_2d(BT_F32, in[1].dim[0], in[0].dim[1]);
    return BT_OK;
}

static bt_status gather_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                              const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)param, (void)in;
    bt_op_setup_one(env, BT_SLOT_gather, row_grain(out->dim[1]), ret_setup);
    return BT_OK;
}

static void gather_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    bt_op_launch_begin(node, &bt_op_gather, 0, node->out->dim[0], ret_launch);
    *bt_op_args(ret_launch, bt_gather_args) = (bt_gather_args){.x = node->in_ptr[0],
                                                               .rows = node->in_ptr[1],
                                                               .out = node->out_ptr,
                                                               .d = node->out->dim[1]};
}

static void gather_cost(const void *param, const bt_desc *in, const bt_desc *out,
                        bt_op_cost *ret_cost)
{
    (void)param;
    ret_cost->bytes = 2 * bt_op_desc_bytes(out) + bt_op_desc_bytes(&in[1]);
}

const bt_op bt_op_embed = {.name = "embed",
                           .n_in = N_IN,
                           .n_in_must = N_IN,
                           .inplace = -1,
                           .infer = embed_infer,
                           .setup = embed_setup,
                           .bind = embed_bind,
                           .cost = embed_cost};

const bt_op bt_op_gather = {.name = "gather",
                            .n_in = 2,
                            .n_in_must = 2,
                            .inplace = -1,
                            .infer = gather_infer,
                            .setup = gather_setup,
                            .bind = gather_bind,
                            .cost = gather_cost};
