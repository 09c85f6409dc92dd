// SPDX-License-Identifier: Apache-2.0
/* tiny: small models made on the spot: Hugging Face directories of any family and shape with random
 * F32 weights, written without the library's help, and the temporary folder they live in. */
#pragma once
#include "support/support.h"

typedef enum tiny_family {
    TINY_LLAMA,
    TINY_MISTRAL,
    TINY_QWEN2,
    TINY_QWEN3,
    TINY_FAMILIES
} tiny_family;
typedef enum tiny_scaling {
    TINY_NONE,
    TINY_LINEAR,
    TINY_LLAMA3,
    TINY_YARN,
    TINY_SCALINGS
} tiny_scaling;

typedef struct tiny_config {
    tiny_family family;
    int32_t n_layer, n_head, n_kv, d_head, d_model, d_ff, n_vocab;
    tiny_scaling scaling; // factor 4, original context 32
    int32_t window;       // 0: none; MISTRAL only
    bool tie;
    bool attn_bias, mlp_bias; // LLAMA only
    double theta;
    uint64_t seed; // of the weights
} tiny_config;

/* A shape whose every matrix takes every quantised type (rows are multiples of 256). */
tiny_config tiny_wide(tiny_family family);

/* Anything that is well-formed. */
tiny_config tiny_random(test_rng *rng);

/* One line that names the configuration, for failures; static storage. */
const char *tiny_name(const tiny_config *c);

/* ---- a temporary folder ---- */

typedef struct tiny_dir {
    char path[128];
    char joined[8][256];
    int next;
} tiny_dir;

void tiny_dir_open(tiny_dir *dir);
void tiny_dir_close(tiny_dir *dir);                     // removes it and the files in it
const char *tiny_path(tiny_dir *dir, const char *name); // valid for 8 calls

/* Write config.json and model.safetensors into the folder; its path is then the model's. */
void tiny_write(tiny_dir *dir, const tiny_config *c);
