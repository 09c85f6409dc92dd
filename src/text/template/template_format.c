// SPDX-License-Identifier: Apache-2.0
/* template_format: Python's two ways to fill in a text: "%s" % values and "{}".format(values). */
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct spec {
    bool minus, plus, space, zero, alt, comma;
    char align;               // '<' '>' '=' '^' or 0
    char fill[5];             // one character, NUL-terminated; "" means a space
    int64_t width, precision; // precision < 0: none given
    char type;                // 0: none given
} spec;

enum { WIDTH_MAX = 100000, PRECISION_MAX = 300 };

static bool take_number(const char **p, const char *end, int64_t *ret)
{
    const char *from = *p;
    int64_t n = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
        n = n > WIDTH_MAX ? n : n * 10 + (**p - '0');
    if (*p > from) *ret = n;
    return *p > from;
}

static bt_status check_spec(const spec *s)
{
    BT_FAIL_IF(s->width > WIDTH_MAX || s->precision > PRECISION_MAX, LIMIT,
               "a format may ask for %d places and a width of %d", PRECISION_MAX, WIDTH_MAX);
    return BT_OK;
}

// ---- laying out ----
/* Put text into its field; `body` is what follows a sign when zeros go between. */
static bt_status put_field(tout *o, const spec *s, const tval *text, size_t sign, bool right)
{
    size_t n = bt_tstr_count(text), pad = s->width > (int64_t)n ? (size_t)s->width - n : 0,
           left = right ? pad : 0;
    bool data = bt_tstr_any_data(text);
    const char *fill = s->fill[0] ? s->fill : s->zero ? "0" : " ";
    char align = s->align ? s->align : s->zero && right ? '=' : 0;
    if (align) left = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
    if (align == '=') BT_TRY(bt_tout_part(o, text, 0, sign));
    for (size_t i = 0; i < left; i++) BT_TRY(bt_tout_add(o, fill, strlen(fill), data));
    size_t from = align == '=' ? sign : 0;
    BT_TRY(bt_tout_part(o, text, from, text->len - from));
    for (size_t i = left; i < pad; i++) BT_TRY(bt_tout_add(o, fill, strlen(fill), data));
    return BT_OK;
}

static bt_status put_number(tout *o, const spec *s, const char *digits, bool minus, bool data)
{
    char text[800];
    size_t sign = 0, k = 0, whole = strspn(digits, "0123456789");
    if (minus || s->plus || s->space) text[k++] = minus ? '-' : s->plus ? '+' : ' ';
    sign = k;
    for (size_t i = 0; digits[i] && k < sizeof text - 2; i++) {
        if (s->comma && i && i < whole && (whole - i) % 3 == 0) text[k++] = ',';
        text[k++] = digits[i];
    }
    tval v = bt_tval_text(text, k);
    v.data = data;
    return put_field(o, s, &v, sign, !s->minus);
}

static bt_status put_int(tout *o, const spec *s, const tval *v)
{
    char digits[80];
    uint64_t m = v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i;
    int n = 0;
    switch (s->type) {
    case 'x':
        n = snprintf(digits, sizeof digits, s->alt ? "0x%" PRIx64 : "%" PRIx64, m);
        break;
    case 'X':
        n = snprintf(digits, sizeof digits, s->alt ? "0X%" PRIX64 : "%" PRIX64, m);
        break;
    case 'o':
        n = snprintf(digits, sizeof digits, s->alt ? "0o%" PRIo64 : "%" PRIo64, m);
        break;
    case 'b':
        for (int bit = 63; bit >= 0; bit--)
            if (m >> bit || bit == 0) digits[n++] = (char)('0' + (m >> bit & 1));
        digits[n] = 0;
        break;
    default:
        n = snprintf(digits, sizeof digits, "%.*" PRIu64,
                     s->precision > 40 ? 40 : (int)s->precision, m);
    }
    return put_number(o, s, digits, v->i < 0, v->data);
}

static bt_status put_float(tout *o, const spec *s, double f, bool data)
{
    char digits[700], format[8] = "%.*f";
    double m = fabs(f);
    int precision = s->precision < 0 ? 6 : (int)s->precision;
    format[3] = s->type == '%' ? 'f' : s->type;
    if (isnan(f))
        snprintf(digits, sizeof digits,
                 s->type == 'F' || s->type == 'E' || s->type == 'G' ? "NAN" : "nan");
    else
        snprintf(digits, sizeof digits, format, precision, s->type == '%' ? m * 100 : m);
    size_t n = strlen(digits);
    if (s->type == '%' && n + 1 < sizeof digits) memcpy(digits + n, "%", 2);
    return put_number(o, s, digits, signbit(f) && !isnan(f), data);
}

// ---- "%s" % values ----
typedef struct percent {
    tout *o;
    const tval *values;
    size_t next; // position in a tuple of values
} percent;

static bt_status next_value(percent *p, const tval *key, tval *ret)
{
    const tval *v = p->values;
    if (key) {
        bool found;
        BT_FAIL_IF(v->kind != K_DICT, INVALID, "format requires a mapping");
        BT_TRY(bt_tdict_find(p->o->run, v, key, ret, &found));
        BT_FAIL_IF(!found, INVALID, "format: there is no key '%.*s'",
                   key->len > 60 ? 60 : (int)key->len, key->bytes);
        return BT_OK;
    }
    size_t n = v->kind == K_TUPLE ? v->seq->n : 1;
    BT_FAIL_IF(p->next >= n, INVALID, "not enough arguments for format string");
    *ret = v->kind == K_TUPLE ? v->seq->items[p->next] : *v;
    p->next++;
    return BT_OK;
}

static bt_status put_text(tout *o, const spec *s, const tval *v, bool repr)
{
    tval text;
    tout part = {.run = o->run};
    bt_status st = repr ? bt_tval_repr(&part, v) : bt_tval_print(&part, v);
    if (!st) st = bt_tout_finish(&part, &text);
    bt_tout_done(&part);
    BT_TRY(st);
    if (s->precision >= 0)
        text = bt_tstr_sub(&text, 0, bt_tstr_offset(&text, (size_t)s->precision));
    spec plain = *s;
    plain.zero = false;
    return put_field(o, &plain, &text, 0, !s->minus);
}

static bt_status convert(percent *p, const spec *s, const tval *v)
{
    spec d = *s;
    switch (s->type) {
    case 's':
        return put_text(p->o, s, v, false);
    case 'r':
    case 'a':
        return put_text(p->o, s, v, true);
    case 'c':
        if (v->kind == K_STR && bt_tstr_count(v) == 1) return put_text(p->o, s, v, false);
        return bt_fail(BT_INVALID, "%%c requires a single character");
    case 'd':
    case 'i':
    case 'u':
        d.type = 'd';
        break;
    default:
        break;
    }
    if (v->kind == K_UNDEF) return bt_tval_fail_undef(v);
    BT_FAIL_IF(!bt_tval_is_number(v), INVALID, "%%%c format: a number is required, not %s", s->type,
               bt_tval_type(v));
    if (strchr("eEfFgG", d.type)) return put_float(p->o, &d, bt_tval_as_double(v), v->data);
    tval i = *v;
    if (v->kind == K_FLOAT) {
        BT_FAIL_IF(d.type != 'd', INVALID, "%%%c format: an integer is required, not float",
                   s->type);
        BT_FAIL_IF(!(fabs(v->f) < 9.2e18), INVALID, "%%d format: %g is no integer of 64 bits",
                   v->f);
        i = bt_tval_int((int64_t)v->f);
        i.data = v->data;
    }
    return put_int(p->o, &d, &i);
}

static bt_status star_or_number(percent *p, const char **at, const char *end, int64_t *ret)
{
    tval v;
    if (*at >= end || **at != '*') {
        take_number(at, end, ret);
        return BT_OK;
    }
    (*at)++;
    BT_TRY(next_value(p, NULL, &v));
    BT_FAIL_IF(!bt_tval_is_int(&v), INVALID, "* wants int");
    *ret = v.i;
    return BT_OK;
}

static bt_status one_percent(percent *p, const tval *f, const char **at)
{
    const char *end = f->bytes + f->len, *close;
    spec s = {.precision = -1};
    tval key, v;
    bool has_key = *at < end && **at == '(';
    if (has_key) {
        close = memchr(*at, ')', (size_t)(end - *at));
        BT_FAIL_IF(!close, INVALID, "incomplete format key");
        key = bt_tstr_sub(f, (size_t)(*at + 1 - f->bytes), (size_t)(close - *at - 1));
        *at = close + 1;
    }
    for (; *at < end && **at && strchr("-+ 0#", **at); (*at)++) {
        s.minus |= **at == '-';
        s.plus |= **at == '+';
        s.space |= **at == ' ';
        s.zero |= **at == '0';
        s.alt |= **at == '#';
    }
    BT_TRY(star_or_number(p, at, end, &s.width));
    if (s.width < 0) {
        s.minus = true;
        s.width = s.width < -WIDTH_MAX ? WIDTH_MAX + 1 : -s.width;
    }
    if (*at < end && **at == '.') {
        (*at)++;
        s.precision = 0;
        BT_TRY(star_or_number(p, at, end, &s.precision));
        if (s.precision < 0) s.precision = 0;
    }
    while (*at < end && **at && strchr("hlL", **at)) (*at)++;
    BT_TRY(check_spec(&s));
    BT_FAIL_IF(*at >= end, INVALID, "incomplete format");
    s.type = *(*at)++;
    if (s.minus) s.zero = false;
    if (s.type == '%')
        return bt_tout_add(p->o, "%", 1, bt_tstr_mark(f, (size_t)(*at - 1 - f->bytes)));
    BT_FAIL_IF(!s.type || !strchr("sracdiuoxXeEfFgG", s.type), INVALID,
               "unsupported format character '%c'", s.type >= 0x20 ? s.type : '?');
    BT_TRY(next_value(p, has_key ? &key : NULL, &v));
    return convert(p, &s, &v);
}

static bt_status fill_percent(percent *p, const tval *f)
{
    const char *at = f->bytes, *end = at + f->len;
    while (at < end) {
        const char *mark = memchr(at, '%', (size_t)(end - at));
        if (!mark) mark = end;
        BT_TRY(bt_tout_part(p->o, f, (size_t)(at - f->bytes), (size_t)(mark - at)));
        at = mark;
        if (at >= end) break;
        at++;
        BT_TRY(bt_trun_step(p->o->run, 1));
        BT_TRY(one_percent(p, f, &at));
    }
    size_t n = p->values->kind == K_TUPLE ? p->values->seq->n : 0;
    bool scalar =
        p->values->kind != K_TUPLE && p->values->kind != K_DICT && p->values->kind != K_LIST;
    BT_FAIL_IF(p->next < n || (scalar && p->next == 0), INVALID,
               "not all arguments converted during string formatting");
    return BT_OK;
}

bt_status bt_tstr_percent(trun *r, const tval *format, const tval *values, tval *ret_string)
{
    tout o = {.run = r};
    percent p = {.o = &o, .values = values};
    bt_status st = fill_percent(&p, format);
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    if (!st) ret_string->markup = format->markup;
    return st;
}

// ---- "{}".format(values) ----
typedef struct braces {
    tout *o;
    const targs *args;
    size_t next;
} braces;

static bt_status parse_spec(const char *p, const char *end, spec *ret)
{
    spec s = {.precision = -1};
    size_t n = 0;
    if (p < end) bt_tcode_at(p, (size_t)(end - p), &n);
    if (p + n < end && strchr("<>=^", p[n]) && p[n]) {
        memcpy(s.fill, p, n);
        s.align = p[n];
        p += n + 1;
    } else if (p < end && *p && strchr("<>=^", *p))
        s.align = *p++;
    if (p < end && *p && strchr("+- ", *p)) {
        s.plus = *p == '+';
        s.space = *p == ' ';
        p++;
    }
    if (p < end && *p == '#') s.alt = p++;
    if (p < end && *p == '0') s.zero = p++;
    take_number(&p, end, &s.width);
    if (p < end && *p == ',') s.comma = p++;
    if (p < end && *p == '.') {
        p++;
        BT_FAIL_IF(!take_number(&p, end, &s.precision), INVALID,
                   "format specifier missing precision");
    }
    if (p < end) s.type = *p++;
    BT_FAIL_IF(p != end, INVALID, "invalid format specifier");
    *ret = s;
    return check_spec(&s);
}

static bt_status put_formatted(tout *o, const char *p, const char *end, const tval *v)
{
    spec s;
    if (p == end) return bt_tval_print(o, v);
    BT_TRY(parse_spec(p, end, &s));
    if (v->kind == K_STR && (s.type == 0 || s.type == 's')) {
        s.minus = true;
        return put_text(o, &s, v, false);
    }
    bool number = bt_tval_is_number(v), real = v->kind == K_FLOAT;
    BT_FAIL_IF(!number, INVALID, "unsupported format string passed to %s.__format__",
               bt_tval_type(v));
    if (s.type && strchr("eEfFgG%", s.type)) return put_float(o, &s, bt_tval_as_double(v), v->data);
    if (real && !s.type && s.precision < 0) {
        char digits[32];
        bt_float_repr(fabs(v->f), digits);
        return put_number(o, &s, digits, signbit(v->f), v->data);
    }
    if (real && (!s.type || s.type == 'n')) {
        s.type = 'g';
        return put_float(o, &s, v->f, v->data);
    }
    BT_FAIL_IF(real || (s.type && !strchr("dxXobn", s.type)), INVALID,
               "unknown format code '%c' for object of type '%s'", s.type, bt_tval_type(v));
    BT_FAIL_IF(s.precision >= 0, INVALID, "precision not allowed in integer format specifier");
    return put_int(o, &s, v);
}

static bt_status field_root(braces *b, const tval *name, tval *ret)
{
    const targs *a = b->args;
    size_t index = 0, digits = 0;
    while (digits < name->len && digits < 9 && name->bytes[digits] >= '0' &&
           name->bytes[digits] <= '9')
        index = index * 10 + (size_t)(name->bytes[digits++] - '0');
    if (!name->len) index = b->next++;
    if (digits == name->len) {
        BT_FAIL_IF(index >= a->n_pos, INVALID,
                   "replacement index %zu out of range for positional args tuple", index);
        *ret = a->pos[index];
        return BT_OK;
    }
    for (size_t i = 0; i < a->n_kw; i++)
        if (a->kw[i].len == name->len && memcmp(a->kw[i].name, name->bytes, name->len) == 0) {
            *ret = a->kw[i].value;
            return BT_OK;
        }
    return bt_fail(BT_INVALID, "format: there is no argument '%.*s'",
                   name->len > 60 ? 60 : (int)name->len, name->bytes);
}

/* name.attribute[key]... */
static bt_status field_value(braces *b, const tval *field, tval *ret)
{
    size_t at = 0;
    while (at < field->len && field->bytes[at] != '.' && field->bytes[at] != '[') at++;
    tval name = bt_tstr_sub(field, 0, at);
    BT_TRY(field_root(b, &name, ret));
    while (at < field->len) {
        bool item = field->bytes[at++] == '[';
        size_t from = at;
        while (at < field->len && (item ? field->bytes[at] != ']'
                                        : field->bytes[at] != '.' && field->bytes[at] != '['))
            at++;
        BT_FAIL_IF(at == from || (item && at == field->len), INVALID,
                   "empty attribute in format string");
        tval key = bt_tstr_sub(field, from, at - from);
        at += item;
        if (!item)
            BT_TRY(bt_tval_attr(b->o->run, ret, key.bytes, key.len, ret));
        else
            BT_TRY(bt_tval_path(b->o->run, ret, &key, ret)); // digits are an index there too
    }
    return BT_OK;
}

static bt_status one_field(braces *b, const tval *field)
{
    size_t name = 0;
    tval v, part;
    char conversion = 0;
    while (name < field->len && field->bytes[name] != '!' && field->bytes[name] != ':') name++;
    part = bt_tstr_sub(field, 0, name);
    BT_TRY(field_value(b, &part, &v));
    const char *p = field->bytes + name, *end = field->bytes + field->len;
    if (p < end && *p == '!') {
        BT_FAIL_IF(end - p < 2 || (end - p > 2 && p[2] != ':'), INVALID,
                   "expected ':' after conversion specifier");
        conversion = p[1];
        p += 2;
    }
    if (p < end) p++;
    BT_FAIL_IF(conversion && !strchr("sra", conversion), INVALID, "unknown conversion specifier");
    if (conversion) {
        tout o = {.run = b->o->run};
        bt_status st = conversion == 's' ? bt_tval_print(&o, &v) : bt_tval_repr(&o, &v);
        if (!st) st = bt_tout_finish(&o, &v);
        bt_tout_done(&o);
        BT_TRY(st);
    }
    BT_FAIL_IF(memchr(p, '{', (size_t)(end - p)) != NULL, UNSUPPORTED,
               "nested fields in a format are not supported");
    return put_formatted(b->o, p, end, &v);
}

static bt_status fill_braces(braces *b, const tval *f)
{
    for (size_t i = 0; i < f->len;) {
        char c = f->bytes[i];
        size_t plain = i;
        while (plain < f->len && f->bytes[plain] != '{' && f->bytes[plain] != '}') plain++;
        if (plain > i) {
            BT_TRY(bt_tout_part(b->o, f, i, plain - i));
            i = plain;
            continue;
        }
        if (i + 1 < f->len && f->bytes[i + 1] == c) {
            BT_TRY(bt_tout_part(b->o, f, i, 1));
            i += 2;
            continue;
        }
        BT_FAIL_IF(c == '}', INVALID, "single '}' encountered in format string");
        const char *close = memchr(f->bytes + i, '}', f->len - i);
        BT_FAIL_IF(!close, INVALID, "expected '}' before end of string");
        tval field = bt_tstr_sub(f, i + 1, (size_t)(close - f->bytes) - i - 1);
        BT_TRY(bt_trun_step(b->o->run, 1));
        BT_TRY(one_field(b, &field));
        i = (size_t)(close - f->bytes) + 1;
    }
    return BT_OK;
}

bt_status bt_tstr_format(trun *r, const tval *format, const targs *args, tval *ret_string)
{
    tout o = {.run = r};
    braces b = {.o = &o, .args = args};
    bt_status st = fill_braces(&b, format);
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    return st;
}
