// SPDX-License-Identifier: Apache-2.0
/* modelparts: the inside of a model file, for the readers that fill it (gguf_model, hfdir, synth).
 *
 * A reader adds mappings, views and facts in any order; bt_parts_finish then checks all of
 * them against each other. What a reader finds wrong with the family, the tensors or the tokenizer
 * goes through bt_parts_problem, which knows whether this use of the file can live with it.
 */
#pragma once
#include "base/file.h"
#include "model/file/gguf.h"
#include "model/file/modelfile.h"
#include "text/tokenizer.h"

enum { BT_EOS_MAX = 32 };

struct bt_model_file {
    bt_arena arena; // names, views, texts
    bt_model_use use;
    char *path, *name, *format; // in the arena
    bt_file *map;               // [n_map] in the arena
    size_t n_map;
    const bt_gguf *gguf;  // the (first) GGUF file's keys; NULL for HF
    void *owned;          // an image in memory instead of a mapping; NULL: none
    bt_tensor_view *view; // [n_view], room for view_set.n_max
    size_t n_view;
    bt_name_set view_set;
    bt_hparams hp;
    bool has_hp;
    bt_tokenizer *tokenizer; // NULL: none
    int32_t eos[BT_EOS_MAX], n_eos;
    char *problem; // INSPECT: the first; in the arena
};

/* An empty model file named after `path`; bt_model_file_close frees it. */
BT_CHECKED bt_status bt_parts_new(const char *path, bt_model_use use, bt_model_file **ret_file);

/* Room for n tensors; once, before the first bt_parts_view. */
BT_CHECKED bt_status bt_parts_room(bt_model_file *f, size_t n);

/* Add a tensor; the name is borrowed. FORMAT when there is one of that name. */
BT_CHECKED bt_status bt_parts_view(bt_model_file *f, const bt_tensor_view *view);

/* Add an id that ends a generation, unless it is there, negative, or the list is full. */
void bt_parts_eos(bt_model_file *f, int64_t id);

/* Decide what a failed status means: itself, or BT_OK with the message kept as the file's problem
 * when the use allows it (never for NOMEM or IO). `essential`: TOKENIZER cannot live without it. */
BT_CHECKED bt_status bt_parts_problem(bt_model_file *f, bt_status st, bool essential);

/* Fill the file from GGUF bytes, which must outlive it. */
BT_CHECKED bt_status bt_gguf_model_load(bt_model_file *f, const uint8_t *bytes, size_t len);
BT_CHECKED bt_status bt_gguf_model_open(bt_model_file *f, const char *path); // with all splits

/* A model from GGUF bytes in memory: `owned` (NULL: the bytes stay the caller's) is freed with
 * bt_free at close; on failure it stays the caller's. */
BT_CHECKED bt_status bt_model_file_from_bytes(const uint8_t *bytes, size_t len, void *owned,
                                              const char *name, bt_model_use use,
                                              bt_model_file **ret_file);

/* Fill the file from a Hugging Face directory. */
BT_CHECKED bt_status bt_hfdir_open(bt_model_file *f, const char *path);

/* Check the family's tensors against the hyperparameters, and derive what only the tensors tell
 * (tied embeddings, biases). */
BT_CHECKED bt_status bt_parts_check(bt_model_file *f);

/* The last step of opening: gather the tokenizer's end tokens, and hold what was read against what
 * this use of the file needs. */
BT_CHECKED bt_status bt_parts_finish(bt_model_file *f);
