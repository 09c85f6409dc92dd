// SPDX-License-Identifier: Apache-2.0
/* template_method: the methods of strings. Positions and widths count code points. */
#define _GNU_SOURCE // memrchr
#include "text/template/template_call.h"
#include "text/template/template_text.h"
#include <string.h>

static bt_status m_case(trun *r, const tcall *c, tval *ret)
{
    static const struct {
        const char *name;
        tcase how;
    } cases[] = {{"upper", CASE_UPPER},
                 {"lower", CASE_LOWER},
                 {"title", CASE_TITLE},
                 {"capitalize", CASE_CAPITALIZE},
                 {"swapcase", CASE_SWAP}};
    size_t i = 0;
    while (strcmp(cases[i].name, c->builtin->name) != 0) i++;
    return bt_tstr_case(r, c->self, cases[i].how, ret);
}

static const tval *optional(const tcall *c, int i) // an argument for which None stands for absence
{
    return c->arg[i] && c->arg[i]->kind != K_NONE ? c->arg[i] : NULL;
}

static bt_status m_strip(trun *r, const tcall *c, tval *ret)
{
    const tval *chars = optional(c, 0);
    char first = c->builtin->name[0];
    BT_FAIL_IF(chars && chars->kind != K_STR, INVALID, "%s arg must be None or str",
               c->builtin->name);
    BT_TRY(bt_trun_step(r, bt_trun_cost(c->self->len) * (chars ? 1 + 4 * chars->len : 1)));
    *ret = bt_tstr_strip(c->self, chars, first != 'r', first != 'l');
    return BT_OK;
}

// ---- splitting ----
typedef struct parts {
    trun *r;
    tval list; // grows by doubling
    size_t size;
} parts;

static bt_status add_part(parts *p, const tval *part)
{
    tseq *s = p->list.seq;
    BT_TRY(bt_trun_step(p->r, 1));
    if (s->n == p->size) {
        size_t size = p->size ? p->size * 2 : 4;
        tval *items;
        BT_TRY(bt_trun_alloc(p->r, size, sizeof *items, (void **)&items));
        if (s->n) memcpy(items, s->items, s->n * sizeof *items);
        s->items = items;
        p->size = size;
    }
    s->items[s->n++] = *part;
    return BT_OK;
}

static bt_status split_space(parts *p, const tval *s, int64_t max)
{
    tval rest = *s;
    for (;;) {
        rest = bt_tstr_strip(&rest, NULL, true, false);
        if (!rest.len) return BT_OK;
        size_t end = 0, n;
        if (max == 0) return add_part(p, &rest); // with the space at its end
        while (end < rest.len &&
               !bt_tcode_is_space(bt_tcode_at(rest.bytes + end, rest.len - end, &n)))
            end += n;
        tval part = bt_tstr_sub(&rest, 0, end);
        BT_TRY(add_part(p, &part));
        rest = bt_tstr_sub(&rest, end, rest.len - end);
        max--;
    }
}

static bt_status split_by(parts *p, const tval *s, const tval *sep, int64_t max)
{
    size_t at = 0;
    for (; max != 0; max--) {
        size_t hit = bt_tstr_find(s, at, sep);
        if (hit == SIZE_MAX) break;
        tval part = bt_tstr_sub(s, at, hit - at);
        BT_TRY(add_part(p, &part));
        at = hit + sep->len;
    }
    tval part = bt_tstr_sub(s, at, s->len - at);
    return add_part(p, &part);
}

/* The last place of `needle` that ends at or before `end`, SIZE_MAX if there is none. Candidates
 * cost. */
static bt_status find_last(trun *r, const tval *s, size_t end, const tval *needle, size_t *ret_at)
{
    *ret_at = SIZE_MAX;
    if (needle->len > end) return BT_OK;
    if (!needle->len) *ret_at = end;
    for (size_t i = end - needle->len + 1; needle->len && i > 0;) {
        const char *hit = memrchr(s->bytes, needle->bytes[0], i);
        if (!hit) return BT_OK;
        i = (size_t)(hit - s->bytes);
        BT_TRY(bt_trun_step(r, bt_trun_cost(needle->len + 32)));
        if (memcmp(hit, needle->bytes, needle->len) != 0) continue;
        *ret_at = i;
        return BT_OK;
    }
    return BT_OK;
}

static bt_status rsplit_by(parts *p, const tval *s, const tval *sep, int64_t max)
{
    size_t end = s->len;
    for (; max != 0; max--) {
        size_t hit;
        BT_TRY(find_last(p->r, s, end, sep, &hit));
        if (hit == SIZE_MAX) break;
        tval part = bt_tstr_sub(s, hit + sep->len, end - hit - sep->len);
        BT_TRY(add_part(p, &part));
        end = hit;
    }
    tval part = bt_tstr_sub(s, 0, end);
    return add_part(p, &part);
}

static bt_status rsplit_space(parts *p, const tval *s, int64_t max)
{
    tval rest = *s;
    for (;;) {
        rest = bt_tstr_strip(&rest, NULL, false, true);
        if (!rest.len) return BT_OK;
        if (max == 0) return add_part(p, &rest);
        size_t begin = rest.len, n, k;
        while (begin > 0) {
            for (n = 1; n < begin && (rest.bytes[begin - n] & 0xC0) == 0x80;) n++;
            if (bt_tcode_is_space(bt_tcode_at(rest.bytes + begin - n, n, &k))) break;
            begin -= n;
        }
        tval part = bt_tstr_sub(&rest, begin, rest.len - begin);
        BT_TRY(add_part(p, &part));
        rest = bt_tstr_sub(&rest, 0, begin);
        max--;
    }
}

static void reverse_list(tseq *s)
{
    for (size_t i = 0; i < s->n / 2; i++) {
        tval t = s->items[i];
        s->items[i] = s->items[s->n - 1 - i];
        s->items[s->n - 1 - i] = t;
    }
}

static bt_status m_split(trun *r, const tcall *c, tval *ret)
{
    parts p = {.r = r};
    const tval *sep = optional(c, 0);
    bool right = c->builtin->name[0] == 'r';
    int64_t max;
    BT_TRY(bt_tcall_int(c, 1, -1, &max));
    BT_FAIL_IF(sep && sep->kind != K_STR, INVALID, "must be str or None, not %s",
               bt_tval_type(sep));
    BT_FAIL_IF(sep && !sep->len, INVALID, "empty separator");
    BT_TRY(bt_trun_step(r, bt_trun_cost(c->self->len)));
    BT_TRY(bt_tseq_new(r, K_LIST, 0, &p.list));
    if (right)
        BT_TRY(sep ? rsplit_by(&p, c->self, sep, max) : rsplit_space(&p, c->self, max));
    else
        BT_TRY(sep ? split_by(&p, c->self, sep, max) : split_space(&p, c->self, max));
    if (right) reverse_list(p.list.seq);
    *ret = p.list;
    return BT_OK;
}

static bt_status m_splitlines(trun *r, const tcall *c, tval *ret)
{
    parts p = {.r = r};
    const tval *s = c->self;
    bool keep;
    size_t begin = 0, n;
    BT_TRY(bt_tcall_flag(r, c, 0, false, &keep));
    BT_TRY(bt_tseq_new(r, K_LIST, 0, &p.list));
    for (size_t i = 0; i < s->len; i += n) {
        if (!bt_tcode_is_line_end(bt_tcode_at(s->bytes + i, s->len - i, &n))) continue;
        if (s->bytes[i] == '\r' && i + 1 < s->len && s->bytes[i + 1] == '\n') n = 2;
        tval part = bt_tstr_sub(s, begin, i - begin + (keep ? n : 0));
        BT_TRY(add_part(&p, &part));
        begin = i + n;
    }
    tval part = bt_tstr_sub(s, begin, s->len - begin);
    if (part.len) BT_TRY(add_part(&p, &part));
    *ret = p.list;
    return BT_OK;
}

static bt_status m_partition(trun *r, const tcall *c, tval *ret)
{
    const tval *s = c->self, *sep;
    BT_TRY(bt_tcall_str(c, 0, &sep));
    BT_FAIL_IF(!sep->len, INVALID, "empty separator");
    BT_TRY(bt_trun_step(r, bt_trun_cost(s->len)));
    bool right = c->builtin->name[0] == 'r';
    size_t hit = right ? 0 : bt_tstr_find(s, 0, sep);
    if (right) BT_TRY(find_last(r, s, s->len, sep, &hit));
    BT_TRY(bt_tseq_new(r, K_TUPLE, 3, ret));
    tval *item = ret->seq->items;
    for (int i = 0; i < 3; i++) item[i] = bt_tval_text("", 0);
    if (hit == SIZE_MAX) {
        item[right ? 2 : 0] = *s;
        return BT_OK;
    }
    item[0] = bt_tstr_sub(s, 0, hit);
    item[1] = bt_tstr_sub(s, hit, sep->len);
    item[2] = bt_tstr_sub(s, hit + sep->len, s->len - hit - sep->len);
    return BT_OK;
}

// ---- searching ----
/* The part of the string that start and end arguments choose. */
static bt_status window(trun *r, const tcall *c, tval *ret_part, int64_t *ret_start)
{
    size_t n = bt_tstr_count(c->self);
    int64_t start = 0, end = (int64_t)n;
    BT_TRY(bt_trun_step(r, bt_trun_cost(c->self->len)));
    if (optional(c, 1)) BT_TRY(bt_tcall_int(c, 1, 0, &start));
    if (optional(c, 2)) BT_TRY(bt_tcall_int(c, 2, 0, &end));
    if (start < 0) start = start + (int64_t)n < 0 ? 0 : start + (int64_t)n;
    if (end < 0) end = end + (int64_t)n < 0 ? 0 : end + (int64_t)n;
    if (end > (int64_t)n) end = (int64_t)n;
    *ret_start = start;
    *ret_part = (tval){.kind = K_NONE}; // an impossible window holds not even the empty string
    if (start > end) return BT_OK;
    size_t from = bt_tstr_offset(c->self, (size_t)start), to = bt_tstr_offset(c->self, (size_t)end);
    *ret_part = bt_tstr_sub(c->self, from, to - from);
    return BT_OK;
}

static bt_status m_find(trun *r, const tcall *c, tval *ret) // find, rfind, index, rindex
{
    const tval *needle;
    tval part;
    int64_t start;
    bool right = c->builtin->name[0] == 'r', strict = strchr(c->builtin->name, 'x') != NULL;
    BT_TRY(bt_tcall_str(c, 0, &needle));
    BT_TRY(window(r, c, &part, &start));
    size_t hit = part.kind == K_NONE || right ? SIZE_MAX : bt_tstr_find(&part, 0, needle);
    if (right && part.kind != K_NONE) BT_TRY(find_last(r, &part, part.len, needle, &hit));
    BT_FAIL_IF(strict && hit == SIZE_MAX, INVALID, "substring not found");
    if (hit != SIZE_MAX) {
        tval before = bt_tstr_sub(&part, 0, hit);
        *ret = bt_tval_int(start + (int64_t)bt_tstr_count(&before));
    } else
        *ret = bt_tval_int(-1);
    return BT_OK;
}

static bt_status m_count(trun *r, const tcall *c, tval *ret)
{
    const tval *needle;
    tval part;
    int64_t start, n = 0;
    BT_TRY(bt_tcall_str(c, 0, &needle));
    BT_TRY(window(r, c, &part, &start));
    if (part.kind != K_NONE && !needle->len) n = (int64_t)bt_tstr_count(&part) + 1;
    for (size_t at = 0;
         part.kind != K_NONE && needle->len && (at = bt_tstr_find(&part, at, needle)) != SIZE_MAX;
         n++)
        at += needle->len;
    *ret = bt_tval_int(n);
    return BT_OK;
}

static bt_status ends(const tval *part, const tval *affix, bool start, bool *ret_holds)
{
    if (affix->kind == K_UNDEF) return bt_tval_fail_undef(affix);
    BT_FAIL_IF(affix->kind != K_STR, INVALID, "%s first arg must be str or a tuple of str, not %s",
               start ? "startswith" : "endswith", bt_tval_type(affix));
    *ret_holds =
        part->kind != K_NONE && affix->len <= part->len &&
        memcmp(part->bytes + (start ? 0 : part->len - affix->len), affix->bytes, affix->len) == 0;
    return BT_OK;
}

static bt_status m_ends(trun *r, const tcall *c, tval *ret) // startswith, endswith
{
    bool start = c->builtin->name[0] == 's', holds = false;
    tval part = *c->self;
    int64_t from;
    if (c->arg[1] || c->arg[2]) BT_TRY(window(r, c, &part, &from));
    if (c->arg[0]->kind != K_TUPLE) BT_TRY(ends(&part, c->arg[0], start, &holds));
    for (size_t i = 0; c->arg[0]->kind == K_TUPLE && i < c->arg[0]->seq->n && !holds; i++) {
        BT_TRY(bt_trun_step(r, 1));
        BT_TRY(ends(&part, &c->arg[0]->seq->items[i], start, &holds));
    }
    *ret = bt_tval_bool(holds);
    return BT_OK;
}

static bt_status m_remove(trun *r, const tcall *c, tval *ret) // removeprefix, removesuffix
{
    const tval *s = c->self, *affix;
    bool prefix = c->builtin->name[6] == 'p', holds;
    (void)r;
    BT_TRY(bt_tcall_str(c, 0, &affix));
    BT_TRY(ends(s, affix, prefix, &holds));
    *ret = holds ? bt_tstr_sub(s, prefix ? affix->len : 0, s->len - affix->len) : *s;
    return BT_OK;
}

// ---- making ----
static bt_status m_replace(trun *r, const tcall *c, tval *ret)
{
    const tval *from, *to;
    int64_t n;
    BT_TRY(bt_tcall_str(c, 0, &from));
    BT_TRY(bt_tcall_str(c, 1, &to));
    BT_TRY(bt_tcall_int(c, 2, -1, &n));
    tval from_to[2] = {*from, *to};
    BT_TRY(bt_trun_step(r, bt_trun_cost(c->self->len)));
    BT_TRY(bt_tstr_replace(r, c->self, from_to, n, ret));
    ret->markup = c->self->markup;
    return BT_OK;
}

static bt_status m_join(trun *r, const tcall *c, tval *ret)
{
    tout o = {.run = r};
    titer *it;
    tval item;
    bool more;
    bt_status st = bt_titer_open(r, c->arg[0], &it);
    for (size_t i = 0; !st; i++) {
        if ((st = bt_titer_next(r, it, &item, &more)) || !more) break;
        if (item.kind != K_STR)
            st = bt_fail(BT_INVALID, "sequence item %zu: expected str instance, %s found", i,
                         bt_tval_type(&item));
        if (!st && i) st = bt_tout_str(&o, c->self);
        if (!st) st = bt_tout_str(&o, &item);
    }
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static bt_status m_pad(trun *r, const tcall *c, tval *ret) // center, ljust, rjust, zfill
{
    tout o = {.run = r};
    const tval *s = c->self, *fill = NULL;
    char kind = c->builtin->name[0], pad = kind == 'z' ? '0' : ' ';
    int64_t width, n = (int64_t)bt_tstr_count(s);
    BT_TRY(bt_tcall_int(c, 0, 0, &width));
    if (kind != 'z') BT_TRY(bt_tcall_str(c, 1, &fill));
    BT_FAIL_IF(fill && (fill->len != 1 || (fill->bytes[0] & 0x80)), INVALID,
               "the fill character must be exactly one ASCII character");
    if (fill) pad = fill->bytes[0];
    size_t more = width > n ? (size_t)(width - n) : 0, left = kind == 'l' ? 0 : more;
    if (kind == 'c') left = more / 2 + (more & (size_t)width & 1);
    bool data = bt_tstr_any_data(s) || (fill && bt_tstr_any_data(fill));
    size_t sign = kind == 'z' && s->len && (s->bytes[0] == '-' || s->bytes[0] == '+');
    bt_status st = bt_tout_part(&o, s, 0, sign);
    if (!st) st = bt_tout_pad(&o, pad, left, data);
    if (!st) st = bt_tout_part(&o, s, sign, s->len - sign);
    if (!st) st = bt_tout_pad(&o, pad, more - left, data);
    if (!st) st = bt_tout_finish(&o, ret);
    bt_tout_done(&o);
    return st;
}

static bt_status m_format(trun *r, const tcall *c, tval *ret)
{
    return bt_tstr_format(r, c->self, &c->rest, ret);
}

static bt_status m_is(trun *r, const tcall *c, tval *ret) // isdigit and its kin
{
    const tval *s = c->self;
    char kind = c->builtin->name[2], next = c->builtin->name[3];
    bool holds = s->len != 0;
    BT_TRY(bt_trun_step(r, bt_trun_cost(s->len)));
    if (kind == 'l' || kind == 'u') holds = kind == 'l' ? bt_tstr_is_lower(s) : bt_tstr_is_upper(s);
    for (size_t i = 0, n; i < s->len && holds && kind != 'l' && kind != 'u'; i += n) {
        uint32_t code = bt_tcode_at(s->bytes + i, s->len - i, &n);
        switch (kind) {
        case 'd':
            holds = bt_tcode_is_digit(code);
            break;
        case 's':
            holds = bt_tcode_is_space(code);
            break;
        case 'n':
            holds = bt_tcode_is_word(code) && !bt_tcode_is_alpha(code) && code != '_';
            break; // isnumeric
        default:   // isalpha, isalnum, isascii
            holds = next == 's'
                        ? code < 0x80
                        : bt_tcode_is_alpha(code) ||
                              (c->builtin->name[4] == 'n' && bt_tcode_is_word(code) && code != '_');
        }
    }
    *ret = bt_tval_bool(holds || (next == 's' && kind == 'a' && !s->len));
    return BT_OK;
}

const tbuiltin bt_template_str_methods[] = {{"upper", "", 0, m_case, NULL},
                                            {"lower", "", 0, m_case, NULL},
                                            {"title", "", 0, m_case, NULL},
                                            {"capitalize", "", 0, m_case, NULL},
                                            {"swapcase", "", 0, m_case, NULL},
                                            {"strip", "/chars", 0, m_strip, NULL},
                                            {"lstrip", "/chars", 0, m_strip, NULL},
                                            {"rstrip", "/chars", 0, m_strip, NULL},
                                            {"split", "sep maxsplit", 0, m_split, NULL},
                                            {"rsplit", "sep maxsplit", 0, m_split, NULL},
                                            {"splitlines", "keepends", 0, m_splitlines, NULL},
                                            {"partition", "/sep", 1, m_partition, NULL},
                                            {"rpartition", "/sep", 1, m_partition, NULL},
                                            {"find", "/sub /start /end", 1, m_find, NULL},
                                            {"rfind", "/sub /start /end", 1, m_find, NULL},
                                            {"index", "/sub /start /end", 1, m_find, NULL},
                                            {"rindex", "/sub /start /end", 1, m_find, NULL},
                                            {"count", "/sub /start /end", 1, m_count, NULL},
                                            {"startswith", "/prefix /start /end", 1, m_ends, NULL},
                                            {"endswith", "/suffix /start /end", 1, m_ends, NULL},
                                            {"removeprefix", "/prefix", 1, m_remove, NULL},
                                            {"removesuffix", "/suffix", 1, m_remove, NULL},
                                            {"replace", "/old /new /count", 2, m_replace, NULL},
                                            {"join", "/iterable", 1, m_join, NULL},
                                            {"center", "/width /fillchar", 1, m_pad, NULL},
                                            {"ljust", "/width /fillchar", 1, m_pad, NULL},
                                            {"rjust", "/width /fillchar", 1, m_pad, NULL},
                                            {"zfill", "/width", 1, m_pad, NULL},
                                            {"format", "*", 0, m_format, NULL},
                                            {"isdigit", "", 0, m_is, NULL},
                                            {"isdecimal", "", 0, m_is, NULL},
                                            {"isspace", "", 0, m_is, NULL},
                                            {"isalpha", "", 0, m_is, NULL},
                                            {"isalnum", "", 0, m_is, NULL},
                                            {"isascii", "", 0, m_is, NULL},
                                            {"islower", "", 0, m_is, NULL},
                                            {"isupper", "", 0, m_is, NULL},
                                            {"isnumeric", "", 0, m_is, NULL},
                                            {"casefold", "*", 0, NULL, NULL},
                                            {"encode", "*", 0, NULL, NULL},
                                            {"expandtabs", "*", 0, NULL, NULL},
                                            {"format_map", "*", 0, NULL, NULL},
                                            {"isidentifier", "*", 0, NULL, NULL},
                                            {"isprintable", "*", 0, NULL, NULL},
                                            {"istitle", "*", 0, NULL, NULL},
                                            {"maketrans", "*", 0, NULL, NULL},
                                            {"translate", "*", 0, NULL, NULL},
                                            {0}};
