// SPDX-License-Identifier: Apache-2.0
/* unigram: see unigram.h. One forward pass over the places of the text; every place keeps the best
 * way to reach it. */
#include "text/unigram.h"
#include "base/bits.h"
#include "base/utf8.h"
#include <float.h>

static const double unk_penalty =
    10; // SentencePiece's: an unknown is this much worse than the worst piece

static bool reachable(const bt_vocab *v, int32_t id)
{
    return v->key[id].len && (v->type[id] == BT_PIECE_NORMAL || v->type[id] == BT_PIECE_USER);
}

bt_status bt_unigram_init(bt_unigram *u, const bt_vocab *v)
{
    size_t n_byte = 0;
    double lowest = DBL_MAX, highest = -DBL_MAX;
    u->vocab = v;
    for (int32_t i = 0; i < v->n; i++) {
        if (!reachable(v, i)) continue;
        n_byte += v->key[i].len;
        if (v->type[i] != BT_PIECE_NORMAL) continue;
        if (v->score[i] < lowest) lowest = v->score[i];
        if (v->score[i] > highest) highest = v->score[i];
    }
    u->best_score = highest;
    u->unk_score = lowest == DBL_MAX ? -unk_penalty : lowest - unk_penalty;
    BT_TRY(bt_trie_init(&u->trie, n_byte));
    for (int32_t i = 0; i < v->n; i++)
        if (reachable(v, i)) bt_trie_put(&u->trie, v->key[i].text, v->key[i].len, i);
    return BT_OK;
}

void bt_unigram_done(bt_unigram *u) { bt_trie_done(&u->trie); }

typedef struct place {
    double score;  // of the best way here
    int32_t id;    // its last piece, -1: an unknown code point
    uint32_t from; // where that piece begins; UINT32_MAX: not reached
    uint32_t next; // on the best path: where the piece that begins here ends
} place;

/* A user piece nearly always wins: SentencePiece rates it by its length. */
static double piece_score(const bt_unigram *u, int32_t id, size_t len)
{
    if (u->is_spm && u->vocab->type[id] == BT_PIECE_USER) return (double)len * u->best_score - 0.1;
    return u->vocab->score[id];
}

static void reach(place *p, double score, int32_t id, size_t from)
{
    if (p->from != UINT32_MAX && score <= p->score) return;
    *p = (place){score, id, (uint32_t)from, 0};
}

/* Ties are broken by rounding, so the rounding must be the reference's. */
static double sum(const bt_unigram *u, double a, double b)
{
    return u->is_spm ? (float)(a + b) : a + b;
}

static void extend(const bt_unigram *u, const char *text, size_t len, size_t at, place *p)
{
    size_t k = bt_utf8_valid_len(text + at, len - at);
    if (k == 0) k = 1;
    bool has_single = false;
    uint32_t node = 0;
    for (size_t i = at; i < len && (node = bt_trie_step(&u->trie, node, (uint8_t)text[i])); i++) {
        int32_t id = u->trie.id[node];
        if (id < 0) continue;
        if (i + 1 - at == k) has_single = true;
        reach(&p[i + 1], sum(u, p[at].score, piece_score(u, id, i + 1 - at)), id, at);
    }
    if (!has_single) reach(&p[at + k], sum(u, p[at].score, u->unk_score), -1, at);
}

static void emit_unknown(const bt_unigram *u, bt_sink *sink, const char *text, size_t len)
{
    bool all = u->byte_fallback;
    for (size_t i = 0; i < len && all; i++) all = u->vocab->byte_id[(uint8_t)text[i]] >= 0;
    if (!all) {
        bt_sink_put_unk(sink, u->unk, u->fuse_unk);
        return;
    }
    for (size_t i = 0; i < len; i++) bt_sink_put(sink, u->vocab->byte_id[(uint8_t)text[i]]);
}

bt_status bt_unigram_word(const bt_unigram *u, bt_work *work, const char *text, size_t len)
{
    BT_FAIL_IF(len > INT32_MAX / 4, LIMIT, "a text of %zu bytes, at most %d", len, INT32_MAX / 4);
    bt_buf_clear(&work->block);
    BT_TRY(bt_buf_reserve(&work->block, (len + 1) * sizeof(place)));
    place *p = (place *)(void *)work->block.data;
    for (size_t i = 0; i <= len; i++) p[i].from = UINT32_MAX;
    p[0] = (place){0, -1, 0, 0};
    for (size_t i = 0; i < len; i++)
        if (p[i].from != UINT32_MAX) extend(u, text, len, i, p);
    for (uint32_t at = (uint32_t)len; at != 0; at = p[at].from) p[p[at].from].next = at;
    for (uint32_t at = 0, end; at < len; at = end) {
        end = p[at].next;
        if (p[end].id >= 0)
            bt_sink_put(&work->sink, p[end].id);
        else
            emit_unknown(u, &work->sink, text + at, end - at);
    }
    return BT_OK;
}
