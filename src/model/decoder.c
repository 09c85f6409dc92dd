// SPDX-License-Identifier: Apache-2.0
/* decoder: blocks as nodes. Node names carry the layer, for errors and timelines. */
#include "model/decoder.h"
#include <math.h>
#include <stdio.h>

static const struct {
    bt_status (*build)(bt_decoder *d);
} families[] = {
#define ROW(upper, lower, classes, rope, bias, norm) {bt_##lower##_build},
    BT_FAMILY_LIST(ROW)
#undef ROW
};

static const char *const input_names[BT_DECODER_KV] = {"ids",  "pos",   "seq",
                                                       "slot", "table", "out_row"};

/* "blk.7.qkv"; in a buffer of the caller. */
static const char *node_name(char name[64], int32_t layer, const char *part)
{
    if (layer < 0)
        snprintf(name, 64, "%s", part);
    else
        snprintf(name, 64, "blk.%d.%s", layer, part);
    return name;
}

/* One node: the one place where operators are looked up. */
static bt_status apply(bt_decoder *d, const char *name, const bt_op *op, const void *param,
                       const bt_value *in, int32_t n_in, bt_value *ret_out)
{
    return bt_graph_apply(d->graph, name, bt_op_set_get(d->ops, op), param, in, n_in, ret_out);
}

/* A vector of weights as a constant; NULL gives BT_VALUE_NONE. */
static bt_status vector_const(bt_decoder *d, const char *name, const float *data, int64_t n,
                              bt_value *ret_value)
{
    bt_desc desc = bt_desc_1d(BT_F32, n);
    *ret_value = BT_VALUE_NONE;
    return data ? bt_graph_const(d->graph, name, &desc, data, ret_value) : BT_OK;
}

static bt_status add_norm(bt_decoder *d, int32_t layer, const char *part, const float *weight,
                          bt_value x, bt_value *ret_out)
{
    char name[64];
    bt_value w;
    bt_rmsnorm_param param = {.eps = d->hp->rms_eps};
    node_name(name, layer, part);
    BT_TRY(vector_const(d, name, weight, d->hp->d_model, &w));
    return apply(d, name, &bt_op_rmsnorm, &param, (bt_value[]){x, w}, 2, ret_out);
}

/* out = x W^T (+ bias) (+ residual) */
static bt_status add_linear(bt_decoder *d, const char *name, const bt_projection *p, bt_value x,
                            bt_value residual, bt_value *ret_out)
{
    bt_value in[] = {x, BT_VALUE_NONE, BT_VALUE_NONE, residual, BT_VALUE_NONE, BT_VALUE_NONE};
    static const int at[BT_PROJECTION_PARTS] = {1, 4, 5};
    for (int32_t i = 0; i < p->n_part; i++)
        BT_TRY(bt_graph_const(d->graph, name, &p->desc[i], p->panels[i], &in[at[i]]));
    BT_TRY(vector_const(d, name, p->bias, p->n_out, &in[2]));
    return apply(d, name, &bt_op_linear, NULL, in, BT_COUNT_OF(in), ret_out);
}

bt_status bt_decoder_begin(bt_decoder *d)
{
    const bt_hparams *hp = d->hp;
    bt_value table, freq;
    bt_rope_angles_param param = {.magnitude = (float)hp->rope.attn_factor};
    BT_TRY(
        bt_graph_const(d->graph, "token_embd", &d->weights->embed_desc, d->weights->embed, &table));
    BT_TRY(apply(d, "embed", &bt_op_embed, NULL, (bt_value[]){table, d->in[BT_DECODER_IDS]}, 2,
                 &d->h));
    BT_TRY(vector_const(d, "inv_freq", d->weights->inv_freq, hp->rope.d_rot / 2, &freq));
    return apply(d, "rope_angles", &bt_op_rope_angles, &param,
                 (bt_value[]){d->in[BT_DECODER_POS], freq}, 2, &d->angles);
}

static bt_status add_rope_kv(bt_decoder *d, int32_t layer, bt_value qkv, bt_value *ret_q)
{
    const bt_layer *w = &d->weights->layer[layer];
    char name[64];
    bt_value q_norm, k_norm;
    bt_rope_kv_param param = {.n_head = d->hp->n_head,
                              .interleaved = d->hp->rope.kind == BT_ROPE_INTERLEAVED,
                              .norm_eps = d->hp->rms_eps};
    BT_TRY(vector_const(d, node_name(name, layer, "q_norm"), w->q_norm, d->hp->d_head, &q_norm));
    BT_TRY(vector_const(d, node_name(name, layer, "k_norm"), w->k_norm, d->hp->d_head, &k_norm));
    bt_value in[] = {
        qkv,    d->angles, d->in[BT_DECODER_SLOT], d->kv[2 * layer], d->kv[2 * layer + 1],
        q_norm, k_norm};
    return apply(d, node_name(name, layer, "rope_kv"), &bt_op_rope_kv, &param, in, BT_COUNT_OF(in),
                 ret_q);
}

bt_status bt_decoder_attention(bt_decoder *d, int32_t layer)
{
    const bt_layer *w = &d->weights->layer[layer];
    char name[64];
    bt_value x, qkv, q, out;
    bt_attention_param param = {.n_head = d->hp->n_head,
                                .window = bt_hparams_window(d->hp, layer),
                                .scale = (float)(1 / sqrt((double)d->hp->d_head))};
    BT_TRY(add_norm(d, layer, "attn_norm", w->attn_norm, d->h, &x));
    BT_TRY(add_linear(d, node_name(name, layer, "qkv"), &w->qkv, x, BT_VALUE_NONE, &qkv));
    BT_TRY(add_rope_kv(d, layer, qkv, &q));
    bt_value in[] = {q,
                     d->in[BT_DECODER_POS],
                     d->in[BT_DECODER_SEQ],
                     d->in[BT_DECODER_TABLE],
                     d->kv[2 * layer],
                     d->kv[2 * layer + 1]};
    BT_TRY(apply(d, node_name(name, layer, "attention"), &bt_op_attention, &param, in,
                 BT_COUNT_OF(in), &out));
    return add_linear(d, node_name(name, layer, "attn_out"), &w->attn_out, out, d->h, &d->h);
}

bt_status bt_decoder_swiglu(bt_decoder *d, int32_t layer)
{
    const bt_layer *w = &d->weights->layer[layer];
    char name[64];
    bt_value x, gate_up, act;
    BT_TRY(add_norm(d, layer, "ffn_norm", w->ffn_norm, d->h, &x));
    BT_TRY(
        add_linear(d, node_name(name, layer, "gate_up"), &w->gate_up, x, BT_VALUE_NONE, &gate_up));
    BT_TRY(apply(d, node_name(name, layer, "swiglu"), &bt_op_swiglu, NULL, &gate_up, 1, &act));
    return add_linear(d, node_name(name, layer, "ffn_down"), &w->ffn_down, act, d->h, &d->h);
}

bt_status bt_decoder_end(bt_decoder *d)
{
    bt_value rows, x, logits;
    BT_TRY(apply(d, "out_rows", &bt_op_gather, NULL, (bt_value[]){d->h, d->in[BT_DECODER_OUT_ROW]},
                 2, &rows));
    BT_TRY(add_norm(d, -1, "output_norm", d->weights->out_norm, rows, &x));
    BT_TRY(add_linear(d, "head", &d->weights->head, x, BT_VALUE_NONE, &logits));
    return bt_graph_output(d->graph, logits);
}

static bt_status add_inputs(bt_decoder *d)
{
    for (int i = 0; i < BT_DECODER_KV; i++)
        BT_TRY(bt_graph_input(d->graph, input_names[i], &d->in[i]));
    for (int32_t i = 0; i < 2 * d->hp->n_layer; i++) {
        char name[64];
        BT_TRY(bt_graph_input(d->graph, node_name(name, i / 2, i % 2 ? "v" : "k"), &d->kv[i]));
    }
    return BT_OK;
}

bt_status bt_decoder_build(const bt_hparams *hp, const bt_weights *weights, const bt_op_set *ops,
                           bt_graph **ret_graph)
{
    bt_decoder d = {.hp = hp, .weights = weights, .ops = ops};
    bt_status st;
    if ((st = bt_alloc_array((void **)&d.kv, (size_t)hp->n_layer * 2, sizeof *d.kv, BT_MEM_PLAN)) ||
        (st = bt_graph_new(&d.graph)) || (st = add_inputs(&d)) ||
        (st = families[hp->family].build(&d)) || (st = bt_graph_freeze(d.graph)))
        goto fail;
    bt_free(d.kv);
    *ret_graph = d.graph;
    return BT_OK;
fail:
    bt_free(d.kv);
    bt_graph_unref(d.graph);
    return st;
}
