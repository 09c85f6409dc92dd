// SPDX-License-Identifier: Apache-2.0
/* gguf_model: what the keys of a GGUF file say about a model: hyperparameters, tokenizer, splits.
 * Source: github.com/ggerganov/ggml docs/gguf.md, sections "LLM" and "Tokenizer". */
#include "base/bits.h"
#include "model/file/modelparts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPLIT_MAX = 1000 };

/* A key of the architecture: "llama" + "block_count". */
static const char *arch_key(const char *arch, const char *part, char out[192])
{
    snprintf(out, 192, "%s.%s", arch, part);
    return out;
}

/* NUL-terminated copy of a text value; FORMAT when a NUL hides inside. */
static bt_status copy_text(bt_model_file *f, bt_name text, const char *key, char **ret)
{
    BT_FAIL_IF(text.len && memchr(text.text, 0, text.len), FORMAT,
               "key '%s' has a NUL byte in its text", key);
    return bt_arena_text(&f->arena, text.text, text.len, ret);
}

static bt_status opt_text(bt_model_file *f, const bt_gguf *g, const char *key, char **ret)
{
    bt_name text = {0};
    BT_TRY(bt_gguf_opt_text(g, key, &text));
    return text.text ? copy_text(f, text, key, ret) : BT_OK;
}

/* ---- hyperparameters ---- */

/* An integer that some writers give once for each layer: all must agree. */
static bt_status get_per_layer(const bt_gguf *g, const char *key, bool must, int64_t *ret)
{
    const bt_gguf_kv *kv = bt_gguf_find(g, key);
    if (!kv || kv->type != BT_GGUF_ARRAY)
        return must ? bt_gguf_get_i64(g, key, 0, INT32_MAX, ret)
                    : bt_gguf_opt_i64(g, key, 0, INT32_MAX, ret);
    BT_TRY(bt_gguf_opt_array(g, key, BT_GGUF_I32, &kv));
    BT_FAIL_IF(kv->n == 0, FORMAT, "key '%s' is an empty array", key);
    int64_t first = bt_gguf_i64_at(kv, 0);
    BT_FAIL_IF(first < 0 || first > INT32_MAX, FORMAT, "key '%s' holds %lld, must be from 0 to %d",
               key, (long long)first, INT32_MAX);
    for (uint64_t i = 1; i < kv->n; i++)
        BT_FAIL_IF(
            bt_gguf_i64_at(kv, i) != first, UNSUPPORTED,
            "key '%s' differs between layers (%lld, then %lld); only equal layers can be run", key,
            (long long)first, (long long)bt_gguf_i64_at(kv, i));
    *ret = first;
    return BT_OK;
}

static bt_status read_yarn(const bt_gguf *g, const char *arch, bt_rope *rope)
{
    char key[192];
    double attn = 1;
    rope->beta_fast = 32;
    rope->beta_slow = 1;
    BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.scaling.yarn_beta_fast", key), 1e-6, 1e6,
                           &rope->beta_fast));
    BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.scaling.yarn_beta_slow", key), 1e-6, 1e6,
                           &rope->beta_slow));
    BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.scaling.attn_factor", key), 1e-6, 1e6, &attn));
    // The key multiplies what the paper's formula gives (eq. 22).
    rope->attn_factor = attn * (rope->factor > 1 ? 0.1 * log(rope->factor) + 1 : 1);
    return BT_OK;
}

static bt_status read_scaling(const bt_gguf *g, const char *arch, const bt_hparams *hp,
                              bt_rope *rope)
{
    char key[192];
    bt_name type = {0};
    int64_t orig = hp->n_ctx_train;
    rope->factor = rope->attn_factor = 1;
    BT_TRY(bt_gguf_opt_text(g, arch_key(arch, "rope.scaling.type", key), &type));
    BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.scaling.factor", key), 0, 1e6, &rope->factor));
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "rope.scaling.original_context_length", key), 1,
                           BT_CTX_MAX, &orig));
    rope->n_ctx_orig = (int32_t)orig;
    if (!type.text) { // the key of older files
        BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.scale_linear", key), 0, 1e6, &rope->factor));
        type =
            rope->factor != 0 && rope->factor != 1 ? (bt_name){"linear", 6} : (bt_name){"none", 4};
    }
    if (rope->factor == 0) rope->factor = 1; // some writers spell "no scaling" so
    if (type.len == 4 && !memcmp(type.text, "none", 4)) {
        rope->factor = 1;
        return BT_OK;
    }
    if (type.len == 6 && !memcmp(type.text, "linear", 6)) {
        rope->scaling = BT_ROPE_SCALE_LINEAR;
        return BT_OK;
    }
    BT_FAIL_IF(type.len != 4 || memcmp(type.text, "yarn", 4), UNSUPPORTED,
               "rotary scaling '%.*s' is not supported; supported are none, linear, yarn",
               (int)bt_min_i64((int64_t)type.len, 64), type.text);
    rope->scaling = BT_ROPE_SCALE_YARN;
    return read_yarn(g, arch, rope);
}

static bt_status read_rope(const bt_gguf *g, const char *arch, bt_hparams *hp)
{
    char key[192];
    int64_t d_rot = hp->d_head;
    hp->rope.kind = bt_family_gguf_rope(hp->family);
    hp->rope.base = 10000;
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "rope.dimension_count", key), 1, INT32_MAX, &d_rot));
    BT_TRY(bt_gguf_opt_f64(g, arch_key(arch, "rope.freq_base", key), 1e-6, 1e12, &hp->rope.base));
    hp->rope.d_rot = (int32_t)d_rot;
    return read_scaling(g, arch, hp, &hp->rope);
}

static bt_status read_heads(const bt_gguf *g, const char *arch, bt_hparams *hp)
{
    char key[192];
    int64_t n_head = 0, n_kv, d_head, d_value;
    BT_TRY(get_per_layer(g, arch_key(arch, "attention.head_count", key), true, &n_head));
    BT_FAIL_IF(n_head < 1 || n_head > BT_HEAD_MAX, FORMAT, "key '%s' is %lld, must be from 1 to %d",
               key, (long long)n_head, BT_HEAD_MAX);
    n_kv = n_head;
    BT_TRY(get_per_layer(g, arch_key(arch, "attention.head_count_kv", key), false, &n_kv));
    d_head = hp->d_model / n_head;
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "attention.key_length", key), 1, INT32_MAX, &d_head));
    bool given = bt_gguf_find(g, key) != NULL;
    BT_FAIL_IF(!given && hp->d_model % n_head, FORMAT,
               "the model width %d is no multiple of the %lld heads", hp->d_model,
               (long long)n_head);
    d_value = d_head;
    BT_TRY(
        bt_gguf_opt_i64(g, arch_key(arch, "attention.value_length", key), 1, INT32_MAX, &d_value));
    BT_FAIL_IF(d_value != d_head, UNSUPPORTED,
               "keys have %lld and values %lld elements a head; they must be equal",
               (long long)d_head, (long long)d_value);
    hp->n_head = (int32_t)n_head;
    hp->n_kv = (int32_t)n_kv;
    hp->d_head = (int32_t)d_head;
    return BT_OK;
}

static bt_status read_widths(const bt_model_file *f, const bt_gguf *g, const char *arch,
                             bt_hparams *hp)
{
    char key[192];
    int64_t n_layer = 0, d_model = 0, d_ff = 0, n_ctx = 0, n_expert = 0;
    double eps = 0;
    BT_TRY(bt_gguf_get_i64(g, arch_key(arch, "block_count", key), 1, BT_LAYER_MAX, &n_layer));
    BT_TRY(bt_gguf_get_i64(g, arch_key(arch, "embedding_length", key), 1, BT_WIDTH_MAX, &d_model));
    BT_TRY(bt_gguf_get_i64(g, arch_key(arch, "context_length", key), 1, BT_CTX_MAX, &n_ctx));
    BT_TRY(get_per_layer(g, arch_key(arch, "feed_forward_length", key), true, &d_ff));
    BT_TRY(bt_gguf_get_f64(g, arch_key(arch, "attention.layer_norm_rms_epsilon", key), 0, 0.999,
                           &eps));
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "expert_count", key), 0, INT32_MAX, &n_expert));
    BT_FAIL_IF(n_expert > 0, UNSUPPORTED,
               "the model has %lld experts; mixtures of experts are not supported",
               (long long)n_expert);
    const bt_tensor_view *embd = bt_model_file_find(f, "token_embd.weight");
    BT_FAIL_IF(!embd, NOTFOUND, "there is no tensor 'token_embd.weight'");
    hp->n_vocab = (int32_t)bt_min_i64(embd->desc.dim[0], BT_VOCAB_MAX + 1);
    hp->n_layer = (int32_t)n_layer;
    hp->d_model = (int32_t)d_model;
    hp->d_ff = (int32_t)d_ff;
    hp->n_ctx_train = (int32_t)n_ctx;
    hp->rms_eps = (float)eps;
    return BT_OK;
}

static bt_status read_window(const bt_gguf *g, const char *arch, bt_hparams *hp)
{
    char key[192];
    int64_t window = 0;
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "attention.sliding_window", key), 0, BT_CTX_MAX,
                           &window));
    hp->window = (int32_t)window;
    if (window) memset(hp->window_layer, 0xff, sizeof hp->window_layer);
    return BT_OK;
}

static bt_status check_token_count(const bt_gguf *g, const char *arch, const bt_hparams *hp)
{
    char key[192];
    int64_t n = hp->n_vocab;
    const bt_gguf_kv *tokens;
    BT_TRY(bt_gguf_opt_i64(g, arch_key(arch, "vocab_size", key), 0, INT32_MAX, &n));
    BT_FAIL_IF(n != hp->n_vocab, FORMAT, "key '%s' is %lld, but the embedding has %d rows", key,
               (long long)n, hp->n_vocab);
    BT_TRY(bt_gguf_opt_array(g, "tokenizer.ggml.tokens", BT_GGUF_TEXT, &tokens));
    BT_FAIL_IF(tokens && tokens->n != (uint64_t)hp->n_vocab, FORMAT,
               "the vocabulary has %llu tokens, but the embedding %d rows",
               (unsigned long long)tokens->n, hp->n_vocab);
    return BT_OK;
}

static bt_status read_hparams(bt_model_file *f, const bt_gguf *g)
{
    bt_hparams hp = {0};
    char *arch = NULL;
    bt_family family;
    BT_TRY(opt_text(f, g, "general.architecture", &arch));
    BT_FAIL_IF(!arch, FORMAT, "key 'general.architecture' is missing");
    BT_TRY(bt_family_from_gguf(arch, &family));
    bt_hparams_family(&hp, family);
    BT_TRY(read_widths(f, g, arch, &hp));
    BT_TRY(read_heads(g, arch, &hp));
    BT_TRY(read_rope(g, arch, &hp));
    BT_TRY(read_window(g, arch, &hp));
    BT_TRY(bt_hparams_check(&hp));
    BT_TRY(check_token_count(g, arch, &hp));
    f->hp = hp;
    f->has_hp = true;
    return BT_OK;
}

/* ---- tokenizer ---- */

static const struct {
    const char *model;
    bt_vocab_kind kind;
} vocab_kinds[] = {{"gpt2", BT_VOCAB_BPE}, {"llama", BT_VOCAB_SPM}, {"t5", BT_VOCAB_UNIGRAM}};

static bt_status vocab_kind(const char *model, bt_vocab_kind *ret)
{
    for (size_t i = 0; i < BT_COUNT_OF(vocab_kinds); i++)
        if (!strcmp(model, vocab_kinds[i].model)) {
            *ret = vocab_kinds[i].kind;
            return BT_OK;
        }
    return bt_fail(BT_UNSUPPORTED, "tokenizer '%s' is not supported; supported are gpt2, llama, t5",
                   model);
}

/* An array with one entry for each token, or absent (NULL). */
static bt_status token_array(const bt_gguf *g, const char *key, bt_gguf_type item, uint64_t n,
                             const bt_gguf_kv **ret)
{
    BT_TRY(bt_gguf_opt_array(g, key, item, ret));
    BT_FAIL_IF(*ret && (*ret)->n != n, FORMAT,
               "key '%s' has %llu entries, but there are %llu tokens", key,
               (unsigned long long)(*ret)->n, (unsigned long long)n);
    return BT_OK;
}

static bt_status copy_texts(bt_model_file *f, const bt_gguf_kv *kv, const bt_slice **ret)
{
    bt_slice *slice;
    BT_TRY(bt_arena_array(&f->arena, (size_t)kv->n, sizeof *slice, (void **)&slice));
    for (uint64_t i = 0; i < kv->n; i++) slice[i] = (bt_slice){kv->text[i].text, kv->text[i].len};
    *ret = slice;
    return BT_OK;
}

static bt_status read_pieces(bt_model_file *f, const bt_gguf *g, const bt_gguf_kv *tokens,
                             bt_vocab_spec *spec)
{
    const bt_gguf_kv *scores, *types, *merges;
    float *score;
    int32_t *type;
    BT_FAIL_IF(tokens->n < 1 || tokens->n > BT_VOCAB_MAX, FORMAT,
               "the vocabulary has %llu tokens, must be 1 to %d", (unsigned long long)tokens->n,
               BT_VOCAB_MAX);
    spec->n_piece = (int32_t)tokens->n;
    BT_TRY(copy_texts(f, tokens, &spec->piece));
    BT_TRY(token_array(g, "tokenizer.ggml.scores", BT_GGUF_F32, tokens->n, &scores));
    if (scores && spec->kind != BT_VOCAB_BPE) {
        BT_TRY(bt_arena_array(&f->arena, (size_t)tokens->n, sizeof *score, (void **)&score));
        memcpy(score, scores->data, (size_t)tokens->n * sizeof *score);
        spec->score = score;
    }
    BT_FAIL_IF(!scores && spec->kind != BT_VOCAB_BPE, FORMAT,
               "key 'tokenizer.ggml.scores' is missing");
    BT_TRY(token_array(g, "tokenizer.ggml.token_type", BT_GGUF_I32, tokens->n, &types));
    if (types) {
        BT_TRY(bt_arena_array(&f->arena, (size_t)tokens->n, sizeof *type, (void **)&type));
        for (uint64_t i = 0; i < tokens->n; i++) {
            int64_t t = bt_gguf_i64_at(types, i);
            BT_FAIL_IF(t < 0 || t > BT_PIECE_BYTE, FORMAT,
                       "token %llu has type %lld, must be 0 to %d", (unsigned long long)i,
                       (long long)t, BT_PIECE_BYTE);
            type[i] =
                t ? (int32_t)t : BT_PIECE_NORMAL; // 0 is "undefined": some writers leave it so
        }
        spec->type = type;
    }
    BT_TRY(bt_gguf_opt_array(g, "tokenizer.ggml.merges", BT_GGUF_TEXT, &merges));
    if (merges && spec->kind == BT_VOCAB_BPE) {
        BT_FAIL_IF(merges->n > BT_VOCAB_MAX * 4, LIMIT, "%llu merges, at most %d",
                   (unsigned long long)merges->n, BT_VOCAB_MAX * 4);
        BT_TRY(copy_texts(f, merges, &spec->merge));
        spec->n_merge = (int32_t)merges->n;
    }
    return BT_OK;
}

/* A special token's id; -1 (and the writers' other ways of saying "none") stays -1. */
static bt_status read_id(const bt_gguf *g, const char *key, int32_t n_piece, int32_t *ret)
{
    int64_t id = -1;
    BT_TRY(bt_gguf_opt_i64(g, key, -1, UINT32_MAX, &id));
    if (id == UINT32_MAX) id = -1;
    BT_FAIL_IF(id >= n_piece, FORMAT, "key '%s' is %lld, but there are %d tokens", key,
               (long long)id, n_piece);
    *ret = (int32_t)id;
    return BT_OK;
}

static bt_status read_flag(const bt_gguf *g, const char *key, int8_t *ret)
{
    bool value;
    if (!bt_gguf_find(g, key)) return BT_OK;
    BT_TRY(bt_gguf_opt_bool(g, key, &value));
    *ret = value;
    return BT_OK;
}

static bt_status read_specials(bt_model_file *f, const bt_gguf *g, bt_vocab_spec *spec)
{
    const bt_gguf_kv *charsmap;
    char *pre = NULL, *template = NULL;
    BT_TRY(read_id(g, "tokenizer.ggml.bos_token_id", spec->n_piece, &spec->bos));
    BT_TRY(read_id(g, "tokenizer.ggml.eos_token_id", spec->n_piece, &spec->eos));
    BT_TRY(read_id(g, "tokenizer.ggml.eot_token_id", spec->n_piece, &spec->eot));
    BT_TRY(read_id(g, "tokenizer.ggml.eom_token_id", spec->n_piece, &spec->eom));
    BT_TRY(read_id(g, "tokenizer.ggml.unknown_token_id", spec->n_piece, &spec->unk));
    BT_TRY(read_id(g, "tokenizer.ggml.padding_token_id", spec->n_piece, &spec->pad));
    BT_TRY(read_flag(g, "tokenizer.ggml.add_bos_token", &spec->add_bos));
    BT_TRY(read_flag(g, "tokenizer.ggml.add_eos_token", &spec->add_eos));
    BT_TRY(read_flag(g, "tokenizer.ggml.add_space_prefix", &spec->add_space_prefix));
    BT_TRY(
        read_flag(g, "tokenizer.ggml.remove_extra_whitespaces", &spec->remove_extra_whitespaces));
    BT_TRY(opt_text(f, g, "tokenizer.ggml.pre", &pre));
    BT_TRY(opt_text(f, g, "tokenizer.chat_template", &template));
    spec->pre = pre;
    spec->chat_template = template;
    const bt_gguf_kv *kv = bt_gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
    if (!kv) return BT_OK;
    bool bytes = kv->type == BT_GGUF_ARRAY && (kv->item == BT_GGUF_I8 || kv->item == BT_GGUF_U8);
    BT_TRY(bt_gguf_opt_array(g, "tokenizer.ggml.precompiled_charsmap",
                             bytes ? kv->item : BT_GGUF_U8, &charsmap));
    spec->charsmap = charsmap->data;
    spec->charsmap_len = (size_t)charsmap->n;
    return BT_OK;
}

/* The keys cannot say in full what a tokenizer.json with marks does, so that it may come along. */
static bt_status build_tokenizer(bt_model_file *f, const bt_gguf *g, const bt_vocab_spec *spec)
{
    bt_name json = {0};
    if (spec->kind != BT_VOCAB_BPE)
        BT_TRY(bt_gguf_opt_text(g, "tokenizer.huggingface.json", &json));
    if (json.text) return bt_tokenizer_new_json(json.text, json.len, spec, &f->tokenizer);
    return bt_tokenizer_new(spec, &f->tokenizer);
}

static bt_status read_tokenizer(bt_model_file *f, const bt_gguf *g)
{
    bt_vocab_spec spec = bt_vocab_spec_empty();
    const bt_gguf_kv *tokens;
    char *model = NULL;
    BT_TRY(opt_text(f, g, "tokenizer.ggml.model", &model));
    BT_TRY(bt_gguf_opt_array(g, "tokenizer.ggml.tokens", BT_GGUF_TEXT, &tokens));
    if ((!model || !strcmp(model, "none")) && !tokens) return BT_OK; // a model without a tokenizer
    BT_FAIL_IF(!model, FORMAT, "key 'tokenizer.ggml.model' is missing");
    BT_FAIL_IF(!tokens, FORMAT, "key 'tokenizer.ggml.tokens' is missing");
    BT_TRY(vocab_kind(model, &spec.kind));
    BT_TRY(read_pieces(f, g, tokens, &spec));
    BT_TRY(read_specials(f, g, &spec));
    bt_status st = build_tokenizer(f, g, &spec);
    if (st != BT_OK) bt_fail_note("tokenizer");
    return st;
}

/* ---- the file ---- */

static bt_status add_tensors(bt_model_file *f, const bt_gguf *g)
{
    for (size_t i = 0; i < g->n_tensor; i++) {
        const bt_gguf_tensor *t = &g->tensor[i];
        bt_tensor_view view = {.name = t->name,
                               .desc = t->desc,
                               .data = g->bytes + t->offset,
                               .n_bytes = t->n_bytes,
                               .type_name = bt_gguf_tensor_type_name(t->type)};
        BT_TRY(bt_parts_view(f, &view));
    }
    return BT_OK;
}

static bt_status read_facts(bt_model_file *f, const bt_gguf *g)
{
    char *name = NULL;
    bt_gguf *keep;
    BT_TRY(bt_arena_array(&f->arena, 1, sizeof *keep, (void **)&keep));
    *keep = *g;
    f->gguf = keep;
    BT_TRY(opt_text(f, g, "general.name", &name));
    if (name && *name) f->name = name;
    char format[32];
    snprintf(format, sizeof format, "GGUF v%u", g->version);
    BT_TRY(bt_arena_text(&f->arena, format, strlen(format), &f->format));
    BT_TRY(bt_parts_problem(f, read_hparams(f, g), false));
    return bt_parts_problem(f, read_tokenizer(f, g), true);
}

bt_status bt_gguf_model_load(bt_model_file *f, const uint8_t *bytes, size_t len)
{
    bt_gguf g;
    int64_t n_split = 1;
    BT_TRY(bt_gguf_parse(bytes, len, &f->arena, &g));
    BT_TRY(bt_gguf_opt_i64(&g, "split.count", 0, SPLIT_MAX, &n_split));
    BT_FAIL_IF(n_split > 1, INVALID, "this is one of %lld split files and cannot be opened alone",
               (long long)n_split);
    BT_TRY(bt_parts_room(f, g.n_tensor));
    BT_TRY(add_tensors(f, &g));
    return read_facts(f, &g);
}

static bt_status map_file(bt_model_file *f, const char *path)
{
    BT_TRY(bt_file_map(&f->map[f->n_map], path));
    f->n_map++;
    return BT_OK;
}

/* "x-00001-of-00003.gguf" -> "x-00002-of-00003.gguf"; the name must be that of the first. */
static bt_status split_path(const char *first, int64_t i, int64_t n, bt_buf *ret_path)
{
    char tail[40];
    snprintf(tail, sizeof tail, "-00001-of-%05lld.gguf", (long long)n);
    size_t len = strlen(first), n_tail = strlen(tail);
    BT_FAIL_IF(len < n_tail || strcmp(first + len - n_tail, tail), INVALID,
               "the model is split into %lld files: open the first, whose name ends in '%s'",
               (long long)n, tail);
    return bt_buf_format(ret_path, "%.*s-%05lld-of-%05lld.gguf", (int)(len - n_tail), first,
                         (long long)i + 1, (long long)n);
}

static bt_status parse_split(bt_model_file *f, const char *first, int64_t i, int64_t n,
                             bt_gguf *ret_gguf)
{
    bt_buf path = {0};
    int64_t no = -1;
    bt_status st = split_path(first, i, n, &path);
    if (st == BT_OK && i > 0) st = map_file(f, path.data);
    if (st == BT_OK && i > 0)
        st = bt_gguf_parse(f->map[i].bytes, f->map[i].len, &f->arena, ret_gguf);
    if (st == BT_OK) st = bt_gguf_get_i64(ret_gguf, "split.no", 0, SPLIT_MAX, &no);
    if (st == BT_OK && no != i)
        st = bt_fail(BT_FORMAT, "it says it is number %lld of the split, must be %lld",
                     (long long)no, (long long)i);
    if (st != BT_OK && path.data) bt_fail_note("split '%s'", path.data);
    bt_buf_done(&path);
    return st;
}

/* All files of a split model; `part[0]` is parsed already. */
static bt_status open_splits(bt_model_file *f, const char *path, bt_gguf *part, int64_t n)
{
    size_t n_tensor = 0;
    int64_t n_claimed;
    for (int64_t i = 0; i < n; i++) {
        BT_TRY(parse_split(f, path, i, n, &part[i]));
        n_tensor += part[i].n_tensor;
    }
    n_claimed = (int64_t)n_tensor;
    BT_TRY(bt_gguf_opt_i64(&part[0], "split.tensors.count", 0, INT32_MAX, &n_claimed));
    BT_FAIL_IF(n_claimed != (int64_t)n_tensor, FORMAT,
               "the split claims %lld tensors, but its files have %zu", (long long)n_claimed,
               n_tensor);
    BT_TRY(bt_parts_room(f, n_tensor));
    for (int64_t i = 0; i < n; i++) BT_TRY(add_tensors(f, &part[i]));
    return BT_OK;
}

bt_status bt_gguf_model_open(bt_model_file *f, const char *path)
{
    bt_file file;
    bt_gguf first, *part;
    int64_t n = 1;
    BT_TRY(bt_arena_array(&f->arena, SPLIT_MAX, sizeof *f->map, (void **)&f->map));
    BT_TRY(map_file(f, path));
    file = f->map[0];
    BT_TRY(bt_gguf_parse(file.bytes, file.len, &f->arena, &first));
    BT_TRY(bt_gguf_opt_i64(&first, "split.count", 0, SPLIT_MAX, &n));
    if (n < 1) n = 1;
    BT_TRY(bt_arena_array(&f->arena, (size_t)n, sizeof *part, (void **)&part));
    part[0] = first;
    if (n > 1) {
        BT_TRY(open_splits(f, path, part, n));
    } else {
        BT_TRY(bt_parts_room(f, first.n_tensor));
        BT_TRY(add_tensors(f, &first));
    }
    return read_facts(f, &first);
}

bt_status bt_model_file_from_bytes(const uint8_t *bytes, size_t len, void *owned, const char *name,
                                   bt_model_use use, bt_model_file **ret_file)
{
    bt_model_file *f = NULL;
    bt_status st = bt_parts_new(name, use, &f);
    if (st != BT_OK || (st = bt_gguf_model_load(f, bytes, len)) || (st = bt_parts_finish(f)))
        goto fail;
    f->owned = owned;
    *ret_file = f;
    return BT_OK;
fail:
    bt_fail_note("opening '%s'", name);
    bt_model_file_close(f);
    return st;
}
