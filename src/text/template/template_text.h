// SPDX-License-Identifier: Apache-2.0
/* template_text: strings that remember, byte by byte, whether they came from the data. */
#pragma once
#include "text/template/template_value.h"

/* Append bytes of one origin; append a part of a string with its marks. */
BT_CHECKED bt_status bt_tout_add(tout *o, const char *bytes, size_t len, bool data);
BT_CHECKED bt_status bt_tout_part(tout *o, const tval *s, size_t at, size_t len);
static inline bt_status bt_tout_str(tout *o, const tval *s)
{
    return bt_tout_part(o, s, 0, s->len);
}
BT_CHECKED bt_status bt_tout_code(tout *o, uint32_t code, bool data);
BT_CHECKED bt_status bt_tout_pad(tout *o, char c, size_t n, bool data);
/* Make a value of the text and release the builder, whatever the outcome. */
BT_CHECKED bt_status bt_tout_finish(tout *o, tval *ret_string);
void bt_tout_done(tout *o);
bool bt_tout_mark(const tout *o, size_t at);

bool bt_tstr_mark(const tval *s, size_t at); // is byte `at` from the data?
bool bt_tstr_any_data(const tval *s);
tval bt_tstr_sub(const tval *s, size_t at, size_t len);
size_t bt_tstr_count(const tval *s);                // code points
size_t bt_tstr_offset(const tval *s, size_t index); // byte of the index-th code point
BT_CHECKED bt_status bt_tstr_concat(trun *r, const tval *a, const tval *b, tval *ret_string);
BT_CHECKED bt_status bt_tstr_repeat(trun *r, const tval *s, int64_t n, tval *ret_string);
BT_CHECKED bt_status bt_tstr_replace(trun *r, const tval *s, const tval *from_to, int64_t n,
                                     tval *ret_string);
BT_CHECKED bt_status bt_tstr_escape(trun *r, const tval *s, tval *ret_string);
size_t bt_tstr_find(const tval *s, size_t from,
                    const tval *needle); // byte offset, SIZE_MAX if absent
/* Strip whitespace (chars NULL) or any of the code points of chars. */
tval bt_tstr_strip(const tval *s, const tval *chars, bool left, bool right);

typedef enum tcase { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITALIZE, CASE_SWAP } tcase;
BT_CHECKED bt_status bt_tstr_case(trun *r, const tval *s, tcase how, tval *ret_string);
bool bt_tstr_is_lower(const tval *s);
bool bt_tstr_is_upper(const tval *s);
bool bt_tcode_is_space(uint32_t code);     // str.isspace and str.strip
bool bt_tcode_is_printable(uint32_t code); // str.isprintable
bool bt_tcode_is_word(uint32_t code);      // \w
bool bt_tcode_is_alpha(uint32_t code);
bool bt_tcode_is_digit(uint32_t code);
static inline bool bt_tcode_is_line_end(uint32_t c) // str.splitlines
{
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}
uint32_t bt_tcode_at(const char *text, size_t len,
                     size_t *ret_n); // valid UTF-8; its length in bytes

// ---- printing ----
BT_CHECKED bt_status bt_tval_str(trun *r, const tval *v, tval *ret_string); // str(v)
BT_CHECKED bt_status bt_tval_print(tout *o, const tval *v);                 // append str(v)
BT_CHECKED bt_status bt_tval_repr(tout *o, const tval *v);                  // append repr(v)
size_t bt_float_repr(double f, char out[32]);

typedef struct tjson_style {
    bool ascii, sort_keys;
    const tval *indent;                 // string; NULL: one line
    tval item_separator, key_separator; // strings
} tjson_style;
BT_CHECKED bt_status bt_tval_to_json(tout *o, const tval *v, const tjson_style *style);
