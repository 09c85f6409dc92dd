// SPDX-License-Identifier: Apache-2.0
/* tokenizer: making a tokenizer from a vocabulary that some container (GGUF) spells out.
 *
 * The container's reader fills a bt_vocab_spec and calls bt_tokenizer_new, which checks everything
 * and copies what it keeps. Files of our own formats go through bt_tokenizer_open instead.
 */
#pragma once
#include "base/status.h"
#include "baton/tokenizer.h"

typedef enum bt_vocab_kind {
    BT_VOCAB_BPE,    // byte-level BPE; pieces in GPT-2's printable alphabet (tokenizer.ggml.model
                     // "gpt2")
    BT_VOCAB_SPM,    // SentencePiece BPE ("llama")
    BT_VOCAB_UNIGRAM // SentencePiece unigram ("t5")
} bt_vocab_kind;

/* Piece types: the numbers of SentencePiece's ModelProto and of tokenizer.ggml.token_type. */
enum {
    BT_PIECE_NORMAL = 1,
    BT_PIECE_UNKNOWN = 2,
    BT_PIECE_CONTROL = 3,
    BT_PIECE_USER = 4,
    BT_PIECE_UNUSED = 5,
    BT_PIECE_BYTE = 6
};

typedef struct bt_slice {
    const char *text; // need not end in NUL
    size_t len;       // bytes
} bt_slice;

typedef struct bt_vocab_spec {
    bt_vocab_kind kind;
    int32_t n_piece;       // 1..2^24
    const bt_slice *piece; // [n_piece] as the format spells them
    const float *score;    // [n_piece], NULL for BPE
    const int32_t *type;   // [n_piece] BT_PIECE_x; NULL: all normal
    int32_t n_merge;       // BPE only
    const bt_slice *merge; // [n_merge] "left right", best first; NULL is an error past 256 pieces
    const char *pre;       // tokenizer.ggml.pre ("llama-bpe"); NULL: "default"; BPE only
    int32_t bos, eos, eot, eom, unk, pad; // ids, -1: none
    const int32_t *eog; // [n_eog] further ids that end a generation; NULL when n_eog is 0
    int32_t n_eog;
    int8_t add_bos, add_eos; // 1, 0, or -1: as the family does by default
    int8_t add_space_prefix; // the dummy prefix of SPM and unigram; 1, 0, -1: by default (yes)
    int8_t remove_extra_whitespaces; // 1, 0, -1: by default (SPM no, unigram yes)
    int8_t ignore_merges;    // a word that is a piece is not split; 1, 0, -1: by the pre-tokenizer
    const uint8_t *charsmap; // SentencePiece's precompiled_charsmap; NULL: none
    size_t charsmap_len;     // bytes
    const char *chat_template; // NULL: none
} bt_vocab_spec;

/* A spec with every optional field at its "not given" value. */
static inline bt_vocab_spec bt_vocab_spec_empty(void)
{
    return (bt_vocab_spec){.bos = -1,
                           .eos = -1,
                           .eot = -1,
                           .eom = -1,
                           .unk = -1,
                           .pad = -1,
                           .add_bos = -1,
                           .add_eos = -1,
                           .add_space_prefix = -1,
                           .remove_extra_whitespaces = -1,
                           .ignore_merges = -1};
}

/* Build a tokenizer; the spec and all it points to may go afterwards.
 *
 * Errors   FORMAT: ids, types, scores or merges that do not fit together (named); UNSUPPORTED: an
 *          unknown pre-tokenizer; LIMIT: a piece longer than BT_PIECE_BYTES_MAX. */
BT_CHECKED bt_status bt_tokenizer_new(const bt_vocab_spec *spec, bt_tokenizer **ret);

/* Build a tokenizer from the tokenizer.json that a container carries beside its own vocabulary. Of
 * the spec count the pieces, which must be those of the text, and the roles (ids below n_piece),
 * add_bos, add_eos and the chat template, which come before what the text says.
 *
 * Errors   as bt_tokenizer_open for the text; FORMAT: its pieces are not the spec's. */
BT_CHECKED bt_status bt_tokenizer_new_json(const char *text, size_t len, const bt_vocab_spec *spec,
                                           bt_tokenizer **ret);

/* A text of two origins: its own, and stretches of data in it that must not become special tokens.
 */
typedef struct bt_mixed_text {
    const char *text;     // UTF-8
    size_t len;           // bytes
    const bt_slice *data; // [n_data] parts of `text`, ascending, not overlapping
    size_t n_data;
} bt_mixed_text;

/* Encode as bt_tokenizer_encode with BT_ENCODE_SPECIAL does, but see no special token where one of
 * its bytes is data: "<|im_" of the template and "end|>" of a user make none.
 *
 * Errors   FORMAT: not UTF-8; LIMIT as there. */
BT_CHECKED bt_status bt_tokenizer_encode_mixed(const bt_tokenizer *t, const bt_mixed_text *text,
                                               int32_t *ids, size_t id_max, size_t *ret_n);
