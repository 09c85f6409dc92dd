// SPDX-License-Identifier: Apache-2.0
/* hfvocab: what GGUF wants of a tokenizer, found in a tokenizer.json that text/ has opened before
 * (so ids and roles come from it). Two kinds exist: byte-level BPE ("gpt2": pieces, merges and the
 * name of a pre-tokenizer), and BPE over SentencePiece's marks ("llama": pieces and scores; a
 * piece's score is minus the rank of the first merge that makes it, which is the order both kinds
 * merge in). */
#include "model/file/hfvocab.h"
#include "base/bits.h"
#include "base/file.h"
#include "base/json.h"
#include "model/file/modelparts.h"
#include "text/pretok.h"
#include <stdio.h>
#include <string.h>

enum { JSON_BYTES_MAX = 256 << 20, SPLIT_MAX = 8 };

/* The pre-tokenizers looked for, by GGUF's names; prename.c has what they do. */
static const char *const known_pre[] = {
    "llama-bpe", "qwen2",  "gpt-2", "smollm",    "deepseek-llm", "deepseek-coder", "deepseek-v3",
    "gpt-4o",    "tekken", "dbrx",  "stablelm2", "qwen35",       "falcon"};

typedef struct vocab {
    bt_arena arena;
    const bt_tokenizer *tokenizer;
    json_t *doc, *model;
    int32_t n;      // ids: the rows of the embedding
    bt_name *piece; // [n]
    int32_t *type;  // [n] BT_PIECE_x
    float *score;   // [n], "llama" only
    bool byte_level;
} vocab;

/* ---- pieces ---- */

static bt_status set_piece(vocab *v, json_t *id, const char *text, int32_t type)
{
    BT_FAIL_IF(!json_is_integer(id), FORMAT, "the id of '%.64s' is no integer", text);
    json_int_t i = json_integer_value(id);
    BT_FAIL_IF(i < 0 || i >= v->n, FORMAT,
               "the id of '%.64s' is %lld, but the embedding has %d rows", text, (long long)i,
               v->n);
    v->piece[i] = (bt_name){text, strlen(text)};
    v->type[i] = type;
    return BT_OK;
}

static bool is_byte_piece(const char *text)
{
    return strlen(text) == 6 && !strncmp(text, "<0x", 3) && text[5] == '>' &&
           strspn(text + 3, "0123456789ABCDEF") == 2;
}

static bt_status read_pieces(vocab *v)
{
    json_t *table, *added, *value;
    const char *text, *unk;
    bool fallback;
    size_t i;
    BT_TRY(bt_json_get(v->model, "vocab", JSON_OBJECT, &table));
    BT_TRY(bt_json_opt_text(v->model, "unk_token", "", &unk));
    BT_TRY(bt_json_opt_bool(v->model, "byte_fallback", false, &fallback));
    json_object_foreach(table, text, value)
    {
        int32_t type = fallback && is_byte_piece(text) ? BT_PIECE_BYTE : BT_PIECE_NORMAL;
        BT_TRY(set_piece(v, value, text, type));
    }
    added = json_object_get(v->doc, "added_tokens");
    json_array_foreach(added, i, value)
    {
        bool special;
        BT_TRY(bt_json_get_text(value, "content", &text));
        BT_TRY(bt_json_opt_bool(value, "special", false, &special));
        int32_t type = !special                               ? BT_PIECE_USER
                       : !v->byte_level && !strcmp(text, unk) ? BT_PIECE_UNKNOWN
                                                              : BT_PIECE_CONTROL;
        BT_TRY(set_piece(v, json_object_get(value, "id"), text, type));
    }
    for (int32_t k = 0; k < v->n; k++) {
        char pad[24], *copy;
        if (v->piece[k].text) continue;
        size_t len = (size_t)snprintf(pad, sizeof pad, "[PAD%d]", k);
        BT_TRY(bt_arena_text(&v->arena, pad, len, &copy));
        v->piece[k] = (bt_name){copy, len};
        v->type[k] = BT_PIECE_UNUSED;
    }
    return BT_OK;
}

/* ---- merges ---- */

/* A merge as its two halves: ["a", "b"], or the older "a b". */
static bt_status split_merge(json_t *merge, bt_name *ret_left, bt_name *ret_right)
{
    const char *left = json_string_value(merge), *right = NULL;
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        left = json_string_value(json_array_get(merge, 0));
        right = json_string_value(json_array_get(merge, 1));
        BT_FAIL_IF(!left || !right, FORMAT, "a merge is not two strings");
        *ret_left = (bt_name){left, strlen(left)};
        *ret_right = (bt_name){right, strlen(right)};
        return BT_OK;
    }
    const char *space = left ? strchr(left, ' ') : NULL;
    BT_FAIL_IF(!space, FORMAT, "a merge is neither a pair nor 'left right'");
    *ret_left = (bt_name){left, (size_t)(space - left)};
    *ret_right = (bt_name){space + 1, strlen(space + 1)};
    return BT_OK;
}

static bt_status put_merges(bt_gguf_out *out, vocab *v, json_t *merges)
{
    bt_name *text, left, right;
    size_t n = json_array_size(merges);
    BT_TRY(bt_arena_array(&v->arena, n, sizeof *text, (void **)&text));
    for (size_t i = 0; i < n; i++) {
        char *pair;
        BT_TRY(split_merge(json_array_get(merges, i), &left, &right));
        bool spaced = memchr(left.text, ' ', left.len) || memchr(right.text, ' ', right.len);
        BT_FAIL_IF(spaced, UNSUPPORTED,
                   "a merge has a space inside a piece, which GGUF cannot say");
        size_t len = left.len + 1 + right.len;
        BT_TRY(bt_arena_array(&v->arena, len, 1, (void **)&pair));
        memcpy(pair, left.text, left.len);
        pair[left.len] = ' ';
        memcpy(pair + left.len + 1, right.text, right.len);
        text[i] = (bt_name){pair, len};
    }
    return bt_gguf_put_texts(out, "tokenizer.ggml.merges", text, n);
}

static bt_status read_scores(vocab *v, json_t *merges)
{
    bt_name_set set;
    int32_t *id_of;
    char joined[2 * BT_PIECE_BYTES_MAX + 1];
    size_t n = json_array_size(merges);
    BT_TRY(bt_name_set_init(&set, (size_t)v->n, &v->arena));
    BT_TRY(bt_arena_array(&v->arena, (size_t)v->n, sizeof *id_of, (void **)&id_of));
    for (int32_t i = 0; i < v->n; i++) {
        v->score[i] = v->type[i] == BT_PIECE_NORMAL ? -(float)n - 1 : 0;
        if (bt_name_set_add(&set, v->piece[i].text, v->piece[i].len)) id_of[set.n - 1] = i;
    }
    for (size_t i = n;
         i-- > 0;) { // backwards: the first merge that makes a piece has the last word
        bt_name left, right;
        BT_TRY(split_merge(json_array_get(merges, i), &left, &right));
        BT_FAIL_IF(left.len + right.len >= sizeof joined, LIMIT,
                   "a merge makes a piece of %zu bytes, at most %zu", left.len + right.len,
                   sizeof joined - 1);
        memcpy(joined, left.text, left.len);
        memcpy(joined + left.len, right.text, right.len);
        int64_t at = bt_name_set_find(&set, joined, left.len + right.len);
        BT_FAIL_IF(at < 0, FORMAT, "merge %zu makes a piece that is not in the vocabulary", i);
        v->score[id_of[at]] = -(float)i;
    }
    return BT_OK;
}

/* ---- the pre-tokenizer ---- */

/* The patterns that a pre-tokenizer cuts at, one after another. */
typedef struct splits {
    const char *pattern[SPLIT_MAX];
    int n;
    bool bytes; // ends in the byte alphabet
} splits;

static bt_status add_split(splits *s, const char *pattern)
{
    BT_FAIL_IF(s->n == SPLIT_MAX, UNSUPPORTED, "the pre-tokenizer has more than %d steps",
               SPLIT_MAX);
    s->pattern[s->n++] = pattern;
    return BT_OK;
}

static bt_status read_step(json_t *step, splits *s)
{
    const char *type, *pattern, *behaviour;
    bool flag;
    BT_TRY(bt_json_get_text(step, "type", &type));
    if (!strcmp(type, "ByteLevel")) {
        s->bytes = true;
        BT_TRY(bt_json_opt_bool(step, "add_prefix_space", true, &flag));
        BT_FAIL_IF(flag, UNSUPPORTED,
                   "the pre-tokenizer adds a space in front, which GGUF cannot say");
        BT_TRY(bt_json_opt_bool(step, "use_regex", true, &flag));
        return flag ? add_split(s, BT_PATTERN_GPT2) : BT_OK;
    }
    if (!strcmp(type, "Digits")) {
        BT_TRY(bt_json_opt_bool(step, "individual_digits", false, &flag));
        return add_split(s, flag ? "\\p{N}" : "\\p{N}+");
    }
    if (!strcmp(type, "Split")) {
        json_t *what;
        BT_TRY(bt_json_get(step, "pattern", JSON_OBJECT, &what));
        BT_TRY(bt_json_get_text(what, "Regex", &pattern));
        BT_TRY(bt_json_opt_text(step, "behavior", "", &behaviour));
        BT_TRY(bt_json_opt_bool(step, "invert", false, &flag));
        // "Removed" and inverted is how tiktoken's conversions spell "isolated"
        bool isolated =
            (!strcmp(behaviour, "Isolated") && !flag) || (!strcmp(behaviour, "Removed") && flag);
        if (isolated) return add_split(s, pattern);
    }
    return bt_fail(BT_UNSUPPORTED, "GGUF has no name for a pre-tokenizer with the step '%.64s'",
                   type);
}

static bt_status read_splits(json_t *pre, splits *s)
{
    const char *type;
    json_t *list, *step;
    size_t i;
    if (!json_is_object(pre)) return BT_OK;
    BT_TRY(bt_json_get_text(pre, "type", &type));
    if (strcmp(type, "Sequence")) return read_step(pre, s);
    BT_TRY(bt_json_get(pre, "pretokenizers", JSON_ARRAY, &list));
    json_array_foreach(list, i, step) BT_TRY(read_step(step, s));
    return BT_OK;
}

static bool same_splits(const splits *s, const bt_prename *named)
{
    int i = 0;
    for (; i < s->n && named->split[i]; i++)
        if (strcmp(s->pattern[i], named->split[i])) return false;
    return i == s->n && !named->split[i];
}

/* The name of the pre-tokenizer that cuts, normalizes and merges as the file says. */
static bt_status find_pre(const vocab *v, const splits *s, const char **ret_name)
{
    const char *normalizer = "";
    bool ignore_merges;
    json_t *norm = json_object_get(v->doc, "normalizer");
    if (json_is_object(norm)) BT_TRY(bt_json_get_text(norm, "type", &normalizer));
    BT_TRY(bt_json_opt_bool(v->model, "ignore_merges", false, &ignore_merges));
    for (size_t i = 0; i < BT_COUNT_OF(known_pre); i++) {
        const bt_prename *named = bt_prename_find(known_pre[i]);
        if (!named || !same_splits(s, named) || named->ignore_merges != ignore_merges) continue;
        if (strcmp(normalizer, named->nfc ? "NFC" : "")) continue;
        *ret_name = named->name;
        return BT_OK;
    }
    return bt_fail(BT_UNSUPPORTED,
                   "GGUF has no name for the pre-tokenizer with the pattern '%.200s'",
                   s->n ? s->pattern[0] : "");
}

/* ---- writing ---- */

/* Whether a space goes in front: a Prepend normalizer, or Metaspace with a prepend_scheme. */
static bool adds_space(const vocab *v)
{
    json_t *pre = json_object_get(v->doc, "pre_tokenizer"),
           *norm = json_object_get(v->doc, "normalizer"), *step;
    const char *scheme = json_string_value(json_object_get(pre, "prepend_scheme"));
    json_t *old = json_object_get(pre, "add_prefix_space");
    size_t i;
    if (scheme) return strcmp(scheme, "never") != 0;
    if (old) return json_is_true(old);
    json_array_foreach(json_object_get(norm, "normalizers"), i, step)
    {
        const char *type = json_string_value(json_object_get(step, "type"));
        if (type && !strcmp(type, "Prepend")) return true;
    }
    return false;
}

static bt_status put_id(bt_gguf_out *out, const char *key, int32_t id)
{
    return id < 0 ? BT_OK : bt_gguf_put_u32(out, key, (uint32_t)id);
}

/* End tokens beyond eos find a place under eot and eom: readers end a generation at all three. */
static bt_status put_ends(bt_gguf_out *out, const bt_model_file *file, const bt_tokenizer *t)
{
    int32_t n, eos = bt_tokenizer_eos(t), eot = bt_tokenizer_eot(t), eom = -1;
    const int32_t *end = bt_model_file_eos(file, &n);
    for (int32_t i = 0; i < n; i++) {
        if (end[i] == eos || end[i] == eot || end[i] == eom) continue;
        if (eos < 0)
            eos = end[i];
        else if (eot < 0)
            eot = end[i];
        else if (eom < 0)
            eom = end[i];
    }
    BT_TRY(put_id(out, "tokenizer.ggml.eos_token_id", eos));
    BT_TRY(put_id(out, "tokenizer.ggml.eot_token_id", eot));
    return put_id(out, "tokenizer.ggml.eom_token_id", eom);
}

static bt_status put_specials(bt_gguf_out *out, const bt_model_file *file, const bt_tokenizer *t)
{
    const char *template = bt_model_file_chat_template(file);
    BT_TRY(put_id(out, "tokenizer.ggml.bos_token_id", bt_tokenizer_bos(t)));
    BT_TRY(put_ends(out, file, t));
    BT_TRY(put_id(out, "tokenizer.ggml.unknown_token_id", bt_tokenizer_unk(t)));
    BT_TRY(put_id(out, "tokenizer.ggml.padding_token_id", bt_tokenizer_pad(t)));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_bos_token", bt_tokenizer_adds_bos(t)));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_eos_token", bt_tokenizer_adds_eos(t)));
    return template ? bt_gguf_put_text(out, "tokenizer.chat_template", template, strlen(template))
                    : BT_OK;
}

static bt_status put_vocab(bt_gguf_out *out, const bt_model_file *file, vocab *v)
{
    splits s = {0};
    json_t *merges;
    const char *type, *pre;
    BT_TRY(bt_json_get(v->doc, "model", JSON_OBJECT, &v->model));
    BT_TRY(bt_json_opt_text(v->model, "type", "BPE", &type));
    BT_FAIL_IF(strcmp(type, "BPE"), UNSUPPORTED,
               "a tokenizer of type '%.32s' cannot be written to GGUF; BPE can", type);
    BT_TRY(bt_json_get(v->model, "merges", JSON_ARRAY, &merges));
    const char *first =
        json_string_value(json_object_get(json_object_get(v->doc, "pre_tokenizer"), "type"));
    bool metaspace = !first || !strcmp(first, "Metaspace");
    if (!metaspace) BT_TRY(read_splits(json_object_get(v->doc, "pre_tokenizer"), &s));
    v->byte_level = s.bytes;
    BT_FAIL_IF(!metaspace && !s.bytes, UNSUPPORTED,
               "GGUF has no name for a pre-tokenizer of type '%.32s'", first);
    BT_TRY(read_pieces(v));
    const char *model = v->byte_level ? "gpt2" : "llama";
    BT_TRY(bt_gguf_put_text(out, "tokenizer.ggml.model", model, strlen(model)));
    BT_TRY(bt_gguf_put_texts(out, "tokenizer.ggml.tokens", v->piece, (size_t)v->n));
    BT_TRY(bt_gguf_put_array(out, "tokenizer.ggml.token_type", BT_GGUF_I32, v->type, (size_t)v->n));
    if (v->byte_level) {
        BT_TRY(find_pre(v, &s, &pre));
        BT_TRY(bt_gguf_put_text(out, "tokenizer.ggml.pre", pre, strlen(pre)));
        BT_TRY(put_merges(out, v, merges));
    } else {
        BT_TRY(read_scores(v, merges));
        BT_TRY(
            bt_gguf_put_array(out, "tokenizer.ggml.scores", BT_GGUF_F32, v->score, (size_t)v->n));
        BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_space_prefix", adds_space(v)));
    }
    return put_specials(out, file, v->tokenizer);
}

bt_status bt_hf_vocab_put(bt_gguf_out *out, const bt_model_file *file)
{
    vocab v = {.tokenizer = bt_model_file_tokenizer(file),
               .n = bt_model_file_hparams(file)->n_vocab};
    bt_buf path = {0}, text = {0};
    if (!v.tokenizer) return BT_OK;
    bt_arena_init(&v.arena, BT_MEM_MODEL);
    bt_status st;
    if ((st = bt_path_join(&path, bt_model_file_path(file), "tokenizer.json"))) goto done;
    if (!bt_file_exists(path.data)) {
        st = bt_fail(
            BT_UNSUPPORTED,
            "writing a tokenizer to GGUF needs a 'tokenizer.json', which the directory lacks");
        goto done;
    }
    if ((st = bt_file_read(path.data, JSON_BYTES_MAX, &text)) ||
        (st = bt_json_parse(text.data ? text.data : "", text.len, &v.doc)) ||
        (st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.piece, (void **)&v.piece)) ||
        (st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.type, (void **)&v.type)) ||
        (st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.score, (void **)&v.score)) ||
        (st = put_vocab(out, file, &v)))
        bt_fail_note("tokenizer.json");
done:
    json_decref(v.doc);
    bt_buf_done(&path);
    bt_buf_done(&text);
    bt_arena_done(&v.arena);
    return st;
}
