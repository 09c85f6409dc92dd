// SPDX-License-Identifier: Apache-2.0
/* baton/model.h: model files: open, inspect, convert, invent.
 *
 * A model file is a GGUF file (v2, v3; also the first of a split set, "-00001-of-0000N.gguf") or a
 * Hugging Face directory (config.json, safetensors, tokenizer.json). Opening maps it and checks all
 * of it: what opens can be computed with. To generate tokens see engine.h; this header is for
 * tools.
 *
 * Thread-safe: an open model file is immutable and may be read by any number of threads.
 */
#ifndef BATON_MODEL_H
#define BATON_MODEL_H

#include "baton/base.h"
#include "baton/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bt_tokenizer; /* see tokenizer.h */
typedef struct bt_model_file bt_model_file;

/* Called now and then on the thread that called baton: `done` of `total` bytes of `what`. */
typedef void (*bt_progress_fn)(void *ctx, const char *what, uint64_t done, uint64_t total);

typedef struct bt_progress {
    bt_progress_fn fn; /* NULL: nobody is interested */
    void *ctx;         /* handed to fn */
} bt_progress;

/* What the caller wants to do with a file: decides what must be in it. */
typedef enum bt_model_use {
    BT_USE_COMPUTE,   /* every tensor of a supported family must be there, and usable */
    BT_USE_TOKENIZER, /* the tokenizer must be there; tensors and family do not matter */
    BT_USE_INSPECT /* whatever is well-formed; bt_model_file_problem says what stands in the way */
} bt_model_use;

/* Open a model. `path` is a file or directory, or "synth:SHAPE" or "synth:SHAPE:TYPE" (q8_0 where
 * no type is given) for random weights in memory. Errors name the file, the thing, what was found
 * and what is allowed.
 *
 * Errors  NOTFOUND IO; FORMAT: malformed; UNSUPPORTED: a family or element type this build lacks.
 */
BT_API BT_CHECKED bt_status bt_model_file_open(const char *path, bt_model_use use,
                                               bt_model_file **ret_file);
BT_API void
bt_model_file_close(bt_model_file *file); /* NULL is nothing; views and texts die with it */

/* The tokenizer, owned by the file; NULL when there is none (COMPUTE or INSPECT of such a file). */
BT_API const struct bt_tokenizer *bt_model_file_tokenizer(const bt_model_file *file);

/* The chat template (Jinja), NUL-terminated; NULL when there is none. */
BT_API const char *bt_model_file_chat_template(const bt_model_file *file);

/* Ids that end a generation, from every place a file may name them, each once; *ret_n may be 0. */
BT_API const int32_t *bt_model_file_eos(const bt_model_file *file, int32_t *ret_n);

/* INSPECT only: why the file could not be computed with; NULL when it could. */
BT_API const char *bt_model_file_problem(const bt_model_file *file);

/* Describe an open file: hyperparameters, tensors, tokenizer, memory needed; as text for people, or
 * as one JSON object. The text is NUL-terminated; free it with bt_model_text_free. */
BT_API BT_CHECKED bt_status bt_model_report(const bt_model_file *file, bool json, char **ret_text);
BT_API void bt_model_text_free(char *text);

/* Write `in` (GGUF or Hugging Face directory) as the GGUF file `out`, its matrices in `dtype`: any
 * quantised type from f32, f16 or bf16; f32 (exact), f16 or bf16 (rounded) from anything. 1-D
 * tensors stay f32. A matrix whose rows are no multiple of the type's block falls to q8_0, then to
 * f16; *ret_n_fallback counts those (may be NULL).
 *
 * Errors  INVALID: `dtype` cannot hold weights, `in` and `dtype` are both quantised; those of
 *         opening; IO. */
BT_API BT_CHECKED bt_status bt_model_quantize(const char *in, const char *out, bt_dtype dtype,
                                              const bt_progress *progress, int32_t *ret_n_fallback);

/* Write a GGUF file with random weights in a real model's shape; the same bytes every time.
 * NOTFOUND for an unknown shape lists the known ones. */
BT_API BT_CHECKED bt_status bt_model_synth(const char *shape, bt_dtype dtype, const char *out,
                                           const bt_progress *progress);
BT_API int32_t bt_model_shape_count(void);
BT_API const char *bt_model_shape_name(int32_t i); /* "llama-3.2-1b"; NULL past the end */

#ifdef __cplusplus
}
#endif
#endif
