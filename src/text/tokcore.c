// SPDX-License-Identifier: Apache-2.0
/* tokcore: putting a tokenizer together; see tokcore.h. */
#include "text/tokcore.h"
#include <string.h>

#define MARK "\xE2\x96\x81" // U+2581, SentencePiece's space

bt_status bt_tok_new(int32_t n, bt_tokenizer **ret)
{
    bt_tokenizer *t = NULL;
    bt_status st;
    BT_FAIL_IF(n < 1 || n > BT_TOK_PIECE_MAX, LIMIT,
               "a vocabulary of %d pieces, must be from 1 to %d", n, BT_TOK_PIECE_MAX);
    BT_TRY(bt_alloc_zero((void **)&t, sizeof *t, BT_MEM_TEXT));
    bt_arena_init(&t->arena, BT_MEM_TEXT);
    t->bos = t->eos = t->eot = t->eom = t->unk = t->pad = -1;
    t->bpe.unk = t->unigram.unk = -1;
    if ((st = bt_vocab_init(&t->vocab, n)) ||
        (st = bt_alloc_array((void **)&t->eog, (size_t)n, 1, BT_MEM_TEXT))) {
        bt_tokenizer_free(t);
        return st;
    }
    *ret = t;
    return BT_OK;
}

void bt_tokenizer_free(bt_tokenizer *t)
{
    if (!t) return;
    bt_vocab_done(&t->vocab);
    bt_norm_done(&t->norm);
    bt_pretok_done(&t->pre);
    bt_bpe_done(&t->bpe);
    bt_unigram_done(&t->unigram);
    bt_trie_done(&t->user);
    bt_trie_done(&t->all);
    bt_trie_done(&t->normal);
    bt_trie_done(&t->name);
    bt_free(t->added);
    bt_free(t->eog);
    bt_arena_done(&t->arena);
    bt_free(t);
}

static bt_status keep(bt_tokenizer *t, bt_slice *slice)
{
    char *copy;
    BT_TRY(bt_arena_text(&t->arena, slice->text, slice->len, &copy));
    slice->text = copy;
    return BT_OK;
}

static bt_status grow_added(bt_tokenizer *t)
{
    if (t->n_added < t->added_max) return BT_OK;
    int32_t max = t->added_max ? t->added_max * 2 : 64;
    BT_TRY(bt_resize((void **)&t->added, (size_t)max * sizeof *t->added, BT_MEM_TEXT));
    t->added_max = max;
    return BT_OK;
}

bt_added *bt_tok_find_added(const bt_tokenizer *t, const char *text, size_t len)
{
    for (int32_t i = 0; i < t->n_added; i++)
        if (t->added[i].text.len == len && !memcmp(t->added[i].text.text, text, len))
            return &t->added[i];
    return NULL;
}

bt_status bt_tok_add_token(bt_tokenizer *t, bt_added token)
{
    BT_FAIL_IF(token.id < 0 || token.id >= t->vocab.n, FORMAT,
               "added token '%.*s' has id %d, must be from 0 to %d", (int)token.text.len,
               token.text.text, token.id, t->vocab.n - 1);
    BT_FAIL_IF(token.text.len == 0, FORMAT, "added token %d is empty", token.id);
    BT_FAIL_IF(token.text.len > BT_PIECE_BYTES_MAX, LIMIT,
               "added token %d has %zu bytes, at most %d", token.id, token.text.len,
               BT_PIECE_BYTES_MAX);
    BT_TRY(grow_added(t));
    BT_TRY(keep(t, &token.text));
    token.match = token.text;
    if (t->vocab.type[token.id] != BT_PIECE_UNKNOWN)
        t->vocab.type[token.id] = token.special ? BT_PIECE_CONTROL : BT_PIECE_USER;
    t->vocab.out[token.id] = token.text;
    t->added[t->n_added++] = token;
    return BT_OK;
}

bt_status bt_tok_unmark(bt_tokenizer *t, bt_slice in, bt_slice *ret_out)
{
    char *out;
    size_t n = 0;
    BT_TRY(bt_arena_text(&t->arena, in.text, in.len, &out));
    for (size_t i = 0; i < in.len;) {
        bool mark = in.len - i >= 3 && !memcmp(in.text + i, MARK, 3);
        out[n++] = mark ? ' ' : in.text[i];
        i += mark ? 3 : 1;
    }
    *ret_out = (bt_slice){out, n};
    return BT_OK;
}

bt_status bt_tok_normalize(bt_tokenizer *t, bt_slice in, bt_slice *ret_out)
{
    bt_work work = {0};
    bt_slice out;
    bt_status st = bt_norm_apply(&t->norm, &work, in, &out);
    if (!st) st = keep(t, &out);
    if (!st) *ret_out = out;
    for (int i = 0; i < 2; i++) bt_buf_done(&work.norm[i]);
    bt_regex_work_free(work.regex);
    return st;
}

/* ---- roles ---- */

/* Names that families give to these tokens; the first that the vocabulary has as a special token.
 */
static const char *const bos_names[] = {"<|begin_of_text|>",
                                        "<s>",
                                        "<bos>",
                                        "<\xEF\xBD\x9C"
                                        "begin" MARK "of" MARK "sentence\xEF\xBD\x9C>",
                                        "<|startoftext|>",
                                        NULL};
static const char *const eos_names[] = {"<|end_of_text|>",
                                        "</s>",
                                        "<eos>",
                                        "<\xEF\xBD\x9C"
                                        "end" MARK "of" MARK "sentence\xEF\xBD\x9C>",
                                        "<|endoftext|>",
                                        NULL};
static const char *const eot_names[] = {"<|eot_id|>",      "<|im_end|>", "<|end|>", "<end_of_turn>",
                                        "<|eot|>",         "<|return|>", "<EOT>",   "<turn|>",
                                        "<|end_of_turn|>", "<|EOT|>",    NULL};
static const char *const eog_names[] = {"<|eot_id|>",
                                        "<|eom_id|>",
                                        "<|im_end|>",
                                        "<|end|>",
                                        "<end_of_turn>",
                                        "<|eot|>",
                                        "<|endoftext|>",
                                        "<|end_of_text|>",
                                        "<|return|>",
                                        "<|call|>",
                                        "<|eom|>",
                                        "<EOT>",
                                        "<|EOT|>",
                                        "<|end_of_turn|>",
                                        "<turn|>",
                                        "<\xEF\xBD\x9C"
                                        "end" MARK "of" MARK "sentence\xEF\xBD\x9C>",
                                        NULL};

static int32_t special_id(const bt_tokenizer *t, const char *name)
{
    const bt_added *a = bt_tok_find_added(t, name, strlen(name));
    return a ? a->id : -1;
}

static void find_role(const bt_tokenizer *t, const char *const *names, int32_t *role)
{
    for (; *role < 0 && *names; names++) *role = special_id(t, *names);
}

static bt_status check_roles(const bt_tokenizer *t)
{
    const struct {
        const char *name;
        int32_t id;
    } role[] = {{"bos", t->bos}, {"eos", t->eos}, {"eot", t->eot},
                {"eom", t->eom}, {"unk", t->unk}, {"pad", t->pad}};
    for (size_t i = 0; i < sizeof role / sizeof *role; i++)
        BT_FAIL_IF(role[i].id < -1 || role[i].id >= t->vocab.n, FORMAT,
                   "the %s token has id %d, must be from 0 to %d", role[i].name, role[i].id,
                   t->vocab.n - 1);
    return BT_OK;
}

static bt_status set_roles(bt_tokenizer *t)
{
    find_role(t, bos_names, &t->bos);
    find_role(t, eos_names, &t->eos);
    find_role(t, eot_names, &t->eot);
    BT_TRY(check_roles(t));
    const int32_t ends[] = {t->eos, t->eot, t->eom};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] >= 0) t->eog[ends[i]] = 1;
    for (const char *const *name = eog_names; *name; name++) {
        int32_t id = special_id(t, *name);
        if (id >= 0) t->eog[id] = 1;
    }
    return BT_OK;
}

void bt_tok_set_bos(bt_tokenizer *t, bool add)
{
    t->n_before = add && t->bos >= 0;
    t->before[0] = t->bos;
}

void bt_tok_set_eos(bt_tokenizer *t, bool add)
{
    t->n_after = add && t->eos >= 0;
    t->after[0] = t->eos;
}

/* ---- tables ---- */

typedef bool added_filter(const bt_added *a);
static bool in_user(const bt_added *a) { return !a->special && !a->normalized; }
static bool in_all(const bt_added *a) { return a->special || !a->normalized; }
static bool in_normal(const bt_added *a) { return !a->special && a->normalized; }
static bool in_name(const bt_added *a) { return a != NULL; }

static bt_status build_trie(const bt_tokenizer *t, bt_trie *trie, added_filter *filter)
{
    size_t n_byte = 0;
    for (int32_t i = 0; i < t->n_added; i++)
        if (filter(&t->added[i]))
            n_byte += filter == in_name ? t->added[i].text.len : t->added[i].match.len;
    BT_TRY(bt_trie_init(trie, n_byte));
    for (int32_t i = 0; i < t->n_added; i++) {
        const bt_added *a = &t->added[i];
        bt_slice s = filter == in_name ? a->text : a->match;
        if (filter(a) && s.len) bt_trie_put(trie, s.text, s.len, i);
    }
    return BT_OK;
}

/* Whether words that begin with U+2581 can be encoded one by one: no piece may reach across. */
static bool words_are_independent(const bt_tokenizer *t)
{
    const bt_vocab *v = &t->vocab;
    if (t->bytes || t->bpe.ignore_merges || bt_vocab_find_text(v, MARK, 3) < 0) return false;
    for (int32_t id = 0; id < v->n; id++) {
        const bt_slice *k = &v->key[id];
        for (size_t i = 3; i + 3 <= k->len; i++)
            if (!memcmp(k->text + i, MARK, 3) && memcmp(k->text + i - 3, MARK, 3)) return false;
        for (size_t i = 1; i < 3 && i + 3 <= k->len; i++)
            if (!memcmp(k->text + i, MARK, 3)) return false;
    }
    return true;
}

bt_status bt_tok_finish(bt_tokenizer *t)
{
    bt_vocab *v = &t->vocab;
    BT_TRY(set_roles(t));
    BT_TRY(build_trie(t, &t->user, in_user));
    BT_TRY(build_trie(t, &t->all, in_all));
    BT_TRY(build_trie(t, &t->normal, in_normal));
    BT_TRY(build_trie(t, &t->name, in_name));
    for (int32_t i = 0; i < v->n; i++) {
        if (v->type[i] == BT_PIECE_UNUSED) v->has_unused = true;
        BT_FAIL_IF(v->out[i].len > BT_PIECE_BYTES_MAX, LIMIT,
                   "piece %d decodes to %zu bytes, at most %d", i, v->out[i].len,
                   BT_PIECE_BYTES_MAX);
    }
    if (t->model == TOK_UNIGRAM) return bt_unigram_init(&t->unigram, v);
    t->bpe.bytes = t->bytes;
    t->bpe.split_words = words_are_independent(t);
    return bt_bpe_mark_whole(&t->bpe, v);
}
