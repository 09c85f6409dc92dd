// SPDX-License-Identifier: Apache-2.0
/* template_lex: text to tokens. Whitespace control happens here: "-" strips all whitespace on its
 * side, a block's end takes one newline with it (trim_blocks), and a block that begins its line
 * takes the line's indentation (lstrip_blocks), unless "+" says otherwise.
 *
 *     text  {%- name op "str" 12 -%}  text  {{ ... }}  text  {# ... #}  {% raw %} ... {% endraw %}
 */
#include "base/utf8.h"
#include "text/template/template_text.h"
#include "text/template/template_node.h"
#include <stdlib.h>
#include <string.h>

typedef struct lexer {
    bt_template *tmpl;
    const char *s;
    size_t len, at;
    ttoken *tokens; // heap while lexing
    size_t n, size;
    bool line_starts; // the text that follows begins a line
    char closers[TEMPLATE_DEPTH_MAX];
    size_t opened_at[TEMPLATE_DEPTH_MAX];
    int n_open;
} lexer;

static bool starts(const lexer *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return x->len - at >= n && memcmp(x->s + at, text, n) == 0;
}

static bt_status add(lexer *x, ttype type, size_t at, const char *text, size_t len)
{
    if (x->n == x->size) {
        size_t size = x->size ? x->size * 2 : 256;
        BT_TRY(bt_resize((void **)&x->tokens, size * sizeof *x->tokens, BT_MEM_TEXT));
        x->size = size;
    }
    x->tokens[x->n++] =
        (ttoken){.type = (uint8_t)type, .at = (uint32_t)at, .text = text, .len = (uint32_t)len};
    return BT_OK;
}

/* Length of the whitespace at `at`. */
static size_t skip_space(const lexer *x, size_t at)
{
    size_t i = at, n;
    while (i < x->len && bt_tcode_is_space(bt_tcode_at(x->s + i, x->len - i, &n))) i += n;
    return i - at;
}

static size_t rstrip(const char *s, size_t len)
{
    tval v = bt_tval_text(s, len);
    return bt_tstr_strip(&v, NULL, false, true).len;
}

/* Emit the text before a tag, with what the tag's opening does to it. */
static bt_status add_text(lexer *x, size_t begin, size_t end, char sign, bool is_block)
{
    size_t len = end - begin;
    if (sign == '-') {
        len = rstrip(x->s + begin, len);
    } else if (sign != '+' && is_block) {
        size_t line = len;
        while (line > 0 && x->s[begin + line - 1] != '\n') line--;
        if ((line > 0 || x->line_starts) && skip_space(x, begin + line) >= len - line) len = line;
    }
    return len ? add(x, T_DATA, begin, x->s + begin, len) : BT_OK;
}

/* Match the end of a block, comment or variable ("%}", "#}", "}}"); returns its length or 0. */
static size_t match_end(lexer *x, size_t at, const char *end, bool is_block)
{
    char c = x->s[at];
    bool sign = c == '-' || (c == '+' && is_block);
    if (!starts(x, at + sign, end)) return 0;
    size_t len = sign + 2u;
    if (c == '-')
        len += skip_space(x, at + len);
    else if (c != '+' && is_block && at + len < x->len && x->s[at + len] == '\n')
        len++;
    x->line_starts = x->s[at + len - 1] == '\n';
    return len;
}

// ---- literals ----
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bt_status read_hex(lexer *x, size_t *at, size_t end, int digits, uint32_t *ret_code)
{
    uint32_t code = 0;
    size_t from = *at;
    for (int i = 0; i < digits; i++, (*at)++) {
        int h = *at < end ? hex_value(x->s[*at]) : -1;
        if (h < 0)
            return bt_template_fail_at(x->tmpl, from, "escape needs %d hexadecimal digits", digits);
        code = code << 4 | (uint32_t)h;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return bt_template_fail_at(x->tmpl, from, "escape names U+%04X, which is not a character",
                                   code);
    *ret_code = code;
    return BT_OK;
}

/* One escape after its backslash; writes 0..4 bytes. */
static bt_status read_escape(lexer *x, size_t *at, size_t end, char **out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = x->s[*at];
    const char *simple = c ? strchr(from, c) : NULL;
    uint32_t code = 0;
    (*at)++;
    if (simple) {
        *(*out)++ = to[simple - from];
        return BT_OK;
    }
    if (c == '\n') return BT_OK;
    if (c == 'x' || c == 'u' || c == 'U') {
        BT_TRY(read_hex(x, at, end, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code));
    } else if (c >= '0' && c <= '7') {
        code = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && *at < end && x->s[*at] >= '0' && x->s[*at] <= '7'; i++)
            code = code * 8 + (uint32_t)(x->s[(*at)++] - '0');
    } else if (c == 'N') {
        return bt_template_fail_at(x->tmpl, *at - 1, "\\N escapes are not supported");
    } else { // unknown: the backslash stays
        *(*out)++ = '\\';
        (*at)--;
        return BT_OK;
    }
    *out += bt_utf8_encode(code, *out);
    return BT_OK;
}

static bt_status lex_string(lexer *x)
{
    size_t begin = x->at, end = begin + 1, len;
    char quote = x->s[begin], *text, *out;
    while (end < x->len && x->s[end] != quote) end += x->s[end] == '\\' ? 2 : 1;
    if (end >= x->len)
        return bt_template_fail_at(x->tmpl, begin, "the string that begins here does not end");
    BT_TRY(bt_arena_array(&x->tmpl->arena, end - begin + 4, 1, (void **)&text));
    out = text;
    for (size_t i = begin + 1; i < end;) {
        if (x->s[i] != '\\') {
            *out++ = x->s[i++];
            continue;
        }
        i++;
        BT_TRY(read_escape(x, &i, end, &out));
    }
    len = (size_t)(out - text);
    x->at = end + 1;
    return add(x, T_STRING, begin, text, len);
}

static bool is_digit(char c, int base)
{
    int v = hex_value(c);
    return v >= 0 && v < base;
}

/* End of a run of digits with single underscores between them. */
static size_t digits_end(const lexer *x, size_t at, int base)
{
    while (at < x->len && (is_digit(x->s[at], base) ||
                           (x->s[at] == '_' && at + 1 < x->len && is_digit(x->s[at + 1], base) &&
                            at > 0 && is_digit(x->s[at - 1], base))))
        at++;
    return at;
}

static bt_status lex_int(lexer *x)
{
    size_t begin = x->at, at = begin, end;
    char mark = begin + 1 < x->len ? (char)(x->s[begin + 1] | 32) : 0;
    int base = x->s[begin] != '0' ? 10 : mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    int64_t value = 0;
    if (base != 10 &&
        !(begin + 2 < x->len && (is_digit(x->s[begin + 2], base) || x->s[begin + 2] == '_')))
        base = 10;
    if (base != 10) at += 2;
    if (base == 10 && x->s[begin] == '0') // only zeros may follow a zero
        for (end = at; end < x->len && (x->s[end] == '0' || (x->s[end] == '_' && end + 1 < x->len &&
                                                             x->s[end + 1] == '0'));)
            end++;
    else
        end = digits_end(x, x->s[at] == '_' ? at + 1 : at, base);
    for (size_t i = at; i < end; i++) {
        if (x->s[i] == '_') continue;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, hex_value(x->s[i]), &value))
            return bt_template_fail_at(x->tmpl, begin, "the integer does not fit into 64 bits");
    }
    BT_TRY(add(x, T_INT, begin, x->s + begin, end - begin));
    x->tokens[x->n - 1].i = value;
    x->at = end;
    return BT_OK;
}

static bt_status lex_number(lexer *x)
{
    size_t end = digits_end(x, x->at, 10), k = 0;
    bool real = false;
    char text[400];
    if (x->at > 0 && x->s[x->at - 1] == '.') return lex_int(x);
    if (end + 1 < x->len && x->s[end] == '.' && is_digit(x->s[end + 1], 10)) {
        end = digits_end(x, end + 1, 10);
        real = true;
    }
    if (end < x->len && (x->s[end] | 32) == 'e') {
        size_t e = end + 1;
        if (e < x->len && (x->s[e] == '+' || x->s[e] == '-')) e++;
        if (e < x->len && is_digit(x->s[e], 10)) {
            end = digits_end(x, e, 10);
            real = true;
        }
    }
    if (!real) return lex_int(x);
    for (size_t i = x->at; i < end && k < sizeof text - 1; i++)
        if (x->s[i] != '_') text[k++] = x->s[i];
    if (k == sizeof text - 1)
        return bt_template_fail_at(x->tmpl, x->at, "the number has too many digits");
    text[k] = 0;
    BT_TRY(add(x, T_FLOAT, x->at, x->s + x->at, end - x->at));
    x->tokens[x->n - 1].f = strtod(text, NULL);
    x->at = end;
    return BT_OK;
}

// ---- names and operators ----
static const struct {
    char text[3];
    uint8_t op;
} operators[] = {{"//", OP_FLOORDIV}, {"**", OP_POW},   {"==", OP_EQ},      {"!=", OP_NE},
                 {">=", OP_GE},       {"<=", OP_LE},    {"+", OP_ADD},      {"-", OP_SUB},
                 {"*", OP_MUL},       {"/", OP_DIV},    {"%", OP_MOD},      {"~", OP_TILDE},
                 {"<", OP_LT},        {">", OP_GT},     {"=", OP_ASSIGN},   {".", OP_DOT},
                 {",", OP_COMMA},     {":", OP_COLON},  {"|", OP_PIPE},     {";", OP_SEMI},
                 {"(", OP_LPAREN},    {")", OP_RPAREN}, {"[", OP_LBRACKET}, {"]", OP_RBRACKET},
                 {"{", OP_LBRACE},    {"}", OP_RBRACE}};

static bt_status balance(lexer *x, char c)
{
    switch (c) {
    case '(':
    case '[':
    case '{':
        if (x->n_open == TEMPLATE_DEPTH_MAX)
            return bt_template_fail_at(x->tmpl, x->at, "brackets nest deeper than %d levels",
                                       TEMPLATE_DEPTH_MAX);
        x->opened_at[x->n_open] = x->at;
        x->closers[x->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
        return BT_OK;
    case ')':
    case ']':
    case '}':
        if (!x->n_open) return bt_template_fail_at(x->tmpl, x->at, "unexpected '%c'", c);
        if (x->closers[x->n_open - 1] != c)
            return bt_template_fail_at(x->tmpl, x->at, "unexpected '%c', expected '%c'", c,
                                       x->closers[x->n_open - 1]);
        x->n_open--;
        return BT_OK;
    default:
        return BT_OK;
    }
}

static bt_status lex_operator(lexer *x)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!starts(x, x->at, operators[i].text)) continue;
        BT_TRY(balance(x, operators[i].text[0]));
        BT_TRY(add(x, T_OP, x->at, x->s + x->at, strlen(operators[i].text)));
        x->tokens[x->n - 1].op = operators[i].op;
        x->at += strlen(operators[i].text);
        return BT_OK;
    }
    size_t n;
    bt_tcode_at(x->s + x->at, x->len - x->at, &n);
    return bt_template_fail_at(x->tmpl, x->at, "unexpected character '%.*s'", (int)n, x->s + x->at);
}

static bt_status lex_token(lexer *x)
{
    size_t n, end = x->at;
    char c = x->s[x->at];
    if (c == '"' || c == '\'') return lex_string(x);
    if (is_digit(c, 10)) return lex_number(x);
    while (end < x->len && bt_tcode_is_word(bt_tcode_at(x->s + end, x->len - end, &n))) end += n;
    if (end == x->at) return lex_operator(x);
    BT_TRY(add(x, T_NAME, x->at, x->s + x->at, end - x->at));
    x->at = end;
    return BT_OK;
}

// ---- the text around ----
static bt_status lex_inside(lexer *x, bool is_block)
{
    size_t opened = x->at;
    for (;;) {
        x->at += skip_space(x, x->at);
        if (x->at >= x->len)
            return x->n_open ? bt_template_fail_at(x->tmpl, x->opened_at[x->n_open - 1],
                                                   "the bracket is never closed")
                             : bt_template_fail_at(x->tmpl, opened - 1,
                                                   "the tag that begins here does not end");
        size_t n = x->n_open ? 0 : match_end(x, x->at, is_block ? "%}" : "}}", is_block);
        if (n) {
            BT_TRY(add(x, is_block ? T_BLOCK_END : T_VAR_END, x->at, x->s + x->at, 2));
            x->at += n;
            return BT_OK;
        }
        BT_TRY(lex_token(x));
    }
}

/* Is "{%" at `at` a raw or endraw tag? Returns the tag's length up to its name's end. */
static size_t match_word(const lexer *x, size_t at, const char *word)
{
    size_t i = at + 2;
    if (i < x->len && (x->s[i] == '-' || x->s[i] == '+')) i++;
    i += skip_space(x, i);
    if (!starts(x, i, word)) return 0;
    i += strlen(word);
    return i + skip_space(x, i) - at;
}

static bt_status lex_raw(lexer *x, size_t tag, size_t content)
{
    for (size_t i = content; i + 1 < x->len; i++) {
        size_t word = starts(x, i, "{%") ? match_word(x, i, "endraw") : 0;
        if (!word || i + word >= x->len) continue;
        char sign = x->s[i + 2];
        bool line_starts = x->line_starts;
        size_t end = match_end(x, i + word, "%}", true);
        if (!end) continue;
        bool after = x->line_starts;
        x->line_starts = line_starts;
        BT_TRY(add_text(x, content, i, sign, true));
        x->line_starts = after;
        x->at = i + word + end;
        return BT_OK;
    }
    return bt_template_fail_at(x->tmpl, tag, "the raw block that begins here has no endraw");
}

static bt_status lex_comment(lexer *x, size_t tag)
{
    for (size_t i = tag + 2; i + 1 < x->len; i++) {
        size_t n = match_end(x, i, "#}", true);
        if (!n) continue;
        x->at = i + n;
        return BT_OK;
    }
    return bt_template_fail_at(x->tmpl, tag, "the comment that begins here does not end");
}

static bt_status lex_tag(lexer *x, size_t text, size_t tag)
{
    char kind = x->s[tag + 1], sign = tag + 2 < x->len ? x->s[tag + 2] : 0;
    bool is_signed = sign == '-' || sign == '+';
    size_t raw = kind == '%' ? match_word(x, tag, "raw") : 0, end = tag + raw;
    BT_TRY(add_text(x, text, tag, sign, kind != '{'));
    x->line_starts = false;
    if (raw && (starts(x, end, "%}") || starts(x, end, "-%}"))) {
        bool strip = x->s[end] == '-';
        end += 2u + strip;
        if (strip) end += skip_space(x, end);
        x->line_starts = x->s[end - 1] == '\n';
        return lex_raw(x, tag, end);
    }
    x->at = tag + 2 + is_signed;
    if (kind == '#') {
        x->at = tag;
        return lex_comment(x, is_signed ? tag + 1 : tag);
    }
    BT_TRY(add(x, kind == '%' ? T_BLOCK_BEGIN : T_VAR_BEGIN, tag, x->s + tag, 2));
    return lex_inside(x, kind == '%');
}

static bt_status lex_all(lexer *x)
{
    while (x->at < x->len) {
        size_t tag = x->at;
        while (tag + 1 < x->len &&
               !(x->s[tag] == '{' && strchr("%{#", x->s[tag + 1]) && x->s[tag + 1]))
            tag++;
        if (tag + 1 >= x->len) {
            BT_TRY(add(x, T_DATA, x->at, x->s + x->at, x->len - x->at));
            break;
        }
        BT_TRY(lex_tag(x, x->at, tag));
    }
    return add(x, T_EOF, x->len, "", 0);
}

bt_status bt_template_lex(bt_template *tmpl, ttoken **ret_tokens)
{
    lexer x = {.tmpl = tmpl, .s = tmpl->source, .len = tmpl->len, .line_starts = true};
    bt_status st = lex_all(&x);
    if (st)
        bt_free(x.tokens);
    else
        *ret_tokens = x.tokens;
    return st;
}
