// SPDX-License-Identifier: Apache-2.0
/* normalize: see normalize.h. Composition is utf8proc's; the ordering of marks is done here,
 * because utf8proc's own is quadratic in a run of marks and a text may be nothing but marks. */
#include "text/normalize.h"
#include "base/bits.h"
#include "base/utf8.h"
#include <string.h>
#include <utf8proc.h>

bt_status bt_norm_add(bt_norm *norm, bt_norm_kind kind, bt_norm_step **ret_step)
{
    BT_FAIL_IF(norm->n_step == BT_NORM_STEP_MAX, LIMIT, "more than %d normalizer steps",
               BT_NORM_STEP_MAX);
    *ret_step = &norm->step[norm->n_step++];
    **ret_step = (bt_norm_step){.kind = kind};
    return BT_OK;
}

void bt_norm_done(bt_norm *norm)
{
    for (int i = 0; i < norm->n_step; i++) {
        bt_regex_free(norm->step[i].regex);
        bt_charsmap_done(&norm->step[i].charsmap);
    }
    norm->n_step = 0;
}

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool bt_space_at(const char *text, size_t len, size_t *ret_n)
{
    *ret_n = bt_utf8_valid_len(text, len);
    if (*ret_n) return is_space(bt_utf8_decode(text, *ret_n));
    *ret_n = 1;
    return false;
}

static size_t last_code(const char *text, size_t len)
{
    size_t k = 1;
    while (k < 4 && k < len && ((unsigned char)text[len - k] & 0xC0) == 0x80) k++;
    return k;
}

static bt_slice strip(const bt_norm_step *step, bt_slice in)
{
    size_t n;
    while (step->left && in.len && bt_space_at(in.text, in.len, &n)) {
        in.text += n;
        in.len -= n;
    }
    while (step->right && in.len) {
        size_t k = last_code(in.text, in.len);
        if (!bt_space_at(in.text + in.len - k, k, &n)) break;
        in.len -= k;
    }
    return in;
}

static bt_status put_code(bt_buf *out, uint32_t code)
{
    char text[4];
    return bt_buf_add(out, text, bt_utf8_encode(code, text));
}

/* ---- normal forms ---- */

/* Append the decomposition of one code point as 32-bit words. */
static bt_status decompose(uint32_t code, utf8proc_option_t options, bt_buf *codes)
{
    utf8proc_int32_t part[32];
    int last = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code, part, BT_COUNT_OF(part), options, &last);
    if (n < 0 || n > (utf8proc_ssize_t)BT_COUNT_OF(part)) { // longest decomposition in Unicode: 18
        part[0] = (utf8proc_int32_t)code;
        n = 1;
    }
    return bt_buf_add(codes, part, (size_t)n * sizeof *part);
}

static int mark_class(utf8proc_int32_t code)
{
    return utf8proc_get_property(code)->combining_class;
}

/* Sort a run of marks by class, keeping the order of equals (Unicode 3.11, D109). */
static bt_status order_run(utf8proc_int32_t *code, size_t n, bt_buf *temp)
{
    if (n <= 16) { // a plain insertion sort
        for (size_t i = 1; i < n; i++) {
            utf8proc_int32_t c = code[i];
            size_t j = i;
            for (; j && mark_class(code[j - 1]) > mark_class(c); j--) code[j] = code[j - 1];
            code[j] = c;
        }
        return BT_OK;
    }
    size_t at[257] = {0};
    bt_buf_clear(temp);
    BT_TRY(bt_buf_add(temp, code, n * sizeof *code));
    const utf8proc_int32_t *from = (const utf8proc_int32_t *)(const void *)temp->data;
    for (size_t i = 0; i < n; i++) at[mark_class(from[i]) + 1]++;
    for (int c = 0; c < 256; c++) at[c + 1] += at[c];
    for (size_t i = 0; i < n; i++) code[at[mark_class(from[i])]++] = from[i];
    return BT_OK;
}

static bt_status order_marks(utf8proc_int32_t *code, size_t n, bt_buf *temp)
{
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (mark_class(code[i]) == 0) continue;
        while (end < n && mark_class(code[end])) end++;
        BT_TRY(order_run(code + i, end - i, temp));
    }
    return BT_OK;
}

typedef struct former {
    utf8proc_option_t options;
    bool compose;
    bt_buf codes, temp; // kept from chunk to chunk
} former;

static bt_status form_chunk(former *f, const char *text, size_t len, bt_buf *out)
{
    bt_buf_clear(&f->codes);
    for (size_t i = 0, k; i < len; i += k) {
        k = bt_utf8_valid_len(text + i, len - i);
        BT_TRY(decompose(k ? bt_utf8_decode(text + i, k) : 0xFFFD, f->options, &f->codes));
        if (k == 0) k = 1;
    }
    utf8proc_int32_t *code = (utf8proc_int32_t *)(void *)f->codes.data;
    utf8proc_ssize_t n = (utf8proc_ssize_t)(f->codes.len / sizeof *code);
    BT_TRY(order_marks(code, (size_t)n, &f->temp));
    if (f->compose && n) n = utf8proc_normalize_utf32(code, n, f->options);
    for (utf8proc_ssize_t i = 0; i < n; i++) BT_TRY(put_code(out, (uint32_t)code[i]));
    return BT_OK;
}

/* Text below U+0080 is in every normal form, text below U+0300 in NFC, and none of it joins with
 * what is before it: `top` is the first lead byte past that plain text. */
static unsigned char plain_top(bt_norm_kind kind) { return kind == NORM_NFC ? 0xCC : 0xC2; }

static size_t skip_plain(const char *text, size_t len, size_t at, unsigned char top)
{
    while (at < len && (unsigned char)text[at] < top) at++;
    return at;
}

static size_t skip_rest(const char *text, size_t len, size_t at, unsigned char top)
{
    while (at < len && ((unsigned char)text[at] >= top || ((unsigned char)text[at] & 0xC0) == 0x80))
        at++;
    return at;
}

/* Only the stretches that are not plain, each with the character before it, go through the tables.
 */
static bt_status form_all(former *f, unsigned char top, bt_slice in, bt_buf *out)
{
    for (size_t i = 0; i < in.len;) {
        size_t odd = skip_plain(in.text, in.len, i, top);
        size_t begin = odd > i && odd < in.len ? odd - last_code(in.text, odd) : odd;
        if (begin < i) begin = i;
        BT_TRY(bt_buf_add(out, in.text + i, begin - i));
        i = skip_rest(in.text, in.len, odd, top);
        BT_TRY(form_chunk(f, in.text + begin, i - begin, out));
    }
    return BT_OK;
}

static bt_status to_form(bt_norm_kind kind, bt_slice in, bt_buf *out)
{
    former f = {.compose = kind == NORM_NFC || kind == NORM_NFKC};
    f.options = UTF8PROC_STABLE | (f.compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (kind == NORM_NFKC || kind == NORM_NFKD) f.options |= UTF8PROC_COMPAT;
    bt_status st = form_all(&f, plain_top(kind), in, out);
    bt_buf_done(&f.codes);
    bt_buf_done(&f.temp);
    return st;
}

static bool is_normal_at_a_glance(bt_norm_kind kind, bt_slice in)
{
    return skip_plain(in.text, in.len, 0, plain_top(kind)) == in.len;
}

/* ---- character by character ---- */

static bt_status put_lower(bt_buf *out, uint32_t code)
{
    if (code == 0x130)
        return bt_buf_text(out, "i\xCC\x87"); // the one code point whose lower case is two
    return put_code(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
}

static bool is_mark(uint32_t code)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

static bt_status map_codes(bt_norm_kind kind, bt_slice in, bt_buf *out)
{
    for (size_t i = 0, k; i < in.len; i += k) {
        k = bt_utf8_valid_len(in.text + i, in.len - i);
        uint32_t code = k ? bt_utf8_decode(in.text + i, k) : 0xFFFD;
        if (k == 0) k = 1;
        if (kind == NORM_LOWERCASE)
            BT_TRY(put_lower(out, code));
        else if (!is_mark(code))
            BT_TRY(bt_buf_add(out, in.text + i, k));
    }
    return BT_OK;
}

/* ---- replacing ---- */

static bt_status replace(const bt_norm_step *step, bt_slice in, bt_buf *out)
{
    size_t done = 0;
    for (size_t i = 0; i + step->from.len <= in.len;) {
        const char *p = memchr(in.text + i, step->from.text[0], in.len - i);
        if (!p) break;
        i = (size_t)(p - in.text);
        if (in.len - i < step->from.len) break;
        if (memcmp(p, step->from.text, step->from.len)) {
            i++;
            continue;
        }
        BT_TRY(bt_buf_add(out, in.text + done, i - done));
        BT_TRY(bt_buf_add(out, step->to.text, step->to.len));
        i += step->from.len;
        done = i;
    }
    return bt_buf_add(out, in.text + done, in.len - done);
}

static bt_status replace_regex(const bt_norm_step *step, bt_work *work, bt_slice in, bt_buf *out)
{
    size_t done = 0;
    if (!work->regex) BT_TRY(bt_regex_work_new(&work->regex));
    for (size_t from = 0; from <= in.len;) {
        bt_extent m;
        BT_TRY(bt_regex_find(step->regex, work->regex, (bt_extent){from, in.len}, in.text, &m));
        if (m.begin == SIZE_MAX) break;
        BT_TRY(bt_buf_add(out, in.text + done, m.begin - done));
        BT_TRY(bt_buf_add(out, step->to.text, step->to.len));
        done = m.end;
        from = m.end;
        if (m.end == m.begin) { // an empty match: go on one code point later
            size_t k = from < in.len ? bt_utf8_valid_len(in.text + from, in.len - from) : 1;
            from += k ? k : 1;
        }
    }
    return bt_buf_add(out, in.text + done, in.len - done);
}

static bt_status squeeze(bt_slice in, bt_buf *out)
{
    for (size_t i = 0; i < in.len;) {
        while (i < in.len && in.text[i] == ' ') i++;
        size_t begin = i;
        while (i < in.len && in.text[i] != ' ') i++;
        if (i == begin) break;
        if (out->len) BT_TRY(bt_buf_text(out, " "));
        BT_TRY(bt_buf_add(out, in.text + begin, i - begin));
    }
    for (;;) { // the library strips the end after it has turned spaces into U+2581, so a literal
               // one goes too
        bool space = out->len && out->data[out->len - 1] == ' ';
        bool mark = out->len >= 3 && !memcmp(out->data + out->len - 3, "\xE2\x96\x81", 3);
        if (!space && !mark) return BT_OK;
        out->len -= space ? 1 : 3;
    }
}

static bt_status apply_step(const bt_norm_step *step, bt_work *work, bt_slice in, bt_buf *out)
{
    switch (step->kind) {
    case NORM_NFC:
    case NORM_NFD:
    case NORM_NFKC:
    case NORM_NFKD:
        return to_form(step->kind, in, out);
    case NORM_LOWERCASE:
    case NORM_STRIP_ACCENTS:
        return map_codes(step->kind, in, out);
    case NORM_PREPEND:
        BT_TRY(bt_buf_add(out, step->to.text, step->to.len));
        return bt_buf_add(out, in.text, in.len);
    case NORM_REPLACE:
        return replace(step, in, out);
    case NORM_REPLACE_REGEX:
        return replace_regex(step, work, in, out);
    case NORM_CHARSMAP:
        return bt_charsmap_apply(&step->charsmap, in.text, in.len, out);
    case NORM_CHARSMAP_GRAPHEMES:
        return bt_charsmap_apply_graphemes(&step->charsmap, in.text, in.len, out);
    case NORM_SQUEEZE:
        return squeeze(in, out);
    case NORM_STRIP:
        break; // needs no copy
    }
    return BT_OK;
}

bt_status bt_norm_apply(const bt_norm *norm, bt_work *work, bt_slice in, bt_slice *ret_out)
{
    int which = 0;
    for (int i = 0; i < norm->n_step && in.len; i++) {
        const bt_norm_step *step = &norm->step[i];
        if (step->kind == NORM_STRIP) {
            in = strip(step, in);
            continue;
        }
        if (step->kind <= NORM_NFKD && is_normal_at_a_glance(step->kind, in)) continue;
        bt_buf *out = &work->norm[which];
        bt_buf_clear(out);
        BT_TRY(apply_step(step, work, in, out));
        in = (bt_slice){out->data, out->len};
        which = !which;
    }
    *ret_out = in;
    return BT_OK;
}
