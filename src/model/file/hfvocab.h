// SPDX-License-Identifier: Apache-2.0
/* hfvocab: a tokenizer.json as the keys of a GGUF file. */
#pragma once
#include "model/file/gguf_write.h"
#include "model/file/modelfile.h"

/* Write the tokenizer of an open Hugging Face directory (nothing when it has none). Ids that the
 * tokenizer lacks but the embedding has become unused pieces "[PAD7]".
 *
 * Errors  UNSUPPORTED: GGUF has no name for the pre-tokenizer, or the model is no BPE. */
BT_CHECKED bt_status bt_hf_vocab_put(bt_gguf_out *out, const bt_model_file *file);
