// SPDX-License-Identifier: Apache-2.0
/* regex: the patterns of tokenizers, compiled with PCRE2's JIT.
 *
 * Tokenizer files write patterns for Oniguruma (Ruby syntax). A pattern is translated construct by
 * construct to what PCRE2 reads the same way; a construct with another or unknown meaning is
 * refused by name. Matching is bounded: a pattern that backtracks too far fails with LIMIT, it
 * never hangs.
 */
#pragma once
#include "base/buf.h"
#include <stdbool.h>

typedef struct bt_regex bt_regex;           // immutable; shared by threads
typedef struct bt_regex_work bt_regex_work; // what one thread needs while matching

BT_CHECKED bt_status bt_regex_new(const char *pattern, size_t len, bt_regex **ret);
void bt_regex_free(bt_regex *re);

BT_CHECKED bt_status bt_regex_work_new(bt_regex_work **ret);
void bt_regex_work_free(bt_regex_work *work);

typedef struct bt_extent {
    size_t begin, end; // bytes
} bt_extent;

/* Find the first match at or after `from` in well-formed UTF-8; begin == SIZE_MAX when there is
 * none. */
BT_CHECKED bt_status bt_regex_find(const bt_regex *re, bt_regex_work *work, bt_extent text_from,
                                   const char *text, bt_extent *ret_match);

/* Append the PCRE2 form of an Oniguruma pattern. */
BT_CHECKED bt_status bt_regex_translate(const char *pattern, size_t len, bt_buf *out);
