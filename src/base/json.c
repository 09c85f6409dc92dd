// SPDX-License-Identifier: Apache-2.0
/* json: see json.h. The getters share one lookup, so that every message has the same form. */
#include "base/json.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bt_status parse(const char *text, size_t len, size_t flags, json_t **ret_doc)
{
    json_error_t e;
    json_t *doc = json_loadb(text, len,
                             flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!doc) return bt_fail(BT_FORMAT, "JSON line %d column %d: %s", e.line, e.column, e.text);
    *ret_doc = doc;
    return BT_OK;
}

bt_status bt_json_parse(const char *text, size_t len, json_t **ret_doc)
{
    return parse(text, len, 0, ret_doc);
}

bt_status bt_json_parse_reals(const char *text, size_t len, json_t **ret_doc)
{
    return parse(text, len, JSON_DECODE_INT_AS_REAL, ret_doc);
}

static const char *type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static json_t *find(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static bt_status must_find(json_t *object, const char *key, json_t **ret_value)
{
    json_t *value = find(object, key);
    BT_FAIL_IF(!value, NOTFOUND, "'%s' is missing", key);
    *ret_value = value;
    return BT_OK;
}

static bt_status fail_type(const char *key, json_t *value, json_type want)
{
    return bt_fail(BT_FORMAT, "'%s' is %s, must be %s", key, type_name(json_typeof(value)),
                   type_name(want));
}

bt_status bt_json_get(json_t *object, const char *key, json_type type, json_t **ret_value)
{
    json_t *value;
    BT_TRY(must_find(object, key, &value));
    if (json_typeof(value) != type) return fail_type(key, value, type);
    *ret_value = value;
    return BT_OK;
}

bt_status bt_json_get_i64(json_t *object, const char *key, int64_t lo, int64_t hi,
                          int64_t *ret_value)
{
    json_t *value;
    BT_TRY(bt_json_get(object, key, JSON_INTEGER, &value));
    int64_t x = json_integer_value(value);
    BT_FAIL_IF(x < lo || x > hi, FORMAT, "'%s' is %lld, must be from %lld to %lld", key,
               (long long)x, (long long)lo, (long long)hi);
    *ret_value = x;
    return BT_OK;
}

bt_status bt_json_get_f64(json_t *object, const char *key, double lo, double hi, double *ret_value)
{
    json_t *value;
    BT_TRY(must_find(object, key, &value));
    if (!json_is_number(value)) return fail_type(key, value, JSON_REAL);
    double x = json_number_value(value);
    BT_FAIL_IF(!(x >= lo && x <= hi), FORMAT, "'%s' is %g, must be from %g to %g", key, x, lo, hi);
    *ret_value = x;
    return BT_OK;
}

bt_status bt_json_get_text(json_t *object, const char *key, const char **ret_text)
{
    json_t *value = NULL;
    BT_TRY(bt_json_get(object, key, JSON_STRING, &value));
    *ret_text = json_string_value(value);
    return BT_OK;
}

bt_status bt_json_get_bool(json_t *object, const char *key, bool *ret_value)
{
    json_t *value;
    BT_TRY(must_find(object, key, &value));
    if (!json_is_boolean(value)) return fail_type(key, value, JSON_TRUE);
    *ret_value = json_is_true(value);
    return BT_OK;
}

bt_status bt_json_opt_i64(json_t *object, const char *key, int64_t lo, int64_t hi, int64_t def,
                          int64_t *ret_value)
{
    if (find(object, key)) return bt_json_get_i64(object, key, lo, hi, ret_value);
    *ret_value = def;
    return BT_OK;
}

bt_status bt_json_opt_f64(json_t *object, const char *key, double lo, double hi, double def,
                          double *ret_value)
{
    if (find(object, key)) return bt_json_get_f64(object, key, lo, hi, ret_value);
    *ret_value = def;
    return BT_OK;
}

bt_status bt_json_opt_text(json_t *object, const char *key, const char *def, const char **ret_text)
{
    if (find(object, key)) return bt_json_get_text(object, key, ret_text);
    *ret_text = def;
    return BT_OK;
}

bt_status bt_json_opt_bool(json_t *object, const char *key, bool def, bool *ret_value)
{
    if (find(object, key)) return bt_json_get_bool(object, key, ret_value);
    *ret_value = def;
    return BT_OK;
}

static bt_status put_ascii(bt_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        return bt_buf_text(out, "\\\"");
    case '\\':
        return bt_buf_text(out, "\\\\");
    case '\n':
        return bt_buf_text(out, "\\n");
    case '\r':
        return bt_buf_text(out, "\\r");
    case '\t':
        return bt_buf_text(out, "\\t");
    default:
        break;
    }
    if (c < 0x20 || c == 0x7f) return bt_buf_format(out, "\\u%04x", c);
    return bt_buf_add(out, &c, 1);
}

bt_status bt_json_put_text(bt_buf *out, const char *text, size_t len)
{
    BT_TRY(bt_buf_text(out, "\""));
    for (size_t i = 0; i < len;) {
        size_t n = bt_utf8_valid_len(text + i, len - i);
        if (n == 0) {
            BT_TRY(bt_buf_text(out, "\xEF\xBF\xBD"));
            i++;
        } else if (n == 1) {
            BT_TRY(put_ascii(out, (unsigned char)text[i++]));
        } else {
            BT_TRY(bt_buf_add(out, text + i, n));
            i += n;
        }
    }
    return bt_buf_text(out, "\"");
}

bt_status bt_json_put_f64(bt_buf *out, double value)
{
    char text[40];
    if (!isfinite(value)) return bt_buf_text(out, "null");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return bt_buf_text(out, text);
}

bt_status bt_json_put_f32(bt_buf *out, float value)
{
    char text[40];
    if (!isfinite(value)) return bt_buf_text(out, "null");
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return bt_buf_text(out, text);
}
