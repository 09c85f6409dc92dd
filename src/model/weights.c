// SPDX-License-Identifier: Apache-2.0
/* weights: loading. The order is the order of the layers; progress counts the file's bytes. */
#include "model/weights.h"
#include "base/bits.h"
#include "op/pack.h"
#include "tensor/quant.h"
#include <stdio.h>

typedef struct loader {
    const bt_model_file *file;
    const bt_hparams *hp;
    bt_team *team;
    const bt_op_env *env;
    const bt_progress *progress;
    bt_weights *w;
    uint64_t done, total; // bytes of the file's tensors
} loader;

static void report(loader *l, uint64_t bytes)
{
    l->done += bytes;
    if (l->progress && l->progress->fn)
        l->progress->fn(l->progress->ctx, "packing weights", l->done, l->total);
}

/* ---- matrices ---- */

static void pack(loader *l, const bt_tensor_view *view, void *panels)
{
    bt_model_file_advise(l->file, view, BT_FILE_NOW);
    bt_pack_run(l->team, l->env, &view->desc, view->data, panels);
    bt_model_file_advise(l->file, view, BT_FILE_DONE); // or the weights would be there twice
    report(l, view->n_bytes);
}

/* Pack the views side by side; neighbours of one type become one part. */
static bt_status pack_projection(loader *l, const bt_tensor_view *const *view, int32_t n_view,
                                 bt_projection *ret)
{
    bt_projection p = {0};
    for (int32_t v = 0; v < n_view;) {
        bt_desc desc = view[v]->desc;
        int32_t end = v + 1;
        for (; end < n_view && bt_pack_joins(&desc, &view[end]->desc); end++)
            desc.dim[0] += view[end]->desc.dim[0];
        int64_t bytes = bt_pack_bytes(&desc);
        char *panels;
        BT_TRY(bt_alloc((void **)&panels, (size_t)bytes, BT_MEM_WEIGHTS));
        p.desc[p.n_part] = bt_pack_desc(&desc);
        p.panels[p.n_part++] = panels;
        p.n_out += desc.dim[0];
        l->w->packed_bytes += bytes;
        *ret = p; // from here on bt_weights_free finds it
        for (; v < end; v++) {
            pack(l, view[v], panels);
            panels += bt_pack_bytes(&view[v]->desc);
        }
    }
    return BT_OK;
}

/* ---- vectors ---- */

static void name_of(char *ret_name, size_t size, int32_t layer, const char *part, const char *what)
{
    snprintf(ret_name, size, "blk.%d.%s.%s", layer, part, what);
}

static bt_status vector_at(loader *l, const char *name, int64_t n, float *out)
{
    const bt_tensor_view *view;
    BT_TRY(bt_model_file_get(l->file, name, 0, n, &view));
    bt_dequant_row(view->desc.dtype, view->data, n, out);
    report(l, view->n_bytes);
    return BT_OK;
}

static bt_status vector(loader *l, const char *name, int64_t n, const float **ret_vector)
{
    float *out;
    BT_TRY(bt_arena_array(&l->w->arena, (size_t)n, sizeof *out, (void **)&out));
    BT_TRY(vector_at(l, name, n, out));
    *ret_vector = out;
    return BT_OK;
}

static bt_status layer_vector(loader *l, int32_t layer, const char *part, int64_t n,
                              const float **ret_vector)
{
    char name[64];
    name_of(name, sizeof name, layer, part, "weight");
    return vector(l, name, n, ret_vector);
}

/* ---- a projection of a layer: parts by name ---- */

typedef struct part {
    const char *name; // "attn_q"
    int64_t n_out;
} part;

static bt_status biases(loader *l, int32_t layer, const part *parts, int32_t n_part,
                        const float **ret_bias)
{
    int64_t n = 0, at = 0;
    float *bias;
    for (int32_t i = 0; i < n_part; i++) n += parts[i].n_out;
    BT_TRY(bt_arena_array(&l->w->arena, (size_t)n, sizeof *bias, (void **)&bias));
    for (int32_t i = 0; i < n_part; at += parts[i++].n_out) {
        char name[64];
        name_of(name, sizeof name, layer, parts[i].name, "bias");
        BT_TRY(vector_at(l, name, parts[i].n_out, bias + at));
    }
    *ret_bias = bias;
    return BT_OK;
}

typedef struct projection_spec {
    part parts[BT_PROJECTION_PARTS];
    int32_t n_part;
    int64_t n_in;
    bool bias;
} projection_spec;

static bt_status projection(loader *l, int32_t layer, const projection_spec *spec,
                            bt_projection *ret)
{
    const bt_tensor_view *view[BT_PROJECTION_PARTS];
    for (int32_t i = 0; i < spec->n_part; i++) {
        char name[64];
        name_of(name, sizeof name, layer, spec->parts[i].name, "weight");
        BT_TRY(bt_model_file_get(l->file, name, spec->parts[i].n_out, spec->n_in, &view[i]));
    }
    BT_TRY(pack_projection(l, view, spec->n_part, ret));
    return spec->bias ? biases(l, layer, spec->parts, spec->n_part, &ret->bias) : BT_OK;
}

static bt_status load_layer(loader *l, int32_t i, bt_layer *ret)
{
    const bt_hparams *hp = l->hp;
    int64_t n_q = (int64_t)hp->n_head * hp->d_head, n_kv = (int64_t)hp->n_kv * hp->d_head;
    BT_TRY(layer_vector(l, i, "attn_norm", hp->d_model, &ret->attn_norm));
    BT_TRY(layer_vector(l, i, "ffn_norm", hp->d_model, &ret->ffn_norm));
    if (hp->qk_norm) {
        BT_TRY(layer_vector(l, i, "attn_q_norm", hp->d_head, &ret->q_norm));
        BT_TRY(layer_vector(l, i, "attn_k_norm", hp->d_head, &ret->k_norm));
    }
    BT_TRY(projection(
        l, i,
        &(projection_spec){.parts = {{"attn_q", n_q}, {"attn_k", n_kv}, {"attn_v", n_kv}},
                           .n_part = 3,
                           .n_in = hp->d_model,
                           .bias = hp->qkv_bias},
        &ret->qkv));
    BT_TRY(projection(l, i,
                      &(projection_spec){.parts = {{"attn_output", hp->d_model}},
                                         .n_part = 1,
                                         .n_in = n_q,
                                         .bias = hp->out_bias},
                      &ret->attn_out));
    BT_TRY(projection(l, i,
                      &(projection_spec){.parts = {{"ffn_gate", hp->d_ff}, {"ffn_up", hp->d_ff}},
                                         .n_part = 2,
                                         .n_in = hp->d_model,
                                         .bias = hp->ffn_bias},
                      &ret->gate_up));
    return projection(l, i,
                      &(projection_spec){.parts = {{"ffn_down", hp->d_model}},
                                         .n_part = 1,
                                         .n_in = hp->d_ff,
                                         .bias = hp->ffn_bias},
                      &ret->ffn_down);
}

static bt_status load_ends(loader *l)
{
    const bt_hparams *hp = l->hp;
    const bt_tensor_view *embed, *head;
    float *inv_freq;
    BT_TRY(bt_model_file_get(l->file, "token_embd.weight", hp->n_vocab, hp->d_model, &embed));
    l->w->embed_desc = embed->desc;
    l->w->embed = embed->data;
    BT_TRY(bt_model_file_get(l->file, hp->tie_embeddings ? "token_embd.weight" : "output.weight",
                             hp->n_vocab, hp->d_model, &head));
    BT_TRY(pack_projection(l, &head, 1, &l->w->head));
    BT_TRY(vector(l, "output_norm.weight", hp->d_model, &l->w->out_norm));
    BT_TRY(bt_arena_array(&l->w->arena, (size_t)hp->rope.d_rot / 2, sizeof *inv_freq,
                          (void **)&inv_freq));
    bt_model_file_inv_freq(l->file, inv_freq);
    l->w->inv_freq = inv_freq;
    return BT_OK;
}

static bt_status load_all(loader *l)
{
    int32_t n_layer = l->hp->n_layer;
    for (int64_t i = 0; i < bt_model_file_n_tensor(l->file); i++) {
        bt_model_file_advise(l->file, bt_model_file_tensor(l->file, i), BT_FILE_SOON);
        l->total += bt_model_file_tensor(l->file, i)->n_bytes;
    }
    BT_TRY(
        bt_arena_array(&l->w->arena, (size_t)n_layer, sizeof *l->w->layer, (void **)&l->w->layer));
    l->w->n_layer = n_layer;
    for (int32_t i = 0; i < n_layer; i++) BT_TRY(load_layer(l, i, &l->w->layer[i]));
    return load_ends(l);
}

bt_status bt_weights_load(const bt_model_file *file, bt_team *team, const bt_op_env *env,
                          const bt_progress *progress, bt_weights **ret_weights)
{
    bt_weights *w;
    BT_TRY(bt_alloc_zero((void **)&w, sizeof *w, BT_MEM_MODEL));
    bt_arena_init(&w->arena, BT_MEM_MODEL);
    loader l = {.file = file,
                .hp = bt_model_file_hparams(file),
                .team = team,
                .env = env,
                .progress = progress,
                .w = w};
    bt_status st = load_all(&l);
    if (st != BT_OK) {
        bt_weights_free(w);
        return st;
    }
    *ret_weights = w;
    return BT_OK;
}

static void free_projection(bt_projection *p)
{
    for (int32_t i = 0; i < p->n_part; i++) bt_free(p->panels[i]);
}

static void free_layer(bt_layer *layer)
{
    free_projection(&layer->qkv);
    free_projection(&layer->attn_out);
    free_projection(&layer->gate_up);
    free_projection(&layer->ffn_down);
}

void bt_weights_free(bt_weights *weights)
{
    if (!weights) return;
    for (int32_t i = 0; i < weights->n_layer; i++) free_layer(&weights->layer[i]);
    free_projection(&weights->head);
    bt_arena_done(&weights->arena);
    bt_free(weights);
}
