// SPDX-License-Identifier: Apache-2.0
/* hfdir: config.json in all spellings and with one thing wrong each, tensor names, and directories
 * whose index tries to lead elsewhere. */
#include "base/bits.h"
#include "base/file.h"
#include "model/file/hfdir.h"
#include "model/file/modelfile.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "text/tokenizer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- config.json ---- */

static bt_status parse(const char *text, bt_hf_arch *config)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1); // exact: no terminator to lean on
    memcpy(copy, text, n);
    bt_status st = bt_hf_arch_parse(copy, n, config);
    free(copy);
    return st;
}

#define BASE                                                                                       \
    "\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":8,\"num_key_value_"        \
    "heads\":4,"                                                                                   \
    "\"intermediate_size\":128,\"vocab_size\":100,\"max_position_embeddings\":512"
#define LLAMA               "\"architectures\":[\"LlamaForCausalLM\"]," BASE
#define QWEN2               "\"architectures\":[\"Qwen2ForCausalLM\"]," BASE
#define QWEN3               "\"architectures\":[\"Qwen3ForCausalLM\"]," BASE
#define MISTRAL             "\"architectures\":[\"MistralForCausalLM\"]," BASE
#define WITHOUT(head, tail) "{\"architectures\":[\"LlamaForCausalLM\"]," head tail "}"

static const struct malformed {
    const char *text;
    bt_status status;
    const char *message;
} malformed[] = {
    {"", BT_FORMAT, "JSON line 1"},
    {"[]", BT_FORMAT, "must hold one JSON object"},
    {"{" LLAMA, BT_FORMAT, "JSON line 1"},
    {"{" LLAMA ",\"vocab_size\":100}", BT_FORMAT, "duplicate object key"},
    {"{" BASE "}", BT_FORMAT, "'architectures' is missing"},
    {"{\"architectures\":\"LlamaForCausalLM\"}", BT_FORMAT,
     "'architectures' is a string, must be an array"},
    {"{\"architectures\":[]}", BT_FORMAT, "'architectures' must begin with a string"},
    {"{\"architectures\":[7]}", BT_FORMAT, "'architectures' must begin with a string"},
    {"{\"architectures\":[\"GemmaForCausalLM\"]}", BT_UNSUPPORTED,
     "'GemmaForCausalLM' is not supported; supported are Llama"},
    {WITHOUT("\"num_hidden_layers\":2", ""), BT_FORMAT, "'hidden_size' is missing"},
    {WITHOUT("\"hidden_size\":0", ""), BT_FORMAT, "'hidden_size' is 0, must be from 1"},
    {WITHOUT("\"hidden_size\":\"64\"", ""), BT_FORMAT,
     "'hidden_size' is a string, must be an integer"},
    {WITHOUT("\"hidden_size\":64.5", ""), BT_FORMAT,
     "'hidden_size' is a number, must be an integer"},
    {WITHOUT("\"hidden_size\":-64", ""), BT_FORMAT, "'hidden_size' is -64"},
    {WITHOUT("\"hidden_size\":4611686018427387904", ""), BT_FORMAT,
     "'hidden_size' is 4611686018427387904"},
    {WITHOUT("\"hidden_size\":64,", "\"num_hidden_layers\":1000000"), BT_FORMAT,
     "'num_hidden_layers' is 1000000, must be from 1 to 512"},
    {WITHOUT("\"hidden_size\":64,\"num_hidden_layers\":2,", "\"intermediate_size\":0"), BT_FORMAT,
     "'intermediate_size' is 0"},
    {WITHOUT("\"hidden_size\":64,\"num_hidden_layers\":2,\"intermediate_size\":9,",
             "\"vocab_size\":0"),
     BT_FORMAT, "'vocab_size' is 0"},
    {WITHOUT("\"hidden_size\":64,\"num_hidden_layers\":2,\"intermediate_size\":9,\"vocab_size\":9",
             ""),
     BT_FORMAT, "'max_position_embeddings' is missing"},
    {"{" LLAMA ",\"rms_norm_eps\":-1}", BT_FORMAT, "'rms_norm_eps' is -1"},
    {"{" LLAMA ",\"rms_norm_eps\":NaN}", BT_FORMAT, "JSON line 1"},
    {"{" LLAMA ",\"head_dim\":7}", BT_FORMAT, "the rotary dimension is 7, must be even"},
    {"{" LLAMA ",\"head_dim\":100000}", BT_FORMAT, "'head_dim' is 100000"},
    {"{" LLAMA ",\"rope_theta\":0}", BT_FORMAT, "'rope_theta' is 0"},
    {"{" LLAMA ",\"rope_theta\":\"big\"}", BT_FORMAT, "'rope_theta' is a string"},
    {"{" LLAMA ",\"rope_scaling\":7}", BT_FORMAT,
     "'rope_scaling' or 'rope_parameters' is not an object"},
    {"{" LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", BT_UNSUPPORTED,
     "rotary scaling 'dynamic' is not supported"},
    {"{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}", BT_FORMAT, "'factor' is missing"},
    {"{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", BT_FORMAT,
     "'factor' is 0, must be from 1"},
    {"{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", BT_FORMAT,
     "'low_freq_factor' is missing"},
    {"{" LLAMA
     ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_"
     "factor\":1}}",
     BT_FORMAT, "high_freq_factor is 1, must be more than low_freq_factor"},
    {"{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":8,\"truncate\":false}}",
     BT_UNSUPPORTED, "'truncate' is false"},
    {"{" LLAMA ",\"rope_parameters\":{\"full_attention\":{}}}", BT_UNSUPPORTED,
     "differ between layers"},
    {"{" LLAMA ",\"hidden_act\":\"gelu\"}", BT_UNSUPPORTED, "'hidden_act' is 'gelu', must be silu"},
    {"{" LLAMA ",\"quantization_config\":{\"quant_method\":\"awq\"}}", BT_UNSUPPORTED,
     "quantised by 'awq'"},
    {"{" LLAMA ",\"attention_bias\":1}", BT_FORMAT, "'attention_bias' is an integer"},
    {"{" LLAMA ",\"tie_word_embeddings\":\"no\"}", BT_FORMAT, "'tie_word_embeddings' is a string"},
    {"{" LLAMA ",\"eos_token_id\":\"</s>\"}", BT_FORMAT,
     "'eos_token_id' must be an integer or a list"},
    {"{" LLAMA ",\"eos_token_id\":[1,null]}", BT_FORMAT,
     "'eos_token_id' must be an integer or a list"},
    {"{" LLAMA ",\"eos_token_id\":4611686018427387904}", BT_FORMAT,
     "'eos_token_id' is 4611686018427387904"},
    {"{" MISTRAL ",\"sliding_window\":0}", BT_FORMAT, "'sliding_window' is 0"},
    {"{" QWEN2 ",\"use_sliding_window\":true,\"layer_types\":[\"full_attention\"]}", BT_FORMAT,
     "one entry for each of the 2 layers"},
    {"{" QWEN2 ",\"use_sliding_window\":true,\"layer_types\":[\"full_attention\",\"linear\"]}",
     BT_UNSUPPORTED, "layer 1 has the attention type 'linear'"},
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"num_hidden_layers\":2,"
     "\"intermediate_"
     "size\":9,\"vocab_size\":9,"
     "\"max_position_embeddings\":9,\"num_attention_heads\":0}",
     BT_FORMAT, "'num_attention_heads' is 0"},
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"num_hidden_layers\":2,"
     "\"intermediate_"
     "size\":9,\"vocab_size\":9,"
     "\"max_position_embeddings\":9,\"num_attention_heads\":7}",
     BT_FORMAT, "'hidden_size' is 64, which is no multiple of the 7"},
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"num_hidden_layers\":2,"
     "\"intermediate_"
     "size\":9,\"vocab_size\":9,"
     "\"max_position_embeddings\":9,\"num_attention_heads\":8,\"num_key_value_heads\":3}",
     BT_FORMAT, "8 heads cannot share 3"},
};

static void every_malformed_config_is_refused_with_its_own_message(void **state)
{
    (void)state;
    bt_hf_arch config;
    for (size_t i = 0; i < BT_COUNT_OF(malformed); i++)
        assert_fails(parse(malformed[i].text, &config), malformed[i].status, malformed[i].message);
}

static void a_deeply_nested_config_is_refused(void **state)
{
    (void)state;
    static char deep[100001];
    bt_hf_arch config;
    memset(deep, '[', 100000);
    assert_fails(parse(deep, &config), BT_FORMAT, "maximum parsing depth");
}

static void defaults_are_those_of_the_class(void **state)
{
    (void)state;
    bt_hf_arch c;
    assert_ok(parse("{" LLAMA "}", &c));
    assert_float_equal(c.hp.rms_eps, 1e-6, 1e-12);
    assert_int_equal(c.hp.d_head, 8);
    assert_int_equal(c.hp.rope.d_rot, 8);
    assert_true(c.hp.rope.base == 10000);
    assert_int_equal(c.hp.rope.kind, BT_ROPE_HALF);
    assert_int_equal(c.hp.window, 0);
    assert_false(c.hp.tie_embeddings || c.tie_given || c.hp.qkv_bias || c.hp.qk_norm);
    assert_ok(parse("{" LLAMA ",\"head_dim\":null,\"rope_scaling\":null}", &c));
    assert_int_equal(c.hp.d_head, 8);
    assert_ok(parse("{" QWEN2 "}", &c));
    assert_true(c.hp.qkv_bias && !c.hp.out_bias);
    assert_int_equal(c.hp.window, 0);
    assert_ok(parse("{" QWEN3 "}", &c));
    assert_int_equal(c.hp.d_head, 128); // the class's own, whatever hidden_size
    assert_true(c.hp.qk_norm && !c.hp.qkv_bias);
    assert_ok(parse("{" QWEN3 ",\"head_dim\":null}", &c));
    assert_int_equal(c.hp.d_head, 8);
    assert_ok(parse(
        "{" LLAMA ",\"attention_bias\":true,\"mlp_bias\":true,\"tie_word_embeddings\":true}", &c));
    assert_true(c.hp.qkv_bias && c.hp.out_bias && c.hp.ffn_bias && c.hp.tie_embeddings);
}

static void windows_are_on_the_layers_that_have_them(void **state)
{
    (void)state;
    bt_hf_arch c;
    assert_ok(parse("{" MISTRAL "}", &c));
    assert_int_equal(bt_hparams_window(&c.hp, 1), 4096); // MistralConfig's default
    assert_ok(parse("{" MISTRAL ",\"sliding_window\":null}", &c));
    assert_int_equal(c.hp.window, 0);
    assert_ok(parse("{" MISTRAL ",\"sliding_window\":16}", &c));
    assert_int_equal(bt_hparams_window(&c.hp, 0), 16);
    assert_ok(parse("{" QWEN2 ",\"sliding_window\":16,\"use_sliding_window\":false}", &c));
    assert_int_equal(c.hp.window, 0);
    assert_ok(parse("{" QWEN2
                    ",\"sliding_window\":16,\"use_sliding_window\":true,\"max_window_layers\":1}",
                    &c));
    assert_int_equal(bt_hparams_window(&c.hp, 0), 0);
    assert_int_equal(bt_hparams_window(&c.hp, 1), 16);
    assert_ok(parse("{" QWEN2
                    ",\"sliding_window\":16,\"use_sliding_window\":true,\"max_window_layers\":2}",
                    &c));
    assert_int_equal(c.hp.window, 0);
    assert_ok(parse("{" QWEN3 ",\"sliding_window\":16,\"use_sliding_window\":true,\"layer_types\":"
                    "[\"sliding_attention\",\"full_attention\"]}",
                    &c));
    assert_int_equal(bt_hparams_window(&c.hp, 0), 16);
    assert_int_equal(bt_hparams_window(&c.hp, 1), 0);
}

static void rope_is_read_in_old_and_new_spellings(void **state)
{
    (void)state;
    bt_hf_arch c;
    assert_ok(parse("{" LLAMA
                    ",\"rope_theta\":5e5,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}",
                    &c));
    assert_int_equal(c.hp.rope.scaling, BT_ROPE_SCALE_LINEAR);
    assert_true(c.hp.rope.base == 500000 && c.hp.rope.factor == 4);
    assert_ok(parse(
        "{" LLAMA ",\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"default\"}}", &c));
    assert_int_equal(c.hp.rope.scaling, BT_ROPE_SCALE_NONE);
    assert_true(c.hp.rope.base == 1000000);
    assert_ok(parse(
        "{" LLAMA ",\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"llama3\",\"factor\":32,"
        "\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":64}}",
        &c));
    assert_int_equal(c.hp.rope.scaling, BT_ROPE_SCALE_LLAMA3);
    assert_int_equal(c.hp.rope.n_ctx_orig, 64);
    assert_ok(parse("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}}", &c));
    assert_int_equal(c.hp.rope.n_ctx_orig, 512);
    assert_float_equal(c.hp.rope.attn_factor, 0.1 * log(4) + 1, 1e-12);
    assert_true(c.hp.rope.beta_fast == 32 && c.hp.rope.beta_slow == 1);
    assert_ok(parse("{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,\"mscale\":1.0,"
                    "\"mscale_all_dim\":1.0}}",
                    &c));
    assert_true(c.hp.rope.attn_factor == 1);
    assert_ok(parse("{" LLAMA
                    ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"attention_factor\":1.5}}",
                    &c));
    assert_true(c.hp.rope.attn_factor == 1.5);
    assert_ok(parse("{" LLAMA ",\"partial_rotary_factor\":0.5}", &c));
    assert_int_equal(c.hp.rope.d_rot, 4);
}

static void end_tokens_may_be_one_or_many(void **state)
{
    (void)state;
    bt_hf_arch c;
    assert_ok(parse("{" LLAMA ",\"eos_token_id\":7}", &c));
    assert_int_equal(c.n_eos, 1);
    assert_ok(parse("{" LLAMA ",\"eos_token_id\":[1,8,9]}", &c));
    assert_int_equal(c.n_eos, 3);
    assert_int_equal(c.eos[2], 9);
    assert_ok(bt_hf_eos_parse("{\"eos_token_id\":[3]}", 20, &c));
    assert_int_equal(c.n_eos, 4);
    for (int i = 0; i < 20; i++) assert_ok(bt_hf_eos_parse("{\"eos_token_id\":[3]}", 20, &c));
    assert_int_equal(c.n_eos, 16); // no further than the room
}

static void the_known_models_configs_give_exact_hyperparameters(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int32_t n_layer, n_head, n_kv, d_model, d_head, d_ff, n_vocab, n_ctx;
        double base;
        bool tie;
    } want[] = {
        {"configs/Qwen--Qwen3-0.6B_config.json", 28, 16, 8, 1024, 128, 3072, 151936, 40960, 1e6,
         true},
        {"configs/Qwen--Qwen3-8B_config.json", 36, 32, 8, 4096, 128, 12288, 151936, 40960, 1e6,
         false},
        {"configs/Qwen--Qwen3-32B_config.json", 64, 64, 8, 5120, 128, 25600, 151936, 40960, 1e6,
         false},
        {"configs/meta-llama--Meta-Llama-3.1-8B_config.json", 32, 32, 8, 4096, 128, 14336, 128256,
         131072, 5e5, false},
        {"configs/meta-llama--Meta-Llama-3.1-70B_config.json", 80, 64, 8, 8192, 128, 28672, 128256,
         131072, 5e5, false},
    };
    static const char *const refused[][2] = {
        {"configs/Qwen--Qwen3-30B-A3B_config.json", "'Qwen3MoeForCausalLM' is not supported"},
        {"configs/deepseek-ai--DeepSeek-V3_config.json",
         "'DeepseekV3ForCausalLM' is not supported"},
        {"configs/mistralai--Mixtral-8x7B-v0.1_config.json",
         "'MixtralForCausalLM' is not supported"},
    };
    bt_hf_arch c;
    for (size_t i = 0; i < BT_COUNT_OF(want); i++) {
        bt_buf text = {0};
        need_data(path, want[i].file);
        assert_ok(bt_file_read(path, 1 << 20, &text));
        assert_ok(bt_hf_arch_parse(text.data, text.len, &c));
        const bt_hparams *hp = &c.hp;
        assert_true(hp->n_layer == want[i].n_layer && hp->n_head == want[i].n_head &&
                    hp->n_kv == want[i].n_kv);
        assert_true(hp->d_model == want[i].d_model && hp->d_head == want[i].d_head &&
                    hp->d_ff == want[i].d_ff);
        assert_true(hp->n_vocab == want[i].n_vocab && hp->n_ctx_train == want[i].n_ctx);
        assert_true(hp->rope.base == want[i].base && hp->tie_embeddings == want[i].tie &&
                    hp->window == 0);
        assert_true(hp->rope.scaling == (i < 3 ? BT_ROPE_SCALE_NONE : BT_ROPE_SCALE_LLAMA3));
        bt_buf_done(&text);
    }
    for (size_t i = 0; i < BT_COUNT_OF(refused); i++) {
        bt_buf text = {0};
        need_data(path, refused[i][0]);
        assert_ok(bt_file_read(path, 1 << 20, &text));
        assert_fails(bt_hf_arch_parse(text.data, text.len, &c), BT_UNSUPPORTED, refused[i][1]);
        bt_buf_done(&text);
    }
}

/* ---- names ---- */

static void tensor_names_become_canonical(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"lm_head.weight", "output.weight"},
        {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"},
        {"model.layers.17.self_attn.o_proj.bias", "blk.17.attn_output.bias"},
        {"model.layers.3.self_attn.k_norm.weight", "blk.3.attn_k_norm.weight"},
        {"model.layers.3.post_attention_layernorm.weight", "blk.3.ffn_norm.weight"},
        {"model.layers.3.mlp.down_proj.weight", "blk.3.ffn_down.weight"},
    };
    static const char *const strangers[] = {"",
                                            "model",
                                            "model.layers.",
                                            "model.layers.x.mlp.up_proj.weight",
                                            "model.layers.01.mlp.up_proj.weight",
                                            "model.layers.1mlp.up_proj.weight",
                                            "model.layers.1.mlp.up_proj",
                                            "model.layers.1.mlp.up_proj.scale",
                                            "model.layers.1.weight",
                                            "model.layers.99999999999.mlp.up_proj.weight",
                                            "model.layers.1.mlp.experts.0.weight",
                                            "token_embd.weight",
                                            "lm_head.weight2"};
    char out[96];
    for (size_t i = 0; i < BT_COUNT_OF(names); i++) {
        assert_true(bt_hf_tensor_name(names[i][0], out));
        assert_string_equal(out, names[i][1]);
    }
    for (size_t i = 0; i < BT_COUNT_OF(strangers); i++)
        assert_false(bt_hf_tensor_name(strangers[i], out));
}

/* ---- directories ---- */

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void an_index_cannot_lead_out_of_its_directory(void **state)
{
    (void)state;
    static const char *const tricks[] = {
        "../model.safetensors", "/etc/passwd.safetensors", "a/b.safetensors",
        "..\\\\m.safetensors",  ".hidden.safetensors",     ".safetensors",
        "config.json",          "c:m.safetensors",         ""};
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_LLAMA);
    bt_model_file *file;
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    unlink(tiny_path(&dir, "model.safetensors"));
    for (size_t i = 0; i < BT_COUNT_OF(tricks); i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", tricks[i]);
        write_text(tiny_path(&dir, "model.safetensors.index.json"), text);
        assert_fails(bt_model_file_open(dir.path, BT_USE_COMPUTE, &file), BT_FORMAT,
                     "only plain names ending in .safetensors");
    }
    tiny_dir_close(&dir);
}

static void an_index_must_agree_with_its_shards(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "the index must hold one JSON object"},
        {"{", "JSON line"},
        {"{}", "'weight_map' is missing"},
        {"{\"weight_map\":[]}", "'weight_map' is an array"},
        {"{\"weight_map\":{}}", "the index names no files"},
        {"{\"weight_map\":{\"a\":1}}", "the index's entry for 'a' is no string"},
        {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", "No such file"},
        {"{\"weight_map\":{\"a\":\"part.safetensors\"}}",
         "the index says that 'a' is in 'part.safetensors', but it is not"},
    };
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_QWEN3);
    bt_model_file *file;
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    assert_int_equal(
        rename(tiny_path(&dir, "model.safetensors"), tiny_path(&dir, "part.safetensors")), 0);
    for (size_t i = 0; i < BT_COUNT_OF(cases); i++) {
        write_text(tiny_path(&dir, "model.safetensors.index.json"), cases[i][0]);
        bt_status st = bt_model_file_open(dir.path, BT_USE_COMPUTE, &file);
        assert_fails(st, st, cases[i][1]);
        assert_int_not_equal(st, BT_OK);
        assert_non_null(strstr(bt_error_message(), "model.safetensors.index.json"));
    }
    write_text(tiny_path(&dir, "model.safetensors.index.json"),
               "{\"weight_map\":{\"model.norm.weight\":\"part.safetensors\"}}");
    assert_ok(bt_model_file_open(dir.path, BT_USE_COMPUTE, &file));
    bt_model_file_close(file);
    tiny_dir_close(&dir);
}

static void every_family_opens_and_gaps_are_named(void **state)
{
    (void)state;
    bt_model_file *file;
    for (int family = 0; family < TINY_FAMILIES; family++) {
        tiny_dir dir;
        tiny_config config = tiny_wide((tiny_family)family);
        tiny_dir_open(&dir);
        tiny_write(&dir, &config);
        assert_ok(bt_model_file_open(dir.path, BT_USE_COMPUTE, &file));
        assert_null(bt_model_file_tokenizer(file));
        assert_int_equal(bt_model_file_hparams(file)->window, config.window);
        assert_string_equal(bt_model_file_format(file), "HF safetensors");
        assert_false(bt_model_file_permuted(file));
        bt_model_file_close(file);
        assert_fails(bt_model_file_open(dir.path, BT_USE_TOKENIZER, &file), BT_NOTFOUND,
                     "tokenizer");
        unlink(tiny_path(&dir, "config.json"));
        assert_fails(bt_model_file_open(dir.path, BT_USE_COMPUTE, &file), BT_NOTFOUND,
                     "there is no 'config.json'");
        tiny_dir_close(&dir);
    }
}

static void shapes_are_compared_with_the_config(void **state)
{
    (void)state;
    static const char *const edits[][3] = {
        // what config.json says, what it is made to say, what is found wrong
        {"\"vocab_size\": 96", "\"vocab_size\": 95",
         "tensor 'token_embd.weight' is [96, 256], must be [95, 256]"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
         "has no tensor 'blk.2.attn_norm.weight'"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "tensor 'blk.1."},
        {"\"intermediate_size\": 256", "\"intermediate_size\": 128",
         "tensor 'blk.0.ffn_gate.weight' is [256, 256], must be [128, 256]"},
        {"\"num_key_value_heads\": 4", "\"num_key_value_heads\": 8",
         "tensor 'blk.0.attn_k.weight' is [128, 256], must be [256, 256]"},
    };
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_LLAMA);
    bt_model_file *file;
    bt_buf text = {0};
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    assert_ok(bt_file_read(tiny_path(&dir, "config.json"), 1 << 20, &text));
    for (size_t i = 0; i < BT_COUNT_OF(edits); i++) {
        const char *at = strstr(text.data, edits[i][0]);
        char edited[4096];
        assert_non_null(at);
        snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text.data), text.data, edits[i][1],
                 at + strlen(edits[i][0]));
        write_text(tiny_path(&dir, "config.json"), edited);
        bt_status st = bt_model_file_open(dir.path, BT_USE_COMPUTE, &file);
        assert_int_not_equal(st, BT_OK);
        assert_fails(st, st, edits[i][2]);
        assert_ok(bt_model_file_open(dir.path, BT_USE_INSPECT, &file));
        assert_non_null(strstr(bt_model_file_problem(file), edits[i][2]));
        bt_model_file_close(file);
    }
    bt_buf_done(&text);
    tiny_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_config_is_refused_with_its_own_message),
        cmocka_unit_test(a_deeply_nested_config_is_refused),
        cmocka_unit_test(defaults_are_those_of_the_class),
        cmocka_unit_test(windows_are_on_the_layers_that_have_them),
        cmocka_unit_test(rope_is_read_in_old_and_new_spellings),
        cmocka_unit_test(end_tokens_may_be_one_or_many),
        cmocka_unit_test(the_known_models_configs_give_exact_hyperparameters),
        cmocka_unit_test(tensor_names_become_canonical),
        cmocka_unit_test(an_index_cannot_lead_out_of_its_directory),
        cmocka_unit_test(an_index_must_agree_with_its_shards),
        cmocka_unit_test(every_family_opens_and_gaps_are_named),
        cmocka_unit_test(shapes_are_compared_with_the_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
