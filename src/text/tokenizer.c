// SPDX-License-Identifier: Apache-2.0
/* tokenizer: the public face: encoding (added tokens cut out, the rest through normalizer,
 * pre-tokenizer and model) and questions about pieces. Making one is tokcore's and the readers'. */
#include "base/utf8.h"
#include "text/tokcore.h"
#include <string.h>
#include <utf8proc.h>

typedef struct encoder {
    const bt_tokenizer *t;
    bt_work *work;
    const bt_mixed_text *mixed; // NULL: the text has one origin
    size_t n_passed;            // stretches of mixed->data that lie behind
} encoder;

/* A stretch of text on its way to the model. */
typedef struct stretch {
    const char *text;
    size_t len;
    bool at_start; // of the whole text
} stretch;

typedef bt_status stretch_fn(encoder *e, stretch in);

/* ---- cutting out added tokens ---- */

static bool is_word_code(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

static size_t code_before(const char *text, size_t at)
{
    size_t k = 1;
    while (k < 4 && k < at && ((unsigned char)text[at - k] & 0xC0) == 0x80) k++;
    return k;
}

static bool touches_word(stretch in, bt_extent m)
{
    if (m.begin > 0) {
        size_t k = code_before(in.text, m.begin), n = bt_utf8_valid_len(in.text + m.begin - k, k);
        if (n && is_word_code(bt_utf8_decode(in.text + m.begin - k, n))) return true;
    }
    size_t n = bt_utf8_valid_len(in.text + m.end, in.len - m.end);
    return n && is_word_code(bt_utf8_decode(in.text + m.end, n));
}

static void swallow_space(const bt_added *a, stretch in, size_t floor, bt_extent *m)
{
    size_t n;
    while (a->lstrip && m->begin > floor) {
        size_t k = code_before(in.text, m->begin);
        if (!bt_space_at(in.text + m->begin - k, k, &n)) break;
        m->begin -= k;
    }
    while (a->rstrip && m->end < in.len && bt_space_at(in.text + m->end, in.len - m->end, &n))
        m->end += n;
}

/* Whether a special token found at `at` is spelled, even in part, by data. */
static bool is_forged(encoder *e, const bt_added *a, const char *at, size_t len)
{
    const bt_mixed_text *mixed = e->mixed;
    if (!mixed || !a->special) return false;
    while (e->n_passed < mixed->n_data &&
           mixed->data[e->n_passed].text + mixed->data[e->n_passed].len <= at)
        e->n_passed++;
    return e->n_passed < mixed->n_data && mixed->data[e->n_passed].text < at + len;
}

/* Send what lies between added tokens to `rest`, and the tokens' ids to the sink. */
static bt_status cut(encoder *e, const bt_trie *trie, stretch in, stretch_fn *rest)
{
    size_t done = 0;
    if (trie->n_node <= 1) return rest(e, in);
    for (size_t i = 0; i < in.len;) {
        size_t n;
        if (!trie->first[(unsigned char)in.text[i]]) {
            i++;
            continue;
        }
        int32_t k = bt_trie_longest(trie, in.text + i, in.len - i, &n);
        if (k >= 0 && is_forged(e, &e->t->added[k], in.text + i, n))
            k = bt_trie_longest(&e->t->user, in.text + i, in.len - i, &n);
        if (k < 0) {
            i++;
            continue;
        }
        const bt_added *a = &e->t->added[k];
        bt_extent m = {i, i + n};
        i = m.end;
        if (a->single_word && touches_word(in, m)) continue;
        swallow_space(a, in, done, &m);
        if (m.begin > done)
            BT_TRY(rest(e, (stretch){in.text + done, m.begin - done, in.at_start && done == 0}));
        bt_sink_put(&e->work->sink, a->id);
        i = done = m.end;
    }
    if (done == in.len) return BT_OK;
    return rest(e, (stretch){in.text + done, in.len - done, in.at_start && done == 0});
}

/* ---- from a stretch to ids ---- */

static bt_status bpe_word(const void *context, bt_work *work, const char *text, size_t len)
{
    return bt_bpe_word(context, work, text, len);
}

static bt_status unigram_word(const void *context, bt_work *work, const char *text, size_t len)
{
    return bt_unigram_word(context, work, text, len);
}

static bt_status encode_normal(encoder *e, stretch in)
{
    const bt_tokenizer *t = e->t;
    bt_pre_text text = {in.text, in.len, in.at_start};
    if (t->model == TOK_UNIGRAM)
        return bt_pretok_run(&t->pre, e->work, text, unigram_word, &t->unigram);
    return bt_pretok_run(&t->pre, e->work, text, bpe_word, &t->bpe);
}

static bt_status encode_valid(encoder *e, stretch in)
{
    bt_slice out;
    BT_TRY(bt_norm_apply(&e->t->norm, e->work, (bt_slice){in.text, in.len}, &out));
    if (out.len == 0) return BT_OK;
    return cut(e, &e->t->normal, (stretch){out.text, out.len, in.at_start}, encode_normal);
}

/* The end of the well-formed text that begins at `at`. */
static size_t valid_end(const char *text, size_t len, size_t at)
{
    while (at < len) {
        uint64_t word;
        if (len - at >= 8 && (memcpy(&word, text + at, 8), !(word & 0x8080808080808080u))) {
            at += 8;
            continue;
        }
        size_t n = bt_utf8_valid_len(text + at, len - at);
        if (n == 0) break;
        at += n;
    }
    return at;
}

/* Byte-level: malformed bytes are a word of their own between the well-formed stretches. */
static bt_status encode_bytes(encoder *e, stretch in)
{
    for (size_t at = 0, end; at < in.len; at = end) {
        end = valid_end(in.text, in.len, at);
        if (end > at) {
            BT_TRY(encode_valid(e, (stretch){in.text + at, end - at, in.at_start && at == 0}));
            continue;
        }
        while (end < in.len && bt_utf8_valid_len(in.text + end, in.len - end) == 0) end++;
        BT_TRY(bt_bpe_word(&e->t->bpe, e->work, in.text + at, end - at));
    }
    return BT_OK;
}

/* Other kinds work on characters: each malformed byte becomes U+FFFD. */
static bt_status make_clean(bt_buf *out, stretch *in)
{
    size_t at = valid_end(in->text, in->len, 0);
    if (at == in->len) return BT_OK;
    bt_buf_clear(out);
    for (size_t from = 0; from < in->len; from = at) {
        at = valid_end(in->text, in->len, from);
        BT_TRY(bt_buf_add(out, in->text + from, at - from));
        if (at == in->len) break;
        BT_TRY(bt_buf_text(out, "\xEF\xBF\xBD"));
        at++;
    }
    in->text = out->data;
    in->len = out->len;
    return BT_OK;
}

static bt_status encode_all(encoder *e, stretch in, unsigned flags)
{
    const bt_tokenizer *t = e->t;
    bool around = flags & BT_ENCODE_BOS;
    for (int32_t i = 0; around && i < t->n_before; i++) bt_sink_put(&e->work->sink, t->before[i]);
    if (!t->bytes) BT_TRY(make_clean(&e->work->clean, &in));
    BT_TRY(cut(e, flags & BT_ENCODE_SPECIAL ? &t->all : &t->user, in,
               t->bytes ? encode_bytes : encode_valid));
    for (int32_t i = 0; around && i < t->n_after; i++) bt_sink_put(&e->work->sink, t->after[i]);
    return BT_OK;
}

static void work_done(bt_work *work)
{
    bt_buf_done(&work->clean);
    bt_buf_done(&work->norm[0]);
    bt_buf_done(&work->norm[1]);
    for (int i = 0; i < BT_PRE_STEP_MAX; i++) bt_buf_done(&work->pre[i]);
    bt_buf_done(&work->block);
    bt_regex_work_free(work->regex);
}

bt_status bt_tokenizer_encode(const bt_tokenizer *t, const char *text, size_t len, unsigned flags,
                              int32_t *ids, size_t id_max, size_t *ret_n)
{
    bt_work work = {.sink = {.ids = ids, .id_max = id_max}};
    encoder e = {.t = t, .work = &work};
    BT_FAIL_IF(flags & ~(unsigned)(BT_ENCODE_BOS | BT_ENCODE_SPECIAL), INVALID,
               "encode flags %#x are unknown", flags);
    BT_FAIL_IF(!text && len, INVALID, "no text, but %zu bytes of it", len);
    bt_status st = len || flags & BT_ENCODE_BOS
                       ? encode_all(&e, (stretch){text ? text : "", len, true}, flags)
                       : BT_OK;
    work_done(&work);
    BT_TRY(st);
    *ret_n = work.sink.n;
    BT_FAIL_IF(work.sink.n > id_max, LIMIT, "the text has %zu tokens, room for %zu", work.sink.n,
               id_max);
    return BT_OK;
}

bt_status bt_tokenizer_encode_mixed(const bt_tokenizer *t, const bt_mixed_text *text, int32_t *ids,
                                    size_t id_max, size_t *ret_n)
{
    size_t end = valid_end(text->text, text->len, 0);
    BT_FAIL_IF(end < text->len, FORMAT, "the text is not UTF-8 at byte %zu", end);
    bt_work work = {.sink = {.ids = ids, .id_max = id_max}};
    encoder e = {.t = t, .work = &work, .mixed = text};
    bt_status st = BT_OK;
    if (text->len) st = encode_all(&e, (stretch){text->text, text->len, true}, BT_ENCODE_SPECIAL);
    work_done(&work);
    BT_TRY(st);
    *ret_n = work.sink.n;
    BT_FAIL_IF(work.sink.n > id_max, LIMIT, "the text has %zu tokens, room for %zu", work.sink.n,
               id_max);
    return BT_OK;
}

/* ---- questions ---- */

static bool has(const bt_tokenizer *t, int32_t id) { return id >= 0 && id < t->vocab.n; }

const char *bt_tokenizer_piece(const bt_tokenizer *t, int32_t id, size_t *ret_len)
{
    bool some = has(t, id) && t->vocab.out[id].text;
    *ret_len = some ? t->vocab.out[id].len : 0;
    return some ? t->vocab.out[id].text : "";
}

/* SentencePiece kinds spell a space as U+2581 in their keys. */
static int32_t find_marked(const bt_tokenizer *t, const char *piece, size_t len)
{
    char key[3 * BT_PIECE_BYTES_MAX];
    size_t n = 0;
    if (len > sizeof key / 3) return -1;
    for (size_t i = 0; i < len; i++) {
        size_t k = piece[i] == ' ' ? 3 : 1;
        memcpy(key + n, piece[i] == ' ' ? "\xE2\x96\x81" : piece + i, k);
        n += k;
    }
    return bt_vocab_find(&t->vocab, key, n);
}

int32_t bt_tokenizer_find(const bt_tokenizer *t, const char *piece, size_t len)
{
    size_t n = 0;
    int32_t k = bt_trie_longest(&t->name, piece, len, &n);
    if (k >= 0 && n == len) return t->added[k].id;
    int32_t id = bt_vocab_find(&t->vocab, piece, len);
    if (id < 0 && !t->bytes) id = find_marked(t, piece, len);
    if (id < 0 && len == 1) id = t->vocab.byte_id[(unsigned char)piece[0]];
    return id;
}

bool bt_tokenizer_is_special(const bt_tokenizer *t, int32_t id)
{
    return has(t, id) &&
           (t->vocab.type[id] == BT_PIECE_CONTROL || t->vocab.type[id] == BT_PIECE_UNKNOWN);
}

bool bt_tokenizer_is_eog(const bt_tokenizer *t, int32_t id) { return has(t, id) && t->eog[id]; }
int32_t bt_tokenizer_n_vocab(const bt_tokenizer *t) { return t->vocab.n; }
int32_t bt_tokenizer_bos(const bt_tokenizer *t) { return t->bos; }
int32_t bt_tokenizer_eos(const bt_tokenizer *t) { return t->eos; }
int32_t bt_tokenizer_eot(const bt_tokenizer *t) { return t->eot; }
int32_t bt_tokenizer_unk(const bt_tokenizer *t) { return t->unk; }
int32_t bt_tokenizer_pad(const bt_tokenizer *t) { return t->pad; }
bool bt_tokenizer_adds_bos(const bt_tokenizer *t) { return t->n_before && t->before[0] == t->bos; }
bool bt_tokenizer_adds_eos(const bt_tokenizer *t)
{
    return t->n_after && t->after[t->n_after - 1] == t->eos;
}
const char *bt_tokenizer_chat_template(const bt_tokenizer *t) { return t->chat_template; }
const char *bt_tokenizer_kind(const bt_tokenizer *t) { return t->kind; }
