// SPDX-License-Identifier: Apache-2.0
/* tokjson: tokenizer.json of the Hugging Face tokenizers library: the model and its vocabulary. The
 * parts around the model are tokpipe's. */
#include "text/file/hfconfig.h"
#include "text/file/tokpipe.h"
#include <string.h>

typedef struct reader {
    bt_tokenizer *t;
    json_t *doc, *model;
    bt_decoder decoder;
    bool fallback; // byte_fallback: <0x0A> pieces are bytes
} reader;

static bt_status find_model(json_t *doc, json_t **ret_model)
{
    BT_FAIL_IF(!json_is_object(doc), FORMAT, "the document is not an object");
    return bt_json_get(doc, "model", JSON_OBJECT, ret_model);
}

/* ---- how many ids ---- */

static bt_status raise_to(int64_t id, int64_t n_entry, int32_t *n)
{
    int64_t max = 2 * n_entry + 65536; // files leave gaps, but not of this size
    BT_FAIL_IF(id < 0 || id >= max || id >= BT_TOK_PIECE_MAX, FORMAT,
               "a piece has id %lld among %lld pieces", (long long)id, (long long)n_entry);
    if (id >= *n) *n = (int32_t)id + 1;
    return BT_OK;
}

static bt_status count_vocab(json_t *vocab, int32_t *n)
{
    json_t *value;
    const char *key;
    if (json_is_array(vocab)) { // Unigram: a piece's place is its id
        BT_FAIL_IF(json_array_size(vocab) > BT_TOK_PIECE_MAX, LIMIT, "%zu pieces, at most %d",
                   json_array_size(vocab), BT_TOK_PIECE_MAX);
        *n = (int32_t)json_array_size(vocab);
        return BT_OK;
    }
    BT_FAIL_IF(!json_is_object(vocab), FORMAT, "'vocab' is neither an object nor an array");
    json_object_foreach(vocab, key, value)
    {
        BT_FAIL_IF(!json_is_integer(value), FORMAT, "the id of piece '%s' is not an integer", key);
        BT_TRY(raise_to(json_integer_value(value), (int64_t)json_object_size(vocab), n));
    }
    return BT_OK;
}

static bt_status count_ids(json_t *doc, json_t *model, const bt_hf_config *config, int32_t *ret_n)
{
    json_t *vocab = json_object_get(model, "vocab"), *added = json_object_get(doc, "added_tokens"),
           *node;
    int32_t n = 0;
    size_t i;
    BT_FAIL_IF(!vocab, NOTFOUND, "'vocab' is missing");
    BT_TRY(count_vocab(vocab, &n));
    BT_FAIL_IF(n == 0, FORMAT, "the vocabulary is empty");
    BT_FAIL_IF(added && !json_is_array(added) && !json_is_null(added), FORMAT,
               "'added_tokens' is not an array");
    int64_t n_entry = n + (int64_t)json_array_size(added);
    json_array_foreach(added, i, node)
    {
        int64_t id;
        BT_FAIL_IF(!json_is_object(node), FORMAT, "added token %zu is not an object", i);
        BT_TRY(bt_json_get_i64(node, "id", 0, BT_TOK_PIECE_MAX - 1, &id));
        BT_TRY(raise_to(id, n_entry, &n));
    }
    BT_TRY(bt_hf_config_count(config, &n));
    *ret_n = n;
    return BT_OK;
}

/* ---- pieces ---- */

static bt_status put_decoded(reader *r, int32_t id, bt_slice piece)
{
    return bt_decoder_apply(&r->decoder, r->t, piece, &r->t->vocab.out[id]);
}

static bt_status put_piece(reader *r, int32_t id, bt_slice piece)
{
    bt_tokenizer *t = r->t;
    char *key;
    size_t n = piece.len;
    BT_FAIL_IF(piece.len > BT_PIECE_BYTES_MAX, LIMIT, "piece %d has %zu bytes, at most %d", id,
               piece.len, BT_PIECE_BYTES_MAX);
    BT_TRY(bt_arena_text(&t->arena, piece.text, piece.len, &key));
    bool reachable = !t->bytes || bt_alphabet_decode(piece.text, piece.len, key, &n);
    if (!reachable) memcpy(key, piece.text, n = piece.len);
    key[n] = 0;
    int byte = r->fallback ? bt_piece_byte(piece.text, piece.len) : -1;
    if (byte >= 0) {
        t->vocab.type[id] = BT_PIECE_BYTE;
        t->vocab.byte_id[byte] = id;
    }
    if (reachable && n) BT_TRY(bt_vocab_put(&t->vocab, id, (bt_slice){key, n}));
    if (r->decoder.n_step == 1 && r->decoder.step[0].kind == DEC_BYTE_LEVEL &&
        t->bytes) { // the usual case: no copy
        t->vocab.out[id] = (bt_slice){key, n};
        return BT_OK;
    }
    return put_decoded(r, id, piece);
}

static bt_status put_object(reader *r, json_t *vocab)
{
    json_t *value;
    const char *key;
    size_t len;
    json_object_keylen_foreach(vocab, key, len, value)
        BT_TRY(put_piece(r, (int32_t)json_integer_value(value), (bt_slice){key, len}));
    return BT_OK;
}

static bt_status put_array(reader *r, json_t *vocab)
{
    json_t *pair;
    size_t i;
    json_array_foreach(vocab, i, pair)
    {
        json_t *piece = json_array_get(pair, 0), *score = json_array_get(pair, 1);
        BT_FAIL_IF(!json_is_string(piece) || !json_is_number(score), FORMAT,
                   "piece %zu is not [text, score]", i);
        BT_TRY(put_piece(r, (int32_t)i,
                         (bt_slice){json_string_value(piece), json_string_length(piece)}));
        double x = json_number_value(score);
        BT_FAIL_IF(!(x > -1e30 && x < 1e30), FORMAT,
                   "piece %zu has the score %g, must be within 1e30", i, x);
        r->t->vocab.score[i] = x;
    }
    return BT_OK;
}

static bt_status put_added(reader *r, const bt_hf_config *config)
{
    bt_tokenizer *t = r->t;
    json_t *list = json_object_get(r->doc, "added_tokens"), *node;
    size_t i;
    json_array_foreach(list, i, node)
    {
        bt_added token;
        bt_status st = bt_hf_added_parse(
            node, (int32_t)json_integer_value(json_object_get(node, "id")), &token);
        if (!st) st = bt_hf_added_merge(t, &token);
        if (st) bt_fail_note("added_tokens");
        BT_TRY(st);
    }
    BT_TRY(bt_hf_config_tokens(config, t));
    for (int32_t k = 0; k < t->n_added; k++) {
        bt_added *a = &t->added[k];
        if (a->normalized) BT_TRY(bt_tok_normalize(t, a->text, &a->match));
        t->vocab.out[a->id] = a->match; // byte-level: added tokens stand for themselves
        if (!t->bytes) BT_TRY(put_decoded(r, a->id, a->match));
    }
    return BT_OK;
}

/* ---- BPE ---- */

/* The key form of a piece at `out`; false when it has none. */
static bool make_key(const bt_tokenizer *t, bt_slice piece, char *out, size_t *n)
{
    if (piece.len == 0 || piece.len > BT_PIECE_BYTES_MAX) return false;
    if (t->bytes) return bt_alphabet_decode(piece.text, piece.len, out, n);
    memcpy(out, piece.text, piece.len);
    *n = piece.len;
    return true;
}

/* Add left + right when both, and what they join to, are in the vocabulary. */
static bool put_pair(reader *r, bt_slice left, bt_slice right, size_t rank)
{
    char key[2 * BT_PIECE_BYTES_MAX];
    size_t n = 0, m = 0;
    const bt_vocab *v = &r->t->vocab;
    if (!make_key(r->t, left, key, &n) || !make_key(r->t, right, key + n, &m)) return false;
    int32_t a = bt_vocab_find(v, key, n), b = bt_vocab_find(v, key + n, m),
            both = bt_vocab_find(v, key, n + m);
    if (a < 0 || b < 0 || both < 0) return false;
    if (v->type[both] != BT_PIECE_CONTROL) bt_bpe_put_merge(&r->t->bpe, a, b, (uint32_t)rank, both);
    return true;
}

/* "left right": some files have pieces with a space inside, so that every space may be the one. */
static bt_status put_merge_text(reader *r, const char *text, size_t len, size_t rank)
{
    size_t n_space = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ' ') continue;
        n_space++;
        if (put_pair(r, (bt_slice){text, i}, (bt_slice){text + i + 1, len - i - 1}, rank))
            return BT_OK;
    }
    BT_FAIL_IF(n_space == 0, FORMAT, "merge %zu '%.*s' is not two pieces and a space", rank,
               (int)len, text);
    return bt_fail(BT_FORMAT, "merge %zu '%.*s': a piece of it is not in the vocabulary", rank,
                   (int)len, text);
}

static bt_status put_merge(reader *r, json_t *merge, size_t rank)
{
    json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(merge))
        return put_merge_text(r, json_string_value(merge), json_string_length(merge), rank);
    BT_FAIL_IF(json_array_size(merge) != 2 || !json_is_string(a) || !json_is_string(b), FORMAT,
               "merge %zu is neither a text nor a pair of texts", rank);
    bt_slice left = {json_string_value(a), json_string_length(a)},
             right = {json_string_value(b), json_string_length(b)};
    BT_FAIL_IF(!put_pair(r, left, right, rank), FORMAT,
               "merge %zu '%.*s' + '%.*s': a piece of it is not in the vocabulary", rank,
               (int)left.len, left.text, (int)right.len, right.text);
    return BT_OK;
}

static bt_status find_unk(reader *r, int32_t *ret)
{
    json_t *unk = json_object_get(r->model, "unk_token");
    if (!unk || json_is_null(unk)) return BT_OK;
    BT_FAIL_IF(!json_is_string(unk), FORMAT, "'unk_token' is not a string");
    int32_t id = bt_vocab_find(&r->t->vocab, json_string_value(unk), json_string_length(unk));
    BT_FAIL_IF(id < 0, FORMAT, "unk_token '%s' is not in the vocabulary", json_string_value(unk));
    r->t->vocab.type[id] = BT_PIECE_UNKNOWN;
    *ret = id;
    return BT_OK;
}

static bt_status refuse_option(json_t *model, const char *key)
{
    json_t *value = json_object_get(model, key);
    bool none = !value || json_is_null(value) ||
                (json_is_string(value) && json_string_length(value) == 0) ||
                (json_is_number(value) && json_number_value(value) == 0);
    BT_FAIL_IF(!none, UNSUPPORTED, "'%s' is not supported", key);
    return BT_OK;
}

static bt_status set_bpe(reader *r)
{
    bt_tokenizer *t = r->t;
    json_t *merges, *merge;
    size_t i;
    BT_TRY(refuse_option(r->model, "dropout"));
    BT_TRY(refuse_option(r->model, "continuing_subword_prefix"));
    BT_TRY(refuse_option(r->model, "end_of_word_suffix"));
    BT_TRY(bt_json_opt_bool(r->model, "fuse_unk", false, &t->bpe.fuse_unk));
    BT_TRY(bt_json_opt_bool(r->model, "ignore_merges", false, &t->bpe.ignore_merges));
    BT_TRY(find_unk(r, &t->unk));
    t->bpe.unk = t->unk;
    t->bpe.byte_fallback = r->fallback;
    BT_TRY(bt_json_get(r->model, "merges", JSON_ARRAY, &merges));
    BT_FAIL_IF(json_array_size(merges) > 4 * BT_TOK_PIECE_MAX, LIMIT, "%zu merges, at most %d",
               json_array_size(merges), 4 * BT_TOK_PIECE_MAX);
    for (int b = 0; b < 256 && t->bytes; b++)
        t->vocab.byte_id[b] = bt_vocab_find_text(&t->vocab, (char[]){(char)b}, 1);
    BT_TRY(bt_bpe_init_merges(&t->bpe, &t->vocab, (int32_t)json_array_size(merges)));
    json_array_foreach(merges, i, merge) BT_TRY(put_merge(r, merge, i));
    t->kind = t->bytes ? "byte-level bpe" : "bpe";
    return BT_OK;
}

static bt_status set_unigram(reader *r)
{
    bt_tokenizer *t = r->t;
    int64_t unk;
    BT_FAIL_IF(t->bytes, UNSUPPORTED, "a Unigram model behind ByteLevel is not supported");
    BT_TRY(bt_json_opt_i64(r->model, "unk_id", 0, t->vocab.n - 1, -1, &unk));
    if (unk >= 0) t->vocab.type[unk] = BT_PIECE_UNKNOWN;
    t->unk = t->unigram.unk = (int32_t)unk;
    t->unigram.fuse_unk = true;
    t->unigram.byte_fallback = r->fallback;
    t->model = TOK_UNIGRAM;
    t->kind = "unigram";
    return BT_OK;
}

/* "type" is absent in old files, whose only models with merges are BPE. */
static bt_status read_kind(json_t *model, bool *ret_unigram)
{
    const char *type, *def = json_is_array(json_object_get(model, "vocab")) ? "Unigram" : "BPE";
    BT_TRY(bt_json_opt_text(model, "type", def, &type));
    *ret_unigram = !strcmp(type, "Unigram");
    BT_FAIL_IF(!*ret_unigram && strcmp(type, "BPE"), UNSUPPORTED,
               "the model '%s' is not supported; BPE and Unigram are", type);
    json_t *vocab = json_object_get(model, "vocab");
    BT_FAIL_IF(vocab && json_is_array(vocab) != *ret_unigram, FORMAT,
               "'vocab' of the model '%s' is %s", type,
               *ret_unigram ? "not an array" : "not an object");
    return BT_OK;
}

static bt_status build(reader *r, bool unigram, const bt_hf_config *config)
{
    bt_tokenizer *t = r->t;
    json_t *vocab = json_object_get(r->model, "vocab");
    BT_TRY(bt_json_opt_bool(r->model, "byte_fallback", false, &r->fallback));
    BT_TRY(bt_tokpipe_normalizer(t, json_object_get(r->doc, "normalizer")));
    BT_TRY(bt_tokpipe_pre(t, json_object_get(r->doc, "pre_tokenizer")));
    BT_TRY(bt_tokpipe_decoder(t, json_object_get(r->doc, "decoder"), &r->decoder));
    BT_TRY(unigram ? put_array(r, vocab) : put_object(r, vocab));
    if (unigram) BT_TRY(set_unigram(r));
    BT_TRY(put_added(r, config));
    if (!unigram) BT_TRY(set_bpe(r));
    BT_TRY(bt_tokpipe_post(t, json_object_get(r->doc, "post_processor")));
    if (t->n_before) t->bos = t->before[0];
    return bt_tok_finish(t);
}

bt_status bt_tokjson_parse(const char *text, size_t len, const bt_hf_config *config,
                           bt_tokenizer **ret)
{
    reader r = {0};
    bool unigram = false;
    int32_t n = 0;
    bt_status st = bt_json_parse(text, len, &r.doc);
    BT_TRY(st);
    if ((st = find_model(r.doc, &r.model)) || (st = read_kind(r.model, &unigram)) ||
        (st = count_ids(r.doc, r.model, config, &n)) || (st = bt_tok_new(n, &r.t)))
        goto done;
    st = build(&r, unigram, config);
done:
    json_decref(r.doc);
    if (st)
        bt_tokenizer_free(r.t);
    else
        *ret = r.t;
    return st;
}

/* ---- a tokenizer.json that another container carries ---- */

static bt_status same_pieces(const bt_tokenizer *t, const bt_vocab_spec *spec)
{
    for (int32_t i = 0; i < t->vocab.n; i++) {
        const bt_slice *key = &t->vocab.key[i], *piece = &spec->piece[i];
        bool same =
            !key->text || (key->len == piece->len && !memcmp(key->text, piece->text, key->len));
        BT_FAIL_IF(!same, FORMAT, "piece %d is '%.*s', but '%.*s' in the list of tokens", i,
                   (int)key->len, key->text, (int)piece->len, piece->text);
    }
    return BT_OK;
}

static bt_status set_roles(bt_tokenizer *t, const bt_vocab_spec *spec)
{
    const struct {
        int32_t id, *role;
    } given[] = {{spec->bos, &t->bos}, {spec->eos, &t->eos}, {spec->eot, &t->eot},
                 {spec->eom, &t->eom}, {spec->unk, &t->unk}, {spec->pad, &t->pad}};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].id >= 0) *given[i].role = given[i].id;
    const int32_t ends[] = {t->eos, t->eot, t->eom};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] >= 0) t->eog[ends[i]] = 1;
    if (spec->add_bos >= 0) bt_tok_set_bos(t, spec->add_bos);
    if (spec->add_eos >= 0) bt_tok_set_eos(t, spec->add_eos);
    if (!spec->chat_template) return BT_OK;
    return bt_arena_text(&t->arena, spec->chat_template, strlen(spec->chat_template),
                         &t->chat_template);
}

bt_status bt_tokenizer_new_json(const char *text, size_t len, const bt_vocab_spec *spec,
                                bt_tokenizer **ret)
{
    const bt_hf_config room = {.n_id_min = spec->n_piece};
    bt_tokenizer *t = NULL;
    bt_status st = bt_tokjson_parse(text, len, &room, &t);
    if (!st && t->vocab.n != spec->n_piece)
        st =
            bt_fail(BT_FORMAT, "it has %d ids, but there are %d tokens", t->vocab.n, spec->n_piece);
    if (!st) st = same_pieces(t, spec);
    if (!st) st = set_roles(t, spec);
    if (st) {
        bt_fail_note("tokenizer.json");
        bt_tokenizer_free(t);
        return st;
    }
    *ret = t;
    return BT_OK;
}
