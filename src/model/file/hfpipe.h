// SPDX-License-Identifier: Apache-2.0
/* hfpipe: the normalizer and the pre-tokenizer of a tokenizer.json in the words that GGUF has for
 * them: a name for byte-level vocabularies, flags for SentencePiece's. Anything else is refused. */
#pragma once
#include "base/json.h"

/* What GGUF can say about a tokenizer that marks spaces with U+2581. */
typedef struct bt_hf_spaces {
    bool prefix;   // add_space_prefix: a text begins with a space
    bool squeeze;  // remove_extra_whitespaces: a run of spaces counts as one
    bool charsmap; // precompiled_charsmap: there is a map of characters
    bool plain;    // Prepend and Replace or nothing: the flags say all, to the last id
} bt_hf_spaces;

/* Whether the pre-tokenizer (not NULL) ends in the byte alphabet, and the name of the one that
 * cuts, normalizes and merges as the document says; *ret_name is NULL when no bytes are at its end.
 *
 * Errors   UNSUPPORTED: GGUF has no name for it; FORMAT. */
BT_CHECKED bt_status bt_hf_pre_name(json_t *doc, const char **ret_name);

/* Read the flags.
 *
 * Errors   UNSUPPORTED: a step that GGUF cannot say, which the message names; FORMAT. */
BT_CHECKED bt_status bt_hf_spaces_read(json_t *doc, bt_hf_spaces *ret);
