// SPDX-License-Identifier: Apache-2.0
/* arch: what a decoder of the supported families is, whatever format it came in.
 *
 * bt_hparams is the one description that graph builders, the capacity plan and the report read. It
 * is plain data, and whoever got one from a model file may trust it: bt_hparams_check has compared
 * all fields with each other and with the limits below, and the file's tensors have been compared
 * with it.
 */
#pragma once
#include "base/status.h"
#include "baton/tensor.h"

enum {
    BT_LAYER_MAX = 512,
    BT_HEAD_MAX = 1024,
    BT_WIDTH_MAX = 1 << 20, // d_model, d_ff
    BT_VOCAB_MAX = 1 << 22,
    BT_CTX_MAX = 1 << 28,
};

/* Which elements of a head rotate together. */
typedef enum bt_rope_kind {
    BT_ROPE_INTERLEAVED, // pairs (2i, 2i+1): GGUF's llama, whose conversion permutes q and k
    BT_ROPE_HALF,        // pairs (i, i + d_rot/2): all families in HF files, qwen in both formats
} bt_rope_kind;

#define BT_ROPE_SCALING_LIST(X)                                                                    \
    X(NONE, none)                                                                                  \
    X(LINEAR, linear) /* all frequencies divided by factor */                                      \
    X(LLAMA3,                                                                                      \
      llama3)     /* low frequencies divided, a ramp between; HF files only: GGUF ships factors */ \
    X(YARN, yarn) /* Peng et al. 2023 */

typedef enum bt_rope_scaling {
#define BT_ROPE_ENUM(upper, lower) BT_ROPE_SCALE_##upper,
    BT_ROPE_SCALING_LIST(BT_ROPE_ENUM)
#undef BT_ROPE_ENUM
} bt_rope_scaling;
const char *bt_rope_scaling_name(bt_rope_scaling scaling);

/* The one family table: X(UPPER, name = GGUF's general.architecture, HF class names separated by
 * spaces, rope kind in GGUF files, q/k/v bias: BIAS_NO | BIAS_YES | BIAS_CONFIG, q/k norm) */
#define BT_FAMILY_LIST(X)                                                                          \
    X(LLAMA, llama, "LlamaForCausalLM MistralForCausalLM", BT_ROPE_INTERLEAVED, BIAS_CONFIG,       \
      false)                                                                                       \
    X(QWEN2, qwen2, "Qwen2ForCausalLM", BT_ROPE_HALF, BIAS_YES, false)                             \
    X(QWEN3, qwen3, "Qwen3ForCausalLM", BT_ROPE_HALF, BIAS_CONFIG, true)

typedef enum bt_family {
#define BT_FAMILY_ENUM(upper, lower, classes, rope, bias, norm) BT_FAMILY_##upper,
    BT_FAMILY_LIST(BT_FAMILY_ENUM)
#undef BT_FAMILY_ENUM
        BT_FAMILY_COUNT
} bt_family;

typedef struct bt_rope {
    bt_rope_kind kind;
    int32_t d_rot; // elements of a head that rotate: even, 2..d_head
    double base;   // theta, > 0
    bt_rope_scaling scaling;
    double factor;                            // >= 1 (1 where scaling is NONE)
    double low_freq_factor, high_freq_factor; // LLAMA3: 0 < low < high
    double beta_fast, beta_slow;              // YARN: beta_fast >= beta_slow > 0
    double attn_factor; // YARN: what cos and sin are multiplied by; 1 otherwise
    int32_t n_ctx_orig; // LLAMA3, YARN: context before it was stretched, > 0
} bt_rope;

typedef struct bt_hparams {
    bt_family family;
    int32_t n_layer, n_head, n_kv; // n_head % n_kv == 0
    int32_t d_model, d_head, d_ff; // d_head may differ from d_model / n_head
    int32_t n_vocab;               // rows of the embedding
    int32_t n_ctx_train;
    float rms_eps;
    bt_rope rope;
    int32_t window; // sliding attention: tokens seen, itself included; 0: none
    uint64_t window_layer[BT_LAYER_MAX / 64]; // bit i: layer i has the window
    bool tie_embeddings;                      // no output.weight: the embedding serves
    bool qkv_bias;                            // blk.N.attn_{q,k,v}.bias
    bool out_bias;                            // blk.N.attn_output.bias
    bool ffn_bias;                            // blk.N.ffn_{gate,up,down}.bias
    bool qk_norm; // blk.N.attn_{q,k}_norm.weight, one per head dimension
} bt_hparams;

const char *bt_family_name(bt_family family);
bt_rope_kind bt_family_gguf_rope(bt_family family);

/* What the layer's attention may see: `window` tokens, or 0 for all. */
static inline int32_t bt_hparams_window(const bt_hparams *hp, int32_t layer)
{
    return hp->window && (hp->window_layer[layer / 64] >> (layer % 64) & 1) ? hp->window : 0;
}

/* The family of a GGUF general.architecture, or of a HF class name. UNSUPPORTED names it and the
 * list. */
BT_CHECKED bt_status bt_family_from_gguf(const char *arch, bt_family *ret_family);
BT_CHECKED bt_status bt_family_from_class(const char *class_name, bt_family *ret_family);

/* Set what the family alone decides (norms, default biases). */
void bt_hparams_family(bt_hparams *hp, bt_family family);

/* Compare every field with its limits and with the others. FORMAT names field, found and allowed.
 */
BT_CHECKED bt_status bt_hparams_check(const bt_hparams *hp);

/* Inverse frequency of each of the d_rot / 2 pairs: pair i of position p turns by p *
 * ret_inv_freq[i]. `freq_factor` [d_rot / 2] is rope_freqs.weight (each divides), or NULL. All
 * scalings are in it except attn_factor, which multiplies cos and sin. */
void bt_rope_inv_freq(const bt_rope *rope, const float *freq_factor, float *ret_inv_freq);
