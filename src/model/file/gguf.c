// SPDX-License-Identifier: Apache-2.0
/* gguf: the parser. A cursor walks the bytes; every read asks it for room first, so that nothing is
 * looked at before it is known to be there. gguf_get.c has the getters. */
#include "model/file/gguf.h"
#include "base/bits.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

enum {
    KEY_BYTES_MAX = 65535, // the format's own limit
    NAME_BYTES_MAX = 127,  // the format says 64; some writers pass it
    ARRAY_DEPTH_MAX = 4,
    N_KV_MAX = 1 << 16,
    N_TENSOR_MAX = 1 << 18,
    KV_BYTES_MIN = 8 + 1 + 4 + 1, // key length, key, type, value
    TENSOR_BYTES_MIN =
        8 + 1 + 4 + 8 + 4 + 8, // name length, name, n_dim, one dimension, type, offset
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MAX = 1 << 20,
};

/* GGUF tensor types that we list but cannot compute with: X(id, name, elements a block, bytes a
 * block) */
#define FOREIGN_LIST(X)                                                                            \
    X(9, q8_1, 32, 36)                                                                             \
    X(10, q2_k, 256, 84)                                                                           \
    X(11, q3_k, 256, 110)                                                                          \
    X(15, q8_k, 256, 292)                                                                          \
    X(16, iq2_xxs, 256, 66)                                                                        \
    X(17, iq2_xs, 256, 74)                                                                         \
    X(18, iq3_xxs, 256, 98)                                                                        \
    X(19, iq1_s, 256, 50)                                                                          \
    X(20, iq4_nl, 32, 18)                                                                          \
    X(21, iq3_s, 256, 110)                                                                         \
    X(22, iq2_s, 256, 82)                                                                          \
    X(23, iq4_xs, 256, 136)                                                                        \
    X(29, iq1_m, 256, 56)                                                                          \
    X(34, tq1_0, 256, 54)                                                                          \
    X(35, tq2_0, 256, 66)                                                                          \
    X(39, mxfp4, 32, 17)

static const struct foreign {
    uint32_t id;
    const char *name;
    int64_t block, block_bytes;
} foreigns[] = {
#define FOREIGN(id, name, block, bytes) {id, #name, block, bytes},
    FOREIGN_LIST(FOREIGN)
#undef FOREIGN
};

static const struct {
    const char *name;
    uint8_t bytes;
} types[] = {
#define TYPE(upper, lower, bytes) {#lower, bytes},
    BT_GGUF_TYPE_LIST(TYPE)
#undef TYPE
};

const char *bt_gguf_type_name(bt_gguf_type type)
{
    return (unsigned)type < BT_GGUF_TYPE_COUNT ? types[type].name : "unknown";
}

static const struct foreign *find_foreign(uint32_t id)
{
    for (size_t i = 0; i < BT_COUNT_OF(foreigns); i++)
        if (foreigns[i].id == id) return &foreigns[i];
    return NULL;
}

static bool find_own(uint32_t id, bt_dtype *ret_dtype)
{
    for (int i = 0; i < BT_DTYPE_COUNT; i++)
        if (bt_dtype_gguf_id((bt_dtype)i) >= 0 && (uint32_t)bt_dtype_gguf_id((bt_dtype)i) == id) {
            *ret_dtype = (bt_dtype)i;
            return true;
        }
    return false;
}

const char *bt_gguf_tensor_type_name(uint32_t type)
{
    bt_dtype own;
    if (find_own(type, &own)) return bt_dtype_name(own);
    const struct foreign *foreign = find_foreign(type);
    return foreign ? foreign->name : NULL;
}

/* ---- the cursor ---- */

typedef struct cursor {
    const uint8_t *bytes;
    size_t at, len;
} cursor;

static size_t left(const cursor *c) { return c->len - c->at; }

static bt_status need(const cursor *c, uint64_t n, const char *what)
{
    BT_FAIL_IF(n > left(c), FORMAT, "%s needs %llu bytes at byte %zu, but only %zu are left", what,
               (unsigned long long)n, c->at, left(c));
    return BT_OK;
}

static bt_status read_u32(cursor *c, const char *what, uint32_t *ret)
{
    BT_TRY(need(c, 4, what));
    memcpy(ret, c->bytes + c->at, 4);
    c->at += 4;
    return BT_OK;
}

static bt_status read_u64(cursor *c, const char *what, uint64_t *ret)
{
    BT_TRY(need(c, 8, what));
    memcpy(ret, c->bytes + c->at, 8);
    c->at += 8;
    return BT_OK;
}

static bt_status read_text(cursor *c, const char *what, uint64_t len_max, bt_name *ret)
{
    uint64_t len;
    BT_TRY(read_u64(c, what, &len));
    BT_FAIL_IF(len > len_max, FORMAT, "%s has a length of %llu bytes, at most %llu", what,
               (unsigned long long)len, (unsigned long long)len_max);
    BT_TRY(need(c, len, what));
    *ret = (bt_name){(const char *)c->bytes + c->at, (size_t)len};
    c->at += (size_t)len;
    return BT_OK;
}

/* Names and keys are printed in messages and compared as C strings. */
static bt_status check_name(bt_name name, const char *what, size_t number)
{
    BT_FAIL_IF(name.len == 0, FORMAT, "%s %zu has an empty name", what, number);
    for (size_t i = 0; i < name.len;) {
        size_t n = bt_utf8_valid_len(name.text + i, name.len - i);
        BT_FAIL_IF(n == 0 || (unsigned char)name.text[i] < 0x20, FORMAT,
                   "the name of %s %zu has the byte 0x%02x, which is no text", what, number,
                   (unsigned char)name.text[i]);
        i += n;
    }
    return BT_OK;
}

/* ---- keys and values ---- */

static bt_status read_type(cursor *c, bt_gguf_type *ret)
{
    uint32_t type;
    BT_TRY(read_u32(c, "a value's type", &type));
    BT_FAIL_IF(type >= BT_GGUF_TYPE_COUNT, FORMAT, "value type %u, at most %u", type,
               BT_GGUF_TYPE_COUNT - 1);
    *ret = (bt_gguf_type)type;
    return BT_OK;
}

static bt_status read_array_head(cursor *c, bt_gguf_type *ret_item, uint64_t *ret_n)
{
    BT_TRY(read_type(c, ret_item));
    BT_TRY(read_u64(c, "an array's length", ret_n));
    size_t least = types[*ret_item].bytes      ? types[*ret_item].bytes
                   : *ret_item == BT_GGUF_TEXT ? 8
                                               : 12;
    BT_FAIL_IF(*ret_n > left(c) / least, FORMAT,
               "an array claims %llu elements of %s, but only %zu bytes are left",
               (unsigned long long)*ret_n, types[*ret_item].name, left(c));
    return BT_OK;
}

/* Step over an array inside an array: we keep none, but must know where it ends. */
static bt_status skip_array(cursor *c, int depth)
{
    bt_gguf_type item;
    uint64_t n;
    BT_FAIL_IF(depth > ARRAY_DEPTH_MAX, FORMAT, "arrays are nested more than %d deep",
               ARRAY_DEPTH_MAX);
    BT_TRY(read_array_head(c, &item, &n));
    if (types[item].bytes) {
        c->at += (size_t)n * types[item].bytes;
        return BT_OK;
    }
    for (uint64_t i = 0; i < n; i++) {
        bt_name text;
        if (item == BT_GGUF_TEXT)
            BT_TRY(read_text(c, "an array's text", UINT64_MAX, &text));
        else
            BT_TRY(skip_array(c, depth + 1));
    }
    return BT_OK;
}

static bt_status read_bools(const bt_gguf_kv *kv)
{
    for (uint64_t i = 0; i < kv->n; i++)
        BT_FAIL_IF(kv->data[i] > 1, FORMAT, "a bool is %u, must be 0 or 1", kv->data[i]);
    return BT_OK;
}

static bt_status read_array(cursor *c, bt_arena *arena, bt_gguf_kv *kv)
{
    BT_TRY(read_array_head(c, &kv->item, &kv->n));
    kv->data = c->bytes + c->at;
    if (types[kv->item].bytes) {
        c->at += (size_t)kv->n * types[kv->item].bytes;
        return kv->item == BT_GGUF_BOOL ? read_bools(kv) : BT_OK;
    }
    bt_name *text = NULL;
    if (kv->item == BT_GGUF_TEXT)
        BT_TRY(bt_arena_array(arena, (size_t)kv->n, sizeof *text, (void **)&text));
    for (uint64_t i = 0; i < kv->n; i++) {
        if (text)
            BT_TRY(read_text(c, "an array's text", UINT64_MAX, &text[i]));
        else
            BT_TRY(skip_array(c, 2));
    }
    kv->text = text;
    return BT_OK;
}

static bt_status read_value(cursor *c, bt_arena *arena, bt_gguf_kv *kv)
{
    kv->raw = c->bytes + c->at;
    BT_TRY(read_type(c, &kv->type));
    kv->n = 1;
    kv->data = c->bytes + c->at;
    if (kv->type == BT_GGUF_ARRAY) {
        BT_TRY(read_array(c, arena, kv));
    } else if (kv->type == BT_GGUF_TEXT) {
        bt_name text;
        BT_TRY(read_text(c, "a text value", UINT64_MAX, &text));
        kv->data = (const uint8_t *)text.text;
        kv->n = text.len;
    } else {
        BT_TRY(need(c, types[kv->type].bytes, "a value"));
        c->at += types[kv->type].bytes;
        if (kv->type == BT_GGUF_BOOL) BT_TRY(read_bools(kv));
    }
    kv->n_raw = (size_t)(c->bytes + c->at - kv->raw);
    return BT_OK;
}

static bt_status read_kvs(cursor *c, bt_arena *arena, bt_gguf *g)
{
    BT_TRY(bt_arena_array(arena, g->n_kv, sizeof *g->kv, (void **)&g->kv));
    BT_TRY(bt_name_set_init(&g->key_set, g->n_kv, arena));
    for (size_t i = 0; i < g->n_kv; i++) {
        bt_gguf_kv *kv = &g->kv[i];
        BT_TRY(read_text(c, "a key", KEY_BYTES_MAX, &kv->key));
        BT_TRY(check_name(kv->key, "key", i));
        BT_FAIL_IF(!bt_name_set_add(&g->key_set, kv->key.text, kv->key.len), FORMAT,
                   "key '%.*s' appears twice", (int)kv->key.len, kv->key.text);
        bt_status st = read_value(c, arena, kv);
        if (st != BT_OK) {
            bt_fail_note("key '%.*s'", (int)kv->key.len, kv->key.text);
            return st;
        }
    }
    return BT_OK;
}

/* ---- tensors ---- */

static bt_status read_dims(cursor *c, bt_desc *desc)
{
    uint32_t n_dim;
    BT_TRY(read_u32(c, "the number of dimensions", &n_dim));
    BT_FAIL_IF(n_dim < 1 || n_dim > BT_DIM_MAX, FORMAT, "%u dimensions, must be 1 to %d", n_dim,
               BT_DIM_MAX);
    desc->n_dim = (int32_t)n_dim;
    for (uint32_t i = 0; i < n_dim; i++) {
        uint64_t dim;
        BT_TRY(read_u64(c, "a dimension", &dim));
        BT_FAIL_IF(dim < 1 || dim > INT64_MAX, FORMAT, "dimension %u is %llu, must be 1 to %lld", i,
                   (unsigned long long)dim, (long long)INT64_MAX);
        desc->dim[n_dim - 1 - i] = (int64_t)dim;
    }
    return BT_OK;
}

static bt_status size_foreign(const bt_desc *desc, const struct foreign *type, uint64_t *ret_bytes)
{
    bt_desc elements = *desc;
    int64_t last = desc->dim[desc->n_dim - 1];
    uint64_t n;
    BT_FAIL_IF(last % type->block, FORMAT,
               "rows of %lld elements, must be a multiple of %lld for %s", (long long)last,
               (long long)type->block, type->name);
    elements.dtype = BT_U8;
    BT_TRY(bt_desc_check_bytes(&elements, &n));
    BT_FAIL_IF(!bt_mul_fits(n / (uint64_t)type->block, (uint64_t)type->block_bytes, ret_bytes),
               FORMAT, "the number of bytes overflows");
    return BT_OK;
}

static bt_status read_tensor_body(cursor *c, bt_gguf_tensor *t)
{
    BT_TRY(read_dims(c, &t->desc));
    BT_TRY(read_u32(c, "the element type", &t->type));
    BT_TRY(read_u64(c, "the data offset", &t->offset));
    if (find_own(t->type, &t->desc.dtype)) return bt_desc_check_bytes(&t->desc, &t->n_bytes);
    const struct foreign *type = find_foreign(t->type);
    BT_FAIL_IF(!type, FORMAT, "element type %u is unknown", t->type);
    t->desc.dtype = BT_DTYPE_COUNT;
    return size_foreign(&t->desc, type, &t->n_bytes);
}

static bt_status read_tensors(cursor *c, bt_arena *arena, bt_gguf *g)
{
    BT_TRY(bt_arena_array(arena, g->n_tensor, sizeof *g->tensor, (void **)&g->tensor));
    BT_TRY(bt_name_set_init(&g->tensor_set, g->n_tensor, arena));
    for (size_t i = 0; i < g->n_tensor; i++) {
        bt_gguf_tensor *t = &g->tensor[i];
        bt_name name;
        BT_TRY(read_text(c, "a tensor's name", NAME_BYTES_MAX, &name));
        BT_TRY(check_name(name, "tensor", i));
        BT_TRY(bt_arena_text(arena, name.text, name.len, (char **)&t->name));
        BT_FAIL_IF(!bt_name_set_add(&g->tensor_set, t->name, name.len), FORMAT,
                   "tensor '%s' appears twice", t->name);
        bt_status st = read_tensor_body(c, t);
        if (st != BT_OK) {
            bt_fail_note("tensor '%s'", t->name);
            return st;
        }
    }
    return BT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const bt_gguf_tensor *x = *(bt_gguf_tensor *const *)a, *y = *(bt_gguf_tensor *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Turn offsets into file positions, each range inside the data, none over another. */
static bt_status place_tensors(bt_arena *arena, bt_gguf *g, uint64_t data_at)
{
    bt_gguf_tensor **order;
    uint64_t n_data = data_at < g->len ? g->len - data_at : 0;
    BT_TRY(bt_arena_array(arena, g->n_tensor, sizeof *order, (void **)&order));
    for (size_t i = 0; i < g->n_tensor; i++) {
        bt_gguf_tensor *t = order[i] = &g->tensor[i];
        BT_FAIL_IF(t->offset % g->alignment, FORMAT,
                   "tensor '%s' lies at offset %llu, must be a multiple of %u", t->name,
                   (unsigned long long)t->offset, g->alignment);
        BT_FAIL_IF(
            t->offset > n_data || t->n_bytes > n_data - t->offset, FORMAT,
            "tensor '%s' needs %llu bytes at offset %llu, but the file has %llu bytes of data",
            t->name, (unsigned long long)t->n_bytes, (unsigned long long)t->offset,
            (unsigned long long)n_data);
        t->offset += data_at;
    }
    if (g->n_tensor) qsort(order, g->n_tensor, sizeof *order, by_offset);
    for (size_t i = 1; i < g->n_tensor; i++)
        BT_FAIL_IF(order[i]->offset - order[i - 1]->offset < order[i - 1]->n_bytes, FORMAT,
                   "the data of tensors '%s' and '%s' overlap", order[i - 1]->name, order[i]->name);
    return BT_OK;
}

/* ---- the file ---- */

static bt_status read_head(cursor *c, bt_gguf *g)
{
    uint64_t n_tensor, n_kv;
    BT_TRY(need(c, 4, "the magic"));
    BT_FAIL_IF(memcmp(c->bytes, "GGUF", 4), FORMAT,
               "the file begins with %02x %02x %02x %02x, not with 'GGUF'", c->bytes[0],
               c->bytes[1], c->bytes[2], c->bytes[3]);
    c->at = 4;
    BT_TRY(read_u32(c, "the version", &g->version));
    BT_FAIL_IF(g->version == 2u << 24 || g->version == 3u << 24, UNSUPPORTED,
               "the file is big-endian; only little-endian GGUF can be read");
    BT_FAIL_IF(g->version == 1, UNSUPPORTED, "GGUF version 1, must be 2 or 3");
    BT_FAIL_IF(g->version < 2 || g->version > 3, FORMAT, "GGUF version %u, must be 2 or 3",
               g->version);
    BT_TRY(read_u64(c, "the number of tensors", &n_tensor));
    BT_TRY(read_u64(c, "the number of keys", &n_kv));
    BT_FAIL_IF(n_kv > N_KV_MAX, FORMAT, "the file claims %llu keys, at most %d",
               (unsigned long long)n_kv, N_KV_MAX);
    BT_FAIL_IF(n_tensor > N_TENSOR_MAX, FORMAT, "the file claims %llu tensors, at most %d",
               (unsigned long long)n_tensor, N_TENSOR_MAX);
    BT_FAIL_IF(n_kv > left(c) / KV_BYTES_MIN, FORMAT,
               "the file claims %llu keys, but only %zu bytes are left", (unsigned long long)n_kv,
               left(c));
    BT_FAIL_IF(n_tensor > left(c) / TENSOR_BYTES_MIN, FORMAT,
               "the file claims %llu tensors, but only %zu bytes are left",
               (unsigned long long)n_tensor, left(c));
    g->n_kv = (size_t)n_kv;
    g->n_tensor = (size_t)n_tensor;
    return BT_OK;
}

static bt_status read_alignment(bt_gguf *g)
{
    int64_t alignment = ALIGNMENT_DEFAULT;
    BT_TRY(bt_gguf_opt_i64(g, "general.alignment", 1, ALIGNMENT_MAX, &alignment));
    BT_FAIL_IF(!bt_is_pow2((uint64_t)alignment), FORMAT,
               "'general.alignment' is %lld, must be a power of two", (long long)alignment);
    g->alignment = (uint32_t)alignment;
    return BT_OK;
}

bt_status bt_gguf_parse(const uint8_t *bytes, size_t len, bt_arena *arena, bt_gguf *ret_gguf)
{
    bt_gguf g = {.bytes = bytes, .len = len};
    cursor c = {.bytes = bytes, .len = len};
    BT_TRY(read_head(&c, &g));
    BT_TRY(read_kvs(&c, arena, &g));
    BT_TRY(read_alignment(&g));
    BT_FAIL_IF(g.n_tensor > left(&c) / TENSOR_BYTES_MIN, FORMAT,
               "the file claims %zu tensors, but only %zu bytes are left", g.n_tensor, left(&c));
    BT_TRY(read_tensors(&c, arena, &g));
    BT_TRY(place_tensors(arena, &g, (uint64_t)bt_round_up((int64_t)c.at, g.alignment)));
    *ret_gguf = g;
    return BT_OK;
}
