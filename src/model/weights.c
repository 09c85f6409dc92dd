// SPDX-License-Identifier: Apache-2.0
/* weights: loading. First a walk over the model, layer by layer, which reads vectors and lists the
 * matrices that are wanted; then their panels, all from the cache or all packed, in that order. */
#include "model/weights.h"
#include "base/bits.h"
#include "model/packcache.h"
#include "op/pack.h"
#include "tensor/quant.h"
#include <stdio.h>

/* Where a matrix comes from, and where it goes. */
typedef struct source {
    const bt_tensor_view *view[BT_PROJECTION_PARTS]; // [n_view] side by side
    int32_t n_view;
    void **panels; // in the projection
} source;

typedef struct loader {
    const bt_model_file *file;
    const bt_hparams *hp;
    const bt_weights_config *config;
    bt_weights *w;
    source *source;    // [n_matrix], room for all parts of all projections
    bt_packed *matrix; // [n_matrix]
    int64_t n_matrix;
    bt_arena scratch;     // the two
    uint64_t done, total; // bytes of the file's tensors
} loader;

static void report(loader *l, uint64_t bytes)
{
    const bt_progress *p = l->config->progress;
    l->done += bytes;
    if (p && p->fn) p->fn(p->ctx, "packing weights", l->done, l->total);
}

/* ---- matrices ---- */

/* List the views side by side; neighbours of one type become one part, one matrix. */
static void list_projection(loader *l, const bt_tensor_view *const *view, int32_t n_view,
                            bt_projection *ret)
{
    for (int32_t v = 0; v < n_view;) {
        source s = {.n_view = 0, .panels = &ret->panels[ret->n_part]};
        bt_desc desc = view[v]->desc;
        s.view[s.n_view++] = view[v++];
        for (; v < n_view && bt_pack_joins(&desc, &view[v]->desc); s.view[s.n_view++] = view[v++])
            desc.dim[0] += view[v]->desc.dim[0];
        bt_packed m = {.desc = bt_pack_desc(&desc), .bytes = bt_pack_bytes(&desc)};
        ret->desc[ret->n_part++] = m.desc;
        ret->n_out += desc.dim[0];
        l->w->packed_bytes += m.bytes;
        l->source[l->n_matrix] = s;
        l->matrix[l->n_matrix++] = m;
    }
}

static bt_status pack_matrix(loader *l, int64_t i)
{
    const source *s = &l->source[i];
    char *panels;
    // Zeros, for panels may go to a file, and what is between them with it.
    BT_TRY(bt_alloc_zero((void **)&panels, (size_t)l->matrix[i].bytes, BT_MEM_WEIGHTS));
    *s->panels = l->matrix[i].panels = panels; // from here on bt_weights_free finds it
    for (int32_t v = 0; v < s->n_view; v++) {
        const bt_tensor_view *view = s->view[v];
        bt_model_file_advise(l->file, view, BT_FILE_NOW);
        bt_pack_run(l->config->team, l->config->env, &view->desc, view->data, panels);
        bt_model_file_advise(l->file, view, BT_FILE_DONE); // or the weights would be there twice
        panels += bt_pack_bytes(&view->desc);
        report(l, view->n_bytes);
    }
    return BT_OK;
}

static bt_status pack_matrices(loader *l)
{
    for (int64_t i = 0; i < bt_model_file_n_tensor(l->file); i++)
        bt_model_file_advise(l->file, bt_model_file_tensor(l->file, i), BT_FILE_SOON);
    for (int64_t i = 0; i < l->n_matrix; i++) BT_TRY(pack_matrix(l, i));
    return BT_OK;
}

/* Kernels only read panels: the mapping may be read-only though the pointer's type is not. */
static bt_status obtain_matrices(loader *l)
{
    bt_packcache cache;
    const void **panels;
    BT_TRY(bt_arena_array(&l->scratch, (size_t)l->n_matrix, sizeof *panels, (void **)&panels));
    bt_packcache_init(&cache, &(bt_packcache_config){.dir = l->config->pack_cache,
                                                     .file = l->file,
                                                     .env = l->config->env,
                                                     .matrix = l->matrix,
                                                     .n_matrix = l->n_matrix});
    bt_status st = BT_OK;
    if (bt_packcache_load(&cache, l->config->team, l->config->progress, &l->w->packed, panels))
        for (int64_t i = 0; i < l->n_matrix; i++) *l->source[i].panels = (void *)panels[i];
    else if ((st = pack_matrices(l)) == BT_OK)
        bt_packcache_save(&cache, l->config->team);
    bt_packcache_done(&cache);
    return st;
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
    list_projection(l, view, spec->n_part, ret);
    return spec->bias ? biases(l, layer, spec->parts, spec->n_part, &ret->bias) : BT_OK;
}

enum { N_PROJECTION = 4 }; // of a layer

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
    list_projection(l, &head, 1, &l->w->head);
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
    size_t n_max = ((size_t)n_layer * N_PROJECTION + 1) * BT_PROJECTION_PARTS;
    for (int64_t i = 0; i < bt_model_file_n_tensor(l->file); i++) {
        const bt_tensor_view *view = bt_model_file_tensor(l->file, i);
        l->total += view->n_bytes;
        if (view->desc.n_dim == 1) bt_model_file_advise(l->file, view, BT_FILE_SOON);
    }
    BT_TRY(
        bt_arena_array(&l->w->arena, (size_t)n_layer, sizeof *l->w->layer, (void **)&l->w->layer));
    BT_TRY(bt_arena_array(&l->scratch, n_max, sizeof *l->source, (void **)&l->source));
    BT_TRY(bt_arena_array(&l->scratch, n_max, sizeof *l->matrix, (void **)&l->matrix));
    l->w->n_layer = n_layer;
    for (int32_t i = 0; i < n_layer; i++) BT_TRY(load_layer(l, i, &l->w->layer[i]));
    BT_TRY(load_ends(l));
    return obtain_matrices(l);
}

bt_status bt_weights_load(const bt_model_file *file, const bt_weights_config *config,
                          bt_weights **ret_weights)
{
    bt_weights *w;
    BT_TRY(bt_alloc_zero((void **)&w, sizeof *w, BT_MEM_MODEL));
    bt_arena_init(&w->arena, BT_MEM_MODEL);
    loader l = {.file = file, .hp = bt_model_file_hparams(file), .config = config, .w = w};
    bt_arena_init(&l.scratch, BT_MEM_MODEL);
    bt_status st = load_all(&l);
    bt_arena_done(&l.scratch);
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
    bool mapped = weights->packed.bytes != NULL;
    for (int32_t i = 0; i < weights->n_layer && !mapped; i++) free_layer(&weights->layer[i]);
    if (!mapped) free_projection(&weights->head);
    bt_file_unmap(&weights->packed);
    bt_arena_done(&weights->arena);
    bt_free(weights);
}
