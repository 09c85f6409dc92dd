// SPDX-License-Identifier: Apache-2.0
/* tiny: see tiny.h. Weights have the spread of make_models.py: attention that is sharp, norms far
 * from 1, biases far from 0. */
#include "oracle/tiny.h"
#include "oracle/memory.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const classes[TINY_FAMILIES] = {"LlamaForCausalLM", "MistralForCausalLM",
                                                   "Qwen2ForCausalLM", "Qwen3ForCausalLM"};
static const char *const types[TINY_FAMILIES] = {"llama", "mistral", "qwen2", "qwen3"};
static const char *const scalings[TINY_SCALINGS] = {"none", "linear", "llama3", "yarn"};

tiny_config tiny_wide(tiny_family family)
{
    return (tiny_config){.family = family,
                         .n_layer = 2,
                         .n_head = 8,
                         .n_kv = 4,
                         .d_head = 32,
                         .d_model = 256,
                         .d_ff = 256,
                         .n_vocab = 96,
                         .theta = 10000,
                         .seed = 11,
                         .window = family == TINY_MISTRAL ? 20 : 0};
}

tiny_config tiny_random(test_rng *rng)
{
    tiny_config c = {.family = (tiny_family)test_range(rng, 0, TINY_FAMILIES - 1),
                     .seed = test_u64(rng)};
    c.n_layer = (int32_t)test_range(rng, 1, 3);
    c.n_kv = (int32_t)test_range(rng, 1, 3);
    c.n_head = c.n_kv * (int32_t)test_range(rng, 1, 4);
    c.d_head = 2 * (int32_t)test_range(rng, 1, 20);
    c.d_model = (int32_t)test_range(rng, 8, 70);
    if (c.family == TINY_QWEN2) c.d_model = c.n_head * c.d_head; // its config has no head_dim
    c.d_ff = (int32_t)test_range(rng, 1, 130);
    c.n_vocab = (int32_t)test_range(rng, 20, 140);
    c.scaling = (tiny_scaling)test_range(rng, 0, TINY_SCALINGS - 1);
    c.window = c.family == TINY_MISTRAL ? (int32_t)test_range(rng, 1, 40) : 0;
    c.tie = test_range(rng, 0, 1);
    c.attn_bias = c.family == TINY_LLAMA && test_range(rng, 0, 1);
    c.mlp_bias = c.family == TINY_LLAMA && test_range(rng, 0, 1);
    c.theta = pow(10, 2 + 4 * test_uniform(rng));
    return c;
}

const char *tiny_name(const tiny_config *c)
{
    static char text[256];
    snprintf(text, sizeof text,
             "%s layers %d heads %d/%d x %d model %d ff %d vocab %d rope %s theta %.6g window %d "
             "tie %d bias %d %d",
             types[c->family], c->n_layer, c->n_head, c->n_kv, c->d_head, c->d_model, c->d_ff,
             c->n_vocab, scalings[c->scaling], c->theta, c->window, c->tie, c->attn_bias,
             c->mlp_bias);
    return text;
}

/* ---- the folder ---- */

void tiny_dir_open(tiny_dir *dir)
{
    const char *base = getenv("TMPDIR");
    *dir = (tiny_dir){0};
    snprintf(dir->path, sizeof dir->path, "%s/baton-test-XXXXXX",
             base && strlen(base) < 100 ? base : "/tmp");
    assert_non_null(mkdtemp(dir->path));
}

void tiny_dir_close(tiny_dir *dir)
{
    DIR *list = opendir(dir->path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_name[0] == '.') continue;
        assert_int_equal(unlink(tiny_path(dir, entry->d_name)), 0);
    }
    closedir(list);
    assert_int_equal(rmdir(dir->path), 0);
}

const char *tiny_path(tiny_dir *dir, const char *name)
{
    int slot = dir->next++ % 8;
    assert_true(strlen(dir->path) + strlen(name) + 2 <= sizeof dir->joined[0]);
    stpcpy(stpcpy(stpcpy(dir->joined[slot], dir->path), "/"), name);
    return dir->joined[slot];
}

/* ---- config.json ---- */

static void write_scaling(FILE *f, const tiny_config *c)
{
    if (c->scaling == TINY_NONE) return;
    fprintf(f, " \"rope_scaling\": {\"rope_type\": \"%s\", \"factor\": 4.0", scalings[c->scaling]);
    if (c->scaling == TINY_LLAMA3)
        fprintf(f, ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0");
    if (c->scaling != TINY_LINEAR) fprintf(f, ", \"original_max_position_embeddings\": 32");
    fprintf(f, "},\n");
}

static void write_config(const tiny_config *c, const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "{\"architectures\": [\"%s\"], \"model_type\": \"%s\", \"hidden_act\": \"silu\",\n",
            classes[c->family], types[c->family]);
    fprintf(
        f,
        " \"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"num_key_value_heads\": %d,\n",
        c->n_layer, c->n_head, c->n_kv);
    fprintf(f, " \"hidden_size\": %d, \"intermediate_size\": %d, \"vocab_size\": %d,\n", c->d_model,
            c->d_ff, c->n_vocab);
    if (c->family != TINY_QWEN2) fprintf(f, " \"head_dim\": %d,\n", c->d_head);
    write_scaling(f, c);
    if (c->window) fprintf(f, " \"sliding_window\": %d,\n", c->window);
    if (c->family == TINY_LLAMA)
        fprintf(f, " \"attention_bias\": %s, \"mlp_bias\": %s,\n", c->attn_bias ? "true" : "false",
                c->mlp_bias ? "true" : "false");
    fprintf(f,
            " \"rope_theta\": %.17g, \"rms_norm_eps\": 1e-5, \"max_position_embeddings\": 2048,\n",
            c->theta);
    fprintf(f, " \"tie_word_embeddings\": %s, \"torch_dtype\": \"float32\"}\n",
            c->tie ? "true" : "false");
    assert_int_equal(fclose(f), 0);
}

/* ---- model.safetensors: u64 header length, JSON header, data ---- */

typedef struct tensor_list {
    FILE *header, *data;
    uint64_t at; // bytes of data so far
    test_rng rng;
} tensor_list;

/* A tensor of n_row x n_col (n_row 0: a vector), normal with this mean and spread. */
static void add_tensor(tensor_list *t, const char *name, const int32_t dim[2], double mean,
                       double spread)
{
    int64_t n = (int64_t)(dim[0] ? dim[0] : 1) * dim[1];
    fprintf(t->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", t->at ? "," : "{", name);
    if (dim[0]) fprintf(t->header, "%d,", dim[0]);
    fprintf(t->header, "%d],\"data_offsets\":[%llu,%llu]}", dim[1], (unsigned long long)t->at,
            (unsigned long long)(t->at + (uint64_t)n * 4));
    for (int64_t i = 0; i < n; i++) {
        float x = (float)(mean + spread * test_normal(&t->rng));
        assert_int_equal(fwrite(&x, sizeof x, 1, t->data), 1);
    }
    t->at += (uint64_t)n * 4;
}

static void add_linear(tensor_list *t, const char *prefix, const char *stem, const int32_t dim[2],
                       bool bias)
{
    char name[128];
    bool sharp = strstr(stem, "q_proj") || strstr(stem, "k_proj");
    snprintf(name, sizeof name, "%s%s.weight", prefix, stem);
    add_tensor(t, name, dim, 0, (sharp ? 1.4 : 1.1) / sqrt(dim[1]));
    if (!bias) return;
    snprintf(name, sizeof name, "%s%s.bias", prefix, stem);
    add_tensor(t, name, (int32_t[2]){0, dim[0]}, 0, 0.4);
}

static void add_norm(tensor_list *t, const char *prefix, const char *stem, int32_t n)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s.weight", prefix, stem);
    add_tensor(t, name, (int32_t[2]){0, n}, 1, 0.4);
}

static void add_layer(tensor_list *t, const tiny_config *c, int32_t i)
{
    char p[64];
    int32_t d = c->d_model, q = c->n_head * c->d_head, kv = c->n_kv * c->d_head;
    bool qkv_bias = c->attn_bias || c->family == TINY_QWEN2;
    snprintf(p, sizeof p, "model.layers.%d.", i);
    add_norm(t, p, "input_layernorm", d);
    add_linear(t, p, "self_attn.q_proj", (int32_t[2]){q, d}, qkv_bias);
    add_linear(t, p, "self_attn.k_proj", (int32_t[2]){kv, d}, qkv_bias);
    add_linear(t, p, "self_attn.v_proj", (int32_t[2]){kv, d}, qkv_bias);
    add_linear(t, p, "self_attn.o_proj", (int32_t[2]){d, q}, c->attn_bias);
    if (c->family == TINY_QWEN3) {
        add_norm(t, p, "self_attn.q_norm", c->d_head);
        add_norm(t, p, "self_attn.k_norm", c->d_head);
    }
    add_norm(t, p, "post_attention_layernorm", d);
    add_linear(t, p, "mlp.gate_proj", (int32_t[2]){c->d_ff, d}, c->mlp_bias);
    add_linear(t, p, "mlp.up_proj", (int32_t[2]){c->d_ff, d}, c->mlp_bias);
    add_linear(t, p, "mlp.down_proj", (int32_t[2]){d, c->d_ff}, c->mlp_bias);
}

static void write_weights(const tiny_config *c, const char *path)
{
    char *header = NULL, *data = NULL;
    size_t n_header = 0, n_data = 0;
    tensor_list t = {.header = open_memstream(&header, &n_header),
                     .data = open_memstream(&data, &n_data),
                     .rng = {c->seed}};
    assert_true(t.header && t.data);
    add_tensor(&t, "model.embed_tokens.weight", (int32_t[2]){c->n_vocab, c->d_model}, 0, 0.8);
    for (int32_t i = 0; i < c->n_layer; i++) add_layer(&t, c, i);
    add_norm(&t, "", "model.norm", c->d_model);
    if (!c->tie) add_linear(&t, "", "lm_head", (int32_t[2]){c->n_vocab, c->d_model}, false);
    fprintf(t.header, "}");
    fclose(t.header);
    fclose(t.data);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint64_t n_padded = (n_header + 7) / 8 * 8; // the format pads the header with spaces
    assert_int_equal(fwrite(&n_padded, 8, 1, f), 1);
    fprintf(f, "%s%*s", header, (int)(n_padded - n_header), "");
    assert_int_equal(fwrite(data, 1, n_data, f), n_data);
    assert_int_equal(fclose(f), 0);
    free(header);
    free(data);
}

void tiny_write(tiny_dir *dir, const tiny_config *c)
{
    write_config(c, tiny_path(dir, "config.json"));
    write_weights(c, tiny_path(dir, "model.safetensors"));
}
