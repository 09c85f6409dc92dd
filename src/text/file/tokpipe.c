// SPDX-License-Identifier: Apache-2.0
/* tokpipe: see tokpipe.h. Source: the serialised form of the Hugging Face tokenizers library. */
#include "text/file/tokpipe.h"
#include <string.h>

enum { NEST_MAX = 8 }; // of Sequences in Sequences

static bt_slice text_of(json_t *value)
{
    return (bt_slice){json_string_value(value), json_string_length(value)};
}

/* A string field in the arena. */
static bt_status keep_text(bt_tokenizer *t, json_t *node, const char *key, bt_slice *ret)
{
    json_t *value;
    char *copy;
    BT_TRY(bt_json_get(node, key, JSON_STRING, &value));
    bt_slice s = text_of(value);
    BT_TRY(bt_arena_text(&t->arena, s.text, s.len, &copy));
    *ret = (bt_slice){copy, s.len};
    return BT_OK;
}

static bt_status type_of(json_t *node, const char *what, const char **ret_type)
{
    BT_FAIL_IF(!json_is_object(node), FORMAT, "%s is not an object", what);
    return bt_json_get_text(node, "type", ret_type);
}

/* {"String": "x"} or {"Regex": "x"} or "x": exactly one of the two comes back. */
static bt_status read_pattern(bt_tokenizer *t, json_t *node, bt_regex **ret_regex,
                              bt_slice *ret_literal)
{
    json_t *pattern = json_object_get(node, "pattern"), *regex = json_object_get(pattern, "Regex");
    if (json_is_string(regex))
        return bt_regex_new(json_string_value(regex), json_string_length(regex), ret_regex);
    if (json_is_string(pattern))
        BT_TRY(keep_text(t, node, "pattern", ret_literal));
    else {
        BT_FAIL_IF(!json_is_object(pattern), FORMAT, "'pattern' is neither a string nor an object");
        BT_TRY(keep_text(t, pattern, "String", ret_literal));
    }
    BT_FAIL_IF(ret_literal->len == 0, FORMAT, "'pattern' is empty");
    return BT_OK;
}

typedef bt_status node_fn(bt_tokenizer *t, json_t *node, int depth);

/* Each element of an array of nodes. */
static bt_status each(bt_tokenizer *t, json_t *node, const char *key, node_fn *fn, int depth)
{
    json_t *list, *part;
    size_t i;
    BT_FAIL_IF(depth >= NEST_MAX, LIMIT, "sequences nested deeper than %d", NEST_MAX);
    BT_TRY(bt_json_get(node, key, JSON_ARRAY, &list));
    json_array_foreach(list, i, part) BT_TRY(fn(t, part, depth + 1));
    return BT_OK;
}

/* ---- normalizers ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

static bt_status base64(bt_slice in, bt_buf *out)
{
    uint32_t bits = 0;
    int n_bit = 0;
    while (in.len && in.text[in.len - 1] == '=') in.len--;
    BT_TRY(bt_buf_reserve(out, in.len));
    for (size_t i = 0; i < in.len; i++) {
        int d = base64_digit(in.text[i]);
        BT_FAIL_IF(d < 0, FORMAT, "'precompiled_charsmap' has the byte 0x%02x, which is not base64",
                   (unsigned char)in.text[i]);
        bits = bits << 6 | (uint32_t)d;
        n_bit += 6;
        if (n_bit < 8) continue;
        n_bit -= 8;
        BT_TRY(bt_buf_add(out, (char[]){(char)(bits >> n_bit)}, 1));
    }
    return BT_OK;
}

static bt_status add_charsmap(bt_tokenizer *t, json_t *node)
{
    bt_norm_step *step;
    bt_buf raw = {0};
    json_t *text;
    if (json_is_null(json_object_get(node, "precompiled_charsmap"))) return BT_OK; // nothing to map
    BT_TRY(bt_json_get(node, "precompiled_charsmap", JSON_STRING, &text));
    BT_TRY(bt_norm_add(&t->norm, NORM_CHARSMAP_GRAPHEMES, &step));
    bt_status st = base64(text_of(text), &raw);
    if (!st) st = bt_charsmap_parse(&step->charsmap, (const uint8_t *)raw.data, raw.len);
    bt_buf_done(&raw);
    return st;
}

static bt_status add_normalizer(bt_tokenizer *t, json_t *node, int depth)
{
    static const struct {
        const char *name;
        bt_norm_kind kind;
    } plain[] = {{"NFC", NORM_NFC},
                 {"NFD", NORM_NFD},
                 {"NFKC", NORM_NFKC},
                 {"NFKD", NORM_NFKD},
                 {"Lowercase", NORM_LOWERCASE},
                 {"StripAccents", NORM_STRIP_ACCENTS}};
    const char *type;
    bt_norm_step *step;
    BT_TRY(type_of(node, "a normalizer", &type));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(type, plain[i].name)) return bt_norm_add(&t->norm, plain[i].kind, &step);
    if (!strcmp(type, "Sequence")) return each(t, node, "normalizers", add_normalizer, depth);
    if (!strcmp(type, "Precompiled")) return add_charsmap(t, node);
    if (!strcmp(type, "Prepend")) {
        BT_TRY(bt_norm_add(&t->norm, NORM_PREPEND, &step));
        return keep_text(t, node, "prepend", &step->to);
    }
    if (!strcmp(type, "Strip")) {
        BT_TRY(bt_norm_add(&t->norm, NORM_STRIP, &step));
        BT_TRY(bt_json_opt_bool(node, "strip_left", true, &step->left));
        return bt_json_opt_bool(node, "strip_right", true, &step->right);
    }
    BT_FAIL_IF(strcmp(type, "Replace"), UNSUPPORTED, "the normalizer '%s' is not supported", type);
    BT_TRY(bt_norm_add(&t->norm, NORM_REPLACE, &step));
    BT_TRY(read_pattern(t, node, &step->regex, &step->from));
    if (step->regex) step->kind = NORM_REPLACE_REGEX;
    return keep_text(t, node, "content", &step->to);
}

bt_status bt_tokpipe_normalizer(bt_tokenizer *t, json_t *node)
{
    bt_status st = !node || json_is_null(node) ? BT_OK : add_normalizer(t, node, 0);
    if (st) bt_fail_note("normalizer");
    return st;
}

/* ---- pre-tokenizers ---- */

static bt_status read_rule(json_t *node, const char *def, bt_split_rule *ret)
{
    static const struct {
        const char *name;
        bt_split_rule rule;
    } rules[] = {{"Isolated", SPLIT_ISOLATED},
                 {"Removed", SPLIT_REMOVED},
                 {"Contiguous", SPLIT_CONTIGUOUS},
                 {"MergedWithPrevious", SPLIT_WITH_PREVIOUS},
                 {"MergedWithNext", SPLIT_WITH_NEXT}};
    const char *name;
    BT_TRY(bt_json_opt_text(node, "behavior", def, &name));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(name, rules[i].name)) {
            *ret = rules[i].rule;
            return BT_OK;
        }
    return bt_fail(BT_UNSUPPORTED, "the split behavior '%s' is not supported", name);
}

static bt_status add_split(bt_tokenizer *t, json_t *node)
{
    bt_pre_step *step;
    BT_TRY(bt_pretok_add(&t->pre, PRE_SPLIT, &step));
    BT_TRY(read_pattern(t, node, &step->regex, &step->literal));
    BT_TRY(read_rule(node, "Isolated", &step->rule));
    return bt_json_opt_bool(node, "invert", false, &step->invert);
}

static bt_status add_byte_level(bt_tokenizer *t, json_t *node)
{
    bool prefix, pattern;
    bt_pre_step *step;
    BT_TRY(bt_json_opt_bool(node, "add_prefix_space", true, &prefix));
    BT_TRY(bt_json_opt_bool(node, "use_regex", true, &pattern));
    if (prefix) BT_TRY(bt_pretok_add(&t->pre, PRE_PREFIX_SPACE, &step));
    if (pattern) BT_TRY(bt_pretok_add_regex(&t->pre, BT_PATTERN_GPT2, SPLIT_ISOLATED, false));
    t->bytes = true;
    return BT_OK;
}

/* prepend_scheme, or the older add_prefix_space. */
static bt_status read_prepend(json_t *node, bt_prepend *ret)
{
    const char *scheme;
    bool prefix;
    BT_TRY(bt_json_opt_bool(node, "add_prefix_space", true, &prefix));
    BT_TRY(bt_json_opt_text(node, "prepend_scheme", prefix ? "always" : "never", &scheme));
    *ret = !strcmp(scheme, "always")  ? PREPEND_ALWAYS
           : !strcmp(scheme, "first") ? PREPEND_FIRST
                                      : PREPEND_NEVER;
    BT_FAIL_IF(*ret == PREPEND_NEVER && strcmp(scheme, "never"), FORMAT,
               "prepend_scheme is '%s', must be always, first or never", scheme);
    return BT_OK;
}

static bt_status add_metaspace(bt_tokenizer *t, json_t *node)
{
    bt_pre_step *step;
    BT_TRY(bt_pretok_add(&t->pre, PRE_METASPACE, &step));
    BT_TRY(keep_text(t, node, "replacement", &step->mark));
    BT_FAIL_IF(step->mark.len == 0, FORMAT, "'replacement' is empty");
    BT_TRY(read_prepend(node, &step->prepend));
    return bt_json_opt_bool(node, "split", true, &step->split);
}

/* \w of Rust's regex crate, which these pre-tokenizers use: not Oniguruma's. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"

static bt_status add_pre(bt_tokenizer *t, json_t *node, int depth)
{
    const char *type;
    bt_split_rule rule = SPLIT_ISOLATED;
    bool each_digit;
    BT_TRY(type_of(node, "a pre-tokenizer", &type));
    if (!strcmp(type, "Sequence")) return each(t, node, "pretokenizers", add_pre, depth);
    BT_FAIL_IF(t->bytes, UNSUPPORTED, "the pre-tokenizer '%s' after ByteLevel is not supported",
               type);
    if (!strcmp(type, "Split")) return add_split(t, node);
    if (!strcmp(type, "ByteLevel")) return add_byte_level(t, node);
    if (!strcmp(type, "Metaspace")) return add_metaspace(t, node);
    if (!strcmp(type, "Digits")) {
        BT_TRY(bt_json_opt_bool(node, "individual_digits", false, &each_digit));
        return bt_pretok_add_regex(&t->pre, each_digit ? "\\p{N}" : "\\p{N}+", SPLIT_ISOLATED,
                                   false);
    }
    if (!strcmp(type, "Whitespace"))
        return bt_pretok_add_regex(&t->pre, "[" WORD "]+|[^" WORD "\\s]+", SPLIT_REMOVED, true);
    if (!strcmp(type, "WhitespaceSplit"))
        return bt_pretok_add_regex(&t->pre, "\\s", SPLIT_REMOVED, false);
    BT_FAIL_IF(strcmp(type, "Punctuation"), UNSUPPORTED, "the pre-tokenizer '%s' is not supported",
               type);
    BT_TRY(read_rule(node, "Isolated", &rule));
    return bt_pretok_add_regex(&t->pre, "[\\p{P}!-/:-@\\[-`{-~]", rule, false);
}

bt_status bt_tokpipe_pre(bt_tokenizer *t, json_t *node)
{
    bt_status st = !node || json_is_null(node) ? BT_OK : add_pre(t, node, 0);
    if (st) bt_fail_note("pre_tokenizer");
    return st;
}

/* ---- post-processors: only what stands around one text ---- */

static bt_status put_around(bt_tokenizer *t, int64_t id, bool before)
{
    int32_t *list = before ? t->before : t->after, *n = before ? &t->n_before : &t->n_after;
    BT_FAIL_IF(id < 0 || id >= t->vocab.n, FORMAT, "token %lld, must be from 0 to %d",
               (long long)id, t->vocab.n - 1);
    BT_FAIL_IF(*n == BT_TOK_AROUND_MAX, LIMIT, "more than %d tokens around a text",
               BT_TOK_AROUND_MAX);
    list[(*n)++] = (int32_t)id;
    return BT_OK;
}

static bt_status put_special(bt_tokenizer *t, json_t *node, json_t *piece, bool before)
{
    json_t *table, *entry, *ids, *id;
    const char *name;
    size_t i;
    BT_TRY(bt_json_get_text(piece, "id", &name));
    BT_TRY(bt_json_get(node, "special_tokens", JSON_OBJECT, &table));
    BT_TRY(bt_json_get(table, name, JSON_OBJECT, &entry));
    BT_TRY(bt_json_get(entry, "ids", JSON_ARRAY, &ids));
    json_array_foreach(ids, i, id)
    {
        BT_FAIL_IF(!json_is_integer(id), FORMAT, "an id of '%s' is not an integer", name);
        BT_TRY(put_around(t, json_integer_value(id), before));
    }
    return BT_OK;
}

static bt_status add_template(bt_tokenizer *t, json_t *node)
{
    json_t *list, *part;
    size_t i;
    int n_text = 0;
    BT_TRY(bt_json_get(node, "single", JSON_ARRAY, &list));
    json_array_foreach(list, i, part)
    {
        json_t *special = json_object_get(part, "SpecialToken");
        if (json_is_object(special))
            BT_TRY(put_special(t, node, special, n_text == 0));
        else if (json_is_object(json_object_get(part, "Sequence")))
            n_text++;
        else
            return bt_fail(BT_FORMAT,
                           "part %zu of 'single' is neither a SpecialToken nor a Sequence", i);
    }
    BT_FAIL_IF(n_text != 1, FORMAT, "'single' has %d sequences, must be 1", n_text);
    return BT_OK;
}

/* BERT's and RoBERTa's: [cls] text [sep], each as ["piece", id]. */
static bt_status add_cls_sep(bt_tokenizer *t, json_t *node)
{
    static const char *const keys[] = {"cls", "sep"};
    for (int k = 0; k < 2; k++) {
        json_t *pair;
        BT_TRY(bt_json_get(node, keys[k], JSON_ARRAY, &pair));
        BT_FAIL_IF(!json_is_integer(json_array_get(pair, 1)), FORMAT, "'%s' is not [piece, id]",
                   keys[k]);
        BT_TRY(put_around(t, json_integer_value(json_array_get(pair, 1)), k == 0));
    }
    return BT_OK;
}

static bt_status add_post(bt_tokenizer *t, json_t *node, int depth)
{
    const char *type;
    BT_TRY(type_of(node, "a post-processor", &type));
    if (!strcmp(type, "Sequence")) return each(t, node, "processors", add_post, depth);
    if (!strcmp(type, "ByteLevel")) return BT_OK; // it only trims offsets
    if (!strcmp(type, "TemplateProcessing")) return add_template(t, node);
    if (!strcmp(type, "BertProcessing") || !strcmp(type, "RobertaProcessing"))
        return add_cls_sep(t, node);
    return bt_fail(BT_UNSUPPORTED, "the post-processor '%s' is not supported", type);
}

bt_status bt_tokpipe_post(bt_tokenizer *t, json_t *node)
{
    bt_status st = !node || json_is_null(node) ? BT_OK : add_post(t, node, 0);
    if (st) bt_fail_note("post_processor");
    return st;
}
