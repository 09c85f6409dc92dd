// SPDX-License-Identifier: Apache-2.0
/* hfvocab: a directory's tokenizer.json or tokenizer.model as the keys of a GGUF file. */
#pragma once
#include "model/file/gguf_write.h"
#include "model/file/modelfile.h"

/* Write the tokenizer of an open Hugging Face directory (nothing when it has none). Ids that the
 * tokenizer lacks but the embedding has become unused pieces "[PAD7]".
 *
 * Errors  UNSUPPORTED: GGUF cannot say what the tokenizer does, and the message says which part. */
BT_CHECKED bt_status bt_hf_vocab_put(bt_gguf_out *out, const bt_model_file *file);
