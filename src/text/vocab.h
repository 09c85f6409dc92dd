// SPDX-License-Identifier: Apache-2.0
/* vocab: the pieces of a tokenizer and the hash table that finds one by its bytes.
 *
 * A piece has a key (what the model matches in prepared text) and an output (the bytes it decodes
 * to). For byte-level BPE both are raw bytes; for SentencePiece kinds the key has U+2581 for a
 * space. Control pieces have no place in the matching of text: bt_vocab_find_text never returns
 * one.
 */
#pragma once
#include "base/arena.h"
#include "text/tokenizer.h"

typedef struct vocab_slot {
    uint32_t tag; // high half of the key's hash
    int32_t id;   // -1: empty
} vocab_slot;

typedef struct bt_vocab {
    int32_t n;       // ids are 0..n-1
    bool has_unused; // some piece is BT_PIECE_UNUSED
    bt_slice
        *key; // [n] in the arena; text NULL: an id without a piece, or one that text cannot reach
    bt_slice *out;    // [n] in the arena
    uint8_t *type;    // [n] BT_PIECE_x
    uint8_t *whole;   // [n] 1: the model turns this piece's text into this one piece
    double *score;    // [n]
    vocab_slot *slot; // [mask + 1], at most half full
    uint32_t mask;
    int32_t byte_id[256]; // the piece for one raw byte, -1: none
} bt_vocab;

/* Room for n pieces, all absent. */
BT_CHECKED bt_status bt_vocab_init(bt_vocab *v, int32_t n);
void bt_vocab_done(bt_vocab *v);

/* Put a piece's key (which must outlive the vocabulary) under `id`; of equal keys the last one
 * wins. */
BT_CHECKED bt_status bt_vocab_put(bt_vocab *v, int32_t id, bt_slice key);

int32_t bt_vocab_find(const bt_vocab *v, const char *key, size_t len); // any piece, or -1
int32_t bt_vocab_find_text(const bt_vocab *v, const char *key,
                           size_t len); // what plain text may become, or -1

/* Read a piece of the form <0x0A>; -1 when it is not one. */
int bt_piece_byte(const char *piece, size_t len);

/* GPT-2's printable alphabet: one code point a byte. Turn `len` bytes of UTF-8 in that alphabet
 * into raw bytes at `out` (room for len); false when some character is not of the alphabet. */
bool bt_alphabet_decode(const char *text, size_t len, char *out, size_t *ret_len);
