// SPDX-License-Identifier: Apache-2.0
/* charsmap: see charsmap.h. */
#include "text/charsmap.h"
#include "base/utf8.h"
#include <string.h>
#include <utf8proc.h>

static uint32_t load_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bt_status bt_charsmap_parse(bt_charsmap *map, const uint8_t *bytes, size_t len)
{
    *map = (bt_charsmap){0};
    BT_FAIL_IF(len < 8, FORMAT, "the charsmap has %zu bytes, at least 8", len);
    size_t trie = load_u32(bytes);
    BT_FAIL_IF(trie == 0 || trie % 4 || trie > len - 4, FORMAT,
               "the charsmap's trie has %zu bytes, must be a multiple of 4 from 4 to %zu", trie,
               len - 4);
    size_t text = len - 4 - trie;
    BT_FAIL_IF(text == 0 || bytes[len - 1] != 0, FORMAT,
               "the charsmap's strings do not end in NUL");
    BT_TRY(bt_alloc_array((void **)&map->unit, trie / 4, 4, BT_MEM_TEXT));
    map->n_unit = trie / 4;
    for (size_t i = 0; i < map->n_unit; i++) map->unit[i] = load_u32(bytes + 4 + 4 * i);
    bt_status st = bt_alloc((void **)&map->text, text, BT_MEM_TEXT);
    if (st) {
        bt_charsmap_done(map);
        return st;
    }
    memcpy(map->text, bytes + 4 + trie, text);
    map->text_len = text;
    return BT_OK;
}

void bt_charsmap_done(bt_charsmap *map)
{
    bt_free(map->unit);
    bt_free(map->text);
    *map = (bt_charsmap){0};
}

/* A unit of darts-clone: label in bits 0-7 (and bit 31 for a value), has-leaf in bit 8, offset
 * above. */
static size_t unit_offset(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 0x200) >> 6); }
static uint32_t unit_label(uint32_t unit) { return unit & 0x800000FFu; }

/* Find a source string that `text` begins with, the longest or the shortest. Returns its length, or
 * 0 for none, and where its replacement is. */
static size_t find_source(const bt_charsmap *map, const char *text, size_t len, bool longest,
                          const char **ret_text)
{
    size_t found = 0, at = unit_offset(map->unit[0]);
    for (size_t i = 0; i < len; i++) {
        at ^= (uint8_t)text[i];
        if (at >= map->n_unit || unit_label(map->unit[at]) != (uint8_t)text[i]) break;
        bool has_leaf = map->unit[at] >> 8 & 1;
        at ^= unit_offset(map->unit[at]);
        if (!has_leaf || at >= map->n_unit) continue;
        size_t value = map->unit[at] & 0x7FFFFFFFu;
        if (value >= map->text_len) continue;
        *ret_text = map->text + value;
        found = i + 1;
        if (!longest) break;
    }
    return found;
}

bt_status bt_charsmap_apply(const bt_charsmap *map, const char *text, size_t len, bt_buf *out)
{
    for (size_t i = 0; i < len;) {
        const char *to;
        size_t n = find_source(map, text + i, len - i, true, &to);
        if (n) {
            BT_TRY(bt_buf_text(out, to));
        } else {
            n = bt_utf8_valid_len(text + i, len - i);
            if (n == 0) n = 1;
            BT_TRY(bt_buf_add(out, text + i, n));
        }
        i += n;
    }
    return BT_OK;
}

static bt_status apply_cluster(const bt_charsmap *map, const char *text, size_t len, bt_buf *out)
{
    const char *to;
    if (len < 6 && find_source(map, text, len, false, &to)) return bt_buf_text(out, to);
    for (size_t i = 0, k; i < len; i += k) {
        k = bt_utf8_valid_len(text + i, len - i);
        if (k == 0) k = 1;
        if (find_source(map, text + i, k, false, &to))
            BT_TRY(bt_buf_text(out, to));
        else
            BT_TRY(bt_buf_add(out, text + i, k));
    }
    return BT_OK;
}

bt_status bt_charsmap_apply_graphemes(const bt_charsmap *map, const char *text, size_t len,
                                      bt_buf *out)
{
    size_t start = 0;
    utf8proc_int32_t last = -1, state = 0;
    for (size_t i = 0, k; i < len; i += k) {
        k = bt_utf8_valid_len(text + i, len - i);
        utf8proc_int32_t code = k ? (utf8proc_int32_t)bt_utf8_decode(text + i, k) : 0xFFFD;
        if (k == 0) k = 1;
        if (last >= 0 && utf8proc_grapheme_break_stateful(last, code, &state)) {
            BT_TRY(apply_cluster(map, text + start, i - start, out));
            start = i;
        }
        last = code;
    }
    return apply_cluster(map, text + start, len - start, out);
}
