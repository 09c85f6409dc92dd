// SPDX-License-Identifier: Apache-2.0
/* baton/tokenizer.h: text to token ids and back.
 *
 * A tokenizer is immutable once opened; any number of threads may use one at the same time. Plain
 * text never becomes a special token: "<|eot_id|>" in a user's message is eight or so ordinary
 * tokens unless the caller asks for BT_ENCODE_SPECIAL. Decoding is a stream: tokens go in one by
 * one, whole code points come out; a code point cut between two tokens waits for its second half.
 */
#ifndef BATON_TOKENIZER_H
#define BATON_TOKENIZER_H

#include "baton/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_tokenizer bt_tokenizer;

enum {
    BT_ENCODE_BOS = 1, /* add what the model expects around a text (bos, eos), as its files say */
    BT_ENCODE_SPECIAL = 2 /* special tokens spelled out in the text become those tokens */
};

enum {
    BT_DETOK_SPECIAL = 1, /* print special tokens too */
    BT_DETOK_CONTINUE =
        2 /* the tokens go on from other text: keep the first token's leading space */
};

enum { BT_PIECE_BYTES_MAX = 1024 }; /* longest piece a vocabulary may hold */

/* Open a tokenizer.json, a SentencePiece tokenizer.model, or a directory that holds one of them
 * (then its tokenizer_config.json, special_tokens_map.json, added_tokens.json,
 * generation_config.json and chat_template.jinja are honoured).
 *
 * Errors   NOTFOUND, IO; FORMAT: the file is malformed; UNSUPPORTED: it asks for something that is
 *          not implemented, which the message names; LIMIT: sizes. */
BT_API BT_CHECKED bt_status bt_tokenizer_open(const char *path, bt_tokenizer **ret);
BT_API void bt_tokenizer_free(bt_tokenizer *tokenizer); /* NULL is nothing */

/* Turn `len` bytes into ids. `text` may be any bytes: malformed UTF-8 becomes byte tokens where the
 * vocabulary has them and U+FFFD where not.
 *
 *   ids    caller's array of id_max entries; may be NULL when id_max is 0
 *   ret_n  how many ids the text needs; set on OK and when it does not fit
 *
 * Errors   LIMIT: more than id_max are needed (the first id_max are in `ids`). */
BT_API BT_CHECKED bt_status bt_tokenizer_encode(const bt_tokenizer *tokenizer, const char *text,
                                                size_t len, unsigned flags, int32_t *ids,
                                                size_t id_max, size_t *ret_n);

BT_API int32_t bt_tokenizer_n_vocab(const bt_tokenizer *tokenizer); /* ids are 0 .. n_vocab - 1 */

/* The bytes a token stands for in the middle of a text (" the", not "\u0120the"); special tokens
 * give their spelling; "" for an id outside the vocabulary. Valid while the tokenizer lives. */
BT_API const char *bt_tokenizer_piece(const bt_tokenizer *tokenizer, int32_t id, size_t *ret_len);

/* The id whose bytes (as bt_tokenizer_piece gives them) or special spelling are exactly these; -1.
 */
BT_API int32_t bt_tokenizer_find(const bt_tokenizer *tokenizer, const char *piece, size_t len);

BT_API bool bt_tokenizer_is_special(const bt_tokenizer *tokenizer,
                                    int32_t id);                            /* a control token */
BT_API bool bt_tokenizer_is_eog(const bt_tokenizer *tokenizer, int32_t id); /* ends a generation */

/* Ids with a role, -1 when there is none. eot ends a turn of a chat; eos a document. */
BT_API int32_t bt_tokenizer_bos(const bt_tokenizer *tokenizer);
BT_API int32_t bt_tokenizer_eos(const bt_tokenizer *tokenizer);
BT_API int32_t bt_tokenizer_eot(const bt_tokenizer *tokenizer);
BT_API int32_t bt_tokenizer_unk(const bt_tokenizer *tokenizer);
BT_API int32_t bt_tokenizer_pad(const bt_tokenizer *tokenizer);

BT_API bool bt_tokenizer_adds_bos(const bt_tokenizer *tokenizer); /* BT_ENCODE_BOS puts bos first */
BT_API bool bt_tokenizer_adds_eos(const bt_tokenizer *tokenizer); /* BT_ENCODE_BOS puts eos last */

BT_API const char *
bt_tokenizer_chat_template(const bt_tokenizer *tokenizer); /* Jinja text, NULL if none */
/* "bpe", "byte-level bpe", "spm" or "unigram". */
BT_API const char *bt_tokenizer_kind(const bt_tokenizer *tokenizer);

/* A streaming decoder in the caller's storage; no call allocates. All fields are private. */
typedef struct bt_detok {
    const bt_tokenizer *tokenizer;
    unsigned flags;
    bool started;   /* some text went out: a leading space is kept from now on */
    uint8_t n_held; /* bytes of a code point that is not complete yet, 0..3 */
    char held[4];
    char text[3 * (BT_PIECE_BYTES_MAX + 8)]; /* what the last push or flush returned */
} bt_detok;

BT_API void bt_detok_init(bt_detok *detok, const bt_tokenizer *tokenizer, unsigned flags);

/* Feed one token; return the code points it completes (possibly none). Bytes that can be no part of
 * UTF-8 become U+FFFD, one for each maximal malformed part. The text is valid until the next call.
 *
 * Errors   INVALID: id outside the vocabulary. */
BT_API BT_CHECKED bt_status bt_detok_push(bt_detok *detok, int32_t id, const char **ret_text,
                                          size_t *ret_len);

/* Return what an unfinished code point leaves behind (U+FFFD or nothing). The decoder may go on. */
BT_API BT_CHECKED bt_status bt_detok_flush(bt_detok *detok, const char **ret_text, size_t *ret_len);

#ifdef __cplusplus
}
#endif
#endif
