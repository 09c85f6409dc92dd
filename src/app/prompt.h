// SPDX-License-Identifier: Apache-2.0
/* prompt: from words to token ids, plain or through the model's chat template. */
#pragma once
#include "base/alloc.h"
#include "baton/model.h"
#include "baton/tokenizer.h"

/* A growable array of ids; {0} is empty. */
typedef struct bt_ids {
    int32_t *id; // [n]
    size_t n;
    size_t n_max; // allocated
} bt_ids;

void bt_ids_done(bt_ids *ids);
BT_CHECKED bt_status bt_ids_reserve(bt_ids *ids, size_t n); // room for n in all
BT_CHECKED bt_status bt_ids_add(bt_ids *ids, int32_t id);

/* Replace `ids` by the ids of a text; flags are BT_ENCODE_. */
BT_CHECKED bt_status bt_ids_encode(bt_ids *ids, const bt_tokenizer *tokenizer, const char *text,
                                   size_t len, unsigned flags);

/* Replace `ids` by the numbers of a list "1, 2 3" (commas, blanks and brackets separate), each
 * below n_vocab. INVALID names the offender. */
BT_CHECKED bt_status bt_ids_parse(bt_ids *ids, const char *text, size_t len, int32_t n_vocab);

/* The tokenizer, or UNSUPPORTED that names the model. */
BT_CHECKED bt_status bt_prompt_tokenizer(const bt_model_file *model, const char *path,
                                         const bt_tokenizer **ret);
