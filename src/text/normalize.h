// SPDX-License-Identifier: Apache-2.0
/* normalize: what happens to text before it is cut into words. A normalizer is a list of steps;
 * each reads well-formed UTF-8 and writes well-formed UTF-8. */
#pragma once
#include "text/charsmap.h"
#include "text/sink.h"
#include "text/tokenizer.h"

typedef enum bt_norm_kind {
    NORM_NFC,
    NORM_NFD,
    NORM_NFKC,
    NORM_NFKD,
    NORM_LOWERCASE,
    NORM_STRIP_ACCENTS, // drop every mark (general category M)
    NORM_STRIP,         // drop white space at the ends: left, right
    NORM_PREPEND,       // put `to` before a text that is not empty
    NORM_REPLACE,       // every `from` becomes `to`
    NORM_REPLACE_REGEX, // every match of `regex` becomes `to`
    NORM_CHARSMAP,      // SentencePiece's rule
    NORM_CHARSMAP_GRAPHEMES,
    NORM_SQUEEZE // SentencePiece's remove_extra_whitespaces: single spaces, none at the ends
} bt_norm_kind;

typedef struct bt_norm_step {
    bt_norm_kind kind;
    bt_slice from, to; // in the tokenizer's arena
    bool left, right;
    bt_regex *regex;      // owned
    bt_charsmap charsmap; // owned
} bt_norm_step;

enum { BT_NORM_STEP_MAX = 16 };

typedef struct bt_norm {
    bt_norm_step step[BT_NORM_STEP_MAX];
    int n_step;
} bt_norm;

/* Append a step and return it zeroed but for its kind; LIMIT past BT_NORM_STEP_MAX. */
BT_CHECKED bt_status bt_norm_add(bt_norm *norm, bt_norm_kind kind, bt_norm_step **ret_step);
void bt_norm_done(bt_norm *norm);

/* Normalize `in`; the result points into `in` itself or into work->norm. */
BT_CHECKED bt_status bt_norm_apply(const bt_norm *norm, bt_work *work, bt_slice in,
                                   bt_slice *ret_out);

/* White space as Unicode's White_Space says; the code point at text[0..len) in *ret_n bytes. */
bool bt_space_at(const char *text, size_t len, size_t *ret_n);
