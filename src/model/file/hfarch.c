// SPDX-License-Identifier: Apache-2.0
/* hfarch: config.json to hyperparameters, in the spellings of transformers 4 and 5.
 * Source: transformers' configuration classes; an absent key means the class's default. */
#include "base/bits.h"
#include "base/json.h"
#include "model/file/hfdir.h"
#include <math.h>
#include <string.h>

/* An integer that must be there. */
static bt_status get_i32(json_t *doc, const char *key, int64_t hi, int32_t *ret)
{
    int64_t value;
    BT_TRY(bt_json_get_i64(doc, key, 1, hi, &value));
    *ret = (int32_t)value;
    return BT_OK;
}

static bt_status opt_i32(json_t *doc, const char *key, int64_t hi, int64_t def, int32_t *ret)
{
    int64_t value;
    BT_TRY(bt_json_opt_i64(doc, key, 1, hi, def, &value));
    *ret = (int32_t)value;
    return BT_OK;
}

/* ---- rotary embedding ---- */

static double mscale(double factor, double m) { return factor > 1 ? 0.1 * m * log(factor) + 1 : 1; }

static bt_status read_yarn(json_t *scaling, bt_rope *rope)
{
    double m, m_all;
    bool truncate;
    BT_TRY(bt_json_opt_f64(scaling, "beta_fast", 1e-6, 1e6, 32, &rope->beta_fast));
    BT_TRY(bt_json_opt_f64(scaling, "beta_slow", 1e-6, 1e6, 1, &rope->beta_slow));
    BT_TRY(bt_json_opt_f64(scaling, "mscale", 0, 1e3, 0, &m));
    BT_TRY(bt_json_opt_f64(scaling, "mscale_all_dim", 0, 1e3, 0, &m_all));
    BT_TRY(bt_json_opt_bool(scaling, "truncate", true, &truncate));
    BT_FAIL_IF(!truncate, UNSUPPORTED,
               "'truncate' is false; yarn scaling is supported with true only");
    double def = m > 0 && m_all > 0 ? mscale(rope->factor, m) / mscale(rope->factor, m_all)
                                    : mscale(rope->factor, 1);
    return bt_json_opt_f64(scaling, "attention_factor", 1e-6, 1e6, def, &rope->attn_factor);
}

static bt_status read_scaling(json_t *scaling, const bt_hparams *hp, bt_rope *rope)
{
    const char *type;
    BT_TRY(bt_json_opt_text(scaling, "type", "default", &type));
    BT_TRY(bt_json_opt_text(scaling, "rope_type", type, &type));
    if (!strcmp(type, "default")) return BT_OK;
    bool linear = !strcmp(type, "linear"), llama3 = !strcmp(type, "llama3"),
         yarn = !strcmp(type, "yarn");
    BT_FAIL_IF(
        !linear && !llama3 && !yarn, UNSUPPORTED,
        "rotary scaling '%.64s' is not supported; supported are default, linear, llama3, yarn",
        type);
    BT_TRY(bt_json_get_f64(scaling, "factor", 1, 1e6, &rope->factor));
    rope->scaling = linear   ? BT_ROPE_SCALE_LINEAR
                    : llama3 ? BT_ROPE_SCALE_LLAMA3
                             : BT_ROPE_SCALE_YARN;
    if (linear) return BT_OK;
    BT_TRY(opt_i32(scaling, "original_max_position_embeddings", BT_CTX_MAX, hp->n_ctx_train,
                   &rope->n_ctx_orig));
    if (yarn) return read_yarn(scaling, rope);
    BT_TRY(bt_json_get_f64(scaling, "low_freq_factor", 1e-6, 1e6, &rope->low_freq_factor));
    return bt_json_get_f64(scaling, "high_freq_factor", 1e-6, 1e6, &rope->high_freq_factor);
}

/* transformers 4: rope_theta beside rope_scaling; 5: both inside rope_parameters. */
static bt_status read_rope(json_t *doc, bt_hparams *hp)
{
    bt_rope *rope = &hp->rope;
    json_t *scaling = json_object_get(doc, "rope_scaling"),
           *parameters = json_object_get(doc, "rope_parameters");
    double part;
    if (json_is_null(scaling) || !scaling) scaling = parameters;
    BT_FAIL_IF(scaling && !json_is_null(scaling) && !json_is_object(scaling), FORMAT,
               "'rope_scaling' or 'rope_parameters' is not an object");
    *rope = (bt_rope){
        .kind = BT_ROPE_HALF, .factor = 1, .attn_factor = 1, .n_ctx_orig = hp->n_ctx_train};
    BT_TRY(bt_json_opt_f64(doc, "rope_theta", 1e-6, 1e12, 10000, &rope->base));
    BT_TRY(bt_json_opt_f64(doc, "partial_rotary_factor", 1e-6, 1, 1, &part));
    if (json_is_object(scaling)) {
        json_t *nested = json_object_get(scaling, "full_attention");
        BT_FAIL_IF(nested, UNSUPPORTED,
                   "rotary parameters that differ between layers are not supported");
        BT_TRY(bt_json_opt_f64(scaling, "rope_theta", 1e-6, 1e12, rope->base, &rope->base));
        BT_TRY(bt_json_opt_f64(scaling, "partial_rotary_factor", 1e-6, 1, part, &part));
        BT_TRY(read_scaling(scaling, hp, rope));
    }
    rope->d_rot = (int32_t)(hp->d_head * part);
    return BT_OK;
}

/* ---- sliding window ---- */

static bt_status read_layer_types(json_t *types, bt_hparams *hp)
{
    BT_FAIL_IF(!json_is_array(types) || json_array_size(types) != (size_t)hp->n_layer, FORMAT,
               "'layer_types' must be an array with one entry for each of the %d layers",
               hp->n_layer);
    for (int32_t i = 0; i < hp->n_layer; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        bool sliding = type && !strcmp(type, "sliding_attention");
        BT_FAIL_IF(!sliding && (!type || strcmp(type, "full_attention")), UNSUPPORTED,
                   "layer %d has the attention type '%.64s'; supported are full_attention, "
                   "sliding_attention",
                   i, type ? type : "(not a string)");
        if (sliding) hp->window_layer[i / 64] |= 1ull << (i % 64);
    }
    return BT_OK;
}

static bt_status read_window(json_t *doc, const char *class_name, bt_hparams *hp)
{
    bool mistral = !strcmp(class_name, "MistralForCausalLM"), use = mistral;
    int64_t window, from = 0;
    json_t *types = json_object_get(doc, "layer_types");
    if (hp->family != BT_FAMILY_LLAMA) {
        BT_TRY(bt_json_opt_bool(doc, "use_sliding_window", false, &use));
        BT_TRY(bt_json_opt_i64(doc, "max_window_layers", 0, INT32_MAX, 28, &from));
    }
    if (!use) return BT_OK;
    bool given = json_object_get(doc, "sliding_window") != NULL; // null is given, and means none
    BT_TRY(bt_json_opt_i64(doc, "sliding_window", 1, BT_CTX_MAX, given ? 0 : 4096, &window));
    if (!window) return BT_OK;
    hp->window = (int32_t)window;
    if (!mistral && types && !json_is_null(types)) {
        BT_TRY(read_layer_types(types, hp));
    } else {
        for (int64_t i = from; i < hp->n_layer; i++) hp->window_layer[i / 64] |= 1ull << (i % 64);
    }
    for (size_t i = 0; i < BT_COUNT_OF(hp->window_layer); i++)
        if (hp->window_layer[i]) return BT_OK;
    hp->window = 0; // no layer has it
    return BT_OK;
}

/* ---- the rest ---- */

static bt_status read_heads(json_t *doc, bt_hparams *hp)
{
    BT_TRY(get_i32(doc, "num_attention_heads", BT_HEAD_MAX, &hp->n_head));
    BT_TRY(opt_i32(doc, "num_key_value_heads", BT_HEAD_MAX, hp->n_head, &hp->n_kv));
    bool given = json_is_integer(json_object_get(doc, "head_dim"));
    bool by_class = hp->family == BT_FAMILY_QWEN3 && !json_object_get(doc, "head_dim");
    BT_FAIL_IF(!given && !by_class && hp->d_model % hp->n_head, FORMAT,
               "'hidden_size' is %d, which is no multiple of the %d in 'num_attention_heads'",
               hp->d_model, hp->n_head);
    return opt_i32(doc, "head_dim", 4096, by_class ? 128 : hp->d_model / hp->n_head, &hp->d_head);
}

static bt_status read_biases(json_t *doc, const char *class_name, bt_hparams *hp)
{
    bool attention = false, mlp = false;
    if (hp->family == BT_FAMILY_QWEN2 || !strcmp(class_name, "MistralForCausalLM")) return BT_OK;
    BT_TRY(bt_json_opt_bool(doc, "attention_bias", false, &attention));
    if (hp->family == BT_FAMILY_LLAMA) BT_TRY(bt_json_opt_bool(doc, "mlp_bias", false, &mlp));
    hp->qkv_bias = hp->out_bias = attention;
    hp->ffn_bias = mlp;
    return BT_OK;
}

/* Things that change what the model computes and that we do not do. */
static bt_status refuse_unsupported(json_t *doc)
{
    const char *act, *method = "unknown";
    BT_TRY(bt_json_opt_text(doc, "hidden_act", "silu", &act));
    BT_FAIL_IF(strcmp(act, "silu") && strcmp(act, "swish"), UNSUPPORTED,
               "'hidden_act' is '%.64s', must be silu", act);
    json_t *quantised = json_object_get(doc, "quantization_config");
    if (!json_is_object(quantised)) return BT_OK;
    BT_TRY(bt_json_opt_text(quantised, "quant_method", method, &method));
    return bt_fail(BT_UNSUPPORTED,
                   "the weights are quantised by '%.64s'; F32, F16 and BF16 can be read", method);
}

static bt_status read_class(json_t *doc, const char **ret_class)
{
    json_t *list;
    BT_TRY(bt_json_get(doc, "architectures", JSON_ARRAY, &list));
    *ret_class = json_string_value(json_array_get(list, 0));
    BT_FAIL_IF(!*ret_class, FORMAT, "'architectures' must begin with a string");
    return BT_OK;
}

static bt_status read_eos(json_t *doc, bt_hf_arch *config)
{
    json_t *value = json_object_get(doc, "eos_token_id");
    if (!value || json_is_null(value)) return BT_OK;
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        json_t *id = json_is_array(value) ? json_array_get(value, i) : value;
        BT_FAIL_IF(!json_is_integer(id), FORMAT,
                   "'eos_token_id' must be an integer or a list of them");
        json_int_t x = json_integer_value(id);
        BT_FAIL_IF(x < -1 || x > INT32_MAX, FORMAT, "'eos_token_id' is %lld, must be from 0 to %d",
                   (long long)x, INT32_MAX);
        if (x >= 0 && config->n_eos < (int32_t)BT_COUNT_OF(config->eos))
            config->eos[config->n_eos++] = x;
    }
    return BT_OK;
}

static bt_status read_config(json_t *doc, bt_hf_arch *config)
{
    bt_hparams *hp = &config->hp;
    const char *class_name;
    bt_family family;
    double eps;
    BT_FAIL_IF(!json_is_object(doc), FORMAT, "the file must hold one JSON object");
    BT_TRY(read_class(doc, &class_name));
    BT_TRY(bt_family_from_class(class_name, &family));
    bt_hparams_family(hp, family);
    BT_TRY(refuse_unsupported(doc));
    BT_TRY(get_i32(doc, "hidden_size", BT_WIDTH_MAX, &hp->d_model));
    BT_TRY(get_i32(doc, "num_hidden_layers", BT_LAYER_MAX, &hp->n_layer));
    BT_TRY(get_i32(doc, "intermediate_size", BT_WIDTH_MAX, &hp->d_ff));
    BT_TRY(get_i32(doc, "vocab_size", BT_VOCAB_MAX, &hp->n_vocab));
    BT_TRY(get_i32(doc, "max_position_embeddings", BT_CTX_MAX, &hp->n_ctx_train));
    BT_TRY(bt_json_opt_f64(doc, "rms_norm_eps", 0, 0.999, 1e-6, &eps));
    hp->rms_eps = (float)eps;
    BT_TRY(read_heads(doc, hp));
    BT_TRY(read_rope(doc, hp));
    BT_TRY(read_window(doc, class_name, hp));
    BT_TRY(read_biases(doc, class_name, hp));
    BT_TRY(bt_json_opt_bool(doc, "tie_word_embeddings", false, &hp->tie_embeddings));
    config->tie_given = json_is_boolean(json_object_get(doc, "tie_word_embeddings"));
    BT_TRY(read_eos(doc, config));
    return bt_hparams_check(hp);
}

bt_status bt_hf_arch_parse(const char *text, size_t len, bt_hf_arch *ret_config)
{
    bt_hf_arch config = {0};
    json_t *doc = NULL;
    bt_status st = bt_json_parse(text, len, &doc);
    if (st == BT_OK) st = read_config(doc, &config);
    json_decref(doc);
    if (st == BT_OK) *ret_config = config;
    return st == BT_NOTFOUND ? BT_FORMAT
                             : st; // a missing key is a malformed file, not a missing one
}

bt_status bt_hf_eos_parse(const char *text, size_t len, bt_hf_arch *config)
{
    json_t *doc = NULL;
    bt_status st = bt_json_parse(text, len, &doc);
    if (st == BT_OK && !json_is_object(doc))
        st = bt_fail(BT_FORMAT, "the file must hold one JSON object");
    if (st == BT_OK) st = read_eos(doc, config);
    json_decref(doc);
    return st;
}
