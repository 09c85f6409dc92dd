// SPDX-License-Identifier: Apache-2.0
/* gguf_get: typed access to a parsed file's keys; every message has the same form. */
#include "model/file/gguf.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const bt_gguf_kv *bt_gguf_find(const bt_gguf *gguf, const char *key)
{
    int64_t i = bt_name_set_find(&gguf->key_set, key, strlen(key));
    return i < 0 ? NULL : &gguf->kv[i];
}

bool bt_gguf_is_integer(bt_gguf_type type)
{
    return type <= BT_GGUF_I32 || type == BT_GGUF_U64 || type == BT_GGUF_I64;
}

bool bt_gguf_is_real(bt_gguf_type type) { return type == BT_GGUF_F32 || type == BT_GGUF_F64; }

/* A u64 past INT64_MAX saturates: no range that a caller asks for reaches that far. */
static int64_t narrow_u64(uint64_t x) { return x > INT64_MAX ? INT64_MAX : (int64_t)x; }

#define LOAD(type, at)                                                                             \
    ({                                                                                             \
        type load_;                                                                                \
        memcpy(&load_, (at), sizeof load_);                                                        \
        load_;                                                                                     \
    })

int64_t bt_gguf_i64_at(const bt_gguf_kv *kv, uint64_t i)
{
    switch (kv->type == BT_GGUF_ARRAY ? kv->item : kv->type) {
    case BT_GGUF_BOOL:
    case BT_GGUF_U8:
        return kv->data[i];
    case BT_GGUF_I8:
        return (int8_t)kv->data[i];
    case BT_GGUF_U16:
        return LOAD(uint16_t, kv->data + 2 * i);
    case BT_GGUF_I16:
        return LOAD(int16_t, kv->data + 2 * i);
    case BT_GGUF_U32:
        return LOAD(uint32_t, kv->data + 4 * i);
    case BT_GGUF_I32:
        return LOAD(int32_t, kv->data + 4 * i);
    case BT_GGUF_U64:
        return narrow_u64(LOAD(uint64_t, kv->data + 8 * i));
    case BT_GGUF_I64:
        return LOAD(int64_t, kv->data + 8 * i);
    default:
        return 0;
    }
}

double bt_gguf_f64_at(const bt_gguf_kv *kv, uint64_t i)
{
    switch (kv->type == BT_GGUF_ARRAY ? kv->item : kv->type) {
    case BT_GGUF_F32:
        return LOAD(float, kv->data + 4 * i);
    case BT_GGUF_F64:
        return LOAD(double, kv->data + 8 * i);
    default:
        return NAN;
    }
}

static bt_status must_find(const bt_gguf *gguf, const char *key)
{
    BT_FAIL_IF(!bt_gguf_find(gguf, key), FORMAT, "key '%s' is missing", key);
    return BT_OK;
}

static bt_status fail_type(const bt_gguf_kv *kv, const char *key, const char *want)
{
    return bt_fail(BT_FORMAT, "key '%s' is %s%s%s, must be %s", key, bt_gguf_type_name(kv->type),
                   kv->type == BT_GGUF_ARRAY ? " of " : "",
                   kv->type == BT_GGUF_ARRAY ? bt_gguf_type_name(kv->item) : "", want);
}

bt_status bt_gguf_opt_i64(const bt_gguf *gguf, const char *key, int64_t lo, int64_t hi,
                          int64_t *ret_value)
{
    const bt_gguf_kv *kv = bt_gguf_find(gguf, key);
    if (!kv) return BT_OK;
    if (!bt_gguf_is_integer(kv->type)) return fail_type(kv, key, "an integer");
    int64_t value = bt_gguf_i64_at(kv, 0);
    BT_FAIL_IF(value < lo || value > hi, FORMAT, "key '%s' is %lld, must be from %lld to %lld", key,
               (long long)value, (long long)lo, (long long)hi);
    *ret_value = value;
    return BT_OK;
}

bt_status bt_gguf_get_i64(const bt_gguf *gguf, const char *key, int64_t lo, int64_t hi,
                          int64_t *ret_value)
{
    BT_TRY(must_find(gguf, key));
    return bt_gguf_opt_i64(gguf, key, lo, hi, ret_value);
}

bt_status bt_gguf_opt_f64(const bt_gguf *gguf, const char *key, double lo, double hi,
                          double *ret_value)
{
    const bt_gguf_kv *kv = bt_gguf_find(gguf, key);
    if (!kv) return BT_OK;
    bool integer = bt_gguf_is_integer(kv->type);
    if (!integer && !bt_gguf_is_real(kv->type)) return fail_type(kv, key, "a number");
    double value = integer ? (double)bt_gguf_i64_at(kv, 0) : bt_gguf_f64_at(kv, 0);
    BT_FAIL_IF(!(value >= lo && value <= hi), FORMAT, "key '%s' is %g, must be from %g to %g", key,
               value, lo, hi);
    *ret_value = value;
    return BT_OK;
}

bt_status bt_gguf_get_f64(const bt_gguf *gguf, const char *key, double lo, double hi,
                          double *ret_value)
{
    BT_TRY(must_find(gguf, key));
    return bt_gguf_opt_f64(gguf, key, lo, hi, ret_value);
}

bt_status bt_gguf_opt_bool(const bt_gguf *gguf, const char *key, bool *ret_value)
{
    const bt_gguf_kv *kv = bt_gguf_find(gguf, key);
    if (!kv) return BT_OK;
    if (kv->type != BT_GGUF_BOOL) return fail_type(kv, key, "a bool");
    *ret_value = kv->data[0] != 0;
    return BT_OK;
}

bt_status bt_gguf_opt_text(const bt_gguf *gguf, const char *key, bt_name *ret_text)
{
    const bt_gguf_kv *kv = bt_gguf_find(gguf, key);
    if (!kv) return BT_OK;
    if (kv->type != BT_GGUF_TEXT) return fail_type(kv, key, "a text");
    *ret_text = (bt_name){(const char *)kv->data, (size_t)kv->n};
    return BT_OK;
}

bt_status bt_gguf_opt_array(const bt_gguf *gguf, const char *key, bt_gguf_type item,
                            const bt_gguf_kv **ret_kv)
{
    const bt_gguf_kv *kv = bt_gguf_find(gguf, key);
    bool fits =
        !kv || (kv->type == BT_GGUF_ARRAY &&
                (kv->item == item || (item == BT_GGUF_I32 && bt_gguf_is_integer(kv->item))));
    if (!fits) {
        char want[32];
        snprintf(want, sizeof want, "an array of %s", bt_gguf_type_name(item));
        return fail_type(kv, key, want);
    }
    *ret_kv = kv;
    return BT_OK;
}
