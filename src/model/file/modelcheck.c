// SPDX-License-Identifier: Apache-2.0
/* modelcheck: the tensors a family needs, in one table, compared with those a file has.
 *
 * Nothing here trusts names: a tensor of a layer that does not exist, or one that no supported
 * family has (experts, extra norms), is refused, for a model computed without it would be silently
 * wrong.
 */
#include "base/bits.h"
#include "model/file/modelparts.h"
#include "tensor/quant.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Widths that a shape may name. */
typedef enum width { W_NONE, W_MODEL, W_Q, W_KV, W_HEAD, W_FF } width;

typedef enum when { ALWAYS, QKV_BIAS, OUT_BIAS, FFN_BIAS, QK_NORM } when;

/* A layer's tensors: [rows, cols], or [cols] where rows is W_NONE. */
static const struct part {
    const char *name;
    width rows, cols;
    when when;
} parts[] = {
    {"attn_norm.weight", W_NONE, W_MODEL, ALWAYS},
    {"attn_q.weight", W_Q, W_MODEL, ALWAYS},
    {"attn_k.weight", W_KV, W_MODEL, ALWAYS},
    {"attn_v.weight", W_KV, W_MODEL, ALWAYS},
    {"attn_output.weight", W_MODEL, W_Q, ALWAYS},
    {"ffn_norm.weight", W_NONE, W_MODEL, ALWAYS},
    {"ffn_gate.weight", W_FF, W_MODEL, ALWAYS},
    {"ffn_up.weight", W_FF, W_MODEL, ALWAYS},
    {"ffn_down.weight", W_MODEL, W_FF, ALWAYS},
    {"attn_q.bias", W_NONE, W_Q, QKV_BIAS},
    {"attn_k.bias", W_NONE, W_KV, QKV_BIAS},
    {"attn_v.bias", W_NONE, W_KV, QKV_BIAS},
    {"attn_output.bias", W_NONE, W_MODEL, OUT_BIAS},
    {"ffn_gate.bias", W_NONE, W_FF, FFN_BIAS},
    {"ffn_up.bias", W_NONE, W_FF, FFN_BIAS},
    {"ffn_down.bias", W_NONE, W_MODEL, FFN_BIAS},
    {"attn_q_norm.weight", W_NONE, W_HEAD, QK_NORM},
    {"attn_k_norm.weight", W_NONE, W_HEAD, QK_NORM},
};

static int64_t width_of(const bt_hparams *hp, width w)
{
    switch (w) {
    case W_MODEL:
        return hp->d_model;
    case W_Q:
        return (int64_t)hp->n_head * hp->d_head;
    case W_KV:
        return (int64_t)hp->n_kv * hp->d_head;
    case W_HEAD:
        return hp->d_head;
    case W_FF:
        return hp->d_ff;
    default:
        return 0;
    }
}

static bool applies(const bt_hparams *hp, when w)
{
    switch (w) {
    case QKV_BIAS:
        return hp->qkv_bias;
    case OUT_BIAS:
        return hp->out_bias;
    case FFN_BIAS:
        return hp->ffn_bias;
    case QK_NORM:
        return hp->qk_norm;
    default:
        return true;
    }
}

bt_status bt_model_file_get(const bt_model_file *file, const char *name, int64_t n_row,
                            int64_t n_col, const bt_tensor_view **ret_view)
{
    const bt_tensor_view *v = bt_model_file_find(file, name);
    BT_FAIL_IF(!v, NOTFOUND, "'%s' has no tensor '%s'", file->path, name);
    const int64_t *dim = v->desc.dim;
    int32_t n_dim = v->desc.n_dim;
    bool fits =
        n_row ? n_dim == 2 && dim[0] == n_row && dim[1] == n_col : n_dim == 1 && dim[0] == n_col;
    if (!fits) {
        char found[96] = "", want[48];
        for (int32_t i = 0; i < n_dim; i++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld", i ? ", " : "",
                     (long long)dim[i]);
        if (n_row)
            snprintf(want, sizeof want, "%lld, %lld", (long long)n_row, (long long)n_col);
        else
            snprintf(want, sizeof want, "%lld", (long long)n_col);
        return bt_fail(BT_FORMAT, "tensor '%s' is [%s], must be [%s]", name, found, want);
    }
    BT_FAIL_IF(v->desc.dtype == BT_DTYPE_COUNT || !bt_dtype_is_weight(v->desc.dtype), UNSUPPORTED,
               "tensor '%s' has type %s, which this build cannot compute with", name, v->type_name);
    *ret_view = v;
    return BT_OK;
}

/* "blk.12.attn_q.weight" -> 12 and "attn_q.weight"; false when it is no layer's tensor. Only the
 * plain spelling of a number is one ("blk.01." is not), so that no two names mean the same tensor.
 */
static bool split_layer(const char *name, int64_t *ret_layer, const char **ret_part)
{
    if (strncmp(name, "blk.", 4) || name[4] < '0' || name[4] > '9') return false;
    if (name[4] == '0' && name[5] != '.') return false;
    char *end;
    long long layer = strtoll(name + 4, &end, 10); // saturates: then far past every layer
    if (*end != '.') return false;
    *ret_layer = layer;
    *ret_part = end + 1;
    return true;
}

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < BT_COUNT_OF(parts); i++)
        if (!strcmp(parts[i].name, name)) return &parts[i];
    return NULL;
}

/* Biases are announced by nothing but their presence in GGUF files. */
static void derive_biases(const bt_model_file *f, bt_hparams *hp)
{
    hp->qkv_bias |= bt_model_file_find(f, "blk.0.attn_q.bias") != NULL;
    hp->out_bias |= bt_model_file_find(f, "blk.0.attn_output.bias") != NULL;
    hp->ffn_bias |= bt_model_file_find(f, "blk.0.ffn_gate.bias") != NULL;
}

static bt_status check_strangers(const bt_model_file *f)
{
    const bt_hparams *hp = &f->hp;
    for (size_t i = 0; i < f->n_view; i++) {
        const char *name = f->view[i].name, *part_name;
        int64_t layer;
        if (strncmp(name, "blk.", 4)) continue;
        const struct part *part = NULL;
        if (split_layer(name, &layer, &part_name)) {
            BT_FAIL_IF(layer >= hp->n_layer, FORMAT,
                       "tensor '%s' belongs to no layer: there are %d", name, hp->n_layer);
            part = find_part(part_name);
        }
        BT_FAIL_IF(!part || !applies(hp, part->when), UNSUPPORTED,
                   "tensor '%s' is not part of a %s model as we know it", name,
                   bt_family_name(hp->family));
    }
    return BT_OK;
}

static bt_status check_layer(const bt_model_file *f, int32_t layer)
{
    for (size_t i = 0; i < BT_COUNT_OF(parts); i++) {
        const bt_tensor_view *view;
        char name[64];
        if (!applies(&f->hp, parts[i].when)) continue;
        snprintf(name, sizeof name, "blk.%d.%s", layer, parts[i].name);
        BT_TRY(bt_model_file_get(f, name, width_of(&f->hp, parts[i].rows),
                                 width_of(&f->hp, parts[i].cols), &view));
    }
    return BT_OK;
}

/* GGUF ships the factors of llama3 scaling as a tensor; they divide, so 0 and NaN must not pass. */
static bt_status check_rope_factors(const bt_model_file *f)
{
    const bt_tensor_view *view = bt_model_file_find(f, "rope_freqs.weight");
    if (!view) return BT_OK;
    int32_t n = f->hp.rope.d_rot / 2;
    BT_TRY(bt_model_file_get(f, view->name, 0, n, &view));
    BT_FAIL_IF(view->desc.dtype != BT_F32, UNSUPPORTED,
               "tensor 'rope_freqs.weight' has type %s, must be f32", view->type_name);
    for (int32_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, (const char *)view->data + 4 * (size_t)i, sizeof x);
        BT_FAIL_IF(!(x > 0 && x < 1e9f), FORMAT,
                   "tensor 'rope_freqs.weight' has the factor %g at %d, must be positive",
                   (double)x, i);
    }
    return BT_OK;
}

/* Every id that can come in or out must have a row. */
static bt_status check_vocabulary(const bt_model_file *f)
{
    int32_t n = f->tokenizer ? bt_tokenizer_n_vocab(f->tokenizer) : 0;
    BT_FAIL_IF(n > f->hp.n_vocab, FORMAT,
               "the tokenizer has %d ids, but the embedding only %d rows", n, f->hp.n_vocab);
    for (int32_t i = 0; i < f->n_eos; i++)
        BT_FAIL_IF(f->eos[i] >= f->hp.n_vocab, FORMAT,
                   "the end token is %d, but the embedding has %d rows", f->eos[i], f->hp.n_vocab);
    return BT_OK;
}

bt_status bt_parts_check(bt_model_file *f)
{
    const bt_tensor_view *view;
    bt_hparams *hp = &f->hp;
    BT_TRY(bt_model_file_get(f, "token_embd.weight", hp->n_vocab, hp->d_model, &view));
    BT_TRY(bt_model_file_get(f, "output_norm.weight", 0, hp->d_model, &view));
    if (!bt_model_file_find(f, "output.weight")) hp->tie_embeddings = true;
    if (!hp->tie_embeddings)
        BT_TRY(bt_model_file_get(f, "output.weight", hp->n_vocab, hp->d_model, &view));
    derive_biases(f, hp);
    for (int32_t i = 0; i < hp->n_layer; i++) BT_TRY(check_layer(f, i));
    BT_TRY(check_strangers(f));
    BT_TRY(check_rope_factors(f));
    return check_vocabulary(f);
}

/* The tokenizer's own list of end tokens joins those the files named. */
static void collect_eos(bt_model_file *f)
{
    if (!f->tokenizer) return;
    bt_parts_eos(f, bt_tokenizer_eos(f->tokenizer));
    bt_parts_eos(f, bt_tokenizer_eot(f->tokenizer));
    for (int32_t i = 0; i < bt_tokenizer_n_vocab(f->tokenizer); i++)
        if (bt_tokenizer_is_eog(f->tokenizer, i)) bt_parts_eos(f, i);
}

bt_status bt_parts_finish(bt_model_file *f)
{
    collect_eos(f);
    if (f->use == BT_USE_TOKENIZER) {
        BT_FAIL_IF(!f->tokenizer, NOTFOUND, "there is no tokenizer in it");
        return BT_OK;
    }
    if (!f->has_hp) return BT_OK;
    bt_status st = bt_parts_check(f);
    if (st == BT_OK) return BT_OK;
    return bt_parts_problem(f, st, false);
}
