// SPDX-License-Identifier: Apache-2.0
/* json: jansson with our limits, typed getters whose errors name the key, and a printer for output.
 *
 * Documents are jansson's own json_t (json_decref frees). Duplicate keys, bad UTF-8, NaN,
 * infinities and nesting deeper than jansson's 2048 are refused. A getter's `key` is looked up in
 * `object`; an absent key or a JSON null gives the default where one is taken and NOTFOUND where
 * none is.
 */
#pragma once
#include "base/buf.h"
#include <jansson.h>

/* Parse one whole document (any type at the top). FORMAT names line and column. */
BT_CHECKED bt_status bt_json_parse(const char *text, size_t len, json_t **ret_doc);

/* The same with every number a real: for documents whose integers pass 64 bits, as the
 * model_max_length of most tokenizer_config.json files does. */
BT_CHECKED bt_status bt_json_parse_reals(const char *text, size_t len, json_t **ret_doc);

BT_CHECKED bt_status bt_json_get(json_t *object, const char *key, json_type type,
                                 json_t **ret_value);
BT_CHECKED bt_status bt_json_get_i64(json_t *object, const char *key, int64_t lo, int64_t hi,
                                     int64_t *ret_value);
BT_CHECKED bt_status bt_json_get_f64(json_t *object, const char *key, double lo, double hi,
                                     double *ret_value);
BT_CHECKED bt_status bt_json_get_text(json_t *object, const char *key, const char **ret_text);
BT_CHECKED bt_status bt_json_get_bool(json_t *object, const char *key, bool *ret_value);

/* The same with a default for an absent key or null; a wrong type or range still fails. */
BT_CHECKED bt_status bt_json_opt_i64(json_t *object, const char *key, int64_t lo, int64_t hi,
                                     int64_t def, int64_t *ret_value);
BT_CHECKED bt_status bt_json_opt_f64(json_t *object, const char *key, double lo, double hi,
                                     double def, double *ret_value);
BT_CHECKED bt_status bt_json_opt_text(json_t *object, const char *key, const char *def,
                                      const char **ret_text);
BT_CHECKED bt_status bt_json_opt_bool(json_t *object, const char *key, bool def, bool *ret_value);

/* Append a quoted JSON string; bytes that are not UTF-8 become U+FFFD. */
BT_CHECKED bt_status bt_json_put_text(bt_buf *out, const char *text, size_t len);

/* Append a number so that it reads back as the same double (shortest of %.15g, %.16g, %.17g);
 * NaN and infinities become null. */
BT_CHECKED bt_status bt_json_put_f64(bt_buf *out, double value);

/* The same for a float: shortest text that reads back as the same float. */
BT_CHECKED bt_status bt_json_put_f32(bt_buf *out, float value);
