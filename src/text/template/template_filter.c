// SPDX-License-Identifier: Apache-2.0
/* template_filter: filters on text, numbers and single values. */
#define _GNU_SOURCE // memmem, memrchr
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- text ----
static bt_status f_case(trun *r, const tcall *c, tval *ret) // upper, lower, capitalize
{
    char first = c->builtin->name[0];
    tval s;
    BT_TRY(bt_tval_str(r, c->self, &s));
    return bt_tstr_case(r, &s,
                        first == 'u'   ? CASE_UPPER
                        : first == 'l' ? CASE_LOWER
                                       : CASE_CAPITALIZE,
                        ret);
}

/* Jinja's own title: words begin after whitespace and - ( { [ <, unlike str.title. */
static bt_status f_title(trun *r, const tcall *c, tval *ret)
{
    tout o = {.run = r};
    tval s, piece;
    bt_status st = bt_tval_str(r, c->self, &s);
    bool begins = true;
    for (size_t i = 0, n; !st && i < s.len; i += n) {
        uint32_t code = bt_tcode_at(s.bytes + i, s.len - i, &n);
        bool separates =
            bt_tcode_is_space(code) || (code < 0x80 && code && strchr("-({[<", (int)code));
        while (!separates && !begins &&
               i + n < s.len) { // the rest of the word, so that a final sigma is seen
            size_t k;
            code = bt_tcode_at(s.bytes + i + n, s.len - i - n, &k);
            if (bt_tcode_is_space(code) || (code < 0x80 && code && strchr("-({[<", (int)code)))
                break;
            n += k;
        }
        piece = bt_tstr_sub(&s, i, n);
        st = bt_tstr_case(r, &piece, begins || separates ? CASE_UPPER : CASE_LOWER, &piece);
        if (!st) st = bt_tout_str(&o, &piece);
        begins = separates;
    }
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static bt_status f_trim(trun *r, const tcall *c, tval *ret)
{
    const tval *chars = c->arg[0] && c->arg[0]->kind != K_NONE ? c->arg[0] : NULL;
    tval s;
    BT_FAIL_IF(chars && chars->kind != K_STR, INVALID, "trim: chars must be a str, not %s",
               bt_tval_type(chars));
    BT_TRY(bt_tval_str(r, c->self, &s));
    BT_TRY(bt_trun_step(r, bt_trun_cost(s.len) * (chars ? 1 + 4 * chars->len : 1)));
    *ret = bt_tstr_strip(&s, chars, true, true);
    return BT_OK;
}

static bt_status f_replace(trun *r, const tcall *c, tval *ret)
{
    tval s, from_to[2];
    int64_t n = -1;
    if (c->arg[2] && c->arg[2]->kind != K_NONE) BT_TRY(bt_tcall_int(c, 2, -1, &n));
    BT_TRY(bt_tval_str(r, c->self, &s));
    BT_TRY(bt_tval_str(r, c->arg[0], &from_to[0]));
    BT_TRY(bt_tval_str(r, c->arg[1], &from_to[1]));
    BT_TRY(bt_trun_step(r, bt_trun_cost(s.len)));
    return bt_tstr_replace(r, &s, from_to, n, ret);
}

static bt_status f_string(trun *r, const tcall *c, tval *ret)
{
    return bt_tval_str(r, c->self, ret);
}

static bt_status f_safe(trun *r, const tcall *c, tval *ret)
{
    BT_TRY(bt_tval_str(r, c->self, ret));
    ret->markup = true;
    return BT_OK;
}

static bt_status f_escape(trun *r, const tcall *c, tval *ret)
{
    tval s;
    BT_TRY(bt_tval_str(r, c->self, &s));
    if (s.markup && c->builtin->name[0] == 'e') {
        *ret = s;
        return BT_OK;
    }
    return bt_tstr_escape(r, &s, ret);
}

static bt_status f_format(trun *r, const tcall *c, tval *ret)
{
    tval s, values;
    const targs *a = &c->rest;
    BT_FAIL_IF(a->n_pos && a->n_kw, INVALID,
               "format: positional and keyword arguments at the same time");
    BT_TRY(bt_tval_str(r, c->self, &s));
    if (a->n_kw) {
        BT_TRY(bt_tdict_new(r, a->n_kw, &values));
        for (size_t i = 0; i < a->n_kw; i++) {
            tval key = bt_tval_text(a->kw[i].name, a->kw[i].len);
            BT_TRY(bt_tdict_put(r, values.dict, &key, &a->kw[i].value));
        }
    } else {
        BT_TRY(bt_tseq_new(r, K_TUPLE, a->n_pos, &values));
        if (a->n_pos) memcpy(values.seq->items, a->pos, a->n_pos * sizeof values);
    }
    return bt_tstr_percent(r, &s, &values, ret);
}

static bt_status f_center(trun *r, const tcall *c, tval *ret)
{
    tval s, width = c->arg[0] ? *c->arg[0] : bt_tval_int(80);
    BT_TRY(bt_tval_str(r, c->self, &s));
    return bt_tbuiltin_call(r, bt_tbuiltin_method(&s, "center", 6), &s,
                            &(targs){.pos = &width, .n_pos = 1}, ret);
}

typedef struct indenting {
    tval unit;
    bool first, blank;
} indenting;

static bt_status indent_lines(tout *o, const tval *s, const indenting *how)
{
    size_t begin = 0, n;
    bool first = true;
    for (size_t i = 0;; i += n) { // the text and one more newline, as Jinja splits it
        bool end = i == s->len;
        uint32_t code = end ? '\n' : bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (!bt_tcode_is_line_end(code)) continue;
        if (code == '\r' && (i + 1 == s->len || s->bytes[i + 1] == '\n'))
            n = i + 1 == s->len ? 1 : 2;
        if (!first) BT_TRY(bt_tout_add(o, "\n", 1, bt_tstr_any_data(s)));
        if (first ? how->first : i > begin || how->blank) BT_TRY(bt_tout_str(o, &how->unit));
        BT_TRY(bt_tout_part(o, s, begin, i - begin));
        if (end || (code == '\r' && i + 1 == s->len)) return BT_OK;
        begin = i + n;
        first = false;
    }
}

static bt_status f_indent(trun *r, const tcall *c, tval *ret)
{
    tout o = {.run = r};
    indenting how;
    int64_t width;
    if (c->self->kind == K_UNDEF) return bt_tval_fail_undef(c->self);
    BT_FAIL_IF(c->self->kind != K_STR, INVALID, "indent needs a str, not a %s",
               bt_tval_type(c->self));
    BT_TRY(bt_tcall_flag(r, c, 1, false, &how.first));
    BT_TRY(bt_tcall_flag(r, c, 2, false, &how.blank));
    if (c->arg[0] && c->arg[0]->kind == K_STR) {
        how.unit = *c->arg[0];
    } else {
        tval space = bt_tval_text(" ", 1);
        BT_TRY(bt_tcall_int(c, 0, 4, &width));
        BT_TRY(bt_tstr_repeat(r, &space, width, &how.unit));
        if (how.unit.len)
            how.unit.store = NULL; // spaces of the filter's own take the text's origin
        how.unit.data = bt_tstr_any_data(c->self);
    }
    bt_status st = indent_lines(&o, c->self, &how);
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    if (!st) ret->markup = c->self->markup;
    return st;
}

static bt_status f_truncate(trun *r, const tcall *c, tval *ret)
{
    const tval *end;
    tval dots = bt_tval_text("...", 3), s = *c->self, cut;
    int64_t length, leeway;
    bool kill;
    size_t n;
    BT_TRY(bt_tcall_int(c, 0, 255, &length));
    BT_TRY(bt_tcall_flag(r, c, 1, false, &kill));
    BT_TRY(bt_tcall_str(c, 2, &end));
    BT_TRY(bt_tcall_int(c, 3, 5, &leeway));
    if (!end) end = &dots;
    int64_t n_end = (int64_t)bt_tstr_count(end);
    BT_FAIL_IF(length < n_end || leeway < 0, INVALID,
               "truncate: the length or leeway is too small");
    BT_TRY(bt_tval_len(r, &s, &n));
    if ((int64_t)n <= length || (int64_t)n - length <= leeway) {
        *ret = s;
        return BT_OK;
    }
    BT_FAIL_IF(s.kind != K_STR, INVALID, "truncate needs a str, not a %s", bt_tval_type(&s));
    cut = bt_tstr_sub(&s, 0, bt_tstr_offset(&s, (size_t)(length - n_end)));
    const char *space = kill ? NULL : memrchr(cut.bytes, ' ', cut.len);
    if (space) cut = bt_tstr_sub(&cut, 0, (size_t)(space - cut.bytes));
    return bt_tstr_concat(r, &cut, end, ret);
}

static bt_status f_wordcount(trun *r, const tcall *c, tval *ret)
{
    tval s;
    int64_t words = 0;
    bool in_word = false;
    BT_TRY(bt_tval_str(r, c->self, &s));
    BT_TRY(bt_trun_step(r, bt_trun_cost(s.len)));
    for (size_t i = 0, n; i < s.len; i += n) {
        bool word = bt_tcode_is_word(bt_tcode_at(s.bytes + i, s.len - i, &n));
        words += word && !in_word;
        in_word = word;
    }
    *ret = bt_tval_int(words);
    return BT_OK;
}

// ---- numbers ----
/* Copy a number's text without surrounding space and underscores between digits; false: not a
 * number. */
static bool number_text(const tval *v, char out[400])
{
    tval s = bt_tstr_strip(v, NULL, true, true);
    size_t k = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.bytes[i];
        bool between =
            c == '_' && i > 0 && i + 1 < s.len && s.bytes[i - 1] != '_' && s.bytes[i + 1] != '_';
        if (c == '_' && !between) return false;
        if (c == '_') continue;
        if (k == 399 || (c & 0x80) || !c) return false;
        out[k++] = c;
    }
    out[k] = 0;
    return k != 0;
}

static bool text_to_float(const tval *s, double *ret)
{
    char text[400], *end;
    if (!number_text(s, text) || strpbrk(text, "xXpP(")) return false;
    *ret = strtod(text, &end);
    return *end == 0 && end != text;
}

/* Python's int(text, base); false: not a number (or, in `ret_big`, one that does not fit). */
static bool text_to_int(const tval *s, int base, int64_t *ret, bool *ret_big)
{
    char text[400], *at = text, *end;
    *ret_big = false;
    if (!number_text(s, text)) return false;
    bool minus = *at == '-';
    if (*at == '-' || *at == '+') at++;
    char mark = at[0] == '0' ? (char)(at[1] | 32) : 0;
    bool prefix =
        (base == 16 && mark == 'x') || (base == 8 && mark == 'o') || (base == 2 && mark == 'b');
    if (prefix) at += 2;
    if (*at == '-' || *at == '+' || *at == 0 || *at == ' ') return false;
    if (base == 16 && !prefix && at[0] == '0' && (at[1] | 32) == 'x') return false;
    if (minus) *--at = '-';
    errno = 0;
    long long v = strtoll(at, &end, base);
    *ret_big = errno == ERANGE;
    *ret = v;
    return *end == 0 && !*ret_big;
}

static bt_status float_to_int(double f, bool *ret_ok, tval *ret)
{
    *ret_ok = !isnan(f) && !isinf(f);
    if (!*ret_ok) return BT_OK;
    BT_FAIL_IF(fabs(f) >= 9223372036854775808.0, UNSUPPORTED, "int: %g does not fit into 64 bits",
               f);
    *ret = bt_tval_int((int64_t)f);
    return BT_OK;
}

static bt_status f_int(trun *r, const tcall *c, tval *ret)
{
    const tval *v = c->self;
    tval value = c->arg[0] ? *c->arg[0] : bt_tval_int(0);
    int64_t base, i;
    double f;
    bool big, ok = true;
    (void)r;
    BT_TRY(bt_tcall_int(c, 1, 10, &base));
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (bt_tval_is_int(v)) value = bt_tval_int(v->i);
    if (v->kind == K_FLOAT) {
        BT_TRY(float_to_int(v->f, &ok, &value));
        BT_FAIL_IF(isinf(v->f) && !ok, INVALID, "cannot convert float infinity to integer");
    }
    if (v->kind == K_STR) {
        if (base >= 2 && base <= 36 && text_to_int(v, (int)base, &i, &big))
            value = bt_tval_int(i);
        else if (base >= 2 && base <= 36 && big)
            return bt_fail(BT_UNSUPPORTED, "int: '%.40s' does not fit into 64 bits", v->bytes);
        else if (text_to_float(v, &f))
            BT_TRY(float_to_int(f, &ok, &value));
    }
    value.data |= v->data;
    *ret = value;
    return BT_OK;
}

static bt_status f_float(trun *r, const tcall *c, tval *ret)
{
    const tval *v = c->self;
    double f;
    (void)r;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    if (bt_tval_is_number(v))
        *ret = bt_tval_float(bt_tval_as_double(v));
    else if (v->kind == K_STR && text_to_float(v, &f))
        *ret = bt_tval_float(f);
    else {
        *ret = c->arg[0] ? *c->arg[0] : bt_tval_float(0);
        return BT_OK;
    }
    ret->data = v->data;
    return BT_OK;
}

static bt_status f_abs(trun *r, const tcall *c, tval *ret)
{
    const tval *v = c->self;
    (void)r;
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_FAIL_IF(!bt_tval_is_number(v), INVALID, "bad operand type for abs(): '%s'", bt_tval_type(v));
    bool minus = v->kind == K_FLOAT ? signbit(v->f) : v->i < 0;
    return bt_tval_negate(v, minus, ret);
}

/* Round half to even at a decimal place, on the exact decimal value as CPython does. */
static double round_at(double f, int64_t places)
{
    char text[400];
    if (!isfinite(f) || places > 22) return f;
    if (places < 0) {
        double unit = pow(10, (double)-places), q = nearbyint(f / unit);
        return places < -308 ? copysign(0, f) : q * unit;
    }
    snprintf(text, sizeof text, "%.*f", (int)places, f);
    return strtod(text, NULL);
}

static bt_status f_round(trun *r, const tcall *c, tval *ret)
{
    const tval *v = c->self, *method;
    int64_t places;
    (void)r;
    BT_TRY(bt_tcall_int(c, 0, 0, &places));
    BT_TRY(bt_tcall_str(c, 1, &method));
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_FAIL_IF(!bt_tval_is_number(v), INVALID, "round needs a number, not a %s", bt_tval_type(v));
    bool ceil_up = method && bt_tval_text_is(method, "ceil"),
         down = method && bt_tval_text_is(method, "floor");
    BT_FAIL_IF(method && !ceil_up && !down && !bt_tval_text_is(method, "common"), INVALID,
               "round: method must be common, ceil or floor");
    double f = bt_tval_as_double(v), unit = pow(10, (double)places);
    if (!ceil_up && !down) {
        if (v->kind == K_FLOAT)
            *ret = bt_tval_float(round_at(f, places));
        else
            *ret = bt_tval_int(places >= 0 ? v->i : (int64_t)round_at(f, places));
    } else {
        double q = ceil_up ? ceil(f * unit) : floor(f * unit);
        *ret = bt_tval_float(q / unit);
    }
    ret->data = v->data;
    return BT_OK;
}

// ---- other values ----
static bt_status f_default(trun *r, const tcall *c, tval *ret)
{
    bool boolean, truth = true;
    BT_TRY(bt_tcall_flag(r, c, 1, false, &boolean));
    if (boolean) BT_TRY(bt_tval_truth(r, c->self, &truth));
    if (c->self->kind == K_UNDEF || !truth)
        *ret = c->arg[0] ? *c->arg[0] : bt_tval_text("", 0);
    else
        *ret = *c->self;
    return BT_OK;
}

static bt_status f_attr(trun *r, const tcall *c, tval *ret)
{
    const tval *name;
    tval value;
    BT_TRY(bt_tcall_str(c, 0, &name));
    if (c->self->kind == K_UNDEF) return bt_tval_fail_undef(c->self);
    bool keyed = c->self->kind == K_DICT && !bt_tbuiltin_method(c->self, name->bytes, name->len);
    BT_TRY(bt_tval_attr(r, c->self, name->bytes, name->len, &value));
    *ret = keyed ? bt_tval_undef("the object has no such attribute")
                 : value; // never an entry of a dict
    return BT_OK;
}

static bt_status json_style(trun *r, const tcall *c, tval *indent, tjson_style *style)
{
    const tval *width = c->arg[1], *separators = c->arg[2];
    BT_TRY(bt_tcall_flag(r, c, 0, false, &style->ascii));
    BT_TRY(bt_tcall_flag(r, c, 3, false, &style->sort_keys));
    if (width && width->kind == K_STR)
        *indent = *width;
    else if (width && width->kind != K_NONE) {
        int64_t n;
        tval space = bt_tval_text(" ", 1);
        BT_TRY(bt_tcall_int(c, 1, 0, &n));
        BT_TRY(bt_tstr_repeat(r, &space, n, indent));
    }
    if (width && width->kind != K_NONE) style->indent = indent;
    style->item_separator = bt_tval_text(", ", style->indent ? 1 : 2);
    style->key_separator = bt_tval_text(": ", 2);
    if (!separators || separators->kind == K_NONE) return BT_OK;
    bool pair =
        (separators->kind == K_TUPLE || separators->kind == K_LIST) && bt_tseq_len(separators) == 2;
    BT_FAIL_IF(!pair, INVALID, "tojson: separators must be a pair of strings");
    style->item_separator = bt_tseq_at(separators, 0);
    style->key_separator = bt_tseq_at(separators, 1);
    BT_FAIL_IF(style->item_separator.kind != K_STR || style->key_separator.kind != K_STR, INVALID,
               "tojson: separators must be a pair of strings");
    return BT_OK;
}

static bt_status f_tojson(trun *r, const tcall *c, tval *ret)
{
    tout o = {.run = r};
    tval indent = bt_tval_text("", 0);
    tjson_style style = {0};
    BT_TRY(json_style(r, c, &indent, &style));
    bt_status st = bt_tval_to_json(&o, c->self, &style);
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static const char rare[] = "is a filter that chat templates do not use; it is not supported";

const tbuiltin bt_template_text_filters[] = {
    {"upper", "", 0, f_case, NULL},
    {"lower", "", 0, f_case, NULL},
    {"capitalize", "", 0, f_case, NULL},
    {"title", "", 0, f_title, NULL},
    {"trim", "chars", 0, f_trim, NULL},
    {"replace", "old new count", 2, f_replace, NULL},
    {"string", "", 0, f_string, NULL},
    {"safe", "", 0, f_safe, NULL},
    {"escape", "", 0, f_escape, NULL},
    {"e", "", 0, f_escape, NULL},
    {"forceescape", "", 0, f_escape, NULL},
    {"format", "*", 0, f_format, NULL},
    {"center", "width", 0, f_center, NULL},
    {"indent", "width first blank", 0, f_indent, NULL},
    {"truncate", "length killwords end leeway", 0, f_truncate, NULL},
    {"wordcount", "", 0, f_wordcount, NULL},
    {"int", "default base", 0, f_int, NULL},
    {"float", "default", 0, f_float, NULL},
    {"abs", "", 0, f_abs, NULL},
    {"round", "precision method", 0, f_round, NULL},
    {"default", "default_value boolean", 0, f_default, NULL},
    {"d", "default_value boolean", 0, f_default, NULL},
    {"attr", "name", 1, f_attr, NULL},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, f_tojson, NULL},
    {"from_json", "", 0, bt_template_from_json, NULL},
    {"filesizeformat", "*", 0, NULL, rare},
    {"pprint", "*", 0, NULL, rare},
    {"random", "*", 0, NULL, rare},
    {"striptags", "*", 0, NULL, rare},
    {"urlencode", "*", 0, NULL, rare},
    {"urlize", "*", 0, NULL, rare},
    {"wordwrap", "*", 0, NULL, rare},
    {"xmlattr", "*", 0, NULL, rare},
    {0}};
