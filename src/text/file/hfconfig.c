// SPDX-License-Identifier: Apache-2.0
/* hfconfig: see hfconfig.h; and bt_tokenizer_open, which finds the files. */
#include "text/file/hfconfig.h"
#include "base/file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 64 << 20, TOKENIZER_BYTES_MAX = 512 << 20 };

typedef bt_status json_parser(const char *text, size_t len, json_t **ret);

static bt_status read_json(const char *dir, const char *name, json_parser *parse, json_t **ret)
{
    bt_buf path = {0}, text = {0};
    bt_status st = bt_path_join(&path, dir, name);
    if (!st && bt_file_exists(path.data)) {
        if (!(st = bt_file_read(path.data, CONFIG_BYTES_MAX, &text)))
            st = parse(text.data, text.len, ret);
        if (!st && !json_is_object(*ret)) st = bt_fail(BT_FORMAT, "the document is not an object");
        if (st) bt_fail_note("'%s'", name);
    }
    bt_buf_done(&path);
    bt_buf_done(&text);
    return st;
}

static bt_status read_template(const char *dir, bt_buf *out)
{
    bt_buf path = {0};
    bt_status st = bt_path_join(&path, dir, "chat_template.jinja");
    if (!st && bt_file_exists(path.data)) st = bt_file_read(path.data, CONFIG_BYTES_MAX, out);
    bt_buf_done(&path);
    return st;
}

bt_status bt_hf_config_open(bt_hf_config *c, const char *dir)
{
    bt_status st;
    *c = (bt_hf_config){0};
    if ((st = read_json(dir, "tokenizer_config.json", bt_json_parse_reals, &c->tokenizer)) ||
        (st = read_json(dir, "special_tokens_map.json", bt_json_parse, &c->special_map)) ||
        (st = read_json(dir, "generation_config.json", bt_json_parse, &c->generation)) ||
        (st = read_json(dir, "added_tokens.json", bt_json_parse, &c->added)) ||
        (st = read_template(dir, &c->chat_template)))
        bt_hf_config_close(c);
    return st;
}

void bt_hf_config_close(bt_hf_config *c)
{
    json_decref(c->tokenizer);
    json_decref(c->special_map);
    json_decref(c->generation);
    json_decref(c->added);
    bt_buf_done(&c->chat_template);
    *c = (bt_hf_config){0};
}

/* ---- added tokens ---- */

bt_status bt_hf_added_parse(json_t *node, int32_t id, bt_added *ret)
{
    json_t *content;
    *ret = (bt_added){.id = id};
    BT_FAIL_IF(!json_is_object(node), FORMAT, "added token %d is not an object", id);
    BT_TRY(bt_json_get(node, "content", JSON_STRING, &content));
    ret->text = (bt_slice){json_string_value(content), json_string_length(content)};
    BT_TRY(bt_json_opt_bool(node, "special", false, &ret->special));
    BT_TRY(bt_json_opt_bool(node, "lstrip", false, &ret->lstrip));
    BT_TRY(bt_json_opt_bool(node, "rstrip", false, &ret->rstrip));
    BT_TRY(bt_json_opt_bool(node, "single_word", false, &ret->single_word));
    BT_TRY(bt_json_opt_bool(node, "normalized", !ret->special, &ret->normalized));
    if (ret->special)
        ret->normalized = false; // a normalizer that prepends would hide it inside a text
    return BT_OK;
}

bt_status bt_hf_added_merge(bt_tokenizer *t, const bt_added *token)
{
    bt_added *old = bt_tok_find_added(t, token->text.text, token->text.len);
    if (!old) return bt_tok_add_token(t, *token);
    BT_FAIL_IF(old->id != token->id, FORMAT, "added token '%.*s' has the ids %d and %d",
               (int)token->text.len, token->text.text, old->id, token->id);
    bt_added merged = *token;
    merged.text = merged.match = old->text;
    *old = merged;
    if (t->vocab.type[token->id] != BT_PIECE_UNKNOWN)
        t->vocab.type[token->id] = token->special ? BT_PIECE_CONTROL : BT_PIECE_USER;
    return BT_OK;
}

static bt_status read_id(const char *key, int32_t *ret)
{
    char *end;
    errno = 0;
    long id = strtol(key, &end, 10);
    BT_FAIL_IF(errno || *end || end == key || id < 0 || id >= BT_TOK_PIECE_MAX, FORMAT,
               "added_tokens_decoder: '%s' is no id from 0 to %d", key, BT_TOK_PIECE_MAX - 1);
    *ret = (int32_t)id;
    return BT_OK;
}

bt_status bt_hf_config_count(const bt_hf_config *c, int32_t *ret_n)
{
    json_t *table = c ? json_object_get(c->tokenizer, "added_tokens_decoder") : NULL, *node;
    const char *key;
    if (c && *ret_n < c->n_id_min) *ret_n = c->n_id_min;
    json_object_foreach(table, key, node)
    {
        int32_t id;
        BT_TRY(read_id(key, &id));
        if (id >= *ret_n) *ret_n = id + 1;
    }
    return BT_OK;
}

bt_status bt_hf_config_tokens(const bt_hf_config *c, bt_tokenizer *t)
{
    json_t *table = c ? json_object_get(c->tokenizer, "added_tokens_decoder") : NULL, *node;
    const char *key;
    json_object_foreach(table, key, node)
    {
        bt_added token;
        int32_t id;
        BT_TRY(read_id(key, &id));
        bt_status st = bt_hf_added_parse(node, id, &token);
        if (!st) st = bt_hf_added_merge(t, &token);
        if (st) bt_fail_note("added_tokens_decoder");
        BT_TRY(st);
    }
    return BT_OK;
}

/* Whether `value` is the text, or an object, array or table that holds it as a value somewhere. */
static bool mentions(json_t *value, json_t *text)
{
    const char *key;
    json_t *part;
    size_t i;
    bool found = json_is_string(value) && json_equal(value, text);
    json_array_foreach(value, i, part) found = found || mentions(part, text);
    json_object_foreach(value, key, part) found = found || mentions(part, text);
    return found;
}

static bool is_listed(const bt_hf_config *c, json_t *text)
{
    static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                       "additional_special_tokens"};
    if (mentions(c->special_map, text)) return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (mentions(json_object_get(c->tokenizer, keys[i]), text)) return true;
    return false;
}

static bt_status old_added(const bt_hf_config *c, bt_hf_added *added)
{
    const char *key;
    size_t len;
    json_t *id;
    json_object_keylen_foreach(c->added, key, len, id)
    {
        json_int_t value = json_integer_value(id);
        BT_FAIL_IF(!json_is_integer(id) || value < 0 || value >= BT_TOK_PIECE_MAX, FORMAT,
                   "added_tokens.json: the id of '%.64s' is not from 0 to %d", key,
                   BT_TOK_PIECE_MAX - 1);
        json_t *text = json_stringn(key, len);
        BT_FAIL_IF(!text, NOMEM, "out of memory for an added token");
        added->token[added->n++] =
            (bt_added){.id = (int32_t)value, .text = {key, len}, .special = is_listed(c, text)};
        json_decref(text);
    }
    return BT_OK;
}

bt_status bt_hf_config_added(const bt_hf_config *c, bt_arena *arena, bt_hf_added *ret)
{
    json_t *table = json_object_get(c->tokenizer, "added_tokens_decoder"), *node;
    const char *key;
    bool decoder = json_is_object(table);
    bt_hf_added added = {0};
    size_t n = decoder ? json_object_size(table) : json_object_size(c->added);
    BT_TRY(bt_arena_array(arena, n, sizeof *added.token, (void **)&added.token));
    if (!decoder) BT_TRY(old_added(c, &added));
    json_object_foreach(table, key, node)
    {
        int32_t id;
        BT_TRY(read_id(key, &id));
        bt_status st = bt_hf_added_parse(node, id, &added.token[added.n++]);
        if (st) bt_fail_note("added_tokens_decoder");
        BT_TRY(st);
    }
    *ret = added;
    return BT_OK;
}

/* ---- roles ---- */

/* "bos_token": "<s>" or {"content": "<s>"}; the spelling, or NULL. */
static json_t *role_text(json_t *doc, const char *key)
{
    json_t *value = json_object_get(doc, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? value : NULL;
}

static void find_role(const bt_hf_config *c, const bt_tokenizer *t, const char *key, int32_t *role)
{
    json_t *text = role_text(c->tokenizer, key);
    if (!text) text = role_text(c->special_map, key);
    int32_t id =
        text ? bt_tokenizer_find(t, json_string_value(text), json_string_length(text)) : -1;
    if (id >= 0) *role = id;
}

static bt_status add_ends(const bt_hf_config *c, bt_tokenizer *t)
{
    json_t *ends = json_object_get(c->generation, "eos_token_id");
    size_t n = json_is_array(ends) ? json_array_size(ends) : json_is_integer(ends);
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_is_array(ends) ? json_array_get(ends, i) : ends;
        json_int_t id = json_integer_value(one);
        BT_FAIL_IF(!json_is_integer(one) || id < 0 || id >= t->vocab.n, FORMAT,
                   "generation_config.json: eos_token_id is %lld, must be from 0 to %d",
                   (long long)id, t->vocab.n - 1);
        t->eog[id] = 1;
    }
    return BT_OK;
}

/* "chat_template": a text, or a list of {"name", "template"}, of which "default" counts. */
static json_t *find_template(json_t *doc)
{
    json_t *value = json_object_get(doc, "chat_template"), *entry;
    size_t i;
    json_array_foreach(value, i, entry)
    {
        json_t *name = json_object_get(entry, "name");
        if (json_is_string(name) && !strcmp(json_string_value(name), "default")) {
            value = json_object_get(entry, "template");
            break;
        }
    }
    return json_is_string(value) ? value : NULL;
}

static bt_status set_template(const bt_hf_config *c, bt_tokenizer *t)
{
    json_t *text = find_template(c->tokenizer);
    if (c->chat_template.data)
        return bt_arena_text(&t->arena, c->chat_template.data, c->chat_template.len,
                             &t->chat_template);
    if (!text) return BT_OK;
    return bt_arena_text(&t->arena, json_string_value(text), json_string_length(text),
                         &t->chat_template);
}

bt_status bt_hf_config_apply(const bt_hf_config *c, bt_tokenizer *t)
{
    json_t *add_bos = json_object_get(c->tokenizer, "add_bos_token");
    json_t *add_eos = json_object_get(c->tokenizer, "add_eos_token");
    find_role(c, t, "bos_token", &t->bos);
    find_role(c, t, "eos_token", &t->eos);
    find_role(c, t, "unk_token", &t->unk);
    find_role(c, t, "pad_token", &t->pad);
    if (t->eos >= 0) t->eog[t->eos] = 1;
    if (json_is_boolean(add_bos)) bt_tok_set_bos(t, json_is_true(add_bos));
    if (json_is_boolean(add_eos)) bt_tok_set_eos(t, json_is_true(add_eos));
    BT_TRY(add_ends(c, t));
    return set_template(c, t);
}

/* ---- opening ---- */

static bt_status parse_file(const char *path, const bt_hf_config *config, bt_tokenizer **ret)
{
    bt_file file = {0};
    BT_TRY(bt_file_map(&file, path));
    size_t i = 0;
    bt_status st;
    while (i < file.len && strchr(" \t\r\n", file.bytes[i]) && file.bytes[i]) i++;
    if (file.len > TOKENIZER_BYTES_MAX)
        st = bt_fail(BT_LIMIT, "%zu bytes, at most %d", file.len, TOKENIZER_BYTES_MAX);
    else if (i < file.len &&
             file.bytes[i] == '{') // a SentencePiece model begins with the byte 0x0A
        st = bt_tokjson_parse((const char *)file.bytes, file.len, config, ret);
    else
        st = bt_spmodel_parse(file.bytes, file.len, config, ret);
    bt_file_unmap(&file);
    return st;
}

static bt_status open_dir(const char *dir, bt_tokenizer **ret)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    bt_hf_config config;
    bt_buf path = {0};
    bt_tokenizer *t = NULL;
    bt_status st = bt_hf_config_open(&config, dir);
    BT_TRY(st);
    size_t i = 0;
    for (; i < 2 && !st; i++) {
        bt_buf_clear(&path);
        if (!(st = bt_path_join(&path, dir, names[i])) && bt_file_exists(path.data)) break;
    }
    if (!st && i == 2)
        st = bt_fail(BT_NOTFOUND, "neither tokenizer.json nor tokenizer.model is in the directory");
    if (!st) st = parse_file(path.data, &config, &t);
    if (!st) st = bt_hf_config_apply(&config, t);
    bt_buf_done(&path);
    bt_hf_config_close(&config);
    if (st)
        bt_tokenizer_free(t);
    else
        *ret = t;
    return st;
}

bt_status bt_tokenizer_open(const char *path, bt_tokenizer **ret)
{
    bt_status st = bt_file_is_dir(path) ? open_dir(path, ret) : parse_file(path, NULL, ret);
    if (st) bt_fail_note("opening tokenizer '%s'", path);
    return st;
}
