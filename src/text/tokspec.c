// SPDX-License-Identifier: Apache-2.0
/* tokspec: a tokenizer from a vocabulary that a container spells out; see tokenizer.h. */
#include "text/tokcore.h"
#include <math.h>
#include <string.h>

#define MARK "\xE2\x96\x81"

static int32_t type_of(const bt_vocab_spec *s, int32_t id)
{
    if (s->type) return s->type[id] ? s->type[id] : BT_PIECE_NORMAL; // 0 is GGUF's "undefined"
    bool role = id == s->bos || id == s->eos || id == s->eot || id == s->eom || id == s->pad;
    return id == s->unk ? BT_PIECE_UNKNOWN : role ? BT_PIECE_CONTROL : BT_PIECE_NORMAL;
}

static bt_status check_spec(const bt_vocab_spec *s)
{
    BT_FAIL_IF(s->n_piece < 1 || s->n_piece > BT_TOK_PIECE_MAX, FORMAT,
               "the vocabulary has %d pieces, must be 1 to %d", s->n_piece, BT_TOK_PIECE_MAX);
    BT_FAIL_IF(s->n_merge < 0 || s->n_merge > 4 * BT_TOK_PIECE_MAX, FORMAT,
               "%d merges, must be from 0 to %d", s->n_merge, 4 * BT_TOK_PIECE_MAX);
    BT_FAIL_IF(s->kind != BT_VOCAB_BPE && !s->score, FORMAT,
               "a SentencePiece vocabulary without scores");
    BT_FAIL_IF(s->kind == BT_VOCAB_BPE && s->n_piece > 256 && !s->merge, FORMAT,
               "a byte-level BPE vocabulary of %d pieces without a list of merges", s->n_piece);
    for (int32_t i = 0; i < s->n_piece; i++) {
        int32_t type = type_of(s, i);
        BT_FAIL_IF(type < BT_PIECE_NORMAL || type > BT_PIECE_BYTE, FORMAT,
                   "piece %d has type %d, must be from 1 to 6", i, type);
        BT_FAIL_IF(s->score && !isfinite(s->score[i]), FORMAT, "piece %d has the score %g", i,
                   (double)s->score[i]);
        BT_FAIL_IF(s->piece[i].len > BT_PIECE_BYTES_MAX, LIMIT,
                   "piece %d has %zu bytes, at most %d", i, s->piece[i].len, BT_PIECE_BYTES_MAX);
    }
    for (int32_t i = 0; i < s->n_eog; i++)
        BT_FAIL_IF(s->eog[i] < 0 || s->eog[i] >= s->n_piece, FORMAT,
                   "an end-of-generation token has id %d, must be from 0 to %d", s->eog[i],
                   s->n_piece - 1);
    return BT_OK;
}

/* ---- pieces ---- */

static bool is_plain(int type) { return type == BT_PIECE_NORMAL || type == BT_PIECE_UNUSED; }

/* Plain pieces first, so that an added token spelled like one does not take its place. */
static bt_status put_key(bt_tokenizer *t, int32_t id, bt_slice key)
{
    if (key.len == 0) return BT_OK;
    if (!is_plain(t->vocab.type[id]) && bt_vocab_find(&t->vocab, key.text, key.len) >= 0)
        return BT_OK;
    return bt_vocab_put(&t->vocab, id, key);
}

/* A plain piece of byte-level BPE: raw bytes; one outside the alphabet cannot come out of text. */
static bt_status put_byte_piece(bt_tokenizer *t, int32_t id, bt_slice piece)
{
    char *raw;
    size_t n;
    BT_TRY(bt_arena_text(&t->arena, piece.text, piece.len, &raw));
    t->vocab.out[id] = (bt_slice){raw, piece.len};
    if (!is_plain(t->vocab.type[id])) return put_key(t, id, t->vocab.out[id]);
    if (!bt_alphabet_decode(piece.text, piece.len, raw, &n)) {
        memcpy(raw, piece.text, piece.len);
        return BT_OK;
    }
    raw[n] = 0;
    t->vocab.out[id].len = n;
    return put_key(t, id, t->vocab.out[id]);
}

static bt_status put_marked_piece(bt_tokenizer *t, int32_t id, bt_slice piece)
{
    char *key;
    bt_vocab *v = &t->vocab;
    BT_TRY(bt_arena_text(&t->arena, piece.text, piece.len, &key));
    if (v->type[id] == BT_PIECE_BYTE) {
        int byte = bt_piece_byte(piece.text, piece.len);
        BT_FAIL_IF(byte < 0, FORMAT, "piece %d is a byte but is spelled '%.*s', not like <0x0A>",
                   id, (int)piece.len, piece.text);
        v->byte_id[byte] = id;
        char *out;
        BT_TRY(bt_arena_text(&t->arena, (char[]){(char)byte}, 1, &out));
        v->out[id] = (bt_slice){out, 1};
    } else {
        BT_TRY(bt_tok_unmark(t, (bt_slice){key, piece.len}, &v->out[id]));
    }
    return put_key(t, id, (bt_slice){key, piece.len});
}

static bt_status put_pieces(bt_tokenizer *t, const bt_vocab_spec *s)
{
    for (int pass = 0; pass < 2; pass++)
        for (int32_t i = 0; i < s->n_piece; i++) {
            t->vocab.type[i] = (uint8_t)type_of(s, i);
            if (s->score) t->vocab.score[i] = s->score[i];
            if (is_plain(t->vocab.type[i]) != (pass == 0)) continue;
            BT_TRY(t->bytes ? put_byte_piece(t, i, s->piece[i])
                            : put_marked_piece(t, i, s->piece[i]));
        }
    return BT_OK;
}

/* Control pieces are matched in raw text on request; user pieces always, in SentencePiece kinds
 * after normalizing, as the library does. */
static bt_status add_tokens(bt_tokenizer *t, const bt_vocab_spec *s)
{
    for (int32_t i = 0; i < s->n_piece; i++) {
        int type = t->vocab.type[i];
        bool special = type == BT_PIECE_CONTROL || type == BT_PIECE_UNKNOWN;
        if ((!special && type != BT_PIECE_USER) || s->piece[i].len == 0) continue;
        if (!special && s->kind == BT_VOCAB_UNIGRAM)
            continue; // there they compete by score; unigram.c
        bool marked = !special && !t->bytes;
        bt_slice out = t->vocab.out[i];
        BT_TRY(bt_tok_add_token(
            t, (bt_added){.id = i, .text = s->piece[i], .special = special, .normalized = marked}));
        if (!marked) continue;
        bt_norm_step mark = {.kind = NORM_REPLACE, .from = {" ", 1}, .to = {MARK, 3}};
        bt_norm whole = t->norm; // only the spaces change in a user piece
        t->norm = (bt_norm){.step = {mark}, .n_step = 1};
        bt_status st = bt_tok_normalize(t, s->piece[i], &t->added[t->n_added - 1].match);
        t->norm = whole;
        BT_TRY(st);
        t->vocab.out[i] = out;
    }
    return BT_OK;
}

/* ---- byte-level BPE ---- */

static int32_t find_alphabet(const bt_tokenizer *t, const char *text, size_t len, char *raw,
                             size_t *n)
{
    if (len > BT_PIECE_BYTES_MAX || !bt_alphabet_decode(text, len, raw, n)) return -1;
    return bt_vocab_find(&t->vocab, raw, *n);
}

static bt_status put_merge(bt_tokenizer *t, bt_slice merge, int32_t rank)
{
    char raw[2 * BT_PIECE_BYTES_MAX];
    size_t n = 0, m = 0;
    const char *space = merge.len > 1 ? memchr(merge.text + 1, ' ', merge.len - 1) : NULL;
    BT_FAIL_IF(!space, FORMAT, "merge %d '%.*s' is not two pieces and a space", rank,
               (int)merge.len, merge.text);
    size_t left_len = (size_t)(space - merge.text), right_len = merge.len - left_len - 1;
    int32_t left = find_alphabet(t, merge.text, left_len, raw, &n);
    int32_t right = left < 0 ? -1 : find_alphabet(t, space + 1, right_len, raw + n, &m);
    int32_t both =
        right < 0 || n + m > BT_PIECE_BYTES_MAX ? -1 : bt_vocab_find(&t->vocab, raw, n + m);
    BT_FAIL_IF(both < 0, FORMAT, "merge %d '%.*s': a piece of it is not in the vocabulary", rank,
               (int)merge.len, merge.text);
    if (t->vocab.type[both] != BT_PIECE_CONTROL)
        bt_bpe_put_merge(&t->bpe, left, right, (uint32_t)rank, both);
    return BT_OK;
}

static bt_status set_bpe(bt_tokenizer *t, const bt_vocab_spec *s)
{
    const char *name = s->pre ? s->pre : "default";
    const bt_prename *pre = bt_prename_find(name);
    bt_norm_step *step;
    BT_FAIL_IF(!pre, UNSUPPORTED, "the pre-tokenizer '%s' is not known", name);
    if (pre->nfc) BT_TRY(bt_norm_add(&t->norm, NORM_NFC, &step));
    for (const char *const *p = pre->split; *p; p++)
        BT_TRY(bt_pretok_add_regex(&t->pre, *p, SPLIT_ISOLATED, false));
    for (int b = 0; b < 256; b++)
        t->vocab.byte_id[b] = bt_vocab_find_text(&t->vocab, (char[]){(char)b}, 1);
    BT_TRY(bt_bpe_init_merges(&t->bpe, &t->vocab, s->n_merge));
    for (int32_t i = 0; i < s->n_merge; i++) BT_TRY(put_merge(t, s->merge[i], i));
    t->bpe.ignore_merges = s->ignore_merges < 0 ? pre->ignore_merges : s->ignore_merges;
    bt_tok_set_bos(t, s->add_bos < 0 ? pre->add_bos : s->add_bos);
    bt_tok_set_eos(t, s->add_eos > 0);
    t->kind = "byte-level bpe";
    return BT_OK;
}

/* ---- SentencePiece ---- */

static bt_status set_spm_norm(bt_tokenizer *t, const bt_vocab_spec *s, bool prefix, bool squeeze)
{
    bt_norm_step *step;
    if (s->charsmap_len) {
        BT_TRY(bt_norm_add(&t->norm, NORM_CHARSMAP, &step));
        BT_TRY(bt_charsmap_parse(&step->charsmap, s->charsmap, s->charsmap_len));
    }
    if (squeeze) BT_TRY(bt_norm_add(&t->norm, NORM_SQUEEZE, &step));
    BT_TRY(bt_norm_add(&t->norm, NORM_REPLACE, &step));
    step->from = (bt_slice){" ", 1};
    step->to = (bt_slice){MARK, 3};
    if (prefix) {
        BT_TRY(bt_norm_add(&t->norm, NORM_PREPEND, &step));
        step->to = (bt_slice){MARK, 3};
    }
    return BT_OK;
}

static bt_status set_spm(bt_tokenizer *t, const bt_vocab_spec *s)
{
    bool unigram = s->kind == BT_VOCAB_UNIGRAM, fallback = false;
    bool prefix = s->add_space_prefix != 0;
    bool squeeze = s->remove_extra_whitespaces < 0 ? unigram : s->remove_extra_whitespaces;
    BT_TRY(set_spm_norm(t, s, prefix, squeeze));
    for (int b = 0; b < 256; b++) fallback |= t->vocab.byte_id[b] >= 0;
    t->strip_first = prefix || squeeze; // either way no text of the model's begins with a space
    t->unigram.is_spm = true;
    t->model = unigram ? TOK_UNIGRAM : TOK_BPE;
    t->kind = unigram ? "unigram" : "spm";
    t->unigram.unk = t->bpe.unk = t->unk;
    t->unigram.fuse_unk = t->bpe.fuse_unk = true;
    t->unigram.byte_fallback = t->bpe.byte_fallback = fallback;
    bt_tok_set_bos(t, s->add_bos < 0 ? !unigram : s->add_bos);
    bt_tok_set_eos(t, s->add_eos < 0 ? unigram : s->add_eos);
    return unigram ? BT_OK : bt_bpe_init_scores(&t->bpe, &t->vocab);
}

static bt_status build(bt_tokenizer *t, const bt_vocab_spec *s)
{
    t->bytes = s->kind == BT_VOCAB_BPE;
    t->bos = s->bos, t->eos = s->eos, t->eot = s->eot, t->eom = s->eom, t->unk = s->unk,
    t->pad = s->pad;
    for (int32_t i = 0; i < s->n_eog; i++) t->eog[s->eog[i]] = 1;
    BT_TRY(put_pieces(t, s));
    for (int32_t i = 0; i < s->n_piece && t->unk < 0; i++)
        if (t->vocab.type[i] == BT_PIECE_UNKNOWN) t->unk = i;
    BT_TRY(t->bytes ? set_bpe(t, s) : set_spm(t, s));
    BT_TRY(add_tokens(t, s));
    if (s->chat_template)
        BT_TRY(bt_arena_text(&t->arena, s->chat_template, strlen(s->chat_template),
                             &t->chat_template));
    return bt_tok_finish(t);
}

bt_status bt_tokenizer_new(const bt_vocab_spec *spec, bt_tokenizer **ret)
{
    bt_tokenizer *t = NULL;
    BT_TRY(check_spec(spec));
    BT_TRY(bt_tok_new(spec->n_piece, &t));
    bt_status st = build(t, spec);
    if (st) {
        bt_fail_note("vocabulary");
        bt_tokenizer_free(t);
        return st;
    }
    *ret = t;
    return BT_OK;
}
