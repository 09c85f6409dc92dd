// SPDX-License-Identifier: Apache-2.0
/* params: is a request acceptable? Owns the limits of bt_request_params and the words of refusal;
 * bt_request_defaults is here too. */
#pragma once
#include "baton/engine.h"

/* What a request is checked against. */
typedef struct bt_params_limits {
    int32_t n_vocab, n_ctx;
    bool has_tokenizer; // stop texts need one
} bt_params_limits;

enum { BT_STOP_ID_MAX = 64 };

/* INVALID or LIMIT names the field, what it is and what is allowed. */
BT_CHECKED bt_status bt_params_check(const bt_request_params *params,
                                     const bt_params_limits *limits);

/* Tokens a checked request may generate: max_tokens, as far as n_ctx lets it. */
int32_t bt_params_n_output_max(const bt_request_params *params, int32_t n_ctx);
