// SPDX-License-Identifier: Apache-2.0
/* hfdir: finding a directory's files, mapping the shards, and giving tensors their canonical names.
 * File names come from an index that nobody vouches for: only plain names inside the directory
 * pass. */
#include "model/file/hfdir.h"
#include "base/bits.h"
#include "base/json.h"
#include "model/file/modelparts.h"
#include "model/file/safetensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_MAX = 1000, CONFIG_BYTES_MAX = 1 << 20, INDEX_BYTES_MAX = 32 << 20 };

/* ---- names ---- */

static const struct rename {
    const char *hf, *ours;
} whole[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

static const struct rename layer_parts[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

bool bt_hf_tensor_name(const char *name, char out[96])
{
    for (size_t i = 0; i < BT_COUNT_OF(whole); i++)
        if (!strcmp(name, whole[i].hf)) {
            snprintf(out, 96, "%s", whole[i].ours);
            return true;
        }
    const char *prefix = "model.layers.", *p = name + strlen(prefix);
    if (strncmp(name, prefix, strlen(prefix)) || *p < '0' || *p > '9' || (*p == '0' && p[1] != '.'))
        return false;
    size_t n_digit = strspn(p, "0123456789");
    const char *part = p + n_digit + 1, *dot = p[n_digit] == '.' ? strrchr(part, '.') : NULL;
    if (!dot || n_digit > 9 || (strcmp(dot, ".weight") && strcmp(dot, ".bias"))) return false;
    for (size_t i = 0; i < BT_COUNT_OF(layer_parts); i++)
        if (strlen(layer_parts[i].hf) == (size_t)(dot - part) &&
            !memcmp(layer_parts[i].hf, part, (size_t)(dot - part))) {
            snprintf(out, 96, "blk.%.*s.%s%s", (int)n_digit, p, layer_parts[i].ours, dot);
            return true;
        }
    return false;
}

/* Buffers that old checkpoints carry and the configuration makes redundant. */
static bool is_redundant(const char *name)
{
    size_t n = strlen(name), m = strlen(".rotary_emb.inv_freq");
    return n > m && !strcmp(name + n - m, ".rotary_emb.inv_freq");
}

/* ---- tensors ---- */

static bt_status add_tensor(bt_model_file *f, const bt_safetensor *t)
{
    char ours[96], *name = (char *)t->name;
    bt_tensor_view view = {
        .desc = t->desc, .data = t->data, .n_bytes = t->n_bytes, .type_name = t->type_name};
    if (is_redundant(t->name)) return BT_OK;
    bool known = bt_hf_tensor_name(t->name, ours);
    // A name we do not know in a layer would change what the layer computes.
    if (!known && !strncmp(t->name, "model.layers.", 13))
        BT_TRY(bt_parts_problem(f,
                                bt_fail(BT_UNSUPPORTED,
                                        "tensor '%s' is not part of a model family that we know",
                                        t->name),
                                false));
    if (known) BT_TRY(bt_arena_text(&f->arena, ours, strlen(ours), &name));
    view.name = name;
    return bt_parts_view(f, &view);
}

static bt_status map_shard(bt_model_file *f, const char *dir, const char *name, bt_safetensors *ret)
{
    bt_buf path = {0};
    bt_status st = bt_path_join(&path, dir, name);
    if (st == BT_OK) st = bt_file_map(&f->map[f->n_map], path.data);
    if (st == BT_OK) {
        const bt_file *file = &f->map[f->n_map++];
        st = bt_safetensors_parse(file->bytes, file->len, &f->arena, ret);
        if (st != BT_OK) bt_fail_note("'%s'", name);
    }
    bt_buf_done(&path);
    return st;
}

static bt_status add_shards(bt_model_file *f, const bt_safetensors *shard, size_t n_shard)
{
    size_t n = 0;
    for (size_t i = 0; i < n_shard; i++) n += shard[i].n;
    BT_TRY(bt_parts_room(f, n));
    for (size_t i = 0; i < n_shard; i++)
        for (size_t j = 0; j < shard[i].n; j++) BT_TRY(add_tensor(f, &shard[i].tensor[j]));
    return BT_OK;
}

/* ---- the index of shards ---- */

static bt_status check_shard_name(const char *name)
{
    size_t n = strlen(name), m = strlen(".safetensors");
    bool plain = n > m && n < 256 && name[0] != '.' && !strpbrk(name, "/\\:") &&
                 !strcmp(name + n - m, ".safetensors");
    BT_FAIL_IF(
        !plain, FORMAT,
        "the index names the file '%.256s'; only plain names ending in .safetensors are allowed",
        name);
    return BT_OK;
}

/* The shards an index names, each once, in order of appearance. */
static bt_status list_shards(bt_model_file *f, json_t *map, bt_name_set *ret_set)
{
    const char *tensor;
    json_t *value;
    BT_TRY(bt_name_set_init(ret_set, SHARD_MAX, &f->arena));
    json_object_foreach(map, tensor, value)
    {
        const char *name = json_string_value(value);
        char *copy;
        BT_FAIL_IF(!name, FORMAT, "the index's entry for '%.128s' is no string", tensor);
        BT_TRY(check_shard_name(name));
        if (bt_name_set_find(ret_set, name, strlen(name)) >= 0) continue;
        BT_FAIL_IF(ret_set->n == SHARD_MAX, LIMIT, "the index names more than %d files", SHARD_MAX);
        BT_TRY(bt_arena_text(&f->arena, name, strlen(name), &copy));
        bt_name_set_add(ret_set, copy, strlen(copy));
    }
    BT_FAIL_IF(ret_set->n == 0, FORMAT, "the index names no files");
    return BT_OK;
}

/* Every tensor must lie where the index says it does. */
static bt_status check_index(json_t *map, const bt_name_set *set, const bt_safetensors *shard)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        int64_t i = bt_name_set_find(set, file, strlen(file));
        BT_FAIL_IF(bt_name_set_find(&shard[i].set, tensor, strlen(tensor)) < 0, FORMAT,
                   "the index says that '%.128s' is in '%s', but it is not", tensor, file);
    }
    return BT_OK;
}

static bt_status open_index(bt_model_file *f, const char *dir, json_t *doc)
{
    json_t *map;
    bt_name_set set;
    bt_safetensors *shard;
    BT_FAIL_IF(!json_is_object(doc), FORMAT, "the index must hold one JSON object");
    BT_TRY(bt_json_get(doc, "weight_map", JSON_OBJECT, &map));
    BT_TRY(list_shards(f, map, &set));
    BT_TRY(bt_arena_array(&f->arena, set.n, sizeof *shard, (void **)&shard));
    for (size_t i = 0; i < set.n; i++) BT_TRY(map_shard(f, dir, set.name[i].text, &shard[i]));
    BT_TRY(check_index(map, &set, shard));
    return add_shards(f, shard, set.n);
}

/* ---- the directory ---- */

/* Read dir/name; *ret_found is false (and nothing read) when there is no such file. */
static bt_status read_file(const char *dir, const char *name, size_t len_max, bt_buf *ret_text,
                           bool *ret_found)
{
    bt_buf path = {0};
    bt_status st = bt_path_join(&path, dir, name);
    *ret_found = st == BT_OK && bt_file_exists(path.data);
    if (*ret_found) st = bt_file_read(path.data, len_max, ret_text);
    bt_buf_done(&path);
    return st;
}

static bt_status open_weights(bt_model_file *f, const char *dir)
{
    bt_buf text = {0}, path = {0};
    bt_safetensors single;
    json_t *doc = NULL;
    bool found = false;
    BT_TRY(bt_arena_array(&f->arena, SHARD_MAX, sizeof *f->map, (void **)&f->map));
    bt_status st = read_file(dir, "model.safetensors.index.json", INDEX_BYTES_MAX, &text, &found);
    if (st == BT_OK) st = bt_path_join(&path, dir, "model.safetensors");
    if (st == BT_OK &&
        (!found || bt_file_exists(path.data))) { // transformers prefers the single file too
        st = map_shard(f, dir, "model.safetensors", &single);
        if (st == BT_OK) st = add_shards(f, &single, 1);
    } else if (st == BT_OK) {
        st = bt_json_parse(text.data ? text.data : "", text.len, &doc);
        if (st == BT_OK) st = open_index(f, dir, doc);
        if (st != BT_OK) bt_fail_note("'model.safetensors.index.json'");
    }
    json_decref(doc);
    bt_buf_done(&text);
    bt_buf_done(&path);
    return st;
}

static bt_status read_config(bt_model_file *f, const char *dir)
{
    bt_buf text = {0};
    bt_hf_arch config = {0};
    bool found;
    bt_status st = read_file(dir, "config.json", CONFIG_BYTES_MAX, &text, &found);
    if (st == BT_OK && !found)
        st = bt_fail(BT_NOTFOUND, "there is no 'config.json' in the directory");
    if (st == BT_OK && (st = bt_hf_arch_parse(text.data ? text.data : "", text.len, &config)))
        bt_fail_note("'config.json'");
    if (st == BT_OK) {
        f->hp = config.hp;
        f->has_hp = true;
    }
    bt_buf_clear(&text);
    if (st == BT_OK) st = read_file(dir, "generation_config.json", CONFIG_BYTES_MAX, &text, &found);
    if (st == BT_OK && found &&
        (st = bt_hf_eos_parse(text.data ? text.data : "", text.len, &config)))
        bt_fail_note("'generation_config.json'");
    bt_buf_done(&text);
    for (int32_t i = 0; st == BT_OK && i < config.n_eos; i++) bt_parts_eos(f, config.eos[i]);
    // An untied head must be there, unless the configuration leaves the question open.
    if (st == BT_OK && f->use != BT_USE_TOKENIZER && config.tie_given &&
        !config.hp.tie_embeddings && !bt_model_file_find(f, "output.weight"))
        st = bt_fail(BT_NOTFOUND,
                     "'tie_word_embeddings' is false, but there is no tensor 'lm_head.weight'");
    return st;
}

/* The tokenizer is optional for COMPUTE: a directory with weights only can run on ids. */
static bt_status open_tokenizer(bt_model_file *f, const char *dir)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    bt_buf path = {0};
    bool found = f->use == BT_USE_TOKENIZER;
    bt_status st = BT_OK;
    for (size_t i = 0; i < BT_COUNT_OF(names) && st == BT_OK && !found; i++) {
        bt_buf_clear(&path);
        st = bt_path_join(&path, dir, names[i]);
        found = st == BT_OK && bt_file_exists(path.data);
    }
    bt_buf_done(&path);
    return st == BT_OK && found ? bt_tokenizer_open(dir, &f->tokenizer) : st;
}

bt_status bt_hfdir_open(bt_model_file *f, const char *path)
{
    BT_TRY(bt_arena_text(&f->arena, "HF safetensors", 14, &f->format));
    if (f->use != BT_USE_TOKENIZER) BT_TRY(open_weights(f, path));
    BT_TRY(bt_parts_problem(f, read_config(f, path), false));
    return bt_parts_problem(f, open_tokenizer(f, path), true);
}
