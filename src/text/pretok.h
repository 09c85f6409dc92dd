// SPDX-License-Identifier: Apache-2.0
/* pretok: cutting normalized text into words. A pre-tokenizer is a list of steps; each cuts every
 * piece that the step before it left (or changes its text), and what the last one leaves is a word.
 */
#pragma once
#include "text/sink.h"
#include "text/tokenizer.h"

typedef enum bt_pre_kind {
    PRE_SPLIT,        // at the matches of a pattern
    PRE_PREFIX_SPACE, // a space before a piece that does not begin with one
                      // (ByteLevel.add_prefix_space)
    PRE_METASPACE     // spaces become `mark`, one more goes in front, a word begins at each
} bt_pre_kind;

typedef enum bt_split_rule { // what becomes of a match
    SPLIT_ISOLATED,          // a piece of its own
    SPLIT_REMOVED,
    SPLIT_CONTIGUOUS,    // neighbouring matches are one piece
    SPLIT_WITH_PREVIOUS, // it ends the piece before it
    SPLIT_WITH_NEXT      // it begins the piece after it
} bt_split_rule;

typedef enum bt_prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } bt_prepend;

typedef struct bt_pre_step {
    bt_pre_kind kind;
    bt_split_rule rule;
    bool invert;        // what does not match counts as the match
    bt_regex *regex;    // PRE_SPLIT: owned; NULL: `literal` is looked for
    bt_slice literal;   // in the tokenizer's arena
    bt_slice mark;      // PRE_METASPACE, in the arena
    bt_prepend prepend; // PRE_METASPACE
    bool split;         // PRE_METASPACE: cut at the marks
} bt_pre_step;

typedef struct bt_pretok {
    bt_pre_step step[BT_PRE_STEP_MAX];
    int n_step;
} bt_pretok;

BT_CHECKED bt_status bt_pretok_add(bt_pretok *pre, bt_pre_kind kind, bt_pre_step **ret_step);
BT_CHECKED bt_status bt_pretok_add_regex(bt_pretok *pre, const char *pattern, bt_split_rule rule,
                                         bool invert);
void bt_pretok_done(bt_pretok *pre);

typedef bt_status bt_word_fn(const void *context, bt_work *work, const char *text, size_t len);

typedef struct bt_pre_text {
    const char *text; // well-formed UTF-8
    size_t len;
    bool at_start; // this is the beginning of the whole text
} bt_pre_text;

/* Call `word` for each word, in order; empty ones are left out. */
BT_CHECKED bt_status bt_pretok_run(const bt_pretok *pre, bt_work *work, bt_pre_text in,
                                   bt_word_fn *word, const void *context);

/* ---- the pre-tokenizers that have a name (prename.c) ---- */

#define BT_PATTERN_GPT2                                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct bt_prename {
    const char *name; // of tokenizer.ggml.pre
    const char *const
        *split; // patterns, NULL-terminated, applied one after another, matches isolated
    bool ignore_merges;
    bool add_bos; // the family's default
    bool nfc;     // its tokenizer.json normalizes to NFC
} bt_prename;

/* The row of a name, or NULL. */
const bt_prename *bt_prename_find(const char *name);
const bt_prename *bt_prename_at(size_t i); // NULL past the end
