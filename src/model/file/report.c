// SPDX-License-Identifier: Apache-2.0
/* report: a model file described, for people (text) and for programs (JSON). It computes nothing
 * that the file does not say, except sums and the memory that running it needs. */
#include "base/bits.h"
#include "base/json.h"
#include "model/file/modelparts.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Totals over all tensors, and by type name. */
typedef struct type_total {
    const char *name;
    int64_t n_tensor;
    uint64_t n_element, n_bytes;
} type_total;

enum { TYPE_MAX = 64 };

typedef struct totals {
    type_total all, type[TYPE_MAX];
    size_t n_type;
} totals;

static void add_total(type_total *t, const bt_tensor_view *view)
{
    t->n_tensor++;
    t->n_element += (uint64_t)bt_desc_count(&view->desc);
    t->n_bytes += view->n_bytes;
}

static totals count(const bt_model_file *f)
{
    totals t = {0};
    for (size_t i = 0; i < f->n_view; i++) {
        const bt_tensor_view *view = &f->view[i];
        size_t k = 0;
        while (k < t.n_type && strcmp(t.type[k].name, view->type_name)) k++;
        if (k == t.n_type && k < TYPE_MAX) t.type[t.n_type++].name = view->type_name;
        if (k < TYPE_MAX) add_total(&t.type[k], view);
        add_total(&t.all, view);
    }
    return t;
}

/* Keys and values of one token over all layers. */
static uint64_t kv_bytes(const bt_hparams *hp, bt_dtype dtype)
{
    return 2ull * (uint64_t)hp->n_layer * (uint64_t)hp->n_kv * (uint64_t)hp->d_head *
           (uint64_t)bt_dtype_block_bytes(dtype) / (uint64_t)bt_dtype_block(dtype);
}

static int32_t n_window_layer(const bt_hparams *hp)
{
    int32_t n = 0;
    for (int32_t i = 0; i < hp->n_layer; i++) n += bt_hparams_window(hp, i) > 0;
    return n;
}

static const char *rope_kind(const bt_rope *rope)
{
    return rope->kind == BT_ROPE_INTERLEAVED ? "interleaved" : "half";
}

/* ---- text ---- */

static const char *human_bytes(uint64_t n, char out[32])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)n;
    int i = 0;
    for (; x >= 1024 && i < 4; i++) x /= 1024;
    snprintf(out, 32, i ? "%.2f %s" : "%.0f %s", x, unit[i]);
    return out;
}

static const char *human_count(uint64_t n, char out[32])
{
    if (n >= 1000000000)
        snprintf(out, 32, "%.2f B", (double)n * 1e-9);
    else if (n >= 1000000)
        snprintf(out, 32, "%.2f M", (double)n * 1e-6);
    else
        snprintf(out, 32, "%" PRIu64, n);
    return out;
}

/* File contents must not drive the reader's terminal. */
static bt_status put_clean(bt_buf *out, const char *text)
{
    for (; *text; text++) {
        char c = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
        BT_TRY(bt_buf_add(out, &c, 1));
    }
    return BT_OK;
}

static bt_status text_rope(const bt_model_file *f, bt_buf *out)
{
    const bt_rope *rope = &f->hp.rope;
    BT_TRY(bt_buf_format(out, "rope              base %g, %d of each head, %s pairs, scaling %s",
                         rope->base, rope->d_rot, rope_kind(rope),
                         bt_rope_scaling_name(rope->scaling)));
    if (rope->scaling != BT_ROPE_SCALE_NONE) BT_TRY(bt_buf_format(out, " x %g", rope->factor));
    if (rope->scaling == BT_ROPE_SCALE_LLAMA3 || rope->scaling == BT_ROPE_SCALE_YARN)
        BT_TRY(bt_buf_format(out, " from %d", rope->n_ctx_orig));
    return bt_buf_text(out, bt_model_file_find(f, "rope_freqs.weight")
                                ? ", factors in rope_freqs.weight\n"
                                : "\n");
}

static bt_status text_hparams(const bt_model_file *f, bt_buf *out)
{
    const bt_hparams *hp = &f->hp;
    BT_TRY(bt_buf_format(out, "architecture      %s\n", bt_family_name(hp->family)));
    BT_TRY(bt_buf_format(out, "layers            %d\n", hp->n_layer));
    BT_TRY(bt_buf_format(out, "width             %d, feed-forward %d\n", hp->d_model, hp->d_ff));
    BT_TRY(bt_buf_format(out, "heads             %d of %d, %d for keys and values\n", hp->n_head,
                         hp->d_head, hp->n_kv));
    BT_TRY(bt_buf_format(out, "vocabulary        %d%s\n", hp->n_vocab,
                         hp->tie_embeddings ? ", tied" : ""));
    BT_TRY(bt_buf_format(out, "context           %d tokens in training\n", hp->n_ctx_train));
    BT_TRY(bt_buf_format(out, "norm epsilon      %g\n", (double)hp->rms_eps));
    BT_TRY(text_rope(f, out));
    if (hp->window)
        BT_TRY(bt_buf_format(out, "sliding window    %d tokens, in %d of %d layers\n", hp->window,
                             n_window_layer(hp), hp->n_layer));
    if (!hp->qkv_bias && !hp->out_bias && !hp->ffn_bias && !hp->qk_norm) return BT_OK;
    return bt_buf_format(out, "also              %s%s%s%s\n", hp->qkv_bias ? "q/k/v biases " : "",
                         hp->out_bias ? "output bias " : "",
                         hp->ffn_bias ? "feed-forward biases " : "",
                         hp->qk_norm ? "q/k norms" : "");
}

static bt_status text_id(bt_buf *out, const char *role, const bt_tokenizer *t, int32_t id)
{
    size_t len;
    if (id < 0) return BT_OK;
    const char *piece = bt_tokenizer_piece(t, id, &len);
    BT_TRY(bt_buf_format(out, "  %-15s %d ", role, id));
    BT_TRY(bt_json_put_text(out, piece, len));
    return bt_buf_text(out, "\n");
}

static bt_status text_tokenizer(const bt_model_file *f, bt_buf *out)
{
    const bt_tokenizer *t = f->tokenizer;
    const char *template = bt_model_file_chat_template(f);
    if (!t) return bt_buf_text(out, "tokenizer         none\n");
    BT_TRY(bt_buf_format(out, "tokenizer         %s, %d pieces%s%s\n", bt_tokenizer_kind(t),
                         bt_tokenizer_n_vocab(t), bt_tokenizer_adds_bos(t) ? ", adds begin" : "",
                         bt_tokenizer_adds_eos(t) ? ", adds end" : ""));
    BT_TRY(text_id(out, "begin", t, bt_tokenizer_bos(t)));
    for (int32_t i = 0; i < f->n_eos; i++) BT_TRY(text_id(out, i ? "" : "ends at", t, f->eos[i]));
    BT_TRY(text_id(out, "unknown", t, bt_tokenizer_unk(t)));
    if (!template) return bt_buf_text(out, "  chat template   none\n");
    return bt_buf_format(out, "  chat template   %zu bytes\n", strlen(template));
}

static bt_status text_totals(const totals *t, bt_buf *out)
{
    char bytes[32], n[32];
    BT_TRY(bt_buf_format(out, "tensors           %" PRId64 ", %s parameters, %s\n", t->all.n_tensor,
                         human_count(t->all.n_element, n), human_bytes(t->all.n_bytes, bytes)));
    for (size_t i = 0; i < t->n_type; i++)
        BT_TRY(bt_buf_format(
            out, "  %-15s %5" PRId64 " tensors %12s parameters %12s  %5.2f bits each\n",
            t->type[i].name, t->type[i].n_tensor, human_count(t->type[i].n_element, n),
            human_bytes(t->type[i].n_bytes, bytes),
            8 * (double)t->type[i].n_bytes / (double)t->type[i].n_element));
    return BT_OK;
}

static bt_status text_memory(const bt_hparams *hp, const totals *t, bt_buf *out)
{
    char w[32], half[32], full[32], blocks[32];
    bool has_blocks = hp->d_head % bt_dtype_block(BT_Q8_0) == 0;
    BT_TRY(bt_buf_format(
        out, "memory            weights %s + for each 1024 tokens %s%s%s (f16) or %s (f32)\n",
        human_bytes(t->all.n_bytes, w),
        has_blocks ? human_bytes(1024 * kv_bytes(hp, BT_Q8_0), blocks) : "",
        has_blocks ? " (q8_0), " : "", human_bytes(1024 * kv_bytes(hp, BT_F16), half),
        human_bytes(1024 * kv_bytes(hp, BT_F32), full)));
    return bt_buf_format(
        out,
        "                  a token: 2 x %d layers x %d heads x %d x 2 bytes (f16) = %" PRIu64
        " bytes\n",
        hp->n_layer, hp->n_kv, hp->d_head, kv_bytes(hp, BT_F16));
}

static bt_status text_tensors(const bt_model_file *f, bt_buf *out)
{
    int wide = 0;
    for (size_t i = 0; i < f->n_view; i++)
        wide = (int)bt_max_i64(wide, (int64_t)strlen(f->view[i].name));
    for (size_t i = 0; i < f->n_view; i++) {
        const bt_tensor_view *v = &f->view[i];
        char shape[96] = "", bytes[32];
        for (int32_t k = 0; k < v->desc.n_dim; k++)
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%" PRId64,
                     k ? " x " : "", v->desc.dim[k]);
        size_t start = out->len;
        BT_TRY(put_clean(out, v->name));
        BT_TRY(bt_buf_format(out, "%*s  %-7s %18s %12s\n", wide - (int)(out->len - start), "",
                             v->type_name, shape, human_bytes(v->n_bytes, bytes)));
    }
    return BT_OK;
}

static bt_status report_text(const bt_model_file *f, bt_buf *out)
{
    totals t = count(f);
    BT_TRY(put_clean(out, f->name));
    BT_TRY(bt_buf_format(out, "  (%s, ", f->format));
    BT_TRY(put_clean(out, f->path));
    BT_TRY(bt_buf_text(out, ")\n\n"));
    if (f->problem) {
        BT_TRY(bt_buf_text(out, "cannot be run     "));
        BT_TRY(put_clean(out, f->problem));
        BT_TRY(bt_buf_text(out, "\n"));
    }
    if (f->has_hp) BT_TRY(text_hparams(f, out));
    BT_TRY(text_tokenizer(f, out));
    BT_TRY(text_totals(&t, out));
    if (f->has_hp) BT_TRY(text_memory(&f->hp, &t, out));
    BT_TRY(bt_buf_text(out, "\n"));
    return text_tensors(f, out);
}

/* ---- JSON ---- */

static bt_status json_text(bt_buf *out, const char *key, const char *text)
{
    BT_TRY(bt_buf_format(out, "\"%s\": ", key));
    return text ? bt_json_put_text(out, text, strlen(text)) : bt_buf_text(out, "null");
}

static bt_status json_f64(bt_buf *out, const char *key, double value)
{
    BT_TRY(bt_buf_format(out, "\"%s\": ", key));
    return bt_json_put_f64(out, value);
}

static const char *json_bool(bool b) { return b ? "true" : "false"; }

static bt_status json_rope(const bt_model_file *f, bt_buf *out)
{
    const bt_rope *rope = &f->hp.rope;
    BT_TRY(bt_buf_format(out, "\"rope\": {\"pairs\": \"%s\", \"d_rot\": %d, \"scaling\": \"%s\", ",
                         rope_kind(rope), rope->d_rot, bt_rope_scaling_name(rope->scaling)));
    BT_TRY(json_f64(out, "base", rope->base));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_f64(out, "factor", rope->factor));
    return bt_buf_format(out, ", \"n_ctx_orig\": %d, \"factor_tensor\": %s}", rope->n_ctx_orig,
                         json_bool(bt_model_file_find(f, "rope_freqs.weight")));
}

static bt_status json_hparams(const bt_model_file *f, bt_buf *out)
{
    const bt_hparams *hp = &f->hp;
    BT_TRY(bt_buf_format(
        out,
        "\"hparams\": {\"family\": \"%s\", \"n_layer\": %d, \"n_head\": %d, \"n_kv\": %d, "
        "\"d_model\": %d, \"d_head\": %d, \"d_ff\": %d, \"n_vocab\": %d, \"n_ctx_train\": %d, ",
        bt_family_name(hp->family), hp->n_layer, hp->n_head, hp->n_kv, hp->d_model, hp->d_head,
        hp->d_ff, hp->n_vocab, hp->n_ctx_train));
    BT_TRY(bt_buf_text(out, "\"rms_eps\": "));
    BT_TRY(bt_json_put_f32(out, hp->rms_eps));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_rope(f, out));
    return bt_buf_format(
        out,
        ", \"window\": %d, \"n_window_layer\": %d, \"tie_embeddings\": %s, \"qkv_bias\": %s, "
        "\"out_bias\": %s, \"ffn_bias\": %s, \"qk_norm\": %s}",
        hp->window, n_window_layer(hp), json_bool(hp->tie_embeddings), json_bool(hp->qkv_bias),
        json_bool(hp->out_bias), json_bool(hp->ffn_bias), json_bool(hp->qk_norm));
}

static bt_status json_tokenizer(const bt_model_file *f, bt_buf *out)
{
    const bt_tokenizer *t = f->tokenizer;
    if (!t) return bt_buf_text(out, "\"tokenizer\": null");
    BT_TRY(bt_buf_format(
        out,
        "\"tokenizer\": {\"kind\": \"%s\", \"n_vocab\": %d, \"bos\": %d, \"eos\": %d, \"eot\": %d, "
        "\"unk\": %d, \"pad\": %d, \"adds_bos\": %s, \"adds_eos\": %s, \"ends\": [",
        bt_tokenizer_kind(t), bt_tokenizer_n_vocab(t), bt_tokenizer_bos(t), bt_tokenizer_eos(t),
        bt_tokenizer_eot(t), bt_tokenizer_unk(t), bt_tokenizer_pad(t),
        json_bool(bt_tokenizer_adds_bos(t)), json_bool(bt_tokenizer_adds_eos(t))));
    for (int32_t i = 0; i < f->n_eos; i++)
        BT_TRY(bt_buf_format(out, "%s%d", i ? ", " : "", f->eos[i]));
    BT_TRY(bt_buf_text(out, "], "));
    BT_TRY(json_text(out, "chat_template", bt_model_file_chat_template(f)));
    return bt_buf_text(out, "}");
}

static bt_status json_totals(const bt_model_file *f, bt_buf *out)
{
    totals t = count(f);
    BT_TRY(bt_buf_format(out,
                         "\"n_tensor\": %" PRId64 ", \"n_parameter\": %" PRIu64
                         ", \"n_bytes\": %" PRIu64 ", \"types\": [",
                         t.all.n_tensor, t.all.n_element, t.all.n_bytes));
    for (size_t i = 0; i < t.n_type; i++)
        BT_TRY(bt_buf_format(out,
                             "%s{\"type\": \"%s\", \"n_tensor\": %" PRId64
                             ", \"n_parameter\": %" PRIu64 ", \"n_bytes\": %" PRIu64 "}",
                             i ? ", " : "", t.type[i].name, t.type[i].n_tensor, t.type[i].n_element,
                             t.type[i].n_bytes));
    if (!f->has_hp) return bt_buf_text(out, "], \"memory\": null");
    BT_TRY(bt_buf_format(out,
                         "], \"memory\": {\"weight_bytes\": %" PRIu64
                         ", \"kv_bytes_per_token\": {\"f16\": %" PRIu64 ", \"bf16\": %" PRIu64
                         ", \"f32\": %" PRIu64,
                         t.all.n_bytes, kv_bytes(&f->hp, BT_F16), kv_bytes(&f->hp, BT_BF16),
                         kv_bytes(&f->hp, BT_F32)));
    if (f->hp.d_head % bt_dtype_block(BT_Q8_0) == 0)
        BT_TRY(bt_buf_format(out, ", \"q8_0\": %" PRIu64 ", \"q4_0\": %" PRIu64,
                             kv_bytes(&f->hp, BT_Q8_0), kv_bytes(&f->hp, BT_Q4_0)));
    return bt_buf_text(out, "}}");
}

static bt_status json_tensors(const bt_model_file *f, bt_buf *out)
{
    BT_TRY(bt_buf_text(out, "\"tensors\": ["));
    for (size_t i = 0; i < f->n_view; i++) {
        const bt_tensor_view *v = &f->view[i];
        BT_TRY(bt_buf_text(out, i ? ", {" : "{"));
        BT_TRY(json_text(out, "name", v->name));
        BT_TRY(bt_buf_format(out, ", \"type\": \"%s\", \"shape\": [", v->type_name));
        for (int32_t k = 0; k < v->desc.n_dim; k++)
            BT_TRY(bt_buf_format(out, "%s%" PRId64, k ? ", " : "", v->desc.dim[k]));
        BT_TRY(bt_buf_format(out, "], \"n_bytes\": %" PRIu64 "}", v->n_bytes));
    }
    return bt_buf_text(out, "]");
}

static bt_status report_json(const bt_model_file *f, bt_buf *out)
{
    BT_TRY(bt_buf_text(out, "{"));
    BT_TRY(json_text(out, "name", f->name));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_text(out, "path", f->path));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_text(out, "format", f->format));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_text(out, "problem", f->problem));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(f->has_hp ? json_hparams(f, out) : bt_buf_text(out, "\"hparams\": null"));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_tokenizer(f, out));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_totals(f, out));
    BT_TRY(bt_buf_text(out, ", "));
    BT_TRY(json_tensors(f, out));
    return bt_buf_text(out, "}\n");
}

bt_status bt_model_report(const bt_model_file *file, bool json, char **ret_text)
{
    bt_buf out = {0};
    bt_status st = json ? report_json(file, &out) : report_text(file, &out);
    if (st != BT_OK) {
        bt_buf_done(&out);
        return st;
    }
    *ret_text = out.data;
    return BT_OK;
}

void bt_model_text_free(char *text) { bt_free(text); }
