// SPDX-License-Identifier: Apache-2.0
/* template_text: strings with provenance: building, cutting, joining, searching.
 *
 * Whatever makes a string copies the marks of the bytes it takes over; bytes that an operation adds
 * of its own (padding, quotes, digits of a number) count as data as soon as an operand does. */
#define _GNU_SOURCE // memmem, memrchr
#include "text/template/template_text.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <string.h>

// ---- building ----
bool bt_tout_mark(const tout *o, size_t at) { return o->mark.len ? o->mark.data[at] : o->data; }

static bt_status reserve(tout *o, size_t len)
{
    trun *r = o->run;
    if (o->bytes_max && len > o->bytes_max - o->text.len)
        return bt_fail(BT_LIMIT, "the template's output is longer than %zu bytes", o->bytes_max);
    if (len > (size_t)(r->limits.memory_bytes_max - r->memory))
        return bt_fail(BT_LIMIT, "the template needs more than %" PRId64 " bytes of memory",
                       r->limits.memory_bytes_max);
    BT_TRY(bt_trun_step(r, bt_trun_cost(len)));
    BT_TRY(bt_buf_reserve(&o->text, len));
    return BT_OK;
}

/* From here on the builder keeps a mark per byte. */
static bt_status split_marks(tout *o, size_t more)
{
    if (!o->mark.len && o->text.len) {
        BT_TRY(bt_buf_reserve(&o->mark, o->text.len + more));
        memset(o->mark.data, o->data, o->text.len);
        o->mark.len = o->text.len;
    }
    return bt_buf_reserve(&o->mark, more);
}

bt_status bt_tout_add(tout *o, const char *bytes, size_t len, bool data)
{
    if (!len) return BT_OK;
    BT_TRY(reserve(o, len));
    if (!o->text.len) o->data = data;
    if (o->mark.len || o->data != data) {
        BT_TRY(split_marks(o, len));
        memset(o->mark.data + o->mark.len, data, len);
        o->mark.len += len;
    }
    BT_TRY(bt_buf_add(&o->text, bytes, len));
    o->run->memory += (int64_t)len;
    return BT_OK;
}

bt_status bt_tout_part(tout *o, const tval *s, size_t at, size_t len)
{
    const uint8_t *mark =
        s->store && s->store->mark && len ? s->store->mark + (s->bytes - s->store->bytes) : NULL;
    if (!mark) return len ? bt_tout_add(o, s->bytes + at, len, s->data) : BT_OK;
    for (size_t i = at, end = at + len; i < end;) { // runs of equal marks
        size_t n = 1;
        while (i + n < end && mark[i + n] == mark[i]) n++;
        BT_TRY(bt_tout_add(o, s->bytes + i, n, mark[i]));
        i += n;
    }
    return BT_OK;
}

bt_status bt_tout_code(tout *o, uint32_t code, bool data)
{
    char c[4];
    return bt_tout_add(o, c, bt_utf8_encode(code, c), data);
}

bt_status bt_tout_pad(tout *o, char c, size_t n, bool data)
{
    char block[64];
    memset(block, c, sizeof block);
    for (; n; n -= n < sizeof block ? n : sizeof block)
        BT_TRY(bt_tout_add(o, block, n < sizeof block ? n : sizeof block, data));
    return BT_OK;
}

void bt_tout_done(tout *o)
{
    o->run->memory -= (int64_t)o->text.len;
    bt_buf_done(&o->text);
    bt_buf_done(&o->mark);
    *o = (tout){.run = o->run};
}

static bt_status new_store(trun *r, size_t size, bool marks, tstore **ret_store)
{
    tstore *s;
    BT_TRY(bt_trun_alloc(r, 1, sizeof *s, (void **)&s));
    BT_TRY(bt_trun_alloc(r, size, 1, (void **)&s->bytes));
    if (marks) BT_TRY(bt_trun_alloc(r, size, 1, (void **)&s->mark));
    s->size = size;
    *ret_store = s;
    return BT_OK;
}

static bt_status finish(tout *o, tval *ret_string)
{
    tstore *s;
    size_t len = o->text.len;
    if (!len) {
        *ret_string = bt_tval_text("", 0);
        return BT_OK;
    }
    BT_TRY(new_store(o->run, len, o->mark.len != 0, &s));
    memcpy(s->bytes, o->text.data, len);
    if (s->mark) memcpy(s->mark, o->mark.data, len);
    s->used = len;
    *ret_string = (tval){.kind = K_STR, .data = o->data, .bytes = s->bytes, .len = len, .store = s};
    return BT_OK;
}

bt_status bt_tout_finish(tout *o, tval *ret_string)
{
    bt_status st = finish(o, ret_string);
    bt_tout_done(o);
    return st;
}

// ---- looking ----
bool bt_tstr_mark(const tval *s, size_t at)
{
    return s->store && s->store->mark ? s->store->mark[(size_t)(s->bytes - s->store->bytes) + at]
                                      : s->data;
}

bool bt_tstr_any_data(const tval *s)
{
    if (!s->len) return false;
    if (!s->store || !s->store->mark) return s->data;
    return memchr(s->store->mark + (s->bytes - s->store->bytes), 1, s->len) != NULL;
}

tval bt_tstr_sub(const tval *s, size_t at, size_t len)
{
    tval sub = *s;
    sub.bytes += at;
    sub.len = len;
    if (!len) sub = (tval){.kind = K_STR, .markup = s->markup, .bytes = ""};
    return sub;
}

uint32_t bt_tcode_at(const char *text, size_t len, size_t *ret_n)
{
    size_t n = bt_utf8_valid_len(text, len);
    *ret_n = n ? n : 1;
    return n ? bt_utf8_decode(text, n) : 0xFFFD;
}

size_t bt_tstr_count(const tval *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) n += (s->bytes[i] & 0xC0) != 0x80;
    return n;
}

size_t bt_tstr_offset(const tval *s, size_t index)
{
    size_t i = 0;
    for (; i < s->len; i++)
        if ((s->bytes[i] & 0xC0) != 0x80 && index-- == 0) break;
    return i;
}

size_t bt_tstr_find(const tval *s, size_t from, const tval *needle)
{
    if (needle->len > s->len || from > s->len - needle->len) return SIZE_MAX;
    if (!needle->len) return from;
    const char *hit = memmem(s->bytes + from, s->len - from, needle->bytes, needle->len);
    return hit ? (size_t)(hit - s->bytes) : SIZE_MAX;
}

static bool in_chars(const tval *chars, const char *at, size_t n)
{
    if (!chars) return bt_tcode_is_space(bt_tcode_at(at, n, &n));
    for (size_t i = 0, k; i < chars->len; i += k) {
        bt_tcode_at(chars->bytes + i, chars->len - i, &k);
        if (k == n && memcmp(chars->bytes + i, at, n) == 0) return true;
    }
    return false;
}

tval bt_tstr_strip(const tval *s, const tval *chars, bool left, bool right)
{
    size_t begin = 0, end = s->len, n;
    while (left && begin < end) {
        bt_tcode_at(s->bytes + begin, end - begin, &n);
        if (!in_chars(chars, s->bytes + begin, n)) break;
        begin += n;
    }
    while (right && end > begin) {
        for (n = 1; n < 4 && end - n > begin && (s->bytes[end - n] & 0xC0) == 0x80;) n++;
        if (!in_chars(chars, s->bytes + end - n, n)) break;
        end -= n;
    }
    return bt_tstr_sub(s, begin, end - begin);
}

// ---- joining ----
/* Grow a's store in place when a ends where the store's use ends: repeated appending stays linear.
 */
static bt_status append_in_place(trun *r, const tval *a, const tval *b, bool *ret_done)
{
    tstore *s = a->store;
    *ret_done = false;
    if (!s || !a->len || s->mark == NULL || a->bytes + a->len != s->bytes + s->used ||
        s->size - s->used < b->len)
        return BT_OK;
    BT_TRY(bt_trun_step(r, bt_trun_cost(b->len)));
    memcpy(s->bytes + s->used, b->bytes, b->len);
    for (size_t i = 0; i < b->len; i++) s->mark[s->used + i] = bt_tstr_mark(b, i);
    s->used += b->len;
    *ret_done = true;
    return BT_OK;
}

bt_status bt_tstr_concat(trun *r, const tval *a, const tval *b, tval *ret_string)
{
    tval sum = *a;
    tstore *s;
    bool done;
    if (!a->len || !b->len) {
        *ret_string = a->len ? *a : *b;
        return BT_OK;
    }
    BT_TRY(append_in_place(r, a, b, &done));
    if (!done) {
        bool grown =
            a->store && a->store->used > a->store->size / 2 && a->len > 64; // appended to before
        size_t len = a->len + b->len;
        BT_TRY(bt_trun_step(r, bt_trun_cost(len)));
        BT_TRY(new_store(r, grown ? len * 2 : len, true, &s));
        memcpy(s->bytes, a->bytes, a->len);
        memcpy(s->bytes + a->len, b->bytes, b->len);
        for (size_t i = 0; i < a->len; i++) s->mark[i] = bt_tstr_mark(a, i);
        for (size_t i = 0; i < b->len; i++) s->mark[a->len + i] = bt_tstr_mark(b, i);
        s->used = len;
        sum.bytes = s->bytes;
        sum.store = s;
    }
    sum.len = a->len + b->len;
    sum.data = a->data || b->data;
    *ret_string = sum;
    return BT_OK;
}

bt_status bt_tstr_repeat(trun *r, const tval *s, int64_t n, tval *ret_string)
{
    tout o = {.run = r};
    for (int64_t i = 0; s->len && i < n; i++) {
        bt_status st = bt_tout_str(&o, s);
        if (!st) st = bt_trun_step(r, 1);
        if (st) {
            bt_tout_done(&o);
            return st;
        }
    }
    BT_TRY(bt_tout_finish(&o, ret_string));
    ret_string->markup = s->markup;
    return BT_OK;
}

/* Python's replace of an empty string puts the new one around each character. */
static bt_status replace(tout *o, const tval *s, const tval *from_to, int64_t n)
{
    const tval *from = &from_to[0], *to = &from_to[1];
    size_t at = 0;
    while (n != 0) {
        size_t hit = bt_tstr_find(s, at, from), skip = from->len;
        if (hit == SIZE_MAX) break;
        BT_TRY(bt_trun_step(o->run, 1));
        BT_TRY(bt_tout_part(o, s, at, hit - at));
        BT_TRY(bt_tout_str(o, to));
        if (n > 0) n--;
        if (!from->len) {
            if (hit == s->len) return BT_OK;
            bt_tcode_at(s->bytes + hit, s->len - hit, &skip);
            BT_TRY(bt_tout_part(o, s, hit, skip));
        }
        at = hit + skip;
    }
    return bt_tout_part(o, s, at, s->len - at);
}

bt_status bt_tstr_replace(trun *r, const tval *s, const tval *from_to, int64_t n, tval *ret_string)
{
    tout o = {.run = r};
    bt_status st = replace(&o, s, from_to, n);
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    return st;
}

bt_status bt_tstr_escape(trun *r, const tval *s, tval *ret_string)
{
    tout o = {.run = r};
    bt_status st = BT_OK;
    size_t from = 0;
    for (size_t i = 0; i <= s->len && !st; i++) {
        const char *to = i == s->len           ? ""
                         : s->bytes[i] == '&'  ? "&amp;"
                         : s->bytes[i] == '<'  ? "&lt;"
                         : s->bytes[i] == '>'  ? "&gt;"
                         : s->bytes[i] == '\'' ? "&#39;"
                         : s->bytes[i] == '"'  ? "&#34;"
                                               : NULL;
        if (!to) continue;
        st = bt_tout_part(&o, s, from, i - from);
        if (!st && i < s->len) st = bt_tout_add(&o, to, strlen(to), bt_tstr_mark(s, i));
        from = i + 1;
    }
    if (!st) st = bt_tout_finish(&o, ret_string);
    bt_tout_done(&o);
    if (!st) ret_string->markup = true;
    return st;
}
