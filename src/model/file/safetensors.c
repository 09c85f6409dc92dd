// SPDX-License-Identifier: Apache-2.0
/* safetensors: the parser; see the header for what is checked. */
#include "model/file/safetensors.h"
#include "base/bits.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 512 };

/* X(name in files, ours or BT_DTYPE_COUNT, bytes an element, name in reports) */
#define TYPE_LIST(X)                                                                               \
    X("F32", BT_F32, 4, "f32")                                                                     \
    X("F16", BT_F16, 2, "f16")                                                                     \
    X("BF16", BT_BF16, 2, "bf16")                                                                  \
    X("F64", BT_F64, 8, "f64")                                                                     \
    X("I64", BT_I64, 8, "i64")                                                                     \
    X("I32", BT_I32, 4, "i32")                                                                     \
    X("I16", BT_I16, 2, "i16")                                                                     \
    X("I8", BT_I8, 1, "i8")                                                                        \
    X("U8", BT_U8, 1, "u8")                                                                        \
    X("BOOL", BT_DTYPE_COUNT, 1, "bool")                                                           \
    X("U16", BT_DTYPE_COUNT, 2, "u16")                                                             \
    X("U32", BT_DTYPE_COUNT, 4, "u32")                                                             \
    X("U64", BT_DTYPE_COUNT, 8, "u64")                                                             \
    X("F8_E4M3", BT_DTYPE_COUNT, 1, "f8_e4m3")                                                     \
    X("F8_E5M2", BT_DTYPE_COUNT, 1, "f8_e5m2")                                                     \
    X("F8_E8M0", BT_DTYPE_COUNT, 1, "f8_e8m0")

static const struct {
    const char *text;
    bt_dtype dtype;
    uint64_t bytes;
    const char *name;
} types[] = {
#define TYPE(text, dtype, bytes, name) {text, dtype, bytes, name},
    TYPE_LIST(TYPE)
#undef TYPE
};

static bt_status read_type(json_t *entry, bt_safetensor *t, uint64_t *ret_bytes)
{
    const char *text;
    BT_TRY(bt_json_get_text(entry, "dtype", &text));
    for (size_t i = 0; i < BT_COUNT_OF(types); i++)
        if (!strcmp(text, types[i].text)) {
            t->desc.dtype = types[i].dtype;
            t->type_name = types[i].name;
            *ret_bytes = types[i].bytes;
            return BT_OK;
        }
    return bt_fail(BT_FORMAT, "'dtype' is '%s', which is no safetensors type", text);
}

static bt_status read_shape(json_t *entry, bt_safetensor *t, uint64_t *ret_bytes)
{
    json_t *shape;
    BT_TRY(bt_json_get(entry, "shape", JSON_ARRAY, &shape));
    size_t n = json_array_size(shape);
    BT_FAIL_IF(n > BT_DIM_MAX, FORMAT, "'shape' has %zu dimensions, at most %d", n, BT_DIM_MAX);
    t->desc.n_dim = n ? (int32_t)n : 1;
    t->desc.dim[0] = 1;
    for (size_t i = 0; i < n; i++) {
        json_t *dim = json_array_get(shape, i);
        BT_FAIL_IF(!json_is_integer(dim) || json_integer_value(dim) < 1, FORMAT,
                   "dimension %zu of 'shape' is not a positive integer", i);
        t->desc.dim[i] = json_integer_value(dim);
        BT_FAIL_IF(!bt_mul_fits(*ret_bytes, (uint64_t)t->desc.dim[i], ret_bytes), FORMAT,
                   "the number of bytes overflows");
    }
    return BT_OK;
}

static bt_status read_range(json_t *entry, const uint8_t *data, uint64_t n_data, bt_safetensor *t)
{
    json_t *range;
    BT_TRY(bt_json_get(entry, "data_offsets", JSON_ARRAY, &range));
    json_t *from = json_array_get(range, 0), *to = json_array_get(range, 1);
    BT_FAIL_IF(json_array_size(range) != 2 || !json_is_integer(from) || !json_is_integer(to),
               FORMAT, "'data_offsets' must be two integers");
    int64_t begin = json_integer_value(from), end = json_integer_value(to);
    BT_FAIL_IF(begin < 0 || end < begin || (uint64_t)end > n_data, FORMAT,
               "'data_offsets' are %lld to %lld, must lie in order within the %llu bytes of data",
               (long long)begin, (long long)end, (unsigned long long)n_data);
    BT_FAIL_IF((uint64_t)(end - begin) != t->n_bytes, FORMAT,
               "'data_offsets' span %lld bytes, but shape and type make %llu",
               (long long)(end - begin), (unsigned long long)t->n_bytes);
    t->data = data + begin;
    return BT_OK;
}

static bt_status read_entry(json_t *entry, const uint8_t *data, uint64_t n_data, bt_safetensor *t)
{
    BT_FAIL_IF(!json_is_object(entry), FORMAT, "its entry must be an object");
    BT_TRY(read_type(entry, t, &t->n_bytes));
    BT_TRY(read_shape(entry, t, &t->n_bytes));
    return read_range(entry, data, n_data, t);
}

static int by_data(const void *a, const void *b)
{
    const bt_safetensor *x = *(bt_safetensor *const *)a, *y = *(bt_safetensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* No byte of the data belongs to two tensors or to none: nothing can hide in the file. */
static bt_status check_tiling(bt_arena *arena, const bt_safetensors *s, const uint8_t *data,
                              uint64_t n_data)
{
    bt_safetensor **order;
    const uint8_t *at = data;
    BT_TRY(bt_arena_array(arena, s->n, sizeof *order, (void **)&order));
    for (size_t i = 0; i < s->n; i++) order[i] = &s->tensor[i];
    if (s->n) qsort(order, s->n, sizeof *order, by_data);
    for (size_t i = 0; i < s->n; i++) {
        BT_FAIL_IF(order[i]->data < at, FORMAT,
                   "the data of tensor '%s' overlaps that of tensor '%s'", order[i]->name,
                   order[i - 1]->name);
        BT_FAIL_IF(order[i]->data > at, FORMAT,
                   "there is a gap of %llu bytes before the data of tensor '%s'",
                   (unsigned long long)(order[i]->data - at), order[i]->name);
        at += order[i]->n_bytes;
    }
    BT_FAIL_IF(at != data + n_data, FORMAT, "%llu bytes at the end belong to no tensor",
               (unsigned long long)(data + n_data - at));
    return BT_OK;
}

static bt_status check_metadata(json_t *metadata)
{
    const char *key;
    json_t *value;
    BT_FAIL_IF(!json_is_object(metadata), FORMAT, "'__metadata__' must be an object");
    json_object_foreach(metadata, key, value)
        BT_FAIL_IF(!json_is_string(value), FORMAT,
                   "'__metadata__' has the key '%.64s', which is no string", key);
    return BT_OK;
}

static bt_status read_entries(json_t *doc, const uint8_t *data, uint64_t n_data, bt_arena *arena,
                              bt_safetensors *s)
{
    const char *name;
    json_t *entry;
    size_t n = json_object_size(doc);
    BT_TRY(bt_arena_array(arena, n, sizeof *s->tensor, (void **)&s->tensor));
    BT_TRY(bt_name_set_init(&s->set, n, arena));
    json_object_foreach(doc, name, entry)
    {
        if (!strcmp(name, "__metadata__")) {
            BT_TRY(check_metadata(entry));
            continue;
        }
        size_t len = strlen(name);
        BT_FAIL_IF(len < 1 || len > NAME_BYTES_MAX, FORMAT,
                   "a tensor's name has %zu bytes, must be 1 to %d", len, NAME_BYTES_MAX);
        bt_safetensor *t = &s->tensor[s->n++];
        BT_TRY(bt_arena_text(arena, name, len, (char **)&t->name));
        BT_FAIL_IF(!bt_name_set_add(&s->set, t->name, len), FORMAT, "tensor '%s' appears twice",
                   t->name);
        bt_status st = read_entry(entry, data, n_data, t);
        if (st != BT_OK) {
            bt_fail_note("tensor '%s'", t->name);
            return st;
        }
    }
    return check_tiling(arena, s, data, n_data);
}

bt_status bt_safetensors_parse(const uint8_t *bytes, size_t len, bt_arena *arena,
                               bt_safetensors *ret)
{
    uint64_t n_header;
    json_t *doc = NULL;
    bt_safetensors s = {0};
    BT_FAIL_IF(len < 8, FORMAT, "the file has %zu bytes; a safetensors file has at least 8", len);
    memcpy(&n_header, bytes, 8);
    BT_FAIL_IF(n_header > len - 8, FORMAT, "the header claims %llu bytes, but only %zu are left",
               (unsigned long long)n_header, len - 8);
    BT_FAIL_IF(n_header > BT_SAFETENSORS_HEADER_MAX, LIMIT, "the header has %llu bytes, at most %d",
               (unsigned long long)n_header, BT_SAFETENSORS_HEADER_MAX);
    BT_FAIL_IF(n_header == 0 || bytes[8] != '{', FORMAT, "the header does not begin with '{'");
    bt_status st = bt_json_parse((const char *)bytes + 8, (size_t)n_header, &doc);
    if (st == BT_OK)
        st = read_entries(doc, bytes + 8 + n_header, len - 8 - n_header, arena, &s);
    else
        bt_fail_note("the header");
    json_decref(doc);
    if (st == BT_OK) *ret = s;
    return st == BT_NOTFOUND ? BT_FORMAT
                             : st; // a missing field is a malformed file, not a missing one
}
