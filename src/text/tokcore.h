// SPDX-License-Identifier: Apache-2.0
/* tokcore: the inside of a tokenizer, and how the readers of the formats put one together:
 *
 *   bt_tok_new -> fill vocab, norm, pre, model, decoding -> bt_tok_add_token... -> bt_tok_finish
 *
 * text -> added tokens cut out -> norm -> added tokens of normalized text cut out -> pre -> model
 * -> ids
 */
#pragma once
#include "base/arena.h"
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/pretok.h"
#include "text/unigram.h"
#include "text/vocab.h"

enum { BT_TOK_AROUND_MAX = 8, BT_TOK_PIECE_MAX = 1 << 24 };

/* A piece that is looked for in the text before the model sees it. */
typedef struct bt_added {
    int32_t id;
    bt_slice text;       // its spelling, in the arena
    bt_slice match;      // what is looked for: the spelling, or its normal form
    bool special;        // only matched when the caller asks
    bool normalized;     // matched in normalized text; never for special ones
    bool lstrip, rstrip; // swallows the white space before, after
    bool single_word;    // not next to a letter, digit or underscore
} bt_added;

typedef enum bt_tok_model { TOK_BPE, TOK_UNIGRAM } bt_tok_model;

struct bt_tokenizer {
    bt_arena arena;
    const char *kind; // for people
    bt_vocab vocab;
    bt_tok_model model;
    bool bytes; // byte-level: malformed UTF-8 passes through as bytes
    bt_norm norm;
    bt_pretok pre;
    bt_bpe bpe;
    bt_unigram unigram;
    bt_added *added; // [n_added], grown
    int32_t n_added, added_max;
    bt_trie user, all, normal, name; // indices into added: in raw text without / with the special
                                     // ones, in normalized text, by spelling
    int32_t before[BT_TOK_AROUND_MAX], after[BT_TOK_AROUND_MAX]; // what BT_ENCODE_BOS adds
    int32_t n_before, n_after;
    int32_t bos, eos, eot, eom, unk, pad;
    uint8_t *eog;        // [vocab.n]
    bool strip_first;    // decoding drops one space at the start of a text
    bool join_space;     // decoding puts a space between tokens (no decoder in the file)
    char *chat_template; // in the arena, NULL: none
};

/* An empty tokenizer with room for n ids. */
BT_CHECKED bt_status bt_tok_new(int32_t n, bt_tokenizer **ret);

/* Add a token that is matched in text. Takes its piece type from `special`. The slices may go away.
 */
BT_CHECKED bt_status bt_tok_add_token(bt_tokenizer *t, bt_added token);
bt_added *bt_tok_find_added(const bt_tokenizer *t, const char *text,
                            size_t len); // before finish: a scan

/* Replace "\u2581" by a space: what the pieces of SentencePiece mean. In the arena. */
BT_CHECKED bt_status bt_tok_unmark(bt_tokenizer *t, bt_slice in, bt_slice *ret_out);

/* Check everything, build the tables, give roles to well-known names that have none. */
BT_CHECKED bt_status bt_tok_finish(bt_tokenizer *t);

/* Put bos before or eos after (or take them away) whatever was there. */
void bt_tok_set_bos(bt_tokenizer *t, bool add);
void bt_tok_set_eos(bt_tokenizer *t, bool add);

/* Normalize one spelling with the tokenizer's own normalizer, into the arena. */
BT_CHECKED bt_status bt_tok_normalize(bt_tokenizer *t, bt_slice in, bt_slice *ret_out);

/* The readers. Each gives a finished tokenizer. */
typedef struct bt_hf_config bt_hf_config; // what lies beside tokenizer.json; hfconfig.h
BT_CHECKED bt_status bt_tokjson_parse(const char *text, size_t len, const bt_hf_config *config,
                                      bt_tokenizer **ret);
BT_CHECKED bt_status bt_spmodel_parse(const uint8_t *bytes, size_t len, const bt_hf_config *config,
                                      bt_tokenizer **ret);
