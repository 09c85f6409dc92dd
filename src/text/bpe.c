// SPDX-License-Identifier: Apache-2.0
/* bpe: see bpe.h. */
#include "text/bpe.h"
#include "base/bits.h"
#include "base/hash.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { SHORT_WORD = 48 }; // symbols; up to here a scan beats a heap

#define NEVER UINT32_MAX

typedef struct symbol {
    int32_t id;          // -1: not a piece
    uint32_t begin, len; // bytes of the word
    uint32_t rank;       // of joining with the next symbol, NEVER: they do not join
    int32_t joined;      // the piece that joining gives
    int32_t prev, next;  // heap form only; -1: none
} symbol;

bt_status bt_bpe_init_merges(bt_bpe *b, const bt_vocab *v, int32_t n_merge)
{
    uint32_t n_slot = 16;
    while (n_slot < 2 * (uint32_t)n_merge) n_slot *= 2;
    b->vocab = v;
    b->mask = n_slot - 1;
    BT_TRY(bt_alloc_array((void **)&b->merge, n_slot, sizeof *b->merge, BT_MEM_TEXT));
    for (uint32_t i = 0; i < n_slot; i++) b->merge[i].rank = NEVER;
    return BT_OK;
}

static bpe_merge *merge_slot(const bt_bpe *b, uint64_t pair)
{
    uint32_t i = (uint32_t)bt_hash_pair(pair, 0) & b->mask;
    while (b->merge[i].rank != NEVER && b->merge[i].pair != pair) i = (i + 1) & b->mask;
    return &b->merge[i];
}

void bt_bpe_put_merge(bt_bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    *merge_slot(b, pair) = (bpe_merge){pair, rank, id};
}

typedef struct scored {
    double score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Equal scores get equal ranks, so that the leftmost pair wins among them. */
bt_status bt_bpe_init_scores(bt_bpe *b, const bt_vocab *v)
{
    scored *order;
    b->vocab = v;
    BT_TRY(bt_alloc_array((void **)&b->rank, (size_t)v->n, sizeof *b->rank, BT_MEM_TEXT));
    BT_TRY(bt_alloc_array((void **)&order, (size_t)v->n, sizeof *order, BT_MEM_TEXT));
    for (int32_t i = 0; i < v->n; i++) order[i] = (scored){v->score[i], i};
    qsort(order, (size_t)v->n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (int32_t i = 0; i < v->n; i++) {
        if (i && order[i].score != order[i - 1].score) rank++;
        b->rank[order[i].id] = rank;
    }
    bt_free(order);
    return BT_OK;
}

void bt_bpe_done(bt_bpe *b)
{
    bt_free(b->merge);
    bt_free(b->rank);
    *b = (bt_bpe){0};
}

/* Set s->rank and s->joined for s followed by `next`. */
static void rate_pair(const bt_bpe *b, const char *text, symbol *s, const symbol *next)
{
    s->rank = NEVER;
    if (b->merge) {
        if (s->id < 0 || next->id < 0) return;
        const bpe_merge *m = merge_slot(b, (uint64_t)(uint32_t)s->id << 32 | (uint32_t)next->id);
        s->rank = m->rank;
        s->joined = m->id;
        return;
    }
    if (s->len + next->len > BT_PIECE_BYTES_MAX) return;
    int32_t id = bt_vocab_find_text(b->vocab, text + s->begin, s->len + next->len);
    if (id < 0) return;
    s->rank = b->rank[id];
    s->joined = id;
}

/* ---- what symbols a word starts as ---- */

static bool has_bytes(const bt_bpe *b, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (b->vocab->byte_id[(uint8_t)text[i]] < 0) return false;
    return true;
}

/* An unknown code point under merges: byte pieces, or the unknown piece, or nothing. */
static size_t start_unknown(const bt_bpe *b, const char *text, bt_extent at, symbol *s, size_t n)
{
    size_t len = at.end - at.begin;
    if (b->byte_fallback && has_bytes(b, text + at.begin, len)) {
        for (size_t i = at.begin; i < at.end; i++)
            s[n++] =
                (symbol){.id = b->vocab->byte_id[(uint8_t)text[i]], .begin = (uint32_t)i, .len = 1};
        return n;
    }
    if (b->unk < 0) return n;
    if (b->fuse_unk && n && s[n - 1].id == b->unk) {
        s[n - 1].len += (uint32_t)len;
        return n;
    }
    s[n] = (symbol){.id = b->unk, .begin = (uint32_t)at.begin, .len = (uint32_t)len};
    return n + 1;
}

/* Cut a word into its first symbols; at most one a byte. Returns how many. */
static size_t start_symbols(const bt_bpe *b, const char *text, size_t len, symbol *s)
{
    size_t n = 0;
    for (size_t i = 0, k; i < len; i += k) {
        k = b->bytes ? 1 : bt_utf8_valid_len(text + i, len - i);
        if (k == 0) k = 1; // encode() replaces malformed text first; this only keeps the loop going
        int32_t id = b->bytes ? b->vocab->byte_id[(uint8_t)text[i]]
                              : bt_vocab_find_text(b->vocab, text + i, k);
        if (id < 0 && b->merge)
            n = start_unknown(b, text, (bt_extent){i, i + k}, s, n);
        else
            s[n++] = (symbol){.id = id, .begin = (uint32_t)i, .len = (uint32_t)k};
    }
    return n;
}

/* ---- pieces that were made but must not be used ---- */

typedef struct split_log {
    bt_buf rows; // split_row
    bt_status st;
} split_log;

typedef struct split_row {
    uint32_t begin, len; // where the unused piece is, bytes of the word
    uint32_t left;       // it was made from this many bytes and the rest
} split_row;

static void note_join(const bt_bpe *b, split_log *log, const symbol *s, uint32_t right_len)
{
    if (!b->vocab->has_unused || b->merge || b->vocab->type[s->joined] != BT_PIECE_UNUSED) return;
    split_row row = {s->begin, s->len + right_len, s->len};
    if (!log->st) log->st = bt_buf_add(&log->rows, &row, sizeof row);
}

static int by_place(const void *a, const void *b)
{
    const split_row *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->len < y->len ? -1 : x->len > y->len;
}

typedef struct emitter {
    const bt_bpe *bpe;
    bt_sink *sink;
    const char *text;
    const split_log *log;
} emitter;

static const split_row *find_split(const emitter *e, uint32_t begin, uint32_t len)
{
    split_row key = {begin, len, 0};
    size_t n = e->log->rows.len / sizeof key;
    return n ? bsearch(&key, e->log->rows.data, n, sizeof key, by_place) : NULL;
}

/* Emit a finished symbol. An unused piece falls apart again the way it was made (depth <= its
 * bytes). */
static void emit(const emitter *e, int32_t id, uint32_t begin, uint32_t len)
{
    const bt_vocab *v = e->bpe->vocab;
    const split_row *row = NULL;
    if (id >= 0 && v->has_unused && v->type[id] == BT_PIECE_UNUSED) row = find_split(e, begin, len);
    if (row) {
        uint32_t left = row->left;
        emit(e, bt_vocab_find_text(v, e->text + begin, left), begin, left);
        emit(e, bt_vocab_find_text(v, e->text + begin + left, len - left), begin + left,
             len - left);
    } else if (id >= 0) {
        bt_sink_put(e->sink, id);
    } else if (e->bpe->byte_fallback && has_bytes(e->bpe, e->text + begin, len)) {
        for (uint32_t i = 0; i < len; i++)
            bt_sink_put(e->sink, v->byte_id[(uint8_t)e->text[begin + i]]);
    } else {
        bt_sink_put_unk(e->sink, e->bpe->unk, e->bpe->fuse_unk);
    }
}

/* ---- short words ---- */

static void remove_symbol(symbol *s, size_t n, size_t i)
{
    memmove(s + i, s + i + 1, (n - i - 1) * sizeof *s);
}

static size_t join_short(const bt_bpe *b, const char *text, symbol *s, size_t n, split_log *log)
{
    for (size_t i = 0; i + 1 < n; i++) rate_pair(b, text, &s[i], &s[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (s[i].rank < s[best].rank) best = i;
        if (s[best].rank == NEVER) break;
        note_join(b, log, &s[best], s[best + 1].len);
        s[best].id = s[best].joined;
        s[best].len += s[best + 1].len;
        remove_symbol(s, n--, best + 1);
        if (best + 1 < n) rate_pair(b, text, &s[best], &s[best + 1]);
        if (best) rate_pair(b, text, &s[best - 1], &s[best]);
    }
    return n;
}

/* ---- long words: a binary heap of (rank, place); entries of pairs that are gone are skipped ----
 */

typedef struct heap {
    uint64_t *entry; // rank << 32 | symbol index; the smallest first
    size_t n;
} heap;

static void heap_push(heap *h, uint64_t x)
{
    size_t i = h->n++;
    for (; i && h->entry[(i - 1) / 2] > x; i = (i - 1) / 2) h->entry[i] = h->entry[(i - 1) / 2];
    h->entry[i] = x;
}

static uint64_t heap_pop(heap *h)
{
    uint64_t top = h->entry[0], x = h->entry[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->entry[child + 1] < h->entry[child]) child++;
        if (h->entry[child] >= x) break;
        h->entry[i] = h->entry[child];
    }
    h->entry[i] = x;
    return top;
}

static void rate_and_push(const bt_bpe *b, const char *text, symbol *s, int32_t i, heap *h)
{
    s[i].rank = NEVER;
    if (s[i].next >= 0) rate_pair(b, text, &s[i], &s[s[i].next]);
    if (s[i].rank != NEVER) heap_push(h, (uint64_t)s[i].rank << 32 | (uint32_t)i);
}

static void join_long(const bt_bpe *b, const char *text, symbol *s, heap *h, split_log *log)
{
    while (h->n) {
        uint64_t top = heap_pop(h);
        int32_t i = (int32_t)(uint32_t)top, gone = s[i].next;
        if (s[i].rank != (uint32_t)(top >> 32) || gone < 0)
            continue; // made for a pair that changed since
        note_join(b, log, &s[i], s[gone].len);
        s[i].id = s[i].joined;
        s[i].len += s[gone].len;
        s[i].next = s[gone].next;
        s[gone].rank = NEVER;
        if (s[i].next >= 0) s[s[i].next].prev = i;
        rate_and_push(b, text, s, i, h);
        if (s[i].prev >= 0) rate_and_push(b, text, s, s[i].prev, h);
    }
}

static void emit_list(const emitter *e, const symbol *s)
{
    if (e->log->rows.len)
        qsort(e->log->rows.data, e->log->rows.len / sizeof(split_row), sizeof(split_row), by_place);
    for (int32_t i = 0; i >= 0; i = s[i].next) emit(e, s[i].id, s[i].begin, s[i].len);
}

static bt_status encode_long(const bt_bpe *b, bt_work *work, const char *text, size_t len)
{
    split_log log = {0};
    size_t bytes;
    BT_FAIL_IF(len > INT32_MAX / 4, LIMIT, "a word of %zu bytes, at most %d", len, INT32_MAX / 4);
    bytes = len * (sizeof(symbol) + 3 * sizeof(uint64_t)); // n pairs at first, two more a join
    bt_buf_clear(&work->block);
    BT_TRY(bt_buf_reserve(&work->block, bytes));
    heap h = {.entry = (uint64_t *)(void *)work->block.data};
    symbol *s = (symbol *)(void *)(h.entry + 3 * len);
    int32_t n = (int32_t)start_symbols(b, text, len, s);
    if (n == 0) return BT_OK;
    for (int32_t i = 0; i < n; i++) {
        s[i].prev = i - 1;
        s[i].next = i + 1 < n ? i + 1 : -1;
    }
    for (int32_t i = 0; i < n; i++) rate_and_push(b, text, s, i, &h);
    join_long(b, text, s, &h, &log);
    if (!log.st) emit_list(&(emitter){b, &work->sink, text, &log}, s);
    bt_buf_done(&log.rows);
    return log.st;
}

static bt_status encode_short(const bt_bpe *b, bt_sink *sink, const char *text, size_t len)
{
    symbol s[SHORT_WORD];
    split_log log = {0};
    size_t n = start_symbols(b, text, len, s);
    n = join_short(b, text, s, n, &log);
    for (size_t i = 0; i < n; i++) s[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    if (!log.st && n) emit_list(&(emitter){b, sink, text, &log}, s);
    bt_buf_done(&log.rows);
    return log.st;
}

/* A word that shares no piece with its neighbours. */
static bt_status encode_word(const bt_bpe *b, bt_work *work, const char *text, size_t len)
{
    if (len <= BT_PIECE_BYTES_MAX) {
        int32_t id = bt_vocab_find_text(b->vocab, text, len);
        if (id >= 0 && (b->ignore_merges || b->vocab->whole[id])) {
            bt_sink_put(&work->sink, id);
            return BT_OK;
        }
    }
    return len <= SHORT_WORD ? encode_short(b, &work->sink, text, len)
                             : encode_long(b, work, text, len);
}

/* The end of the run of non-spaces that starts at `at`, where a space is U+2581. */
static size_t word_end(const char *text, size_t len, size_t at)
{
    while (at + 3 <= len && !memcmp(text + at, "\xE2\x96\x81", 3)) at += 3;
    for (const char *p = text + at; (p = memchr(p, 0xE2, (size_t)(text + len - p))); p++)
        if (text + len - p >= 3 && !memcmp(p, "\xE2\x96\x81", 3)) return (size_t)(p - text);
    return len;
}

bt_status bt_bpe_word(const bt_bpe *b, bt_work *work, const char *text, size_t len)
{
    if (!b->split_words) return encode_word(b, work, text, len);
    for (size_t i = 0, end; i < len; i = end) {
        end = word_end(text, len, i);
        BT_TRY(encode_word(b, work, text + i, end - i));
    }
    return BT_OK;
}

bt_status bt_bpe_mark_whole(bt_bpe *b, bt_vocab *v)
{
    bt_work work = {0};
    bt_status st = BT_OK;
    int32_t id;
    bool ignore = b->ignore_merges;
    if (ignore) return BT_OK;
    for (int32_t i = 0; i < v->n && !st; i++) {
        const bt_slice *key = &v->key[i];
        if (!key->len || v->type[i] != BT_PIECE_NORMAL) continue;
        work.sink = (bt_sink){.ids = &id, .id_max = 1};
        st = encode_word(b, &work, key->text, key->len);
        if (work.sink.n == 1 && id == i) v->whole[i] = 1;
    }
    bt_buf_done(&work.block);
    return st;
}
