// SPDX-License-Identifier: Apache-2.0
/* unigram: the segmentation of a text with the largest sum of piece scores.
 * Source: Kudo 2018, sec. 3.2 (Viterbi). */
#pragma once
#include "text/sink.h"
#include "text/trie.h"
#include "text/vocab.h"

typedef struct bt_unigram {
    const bt_vocab *vocab;
    double best_score; // of any normal piece
    bt_trie trie;      // the pieces that text may become
    double unk_score;  // of one code point that is no piece
    bool is_spm;       // SentencePiece's own arithmetic: sums in float, user pieces with a bonus
    bool byte_fallback;
    bool fuse_unk;
    int32_t unk; // -1: unknown text vanishes
} bt_unigram;

BT_CHECKED bt_status bt_unigram_init(bt_unigram *u, const bt_vocab *v);
void bt_unigram_done(bt_unigram *u);

/* Encode one word into work->sink. */
BT_CHECKED bt_status bt_unigram_word(const bt_unigram *u, bt_work *work, const char *text,
                                     size_t len);
