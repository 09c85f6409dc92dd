// SPDX-License-Identifier: Apache-2.0
/* hfdir: Hugging Face directories: config.json, safetensors (one file, or shards with an index),
 * generation_config.json; the tokenizer is text/'s business. bt_hfdir_open is in modelparts.h. */
#pragma once
#include "model/arch.h"

/* What config.json says that matters to us. */
typedef struct bt_hf_arch {
    bt_hparams hp;
    bool tie_given; // tie_word_embeddings was there: then a missing head is an error
    int32_t n_eos;
    int64_t eos[16]; // eos_token_id, one or a list; 0..2^31 - 1
} bt_hf_arch;

/* Parse config.json. FORMAT names the key, found and allowed; UNSUPPORTED names what this build
 * lacks. */
BT_CHECKED bt_status bt_hf_arch_parse(const char *text, size_t len, bt_hf_arch *ret_config);

/* Read only eos_token_id of generation_config.json (or config.json). */
BT_CHECKED bt_status bt_hf_eos_parse(const char *text, size_t len, bt_hf_arch *config);

/* "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight" into `out`; false when the name
 * is none of a supported family's. */
bool bt_hf_tensor_name(const char *name, char out[96]);
