// SPDX-License-Identifier: Apache-2.0
/* charsmap: SentencePiece's precompiled normalizer (nmt_nfkc and its like).
 *
 *   bytes   u32 trie_bytes | trie_bytes of darts-clone units (u32) | replacement strings, each with
 * a NUL
 *
 * The trie maps the bytes of a source string to the offset of its replacement. Every unit index and
 * every offset is checked at each step: the file is not trusted.
 * Source: SentencePiece doc/normalization.md; darts-clone's unit layout. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>

typedef struct bt_charsmap {
    uint32_t *unit; // owned, [n_unit]
    size_t n_unit;
    char *text; // owned, text_len bytes, the last one NUL
    size_t text_len;
} bt_charsmap;

BT_CHECKED bt_status bt_charsmap_parse(bt_charsmap *map, const uint8_t *bytes, size_t len);
void bt_charsmap_done(bt_charsmap *map);

/* Append the normal form of well-formed UTF-8: at each place the longest source string wins. */
BT_CHECKED bt_status bt_charsmap_apply(const bt_charsmap *map, const char *text, size_t len,
                                       bt_buf *out);

/* The same the way the "Precompiled" normalizer of tokenizer.json does it: a grapheme cluster of
 * fewer than 6 bytes is looked up as a whole, otherwise each code point; the shortest source wins.
 */
BT_CHECKED bt_status bt_charsmap_apply_graphemes(const bt_charsmap *map, const char *text,
                                                 size_t len, bt_buf *out);
