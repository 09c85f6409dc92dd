// SPDX-License-Identifier: Apache-2.0
/* tokpipe: the parts of tokenizer.json around the model: normalizer, pre_tokenizer, decoder,
 * post_processor. Whatever is not implemented is refused by its name. */
#pragma once
#include "base/json.h"
#include "text/tokcore.h"

BT_CHECKED bt_status bt_tokpipe_normalizer(bt_tokenizer *t, json_t *node);
BT_CHECKED bt_status bt_tokpipe_pre(bt_tokenizer *t, json_t *node); // sets t->bytes too
BT_CHECKED bt_status bt_tokpipe_post(bt_tokenizer *t, json_t *node);

/* How pieces become text. */
typedef enum bt_dec_kind { DEC_REPLACE, DEC_BYTE_FALLBACK, DEC_STRIP, DEC_BYTE_LEVEL } bt_dec_kind;

typedef struct bt_dec_step {
    bt_dec_kind kind;
    bt_slice from, to;   // DEC_REPLACE; belong to the JSON document
    bt_slice strip;      // DEC_STRIP: one character
    int64_t start, stop; // DEC_STRIP: at most so many at each end
} bt_dec_step;

enum { BT_DEC_STEP_MAX = 8 };

typedef struct bt_decoder {
    bt_dec_step step[BT_DEC_STEP_MAX];
    int n_step;
    bool fused; // what follows sees the whole text, not a token
} bt_decoder;

/* Read the decoder; sets t->strip_first and t->join_space. */
BT_CHECKED bt_status bt_tokpipe_decoder(bt_tokenizer *t, json_t *node, bt_decoder *ret);

/* What a piece decodes to, in the tokenizer's arena. */
BT_CHECKED bt_status bt_decoder_apply(const bt_decoder *d, bt_tokenizer *t, bt_slice piece,
                                      bt_slice *ret_out);
