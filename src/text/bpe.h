// SPDX-License-Identifier: Apache-2.0
/* bpe: byte-pair encoding of one word.
 *
 * Two tables say which neighbours join and how early: a list of merges (GPT-2's form), or the
 * scores of the joined pieces (SentencePiece's form). The algorithm is the same: join the best
 * pair, the leftmost of equals, until none joins. Short words scan; long ones use a heap, O(n log
 * n). Source: Sennrich et al. 2016, sec. 3.2; SentencePiece's bpe_model for resegmentation.
 */
#pragma once
#include "text/sink.h"
#include "text/vocab.h"

typedef struct bpe_merge {
    uint64_t pair; // left id << 32 | right id
    uint32_t rank; // smaller joins first; BPE_NEVER: empty slot
    int32_t id;    // the joined piece
} bpe_merge;

enum { BPE_NEVER = -1 }; // as uint32_t: later than every rank

typedef struct bt_bpe {
    const bt_vocab *vocab;
    bpe_merge *merge; // [mask + 1], at most half full; NULL: pairs join by score
    uint32_t mask;
    uint32_t *rank;     // [n_vocab] by score: when the piece is made; NULL with merges
    bool bytes;         // symbols start as bytes, not code points
    bool byte_fallback; // an unknown code point becomes its byte pieces
    bool fuse_unk;
    bool ignore_merges; // a word that is a piece is not split
    bool split_words;   // no piece has U+2581 after another character: words are independent
    int32_t unk;        // -1: unknown characters vanish
} bt_bpe;

/* Prepare for n merges, then add them in order of rank (0 is best). */
BT_CHECKED bt_status bt_bpe_init_merges(bt_bpe *b, const bt_vocab *v, int32_t n_merge);
void bt_bpe_put_merge(bt_bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id);

/* Prepare joining by score. */
BT_CHECKED bt_status bt_bpe_init_scores(bt_bpe *b, const bt_vocab *v);

/* Find out which pieces come out whole when their own text is encoded: the fast path of encoding.
 */
BT_CHECKED bt_status bt_bpe_mark_whole(bt_bpe *b, bt_vocab *v);
void bt_bpe_done(bt_bpe *b);

/* Encode one word into work->sink. */
BT_CHECKED bt_status bt_bpe_word(const bt_bpe *b, bt_work *work, const char *text, size_t len);
