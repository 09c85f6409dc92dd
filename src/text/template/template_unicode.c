// SPDX-License-Identifier: Apache-2.0
/* template_unicode: letter case and character classes as Python's str knows them. Simple mappings
 * and categories are utf8proc's; what becomes several characters is in the table below. */
#include "base/utf8.h"
#include "text/template/template_text.h"
#include <utf8proc.h>

bool bt_tcode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }

bool bt_tcode_is_printable(uint32_t c)
{
    if (c < 0x7F) return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

bool bt_tcode_is_alpha(uint32_t c)
{
    if (c < 0x80) return (c | 32) >= 'a' && (c | 32) <= 'z';
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool bt_tcode_is_digit(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

bool bt_tcode_is_word(uint32_t c)
{
    if (c < 0x80) return bt_tcode_is_alpha(c) || bt_tcode_is_digit(c) || c == '_';
    utf8proc_category_t k = category(c);
    return bt_tcode_is_alpha(c) || (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

/* Letters whose upper or title case is more than one character.
 * Source: Unicode 14 SpecialCasing.txt, the unconditional mappings. */
typedef struct special_case {
    uint32_t code, upper[3], title[3];
} special_case;
static const special_case specials[] = {
    {0xDF, {0x53, 0x53}, {0x53, 0x73}},
    {0x149, {0x2BC, 0x4E}, {0x2BC, 0x4E}},
    {0x1F0, {0x4A, 0x30C}, {0x4A, 0x30C}},
    {0x390, {0x399, 0x308, 0x301}, {0x399, 0x308, 0x301}},
    {0x3B0, {0x3A5, 0x308, 0x301}, {0x3A5, 0x308, 0x301}},
    {0x587, {0x535, 0x552}, {0x535, 0x582}},
    {0x1E96, {0x48, 0x331}, {0x48, 0x331}},
    {0x1E97, {0x54, 0x308}, {0x54, 0x308}},
    {0x1E98, {0x57, 0x30A}, {0x57, 0x30A}},
    {0x1E99, {0x59, 0x30A}, {0x59, 0x30A}},
    {0x1E9A, {0x41, 0x2BE}, {0x41, 0x2BE}},
    {0x1F50, {0x3A5, 0x313}, {0x3A5, 0x313}},
    {0x1F52, {0x3A5, 0x313, 0x300}, {0x3A5, 0x313, 0x300}},
    {0x1F54, {0x3A5, 0x313, 0x301}, {0x3A5, 0x313, 0x301}},
    {0x1F56, {0x3A5, 0x313, 0x342}, {0x3A5, 0x313, 0x342}},
    {0x1F80, {0x1F08, 0x399}, {0x1F88}},
    {0x1F81, {0x1F09, 0x399}, {0x1F89}},
    {0x1F82, {0x1F0A, 0x399}, {0x1F8A}},
    {0x1F83, {0x1F0B, 0x399}, {0x1F8B}},
    {0x1F84, {0x1F0C, 0x399}, {0x1F8C}},
    {0x1F85, {0x1F0D, 0x399}, {0x1F8D}},
    {0x1F86, {0x1F0E, 0x399}, {0x1F8E}},
    {0x1F87, {0x1F0F, 0x399}, {0x1F8F}},
    {0x1F88, {0x1F08, 0x399}, {0x1F88}},
    {0x1F89, {0x1F09, 0x399}, {0x1F89}},
    {0x1F8A, {0x1F0A, 0x399}, {0x1F8A}},
    {0x1F8B, {0x1F0B, 0x399}, {0x1F8B}},
    {0x1F8C, {0x1F0C, 0x399}, {0x1F8C}},
    {0x1F8D, {0x1F0D, 0x399}, {0x1F8D}},
    {0x1F8E, {0x1F0E, 0x399}, {0x1F8E}},
    {0x1F8F, {0x1F0F, 0x399}, {0x1F8F}},
    {0x1F90, {0x1F28, 0x399}, {0x1F98}},
    {0x1F91, {0x1F29, 0x399}, {0x1F99}},
    {0x1F92, {0x1F2A, 0x399}, {0x1F9A}},
    {0x1F93, {0x1F2B, 0x399}, {0x1F9B}},
    {0x1F94, {0x1F2C, 0x399}, {0x1F9C}},
    {0x1F95, {0x1F2D, 0x399}, {0x1F9D}},
    {0x1F96, {0x1F2E, 0x399}, {0x1F9E}},
    {0x1F97, {0x1F2F, 0x399}, {0x1F9F}},
    {0x1F98, {0x1F28, 0x399}, {0x1F98}},
    {0x1F99, {0x1F29, 0x399}, {0x1F99}},
    {0x1F9A, {0x1F2A, 0x399}, {0x1F9A}},
    {0x1F9B, {0x1F2B, 0x399}, {0x1F9B}},
    {0x1F9C, {0x1F2C, 0x399}, {0x1F9C}},
    {0x1F9D, {0x1F2D, 0x399}, {0x1F9D}},
    {0x1F9E, {0x1F2E, 0x399}, {0x1F9E}},
    {0x1F9F, {0x1F2F, 0x399}, {0x1F9F}},
    {0x1FA0, {0x1F68, 0x399}, {0x1FA8}},
    {0x1FA1, {0x1F69, 0x399}, {0x1FA9}},
    {0x1FA2, {0x1F6A, 0x399}, {0x1FAA}},
    {0x1FA3, {0x1F6B, 0x399}, {0x1FAB}},
    {0x1FA4, {0x1F6C, 0x399}, {0x1FAC}},
    {0x1FA5, {0x1F6D, 0x399}, {0x1FAD}},
    {0x1FA6, {0x1F6E, 0x399}, {0x1FAE}},
    {0x1FA7, {0x1F6F, 0x399}, {0x1FAF}},
    {0x1FA8, {0x1F68, 0x399}, {0x1FA8}},
    {0x1FA9, {0x1F69, 0x399}, {0x1FA9}},
    {0x1FAA, {0x1F6A, 0x399}, {0x1FAA}},
    {0x1FAB, {0x1F6B, 0x399}, {0x1FAB}},
    {0x1FAC, {0x1F6C, 0x399}, {0x1FAC}},
    {0x1FAD, {0x1F6D, 0x399}, {0x1FAD}},
    {0x1FAE, {0x1F6E, 0x399}, {0x1FAE}},
    {0x1FAF, {0x1F6F, 0x399}, {0x1FAF}},
    {0x1FB2, {0x1FBA, 0x399}, {0x1FBA, 0x345}},
    {0x1FB3, {0x391, 0x399}, {0x1FBC}},
    {0x1FB4, {0x386, 0x399}, {0x386, 0x345}},
    {0x1FB6, {0x391, 0x342}, {0x391, 0x342}},
    {0x1FB7, {0x391, 0x342, 0x399}, {0x391, 0x342, 0x345}},
    {0x1FBC, {0x391, 0x399}, {0x1FBC}},
    {0x1FC2, {0x1FCA, 0x399}, {0x1FCA, 0x345}},
    {0x1FC3, {0x397, 0x399}, {0x1FCC}},
    {0x1FC4, {0x389, 0x399}, {0x389, 0x345}},
    {0x1FC6, {0x397, 0x342}, {0x397, 0x342}},
    {0x1FC7, {0x397, 0x342, 0x399}, {0x397, 0x342, 0x345}},
    {0x1FCC, {0x397, 0x399}, {0x1FCC}},
    {0x1FD2, {0x399, 0x308, 0x300}, {0x399, 0x308, 0x300}},
    {0x1FD3, {0x399, 0x308, 0x301}, {0x399, 0x308, 0x301}},
    {0x1FD6, {0x399, 0x342}, {0x399, 0x342}},
    {0x1FD7, {0x399, 0x308, 0x342}, {0x399, 0x308, 0x342}},
    {0x1FE2, {0x3A5, 0x308, 0x300}, {0x3A5, 0x308, 0x300}},
    {0x1FE3, {0x3A5, 0x308, 0x301}, {0x3A5, 0x308, 0x301}},
    {0x1FE4, {0x3A1, 0x313}, {0x3A1, 0x313}},
    {0x1FE6, {0x3A5, 0x342}, {0x3A5, 0x342}},
    {0x1FE7, {0x3A5, 0x308, 0x342}, {0x3A5, 0x308, 0x342}},
    {0x1FF2, {0x1FFA, 0x399}, {0x1FFA, 0x345}},
    {0x1FF3, {0x3A9, 0x399}, {0x1FFC}},
    {0x1FF4, {0x38F, 0x399}, {0x38F, 0x345}},
    {0x1FF6, {0x3A9, 0x342}, {0x3A9, 0x342}},
    {0x1FF7, {0x3A9, 0x342, 0x399}, {0x3A9, 0x342, 0x345}},
    {0x1FFC, {0x3A9, 0x399}, {0x1FFC}},
    {0xFB00, {0x46, 0x46}, {0x46, 0x66}},
    {0xFB01, {0x46, 0x49}, {0x46, 0x69}},
    {0xFB02, {0x46, 0x4C}, {0x46, 0x6C}},
    {0xFB03, {0x46, 0x46, 0x49}, {0x46, 0x66, 0x69}},
    {0xFB04, {0x46, 0x46, 0x4C}, {0x46, 0x66, 0x6C}},
    {0xFB05, {0x53, 0x54}, {0x53, 0x74}},
    {0xFB06, {0x53, 0x54}, {0x53, 0x74}},
    {0xFB13, {0x544, 0x546}, {0x544, 0x576}},
    {0xFB14, {0x544, 0x535}, {0x544, 0x565}},
    {0xFB15, {0x544, 0x53B}, {0x544, 0x56B}},
    {0xFB16, {0x54E, 0x546}, {0x54E, 0x576}},
    {0xFB17, {0x544, 0x53D}, {0x544, 0x56D}},
};

static const special_case *find_special(uint32_t c)
{
    size_t lo = 0, hi = sizeof specials / sizeof *specials;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (specials[mid].code == c) return &specials[mid];
        if (specials[mid].code < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static uint32_t lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

static uint32_t upper(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
}

static uint32_t title(uint32_t c)
{
    return c < 0x80 ? upper(c) : (uint32_t)utf8proc_totitle((utf8proc_int32_t)c);
}

static bool is_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z';
    return category(c) == UTF8PROC_CATEGORY_LL ||
           (upper(c) != c && category(c) != UTF8PROC_CATEGORY_LT) || c == 0xAA || c == 0xBA;
}

static bool is_upper(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z';
    return category(c) == UTF8PROC_CATEGORY_LU ||
           (lower(c) != c && category(c) != UTF8PROC_CATEGORY_LT);
}

static bool is_cased(uint32_t c)
{
    return is_lower(c) || is_upper(c) || category(c) == UTF8PROC_CATEGORY_LT;
}

static bool is_case_ignorable(uint32_t c)
{
    if (c < 0x80) return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`';
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
           k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK || c == 0xB7 || c == 0x2019;
}

/* A capital sigma that ends a word becomes the final form (SpecialCasing.txt, Final_Sigma). */
static bool is_final_sigma(const tval *s, size_t at)
{
    size_t n, i = at;
    uint32_t c = 0;
    bool before = false;
    while (i > 0) {
        for (i--; i > 0 && (s->bytes[i] & 0xC0) == 0x80;) i--;
        c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (!is_case_ignorable(c)) {
            before = is_cased(c);
            break;
        }
    }
    if (!before) return false;
    for (i = at + 2; i < s->len; i += n) {
        c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (!is_case_ignorable(c)) return !is_cased(c);
    }
    return true;
}

enum { TO_LOWER, TO_UPPER, TO_TITLE };

static bt_status put_case(tout *o, const tval *s, size_t at, int how)
{
    size_t n;
    uint32_t c = bt_tcode_at(s->bytes + at, s->len - at, &n);
    bool data = bt_tstr_mark(s, at);
    if (how == TO_LOWER) {
        if (c == 0x130) return bt_tout_add(o, "i\xCC\x87", 3, data);
        if (c == 0x3A3) {
            BT_TRY(bt_trun_step(o->run, 1));
            return bt_tout_code(o, is_final_sigma(s, at) ? 0x3C2 : 0x3C3, data);
        }
        return bt_tout_code(o, lower(c), data);
    }
    const special_case *sp = c >= 0x80 ? find_special(c) : NULL;
    if (!sp) return bt_tout_code(o, how == TO_UPPER ? upper(c) : title(c), data);
    const uint32_t *to = how == TO_UPPER ? sp->upper : sp->title;
    for (int i = 0; i < 3 && to[i]; i++) BT_TRY(bt_tout_code(o, to[i], data));
    return BT_OK;
}

bt_status bt_tstr_case(trun *r, const tval *s, tcase how, tval *ret_string)
{
    tout o = {.run = r};
    bt_status st = bt_trun_step(r, s->len / 4);
    bool in_word = false;
    for (size_t i = 0, n; i < s->len && !st; i += n) {
        uint32_t c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        int to = how == CASE_UPPER ? TO_UPPER : TO_LOWER;
        if (how == CASE_CAPITALIZE && i == 0) to = TO_TITLE;
        if (how == CASE_TITLE) {
            to = in_word ? TO_LOWER : TO_TITLE;
            in_word = is_cased(c);
        }
        if (how == CASE_SWAP) to = is_lower(c) ? TO_UPPER : TO_LOWER;
        st = put_case(&o, s, i, to);
    }
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    if (!st) ret_string->markup = s->markup;
    return st;
}

bool bt_tstr_is_lower(const tval *s)
{
    bool cased = false;
    for (size_t i = 0, n; i < s->len; i += n) {
        uint32_t c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (is_upper(c) || category(c) == UTF8PROC_CATEGORY_LT) return false;
        cased |= is_lower(c);
    }
    return cased;
}

bool bt_tstr_is_upper(const tval *s)
{
    bool cased = false;
    for (size_t i = 0, n; i < s->len; i += n) {
        uint32_t c = bt_tcode_at(s->bytes + i, s->len - i, &n);
        if (is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT) return false;
        cased |= is_upper(c);
    }
    return cased;
}
