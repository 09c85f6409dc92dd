// SPDX-License-Identifier: Apache-2.0
/* hfvocab: what GGUF wants of a tokenizer, found in a directory that text/ has opened before (so ids
 * and roles come from it). Three kinds exist: byte-level BPE ("gpt2": pieces, merges and the name
 * of a pre-tokenizer), BPE over SentencePiece's marks ("llama": pieces and scores) and unigram
 * ("t5": the same). The last two come from a tokenizer.model, which has what GGUF asks for, or from
 * a tokenizer.json. There a BPE piece's score is minus the rank of the first merge that makes it,
 * which is the order both kinds merge in; and where GGUF's flags do not say all that the document
 * does, it travels along under the key that GGUF has for it, and gguf_model reads that. */
#include "model/file/hfvocab.h"
#include "base/bits.h"
#include "base/file.h"
#include "model/file/hfpipe.h"
#include "model/file/modelparts.h"
#include "text/file/spmodel.h"
#include "text/tokcore.h"
#include <stdio.h>
#include <string.h>

enum { JSON_BYTES_MAX = 256 << 20 };

typedef struct vocab {
    bt_arena arena;
    const bt_tokenizer *tokenizer;
    json_t *doc, *model; // of tokenizer.json; NULL: there is a tokenizer.model
    int32_t n;           // ids: the rows of the embedding
    bt_name *piece;      // [n]
    int32_t *type;       // [n] BT_PIECE_x
    float *score;        // [n], not for "gpt2"
    bool byte_level;
    bool add_space_prefix, remove_extra_whitespaces; // not for "gpt2"
    bt_name charsmap;                                // precompiled_charsmap; text NULL: none
    int32_t unk;                                     // what unknown text becomes, -1: nothing
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

/* Rows of the embedding that no piece has: the lowest score, so that they take part in nothing. */
static bt_status fill_gaps(vocab *v)
{
    float lowest = 0;
    for (int32_t i = 0; i < v->n; i++)
        if (v->score[i] < lowest) lowest = v->score[i];
    for (int32_t i = 0; i < v->n; i++) {
        char pad[24], *copy;
        if (v->piece[i].text) continue;
        size_t len = (size_t)snprintf(pad, sizeof pad, "[PAD%d]", i);
        BT_TRY(bt_arena_text(&v->arena, pad, len, &copy));
        v->piece[i] = (bt_name){copy, len};
        v->type[i] = BT_PIECE_UNUSED;
        v->score[i] = lowest - 1;
    }
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
    return fill_gaps(v);
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
        v->score[i] = v->type[i] == BT_PIECE_NORMAL   ? -(float)n - 1
                      : v->type[i] == BT_PIECE_UNUSED ? -(float)n - 2
                                                      : 0;
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

/* ---- unigram ---- */

/* A map as it lay in the file: text/ keeps its parts. */
static bt_status join_charsmap(vocab *v, const bt_charsmap *map)
{
    uint32_t n_trie = (uint32_t)(map->n_unit * sizeof *map->unit);
    char *bytes;
    v->charsmap.len = sizeof n_trie + n_trie + map->text_len;
    BT_TRY(bt_arena_array(&v->arena, v->charsmap.len, 1, (void **)&bytes));
    memcpy(bytes, &n_trie, sizeof n_trie);
    memcpy(bytes + sizeof n_trie, map->unit, n_trie);
    memcpy(bytes + sizeof n_trie + n_trie, map->text, map->text_len);
    v->charsmap.text = bytes;
    return BT_OK;
}

/* Pieces, scores and types as text/ has them: the document spells each out, and so do they. */
static bt_status read_unigram(vocab *v)
{
    const bt_tokenizer *t = v->tokenizer;
    for (int32_t i = 0; i < t->vocab.n; i++) {
        v->piece[i] = (bt_name){t->vocab.key[i].text, t->vocab.key[i].len};
        v->type[i] = t->vocab.type[i];
        v->score[i] = (float)t->vocab.score[i];
    }
    for (int32_t i = 0; i < t->n_added; i++)
        v->piece[t->added[i].id] = (bt_name){t->added[i].text.text, t->added[i].text.len};
    for (int i = 0; i < t->norm.n_step; i++)
        if (t->norm.step[i].kind == NORM_CHARSMAP_GRAPHEMES)
            BT_TRY(join_charsmap(v, &t->norm.step[i].charsmap));
    return fill_gaps(v);
}

/* ---- the document itself ---- */

static json_t *added_node(const bt_added *a)
{
    return json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (int)a->id, "content",
                     a->text.text, a->text.len, "single_word", a->single_word, "lstrip", a->lstrip,
                     "rstrip", a->rstrip, "normalized", a->normalized, "special", a->special);
}

static int add_dump(const char *bytes, size_t len, void *buf)
{
    return bt_buf_add(buf, bytes, len) == BT_OK ? 0 : -1;
}

/* tokenizer.json, with the tokens that tokenizer_config.json adds. */
static bt_status put_document(bt_gguf_out *out, const vocab *v)
{
    const bt_tokenizer *t = v->tokenizer;
    json_t *added = json_array();
    bt_buf text = {0};
    bool made = added != NULL;
    for (int32_t i = 0; made && i < t->n_added; i++)
        made = json_array_append_new(added, added_node(&t->added[i])) == 0;
    made = made && json_object_set(v->doc, "added_tokens", added) == 0 &&
           json_dump_callback(v->doc, add_dump, &text, JSON_COMPACT) == 0;
    json_decref(added);
    bt_status st = made ? bt_gguf_put_text(out, "tokenizer.huggingface.json", text.data, text.len)
                        : bt_fail(BT_NOMEM, "out of memory for the copy of tokenizer.json");
    bt_buf_done(&text);
    return st;
}

/* ---- writing ---- */

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

/* Around a text GGUF can put bos and eos, each once. */
static bt_status check_around(const bt_tokenizer *t)
{
    bool before = t->n_before == 0 || (t->n_before == 1 && t->before[0] == t->bos);
    bool after = t->n_after == 0 || (t->n_after == 1 && t->after[0] == t->eos);
    BT_FAIL_IF(!before, UNSUPPORTED,
               "%d tokens, the first of them %d, go before a text; GGUF can put bos (%d) there",
               t->n_before, t->before[0], t->bos);
    BT_FAIL_IF(!after, UNSUPPORTED,
               "%d tokens, the first of them %d, go after a text; GGUF can put eos (%d) there",
               t->n_after, t->after[0], t->eos);
    return BT_OK;
}

static bt_status put_specials(bt_gguf_out *out, const bt_model_file *file, const vocab *v)
{
    const bt_tokenizer *t = v->tokenizer;
    const char *template = bt_model_file_chat_template(file);
    BT_TRY(check_around(t));
    BT_TRY(put_id(out, "tokenizer.ggml.bos_token_id", bt_tokenizer_bos(t)));
    BT_TRY(put_ends(out, file, t));
    BT_TRY(put_id(out, "tokenizer.ggml.unknown_token_id", v->unk));
    BT_TRY(put_id(out, "tokenizer.ggml.padding_token_id", bt_tokenizer_pad(t)));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_bos_token", bt_tokenizer_adds_bos(t)));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_eos_token", bt_tokenizer_adds_eos(t)));
    return template ? bt_gguf_put_text(out, "tokenizer.chat_template", template, strlen(template))
                    : BT_OK;
}

static bt_status put_pieces(bt_gguf_out *out, const vocab *v, const char *model, const char *pre)
{
    size_t n = (size_t)v->n;
    BT_TRY(bt_gguf_put_text(out, "tokenizer.ggml.model", model, strlen(model)));
    BT_TRY(bt_gguf_put_text(out, "tokenizer.ggml.pre", pre, strlen(pre)));
    BT_TRY(bt_gguf_put_texts(out, "tokenizer.ggml.tokens", v->piece, n));
    BT_TRY(bt_gguf_put_array(out, "tokenizer.ggml.token_type", BT_GGUF_I32, v->type, n));
    if (v->byte_level) return BT_OK;
    BT_TRY(bt_gguf_put_array(out, "tokenizer.ggml.scores", BT_GGUF_F32, v->score, n));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.add_space_prefix", v->add_space_prefix));
    BT_TRY(bt_gguf_put_bool(out, "tokenizer.ggml.remove_extra_whitespaces",
                            v->remove_extra_whitespaces));
    if (!v->charsmap.len) return BT_OK;
    return bt_gguf_put_array(out, "tokenizer.ggml.precompiled_charsmap", BT_GGUF_U8,
                             v->charsmap.text, v->charsmap.len);
}

static bt_status put_byte_level(bt_gguf_out *out, vocab *v, const char *pre)
{
    json_t *merges;
    BT_TRY(bt_json_get(v->model, "merges", JSON_ARRAY, &merges));
    v->byte_level = true;
    BT_TRY(read_pieces(v));
    BT_TRY(put_pieces(out, v, "gpt2", pre));
    return put_merges(out, v, merges);
}

static bt_status put_marked(bt_gguf_out *out, vocab *v, bool unigram)
{
    bt_hf_spaces spaces;
    json_t *merges;
    BT_TRY(bt_hf_spaces_read(v->doc, &spaces));
    v->add_space_prefix = spaces.prefix;
    v->remove_extra_whitespaces = spaces.squeeze;
    if (unigram) {
        BT_TRY(read_unigram(v));
        BT_TRY(put_pieces(out, v, "t5", "default"));
        return put_document(out, v);
    }
    BT_FAIL_IF(spaces.charsmap, UNSUPPORTED, "GGUF cannot say the normalizer 'Precompiled' of BPE");
    BT_FAIL_IF(spaces.squeeze, UNSUPPORTED, "GGUF cannot say that BPE drops spaces");
    BT_TRY(bt_json_get(v->model, "merges", JSON_ARRAY, &merges));
    BT_TRY(read_pieces(v));
    BT_TRY(read_scores(v, merges));
    BT_TRY(put_pieces(out, v, "llama", "default"));
    return spaces.plain ? BT_OK : put_document(out, v);
}

static bt_status put_json(bt_gguf_out *out, vocab *v, const char *path)
{
    bt_buf text = {0};
    const char *type, *pre;
    bt_status st = bt_file_read(path, JSON_BYTES_MAX, &text);
    if (!st) st = bt_json_parse(text.data ? text.data : "", text.len, &v->doc);
    bt_buf_done(&text);
    BT_TRY(st);
    BT_TRY(bt_json_get(v->doc, "model", JSON_OBJECT, &v->model));
    bool unigram = v->tokenizer->model == TOK_UNIGRAM;
    BT_TRY(bt_json_opt_text(v->model, "type", unigram ? "Unigram" : "BPE", &type));
    BT_FAIL_IF(strcmp(type, unigram ? "Unigram" : "BPE"), FORMAT,
               "a tokenizer of type '%.32s', which was another one a moment ago", type);
    v->unk = bt_tokenizer_unk(v->tokenizer);
    if (unigram) return put_marked(out, v, true);
    BT_TRY(bt_hf_pre_name(v->doc, &pre));
    return pre ? put_byte_level(out, v, pre) : put_marked(out, v, false);
}

static bt_status put_spmodel(bt_gguf_out *out, vocab *v, const bt_vocab_spec *spec)
{
    BT_FAIL_IF(spec->n_piece > v->n, FORMAT, "%d pieces, but the embedding has %d rows",
               spec->n_piece, v->n);
    for (int32_t i = 0; i < spec->n_piece; i++) {
        if (spec->piece[i].len) v->piece[i] = (bt_name){spec->piece[i].text, spec->piece[i].len};
        v->type[i] = spec->type[i];
        v->score[i] = spec->score[i];
        if (spec->type[i] == BT_PIECE_UNKNOWN) v->unk = i;
    }
    BT_TRY(fill_gaps(v));
    v->add_space_prefix = spec->add_space_prefix;
    v->remove_extra_whitespaces = spec->remove_extra_whitespaces;
    v->charsmap = (bt_name){(const char *)spec->charsmap, spec->charsmap_len};
    return put_pieces(out, v, spec->kind == BT_VOCAB_UNIGRAM ? "t5" : "llama", "default");
}

/* The file that the tokenizer was made of: tokenizer.json where there is one. */
static bt_status put_vocab(bt_gguf_out *out, const bt_model_file *file, vocab *v)
{
    bt_buf path = {0};
    bt_spmodel model;
    const char *dir = bt_model_file_path(file);
    bt_status st = bt_path_join(&path, dir, "tokenizer.json");
    if (!st && bt_file_exists(path.data)) {
        if ((st = put_json(out, v, path.data)) || (st = put_specials(out, file, v)))
            bt_fail_note("tokenizer.json");
    } else if (!st) {
        st = bt_spmodel_open(&model, dir);
        if (!st) {
            if (!(st = put_spmodel(out, v, &model.spec))) st = put_specials(out, file, v);
            bt_spmodel_close(&model);
        }
        if (st) bt_fail_note("tokenizer.model");
    }
    bt_buf_done(&path);
    return st;
}

bt_status bt_hf_vocab_put(bt_gguf_out *out, const bt_model_file *file)
{
    vocab v = {.tokenizer = bt_model_file_tokenizer(file),
               .n = bt_model_file_hparams(file)->n_vocab,
               .unk = -1};
    bt_status st;
    if (!v.tokenizer) return BT_OK;
    bt_arena_init(&v.arena, BT_MEM_MODEL);
    if (!(st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.piece, (void **)&v.piece)) &&
        !(st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.type, (void **)&v.type)) &&
        !(st = bt_arena_array(&v.arena, (size_t)v.n, sizeof *v.score, (void **)&v.score)))
        st = put_vocab(out, file, &v);
    json_decref(v.doc);
    bt_arena_done(&v.arena);
    return st;
}
