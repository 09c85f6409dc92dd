// SPDX-License-Identifier: Apache-2.0
/* hfpipe: see hfpipe.h. The patterns of a byte-level pre-tokenizer are compared, as texts, with
 * those that prename.c has; the steps around SentencePiece's marks are taken one by one. */
#include "model/file/hfpipe.h"
#include "base/bits.h"
#include "text/pretok.h"
#include <string.h>

enum { SPLIT_MAX = 8, NEST_MAX = 8 };

#define MARK "\xE2\x96\x81" // U+2581, SentencePiece's space

/* The pre-tokenizers looked for, by GGUF's names; prename.c has what they do. */
static const char *const known_pre[] = {
    "llama-bpe", "qwen2",  "gpt-2", "smollm",    "deepseek-llm", "deepseek-coder", "deepseek-v3",
    "gpt-4o",    "tekken", "dbrx",  "stablelm2", "qwen35",       "falcon"};

/* ---- byte-level: a name ---- */

/* The patterns that a pre-tokenizer cuts at, one after another. */
typedef struct splits {
    const char *pattern[SPLIT_MAX];
    int n;
    bool bytes; // ends in the byte alphabet
} splits;

static bt_status add_split(splits *s, const char *pattern)
{
    BT_FAIL_IF(s->n == SPLIT_MAX, UNSUPPORTED, "the pre-tokenizer has more than %d steps",
               SPLIT_MAX);
    s->pattern[s->n++] = pattern;
    return BT_OK;
}

static bt_status read_step(json_t *step, splits *s)
{
    const char *type, *pattern, *behaviour;
    bool flag;
    BT_TRY(bt_json_get_text(step, "type", &type));
    if (!strcmp(type, "ByteLevel")) {
        s->bytes = true;
        BT_TRY(bt_json_opt_bool(step, "add_prefix_space", true, &flag));
        BT_FAIL_IF(flag, UNSUPPORTED,
                   "the pre-tokenizer adds a space in front, which GGUF cannot say");
        BT_TRY(bt_json_opt_bool(step, "use_regex", true, &flag));
        return flag ? add_split(s, BT_PATTERN_GPT2) : BT_OK;
    }
    if (!strcmp(type, "Digits")) {
        BT_TRY(bt_json_opt_bool(step, "individual_digits", false, &flag));
        return add_split(s, flag ? "\\p{N}" : "\\p{N}+");
    }
    if (!strcmp(type, "Split")) {
        json_t *what;
        BT_TRY(bt_json_get(step, "pattern", JSON_OBJECT, &what));
        BT_TRY(bt_json_get_text(what, "Regex", &pattern));
        BT_TRY(bt_json_opt_text(step, "behavior", "", &behaviour));
        BT_TRY(bt_json_opt_bool(step, "invert", false, &flag));
        // "Removed" and inverted is how tiktoken's conversions spell "isolated"
        bool isolated =
            (!strcmp(behaviour, "Isolated") && !flag) || (!strcmp(behaviour, "Removed") && flag);
        if (isolated) return add_split(s, pattern);
    }
    return bt_fail(BT_UNSUPPORTED, "GGUF has no name for a pre-tokenizer with the step '%.64s'",
                   type);
}

static bt_status read_splits(json_t *pre, splits *s)
{
    const char *type;
    json_t *list, *step;
    size_t i;
    if (!json_is_object(pre)) return BT_OK;
    BT_TRY(bt_json_get_text(pre, "type", &type));
    if (strcmp(type, "Sequence")) return read_step(pre, s);
    BT_TRY(bt_json_get(pre, "pretokenizers", JSON_ARRAY, &list));
    json_array_foreach(list, i, step) BT_TRY(read_step(step, s));
    return BT_OK;
}

static bool same_splits(const splits *s, const bt_prename *named)
{
    int i = 0;
    for (; i < s->n && named->split[i]; i++)
        if (strcmp(s->pattern[i], named->split[i])) return false;
    return i == s->n && !named->split[i];
}

/* The name of the pre-tokenizer that cuts, normalizes and merges as the file says. */
static bt_status find_name(json_t *doc, const splits *s, const char **ret_name)
{
    const char *normalizer = "";
    bool ignore_merges;
    json_t *norm = json_object_get(doc, "normalizer");
    if (json_is_object(norm)) BT_TRY(bt_json_get_text(norm, "type", &normalizer));
    BT_TRY(bt_json_opt_bool(json_object_get(doc, "model"), "ignore_merges", false, &ignore_merges));
    for (size_t i = 0; i < BT_COUNT_OF(known_pre); i++) {
        const bt_prename *named = bt_prename_find(known_pre[i]);
        if (!named || !same_splits(s, named) || named->ignore_merges != ignore_merges) continue;
        if (strcmp(normalizer, named->nfc ? "NFC" : "")) continue;
        *ret_name = named->name;
        return BT_OK;
    }
    return bt_fail(BT_UNSUPPORTED,
                   "GGUF has no name for the pre-tokenizer with the pattern '%.200s'",
                   s->n ? s->pattern[0] : "");
}

bt_status bt_hf_pre_name(json_t *doc, const char **ret_name)
{
    splits s = {0};
    json_t *pre = json_object_get(doc, "pre_tokenizer");
    const char *first = json_string_value(json_object_get(pre, "type"));
    *ret_name = NULL;
    if (!first || !strcmp(first, "Metaspace")) return BT_OK;
    BT_TRY(read_splits(pre, &s));
    BT_FAIL_IF(!s.bytes, UNSUPPORTED, "GGUF has no name for a pre-tokenizer of type '%.32s'",
               first);
    return find_name(doc, &s, ret_name);
}

/* ---- SentencePiece's marks: flags ---- */

typedef bt_status step_fn(json_t *step, const char *type, bt_hf_spaces *s);

/* Call `fn` for a node, or for each of the nodes that it is a sequence of. */
static bt_status each(json_t *node, const char *parts, step_fn *fn, bt_hf_spaces *s, int depth)
{
    const char *type;
    json_t *list, *part;
    size_t i;
    if (!node || json_is_null(node)) return BT_OK;
    BT_FAIL_IF(depth > NEST_MAX, LIMIT, "sequences nested deeper than %d", NEST_MAX);
    BT_TRY(bt_json_get_text(node, "type", &type));
    if (strcmp(type, "Sequence")) return fn(node, type, s);
    BT_TRY(bt_json_get(node, parts, JSON_ARRAY, &list));
    json_array_foreach(list, i, part) BT_TRY(each(part, parts, fn, s, depth + 1));
    return BT_OK;
}

static bool is_text(json_t *value, const char *text)
{
    return json_is_string(value) && !strcmp(json_string_value(value), text);
}

/* " " by the mark is what every reader does; runs of spaces by one is a flag. */
static bt_status read_replace(json_t *step, bt_hf_spaces *s)
{
    json_t *pattern = json_object_get(step, "pattern"), *to = json_object_get(step, "content");
    json_t *text = json_is_string(pattern) ? pattern : json_object_get(pattern, "String"),
           *regex = json_object_get(pattern, "Regex");
    if (is_text(text, " ") && is_text(to, MARK)) return BT_OK;
    if (is_text(regex, " {2,}") && (is_text(to, MARK) || is_text(to, " "))) {
        s->squeeze = true;
        s->plain = false;
        return BT_OK;
    }
    const char *from = json_string_value(text ? text : regex);
    return bt_fail(BT_UNSUPPORTED, "GGUF cannot say the normalizer 'Replace' of '%.64s'",
                   from ? from : "");
}

static bt_status read_normalizer(json_t *step, const char *type, bt_hf_spaces *s)
{
    bool right;
    if (!strcmp(type, "Replace")) return read_replace(step, s);
    if (!strcmp(type, "Prepend") && is_text(json_object_get(step, "prepend"), MARK)) {
        s->prefix = true;
        return BT_OK;
    }
    s->plain = false;
    if (!strcmp(type, "Precompiled")) {
        BT_FAIL_IF(s->charsmap || s->prefix || s->squeeze, UNSUPPORTED,
                   "GGUF cannot say the normalizer 'Precompiled' after another one");
        s->charsmap = !json_is_null(json_object_get(step, "precompiled_charsmap"));
        return BT_OK;
    }
    if (!strcmp(type, "Strip")) { // SentencePiece drops the spaces at the ends of what it squeezes
        BT_TRY(bt_json_opt_bool(step, "strip_right", true, &right));
        if (right) {
            s->squeeze = true;
            return BT_OK;
        }
    }
    return bt_fail(BT_UNSUPPORTED, "GGUF cannot say the normalizer '%.64s'", type);
}

static bt_status read_pre(json_t *step, const char *type, bt_hf_spaces *s)
{
    const char *mark, *scheme;
    bool prefix;
    s->plain = false;
    if (!strcmp(type, "WhitespaceSplit")) {
        s->squeeze = true;
        return BT_OK;
    }
    BT_FAIL_IF(strcmp(type, "Metaspace"), UNSUPPORTED, "GGUF cannot say the pre-tokenizer '%.64s'",
               type);
    BT_TRY(bt_json_get_text(step, "replacement", &mark));
    BT_FAIL_IF(strcmp(mark, MARK), UNSUPPORTED,
               "GGUF cannot say a 'Metaspace' with the mark '%.16s'", mark);
    BT_TRY(bt_json_opt_bool(step, "add_prefix_space", true, &prefix));
    BT_TRY(bt_json_opt_text(step, "prepend_scheme", prefix ? "always" : "never", &scheme));
    if (strcmp(scheme, "never")) s->prefix = true;
    return BT_OK;
}

bt_status bt_hf_spaces_read(json_t *doc, bt_hf_spaces *ret)
{
    bt_hf_spaces s = {.plain = true};
    BT_TRY(each(json_object_get(doc, "normalizer"), "normalizers", read_normalizer, &s, 0));
    BT_TRY(each(json_object_get(doc, "pre_tokenizer"), "pretokenizers", read_pre, &s, 0));
    *ret = s;
    return BT_OK;
}
