// SPDX-License-Identifier: Apache-2.0
/* llama_graph: the weights, the layer, the decoder around it. A layer has 13 nodes; four of them
 * are views of weights that two nodes share. */
#include "app/bench/llama_graph.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "baton/ops.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYER = BT_LLAMA_LAYER, VOCAB = BT_LLAMA_VOCAB, N_KV = BT_LLAMA_KV_HEAD };
enum { D = 128, N_HEAD = 4, D_HEAD = BT_LLAMA_D_HEAD, D_FFN = 256, N_FREQ = D_HEAD / 2 };
enum { QKV, ATTN_OUT, GATE_UP, DOWN, HEAD, N_KIND };
enum { NORMS_AT = 0, TABLE_AT = 2 * D, FREQ_AT = TABLE_AT + VOCAB * D, N_FLOAT = FREQ_AT + N_FREQ };

static const struct {
    const char *name;
    int64_t n_row, n_col;
} kinds[N_KIND] = {[QKV] = {"qkv", (N_HEAD + 2 * N_KV) * D_HEAD, D},
                   [ATTN_OUT] = {"attn_out", D, N_HEAD *D_HEAD},
                   [GATE_UP] = {"gate_up", 2 * D_FFN, D},
                   [DOWN] = {"down", D, D_FFN},
                   [HEAD] = {"head", VOCAB, D}};

/* ---- weights: the same numbers every time ---- */

static int kind_of(int matrix) { return matrix == BT_LLAMA_MATRIX - 1 ? HEAD : matrix % HEAD; }

static bt_status make_vectors(bt_llama_graph *m)
{
    BT_TRY(bt_alloc_array((void **)&m->vectors, N_FLOAT, sizeof *m->vectors, BT_MEM_MISC));
    for (int i = 0; i < 2 * D; i++) m->vectors[NORMS_AT + i] = 1;
    for (int i = 0; i < VOCAB * D; i++)
        m->vectors[TABLE_AT + i] =
            (float)(2 * bt_rng_uniform(bt_rng_at(1, BT_LLAMA_MATRIX, (uint64_t)i)) - 1);
    for (int i = 0; i < N_FREQ; i++) m->vectors[FREQ_AT + i] = powf(10000, -(float)i / N_FREQ);
    return BT_OK;
}

/* Blocks of q8_0 as in a file: a scale of 2^-10 in f16, then 32 random bytes. */
static void fill_blocks(uint8_t *out, int64_t n_block, uint64_t stream)
{
    static const uint8_t scale[2] = {0x00, 0x14};
    for (int64_t b = 0; b < n_block; b++, out += 34) {
        memcpy(out, scale, sizeof scale);
        for (int i = 0; i < 2; i++) {
            bt_rng_block r = bt_rng_at(1, stream, (uint64_t)(2 * b + i));
            memcpy(out + 2 + 16 * i, r.word, sizeof r.word);
        }
    }
}

static bt_status pack_matrix(bt_llama_graph *m, int i)
{
    uint8_t *rows;
    bt_desc desc = bt_desc_2d(BT_Q8_0, kinds[kind_of(i)].n_row, kinds[kind_of(i)].n_col);
    BT_TRY(bt_alloc((void **)&rows, (size_t)bt_desc_bytes(&desc), BT_MEM_MISC));
    fill_blocks(rows, bt_desc_count(&desc) / bt_dtype_block(BT_Q8_0), (uint64_t)i);
    bt_status st = bt_weight_pack(m->device, &desc, rows, &m->desc[i], &m->panels[i]);
    bt_free(rows);
    return st;
}

/* ---- graphs ---- */

/* out = op(in...) */
static bt_status apply(bt_graph *g, const char *op, const void *param, const bt_value *in,
                       int32_t n_in, bt_value *ret_out)
{
    return bt_graph_apply(g, op, bt_op_find(op), param, in, n_in, ret_out);
}

/* out = x W^T (+ residual) */
static bt_status add_linear(bt_graph *g, int kind, bt_value x, bt_value weight, bt_value residual,
                            bt_value *ret_out)
{
    bt_value in[] = {x, weight, BT_VALUE_NONE, residual};
    return bt_graph_apply(g, kinds[kind].name, bt_op_find("linear"), NULL, in, 4, ret_out);
}

static bt_status add_norm(bt_graph *g, bt_value x, bt_value weight, bt_value *ret_out)
{
    return apply(g, "rmsnorm", &(bt_rmsnorm_param){1e-5f}, (bt_value[]){x, weight}, 2, ret_out);
}

/* Both halves of a weight's first dimension, as views. */
static bt_status add_halves(bt_graph *g, bt_value x, bt_value ret_half[2])
{
    for (int i = 0; i < 2; i++)
        BT_TRY(apply(g, "chunk", &(bt_chunk_param){.n = 2, .i = i}, &x, 1, &ret_half[i]));
    return BT_OK;
}

/* A layer's inputs; the weights are W + QKV, ... */
enum { X, ANGLES, POS, SEQ, SLOT, TABLE, K, V, NORMS, W, N_LAYER_IN = W + HEAD };

static bt_status add_attention(bt_graph *g, const bt_value *in, bt_value norm, bt_value *ret_out)
{
    bt_value x, qkv, q, out;
    bt_rope_kv_param rope = {.n_head = N_HEAD};
    bt_attention_param attention = {.n_head = N_HEAD, .scale = 1 / sqrtf(D_HEAD)};
    BT_TRY(add_norm(g, in[X], norm, &x));
    BT_TRY(add_linear(g, QKV, x, in[W + QKV], BT_VALUE_NONE, &qkv));
    BT_TRY(
        apply(g, "rope_kv", &rope, (bt_value[]){qkv, in[ANGLES], in[SLOT], in[K], in[V]}, 5, &q));
    BT_TRY(apply(g, "attention", &attention,
                 (bt_value[]){q, in[POS], in[SEQ], in[TABLE], in[K], in[V]}, 6, &out));
    return add_linear(g, ATTN_OUT, out, in[W + ATTN_OUT], in[X], ret_out);
}

static bt_status add_ffn(bt_graph *g, const bt_value *in, bt_value h, bt_value norm,
                         bt_value *ret_out)
{
    bt_value x, half[2], both, act;
    BT_TRY(add_norm(g, h, norm, &x));
    BT_TRY(add_halves(g, in[W + GATE_UP], half));
    bt_value parts[] = {x, half[0], BT_VALUE_NONE, BT_VALUE_NONE, half[1]};
    BT_TRY(apply(g, "linear", NULL, parts, 5, &both));
    BT_TRY(apply(g, "swiglu", NULL, &both, 1, &act));
    return add_linear(g, DOWN, act, in[W + DOWN], h, ret_out);
}

static bt_status build_layer(bt_graph *g)
{
    static const char *const names[] = {"x",     "angles", "pos", "seq",  "slot",
                                        "table", "k",      "v",   "norms"};
    bt_value in[N_LAYER_IN], norm[2], h;
    for (int i = 0; i < N_LAYER_IN; i++)
        BT_TRY(bt_graph_input(g, i < W ? names[i] : kinds[i - W].name, &in[i]));
    BT_TRY(add_halves(g, in[NORMS], norm));
    BT_TRY(add_attention(g, in, norm[0], &h));
    BT_TRY(add_ffn(g, in, h, norm[1], &h));
    BT_TRY(bt_graph_output(g, h));
    return bt_graph_freeze(g);
}

static bt_status add_matrix(const bt_llama_graph *m, int i, bt_value *ret_value)
{
    return bt_graph_const(m->graph, kinds[kind_of(i)].name, &m->desc[i], m->panels[i], ret_value);
}

/* h = layer(h), 32 times; `in` are the decoder's inputs, `common` a layer's that all share. */
static bt_status add_layers(const bt_llama_graph *m, const bt_graph *layer, const bt_value *in,
                            const bt_value common[W], bt_value *h)
{
    bt_value layer_in[N_LAYER_IN];
    memcpy(layer_in, common, W * sizeof *common);
    for (int i = 0; i < LAYER; i++) {
        char name[32];
        bt_value out;
        snprintf(name, sizeof name, "blk.%d", i);
        layer_in[X] = *h;
        layer_in[K] = in[BT_LLAMA_K + 2 * i];
        layer_in[V] = in[BT_LLAMA_K + 2 * i + 1];
        for (int w = 0; w < HEAD; w++) BT_TRY(add_matrix(m, HEAD * i + w, &layer_in[W + w]));
        BT_TRY(bt_graph_value(m->graph, name, &out));
        BT_TRY(bt_graph_call(m->graph, name, layer, layer_in, N_LAYER_IN, &out, 1));
        *h = out;
    }
    return BT_OK;
}

static bt_status add_inputs(bt_graph *g, bt_value *ret_in)
{
    static const char *const names[] = {"ids", "pos", "seq", "slot", "table", "out_row"};
    for (int i = 0; i < BT_LLAMA_INPUT; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.%d", i % 2 ? "v" : "k", (i - BT_LLAMA_K) / 2);
        BT_TRY(bt_graph_input(g, i < BT_LLAMA_K ? names[i] : name, &ret_in[i]));
    }
    return BT_OK;
}

/* Constants that are vectors: a part of m->vectors. */
static bt_status add_vector(const bt_llama_graph *m, const char *name, bt_desc desc, int at,
                            bt_value *ret_value)
{
    return bt_graph_const(m->graph, name, &desc, m->vectors + at, ret_value);
}

static bt_status build_decoder(const bt_llama_graph *m, const bt_graph *layer)
{
    bt_graph *g = m->graph;
    bt_rope_angles_param rope = {.magnitude = 1};
    bt_value in[BT_LLAMA_INPUT], embed, freq, norm, head, h, common[W];
    BT_TRY(add_inputs(g, in));
    BT_TRY(add_vector(m, "token_embd", bt_desc_2d(BT_F32, VOCAB, D), TABLE_AT, &embed));
    BT_TRY(add_vector(m, "freq", bt_desc_1d(BT_F32, N_FREQ), FREQ_AT, &freq));
    BT_TRY(add_vector(m, "output_norm", bt_desc_1d(BT_F32, D), NORMS_AT, &norm));
    BT_TRY(add_vector(m, "norms", bt_desc_1d(BT_F32, 2 * D), NORMS_AT, &common[NORMS]));
    BT_TRY(apply(g, "embed", NULL, (bt_value[]){embed, in[BT_LLAMA_IDS]}, 2, &h));
    BT_TRY(
        apply(g, "rope_angles", &rope, (bt_value[]){in[BT_LLAMA_POS], freq}, 2, &common[ANGLES]));
    common[POS] = in[BT_LLAMA_POS];
    common[SEQ] = in[BT_LLAMA_SEQ];
    common[SLOT] = in[BT_LLAMA_SLOT];
    common[TABLE] = in[BT_LLAMA_TABLE];
    common[X] = common[K] = common[V] = BT_VALUE_NONE; // each layer has its own
    BT_TRY(add_layers(m, layer, in, common, &h));
    BT_TRY(apply(g, "gather", NULL, (bt_value[]){h, in[BT_LLAMA_OUT_ROW]}, 2, &h));
    BT_TRY(add_norm(g, h, norm, &h));
    BT_TRY(add_matrix(m, BT_LLAMA_MATRIX - 1, &head));
    BT_TRY(add_linear(g, HEAD, h, head, BT_VALUE_NONE, &h));
    BT_TRY(bt_graph_output(g, h));
    return bt_graph_freeze(g);
}

bt_status bt_llama_graph_init(bt_device *device, bt_llama_graph *ret)
{
    bt_llama_graph m = {.device = device};
    bt_graph *layer = NULL;
    bt_status st = make_vectors(&m);
    for (int i = 0; i < BT_LLAMA_MATRIX && st == BT_OK; i++) st = pack_matrix(&m, i);
    if (st || (st = bt_graph_new(&layer)) || (st = build_layer(layer)) ||
        (st = bt_graph_new(&m.graph)) || (st = build_decoder(&m, layer)))
        goto fail;
    bt_graph_unref(layer);
    *ret = m;
    return BT_OK;
fail:
    bt_graph_unref(layer);
    bt_llama_graph_done(&m);
    return st;
}

void bt_llama_graph_done(bt_llama_graph *m)
{
    bt_graph_unref(m->graph);
    for (int i = 0; i < BT_LLAMA_MATRIX; i++)
        if (m->panels[i]) bt_device_free(m->device, m->panels[i]);
    bt_free(m->vectors);
    *m = (bt_llama_graph){0};
}
