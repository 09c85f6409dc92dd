// SPDX-License-Identifier: Apache-2.0
/* spmodel: a directory's tokenizer.model as the spec that bt_tokenizer_open makes its tokenizer of:
 * for who writes the vocabulary into another container. */
#pragma once
#include "base/arena.h"
#include "base/file.h"
#include "text/tokenizer.h"

typedef struct bt_spmodel {
    bt_file file;       // the mapping that spec points into
    bt_arena arena;     // the rest that it points to
    bt_vocab_spec spec; // SPM or UNIGRAM, with the directory's added tokens; without what
                        // tokenizer_config.json says of roles, of bos and eos around a text
} bt_spmodel;

/* Read dir/tokenizer.model and the tokens added beside it.
 *
 * Errors  NOTFOUND, IO, FORMAT, UNSUPPORTED, LIMIT as bt_tokenizer_open; nothing to close then. */
BT_CHECKED bt_status bt_spmodel_open(bt_spmodel *model, const char *dir);
void bt_spmodel_close(bt_spmodel *model);
