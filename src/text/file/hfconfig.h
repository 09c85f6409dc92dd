// SPDX-License-Identifier: Apache-2.0
/* hfconfig: the files beside a tokenizer in a Hugging Face directory: who is bos and eos, what is
 * added around a text, which tokens end a generation, the chat template. */
#pragma once
#include "base/json.h"
#include "text/tokcore.h"

struct bt_hf_config {
    json_t *tokenizer;    // tokenizer_config.json, NULL: absent; owned, as are the others
    json_t *special_map;  // special_tokens_map.json
    json_t *generation;   // generation_config.json
    json_t *added;        // added_tokens.json: what was written before added_tokens_decoder
    bt_buf chat_template; // chat_template.jinja; data NULL: absent
    int32_t n_id_min;     // ids that there must be room for, whoever names them
};

/* Read what is there in `dir`. */
BT_CHECKED bt_status bt_hf_config_open(bt_hf_config *config, const char *dir);
void bt_hf_config_close(bt_hf_config *config);

/* Before finish: the tokens of added_tokens_decoder. *ret_n is raised past their ids, and to
 * n_id_min. */
BT_CHECKED bt_status bt_hf_config_count(const bt_hf_config *config, int32_t *ret_n);
BT_CHECKED bt_status bt_hf_config_tokens(const bt_hf_config *config, bt_tokenizer *t);

/* The tokens added beside a tokenizer.model: those of added_tokens_decoder or, without one, of
 * added_tokens.json, where a token that special_tokens_map.json or tokenizer_config.json lists is
 * special. */
typedef struct bt_hf_added {
    bt_added *token; // [n] in the arena; texts are the configuration's; only id, text and special
    int32_t n;       //     are sure to be given
} bt_hf_added;
BT_CHECKED bt_status bt_hf_config_added(const bt_hf_config *config, bt_arena *arena,
                                        bt_hf_added *ret);

/* After finish: roles, what stands around a text, ends, template. */
BT_CHECKED bt_status bt_hf_config_apply(const bt_hf_config *config, bt_tokenizer *t);

/* Read the fields that an added token has in tokenizer.json and in added_tokens_decoder. */
BT_CHECKED bt_status bt_hf_added_parse(json_t *node, int32_t id, bt_added *ret);

/* Add the token or, when its spelling is there already, give it these properties. */
BT_CHECKED bt_status bt_hf_added_merge(bt_tokenizer *t, const bt_added *token);
