// SPDX-License-Identifier: Apache-2.0
/* regex: see regex.h. Source: Oniguruma doc/RE (Ruby syntax), pcre2pattern(3) of 10.42.
 *
 * Where the two differ on what tokenizers use: \s (PCRE2 counts U+180E), \w and \b (Alphabetic,
 * marks, digits and connectors against letters, numbers and "_"), script names (script against
 * script extensions), $ and ^ (always at lines), [a[b]] (a union against a literal bracket),
 * x{1,3}+ (a repeat of a repeat against a possessive one), && (an intersection against two
 * ampersands). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"
#include "base/utf8.h"
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

enum { PATTERN_BYTES_MAX = 64 << 10, MATCH_STEPS_MIN = 1 << 22, HEAP_KIB_MAX = 64 << 10 };

#define SPACE_SET "\\p{Z}\\t-\\r\\x{85}"
#define WORD_SET  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD      "[" WORD_SET WORD_LATIN "]"
#define WORD_LATIN                                                                                 \
    "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}" // outside [...] Oniguruma counts these six as well

struct bt_regex {
    pcre2_code *code;
};

struct bt_regex_work {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

typedef struct reader {
    const char *text;
    size_t len, at;
    int depth; // of nested classes, 0 outside
    bt_buf *out;
} reader;

static bool next_is(const reader *r, const char *s)
{
    size_t n = strlen(s);
    return r->len - r->at >= n && !memcmp(r->text + r->at, s, n);
}

static bt_status copy(reader *r, size_t n)
{
    if (n > r->len - r->at) n = r->len - r->at;
    BT_TRY(bt_buf_add(r->out, r->text + r->at, n));
    r->at += n;
    return BT_OK;
}

static bt_status refuse(const reader *r, const char *what)
{
    return bt_fail(BT_UNSUPPORTED, "pattern '%.*s' at byte %zu: %s",
                   (int)(r->len < 200 ? r->len : 200), r->text, r->at, what);
}

/* Names that are properties, not scripts; everything else of three letters and more is a script. */
static bool is_property(const char *name, size_t len)
{
    static const char *const known[] = {"Any",
                                        "Alphabetic",
                                        "White_Space",
                                        "Emoji",
                                        "Emoji_Presentation",
                                        "Extended_Pictographic",
                                        "Ideographic",
                                        "Uppercase",
                                        "Lowercase",
                                        "Xan",
                                        "L&"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == len && !memcmp(known[i], name, len)) return true;
    return false;
}

static bt_status translate_property(reader *r)
{
    const char *p = r->text + r->at;
    size_t left = r->len - r->at;
    if (left < 4 || p[2] != '{') return copy(r, left < 3 ? left : 3); // \pL
    const char *close = memchr(p, '}', left);
    if (!close) return refuse(r, "\\p{ without }");
    const char *name = p + 3;
    bool negated = *name == '^';
    name += negated;
    size_t len = (size_t)(close - name);
    bool script =
        len > 2 && !is_property(name, len) && !memchr(name, ':', len) && !memchr(name, '=', len);
    r->at += (size_t)(close + 1 - p);
    return bt_buf_format(r->out, "\\%c{%s%s%.*s}", p[1], negated ? "^" : "", script ? "sc:" : "",
                         (int)len, name);
}

static bt_status put_set(reader *r, const char *set, bool negated)
{
    if (r->depth && negated) return refuse(r, "a negated class such as \\S inside [...]");
    r->at += 2;
    if (r->depth) return bt_buf_text(r->out, set);
    return bt_buf_format(r->out, "[%s%s]", negated ? "^" : "", set);
}

static bt_status translate_hex(reader *r, size_t n_digit)
{
    char hex[9] = {0};
    if (r->len - r->at < 2 + n_digit) return refuse(r, "an escape that is cut short");
    memcpy(hex, r->text + r->at + 2, n_digit);
    if (strspn(hex, "0123456789abcdefABCDEF") != n_digit)
        return refuse(r, "an escape without hexadecimal digits");
    if (n_digit == 2 && hex[0] > '7') return refuse(r, "\\x of a byte that is not ASCII");
    r->at += 2 + n_digit;
    return bt_buf_format(r->out, "\\x{%s}", hex);
}

static bt_status put_instead(reader *r, const char *text)
{
    r->at += 2;
    return bt_buf_text(r->out, text);
}

static bt_status translate_escape(reader *r)
{
    if (r->len - r->at < 2) return refuse(r, "a backslash at the end");
    char c = r->text[r->at + 1];
    switch (c) {
    case 's':
        return put_set(r, SPACE_SET, false);
    case 'S':
        return put_set(r, SPACE_SET, true);
    case 'w':
        return put_set(r, r->depth ? WORD_SET : WORD_SET WORD_LATIN, false);
    case 'W':
        return put_set(r, WORD_SET WORD_LATIN, true);
    case 'p':
    case 'P':
        return translate_property(r);
    case 'u':
        return translate_hex(r, 4);
    case 'x':
        if (r->len - r->at > 2 && r->text[r->at + 2] == '{')
            return copy(r, 3); // digits and } are copied next
        return translate_hex(r, 2);
    case 'v':
        return put_instead(r, "\\x{0B}");
    case 'b':
        if (r->depth) return put_instead(r, "\\x{08}");
        return put_instead(r, "(?:(?<=" WORD ")(?!" WORD ")|(?<!" WORD ")(?=" WORD "))");
    case 'B':
        if (r->depth) return refuse(r, "\\B inside [...]");
        return put_instead(r, "(?:(?<=" WORD ")(?=" WORD ")|(?<!" WORD ")(?!" WORD "))");
    case 'd':
    case 'D':
    case 'r':
    case 'n':
    case 't':
    case 'f':
    case 'a':
    case 'e':
    case 'A':
    case 'z':
    case 'Z':
        return copy(r, 2);
    default:
        break;
    }
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum) return refuse(r, "an escape of unknown meaning");
    size_t n = bt_utf8_valid_len(r->text + r->at + 1, r->len - r->at - 1);
    return copy(r, 1 + (n ? n : 1));
}

/* One step inside [...]; nested positive classes are unions, so their brackets just go. */
static bt_status translate_in_class(reader *r)
{
    if (next_is(r, "\\")) return translate_escape(r);
    if (next_is(r, "&&")) return refuse(r, "class intersection (&&)");
    if (next_is(r, "[:") || next_is(r, "[^"))
        return refuse(r, "a POSIX or negated class inside [...]");
    if (next_is(r, "[")) {
        r->depth++;
        r->at++;
        return BT_OK;
    }
    if (next_is(r, "]")) {
        r->depth--;
        if (r->depth == 0) return copy(r, 1);
        r->at++;
        return BT_OK;
    }
    return copy(r, 1);
}

static bt_status translate_group(reader *r)
{
    static const char *const known[] = {"(?:", "(?=",  "(?!",  "(?<=", "(?<!",
                                        "(?>", "(?i:", "(?i)", "(?-i:"};
    if (!next_is(r, "(?") && !next_is(r, "(*")) return copy(r, 1);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (next_is(r, known[i])) return copy(r, strlen(known[i]));
    return refuse(r, "a group of a kind that is not supported");
}

static bt_status translate_outside(reader *r)
{
    if (next_is(r, "\\")) return translate_escape(r);
    if (next_is(r, "(")) return translate_group(r);
    if (next_is(r, "}+") && memchr(r->text, '{', r->at)) {
        const char *open = r->text + r->at;
        while (*open != '{') open--;
        if (open[1] >= '0' && open[1] <= '9')
            return refuse(r, "a counted repeat that is repeated ({..}+)");
    }
    if (!next_is(r, "[")) return copy(r, 1);
    r->depth = 1;
    if (next_is(r, "[[:")) return refuse(r, "a POSIX class");
    BT_TRY(copy(r, next_is(r, "[^") ? 2 : 1));
    if (next_is(r, "]")) return refuse(r, "an empty class");
    return BT_OK;
}

bt_status bt_regex_translate(const char *pattern, size_t len, bt_buf *out)
{
    BT_FAIL_IF(len > PATTERN_BYTES_MAX, LIMIT, "a pattern of %zu bytes, at most %d", len,
               PATTERN_BYTES_MAX);
    reader r = {.text = pattern, .len = len, .out = out};
    while (r.at < r.len) BT_TRY(r.depth ? translate_in_class(&r) : translate_outside(&r));
    BT_FAIL_IF(r.depth, FORMAT, "pattern '%.*s': [ without ]", (int)(len < 200 ? len : 200),
               pattern);
    return BT_OK;
}

static void *re_alloc(size_t size, void *data)
{
    (void)data;
    void *block;
    return bt_alloc(&block, size, BT_MEM_TEXT) ? NULL : block;
}

static void re_free(void *block, void *data)
{
    (void)data;
    bt_free(block);
}

static bt_status compile(const bt_buf *source, pcre2_code **ret_code)
{
    int error = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE at = 0;
    pcre2_general_context *general = pcre2_general_context_create(re_alloc, re_free, NULL);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    pcre2_code *code = NULL;
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, 50);
        code = pcre2_compile((PCRE2_SPTR)source->data, source->len,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                                 PCRE2_NO_AUTO_CAPTURE,
                             &error, &at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    bool starved = error == PCRE2_ERROR_HEAP_FAILED || error == PCRE2_ERROR_NOMEMORY;
    if (!code && starved) return bt_fail(BT_NOMEM, "out of memory: compiling a pattern");
    if (!code) {
        char text[200] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text);
        return bt_fail(BT_FORMAT, "pattern '%.200s' at byte %zu: %s", source->data, (size_t)at,
                       text);
    }
    *ret_code = code;
    return BT_OK;
}

bt_status bt_regex_new(const char *pattern, size_t len, bt_regex **ret)
{
    bt_buf source = {0};
    bt_regex *re = NULL;
    bt_status st;
    BT_FAIL_IF(len == 0, FORMAT, "an empty pattern");
    if ((st = bt_alloc_zero((void **)&re, sizeof *re, BT_MEM_TEXT)) ||
        (st = bt_regex_translate(pattern, len, &source)) || (st = compile(&source, &re->code)))
        goto fail;
    (void)pcre2_jit_compile(
        re->code, PCRE2_JIT_COMPLETE); // where the system allows no JIT the interpreter serves
    bt_buf_done(&source);
    *ret = re;
    return BT_OK;
fail:
    bt_buf_done(&source);
    bt_regex_free(re);
    return st;
}

void bt_regex_free(bt_regex *re)
{
    if (!re) return;
    pcre2_code_free(re->code);
    bt_free(re);
}

bt_status bt_regex_work_new(bt_regex_work **ret)
{
    bt_regex_work *w;
    BT_TRY(bt_alloc_zero((void **)&w, sizeof *w, BT_MEM_TEXT));
    pcre2_general_context *general = pcre2_general_context_create(re_alloc, re_free, NULL);
    w->data = general ? pcre2_match_data_create(1, general) : NULL;
    w->context = general ? pcre2_match_context_create(general) : NULL;
    pcre2_general_context_free(general);
    if (!w->data || !w->context) {
        bt_regex_work_free(w);
        return bt_fail(BT_NOMEM, "out of memory: matching a pattern");
    }
    pcre2_set_heap_limit(w->context, HEAP_KIB_MAX);
    pcre2_set_match_limit(w->context, MATCH_STEPS_MIN);
    *ret = w;
    return BT_OK;
}

void bt_regex_work_free(bt_regex_work *w)
{
    if (!w) return;
    pcre2_match_data_free(w->data);
    pcre2_match_context_free(w->context);
    bt_free(w);
}

bt_status bt_regex_find(const bt_regex *re, bt_regex_work *w, bt_extent text_from, const char *text,
                        bt_extent *ret_match)
{
    size_t from = text_from.begin, len = text_from.end;
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    if (len > MATCH_STEPS_MIN / 4)
        pcre2_set_match_limit(w->context, len < UINT32_MAX / 8 ? (uint32_t)len * 4 : UINT32_MAX);
    int rc = pcre2_jit_match(re->code, subject, len, from, 0, w->data, w->context);
    if (rc == PCRE2_ERROR_JIT_BADOPTION || rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(re->code, subject, len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w->data,
                         w->context);
    if (rc == PCRE2_ERROR_NOMATCH) {
        *ret_match = (bt_extent){SIZE_MAX, SIZE_MAX};
        return BT_OK;
    }
    if (rc == PCRE2_ERROR_NOMEMORY) return bt_fail(BT_NOMEM, "out of memory: matching a pattern");
    if (rc < 0) {
        char message[200] = "";
        pcre2_get_error_message(rc, (PCRE2_UCHAR *)message, sizeof message);
        return bt_fail(BT_LIMIT, "splitting a text of %zu bytes: %s", len, message);
    }
    const PCRE2_SIZE *o = pcre2_get_ovector_pointer(w->data);
    *ret_match = (bt_extent){o[0], o[1]};
    return BT_OK;
}
