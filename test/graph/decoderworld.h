// SPDX-License-Identifier: Apache-2.0
/* decoderworld: the graph of any decoder, to be planned and never run: its weights are descriptors
 * as the loader would make them, all at one dummy address. */
#pragma once
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "model/decoder.h"
#include "model/file/gguf_write.h"
#include "model/file/synth.h"
#include "op/pack.h"
#include "oracle/memory.h"

enum { DECODER_SEQ = 16, DECODER_PAGE_LEN = 32, DECODER_PAGES = 256 };

typedef struct decoder_world {
    bt_hparams hp;
    bt_weights weights;
    bt_graph *graph;
    bt_desc *desc; // [n_input] of the batch described last
} decoder_world;

static const float decoder_dummy[16];

/* Parts side by side, as weights.c packs them: neighbours that can be one matrix are one. */
static inline void fill_projection(bt_projection *p, bt_dtype dtype, int64_t n_in,
                                   const int64_t *n_out, bool bias)
{
    *p = (bt_projection){.bias = bias ? decoder_dummy : NULL};
    for (int i = 0; i < BT_PROJECTION_PARTS && n_out[i]; i++) {
        bt_desc desc = bt_desc_2d(BT_F32, n_out[i], n_in);
        desc.dtype = bt_stored_dtype(dtype, &desc);
        p->n_out += n_out[i];
        if (p->n_part && bt_pack_joins(&p->desc[p->n_part - 1], &desc)) {
            p->desc[p->n_part - 1].dim[0] += n_out[i];
            continue;
        }
        p->panels[p->n_part] = (void *)decoder_dummy;
        p->desc[p->n_part++] = bt_pack_desc(&desc);
    }
}

static inline void fill_layer(bt_layer *l, const bt_hparams *hp, bt_dtype dtype)
{
    int64_t d = hp->d_model, ff = hp->d_ff, q = (int64_t)hp->n_head * hp->d_head,
            kv = (int64_t)hp->n_kv * hp->d_head;
    l->attn_norm = l->ffn_norm = decoder_dummy;
    l->q_norm = l->k_norm = hp->qk_norm ? decoder_dummy : NULL;
    fill_projection(&l->qkv, dtype, d, (int64_t[]){q, kv, kv}, hp->qkv_bias);
    fill_projection(&l->attn_out, dtype, q, (int64_t[]){d, 0}, hp->out_bias);
    fill_projection(&l->gate_up, dtype, d, (int64_t[]){ff, ff, 0}, hp->ffn_bias);
    fill_projection(&l->ffn_down, dtype, ff, (int64_t[]){d, 0}, hp->ffn_bias);
}

/* The graph of these hyperparameters with matrices of `dtype`. */
static inline decoder_world decoder_of(const bt_hparams *hp, bt_dtype dtype)
{
    decoder_world w = {.hp = *hp};
    bt_desc embed = bt_desc_2d(BT_F32, hp->n_vocab, hp->d_model);
    embed.dtype = bt_stored_dtype(dtype, &embed);
    w.weights = (bt_weights){.embed_desc = embed,
                             .embed = decoder_dummy,
                             .out_norm = decoder_dummy,
                             .inv_freq = decoder_dummy,
                             .layer = fresh((size_t)hp->n_layer, sizeof(bt_layer)),
                             .n_layer = hp->n_layer};
    fill_projection(&w.weights.head, dtype, hp->d_model, (int64_t[]){hp->n_vocab, 0}, false);
    for (int32_t i = 0; i < hp->n_layer; i++) fill_layer(&w.weights.layer[i], hp, dtype);
    assert_ok(bt_hparams_check(hp));
    assert_ok(bt_decoder_build(&w.hp, &w.weights, NULL, &w.graph));
    w.desc = fresh((size_t)w.graph->n_input, sizeof *w.desc);
    return w;
}

/* Inputs of a batch of n_tok tokens of which n_out are wanted, f16 pools. */
static inline const bt_desc *decoder_batch(decoder_world *w, int64_t n_tok, int64_t n_out)
{
    bt_desc *d = w->desc, tok = bt_desc_1d(BT_I32, n_tok);
    int64_t n_page = DECODER_SEQ * DECODER_PAGES, n_kv = w->hp.n_kv, d_head = w->hp.d_head;
    d[BT_DECODER_IDS] = d[BT_DECODER_POS] = d[BT_DECODER_SEQ] = tok;
    d[BT_DECODER_SLOT] = bt_desc_1d(BT_I64, n_tok);
    d[BT_DECODER_TABLE] = bt_desc_2d(BT_I32, DECODER_SEQ, DECODER_PAGES);
    d[BT_DECODER_OUT_ROW] = bt_desc_1d(BT_I32, n_out);
    for (int32_t i = 0; i < w->hp.n_layer; i++) {
        d[BT_DECODER_KV + 2 * i] = bt_desc_4d(BT_F16, n_page, n_kv, d_head, DECODER_PAGE_LEN);
        d[BT_DECODER_KV + 2 * i + 1] = bt_desc_4d(BT_F16, n_page, n_kv, DECODER_PAGE_LEN, d_head);
    }
    return d;
}

static inline void decoder_done(decoder_world *w)
{
    bt_graph_unref(w->graph);
    free(w->weights.layer);
    free(w->desc);
}
