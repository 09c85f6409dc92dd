// SPDX-License-Identifier: Apache-2.0
/* gguf: reading GGUF v2 and v3 from untrusted bytes.
 *
 *   "GGUF" | version u32 | n_tensor u64 | n_kv u64
 *   n_kv  x  key: text | type u32 | value            text: length u64, bytes
 *   n_tensor x  name: text | n_dim u32 | dim u64[n_dim], innermost first | type u32 | offset u64
 *   zeros up to a multiple of general.alignment (32) | data; tensor offsets count from here
 *
 * Parsing copies nothing: texts, arrays and data point into the bytes, which must outlive the
 * result. Every count is bounded by the bytes that are left before anything is allocated for it.
 * Tensor ranges lie inside the data and do not overlap. Source: github.com/ggerganov/ggml
 * docs/gguf.md.
 */
#pragma once
#include "model/file/names.h"
#include "tensor/dtype.h"

/* X(UPPER, name, bytes of a value or 0) in the order of the format's ids, from 0 */
#define BT_GGUF_TYPE_LIST(X)                                                                       \
    X(U8, u8, 1)                                                                                   \
    X(I8, i8, 1)                                                                                   \
    X(U16, u16, 2)                                                                                 \
    X(I16, i16, 2)                                                                                 \
    X(U32, u32, 4)                                                                                 \
    X(I32, i32, 4)                                                                                 \
    X(F32, f32, 4)                                                                                 \
    X(BOOL, bool, 1)                                                                               \
    X(TEXT, text, 0)                                                                               \
    X(ARRAY, array, 0)                                                                             \
    X(U64, u64, 8)                                                                                 \
    X(I64, i64, 8)                                                                                 \
    X(F64, f64, 8)

typedef enum bt_gguf_type {
#define BT_GGUF_ENUM(upper, lower, bytes) BT_GGUF_##upper,
    BT_GGUF_TYPE_LIST(BT_GGUF_ENUM)
#undef BT_GGUF_ENUM
        BT_GGUF_TYPE_COUNT
} bt_gguf_type;
const char *bt_gguf_type_name(bt_gguf_type type);

/* A value; for an array, `item` is its elements' type and `text` those of an array of texts. */
typedef struct bt_gguf_kv {
    bt_name key;
    bt_gguf_type type;
    bt_gguf_type item;   // ARRAY only
    uint64_t n;          // ARRAY: elements; TEXT: bytes; otherwise 1
    const uint8_t *data; // the value's first byte, any alignment; of an array, the first element's
    const bt_name *text; // [n], array of TEXT only
    const uint8_t *raw;  // the encoded value, type word included: what a copy writes
    size_t n_raw;
} bt_gguf_kv;

typedef struct bt_gguf_tensor {
    const char *name; // NUL-terminated, in the arena
    bt_desc desc;     // dtype BT_DTYPE_COUNT when it is a GGUF type but none of ours
    uint32_t type;    // GGUF's id
    uint64_t offset;  // from the first byte of the file
    uint64_t n_bytes;
} bt_gguf_tensor;

typedef struct bt_gguf {
    const uint8_t *bytes;
    size_t len;
    uint32_t version;   // 2 or 3
    uint32_t alignment; // a power of two
    size_t n_kv, n_tensor;
    bt_gguf_kv *kv;         // [n_kv] in file order
    bt_gguf_tensor *tensor; // [n_tensor] in file order
    bt_name_set key_set, tensor_set;
} bt_gguf;

/* Parse a whole file. All memory comes from `arena`. FORMAT names what, where, found and allowed.
 */
BT_CHECKED bt_status bt_gguf_parse(const uint8_t *bytes, size_t len, bt_arena *arena,
                                   bt_gguf *ret_gguf);

/* The name of a GGUF tensor type ("iq2_xxs"), NULL when there is no such type. */
const char *bt_gguf_tensor_type_name(uint32_t type);

const bt_gguf_kv *bt_gguf_find(const bt_gguf *gguf, const char *key);

/* Element i of an integer array (or the value itself, i = 0) of any integer type or bool. */
int64_t bt_gguf_i64_at(const bt_gguf_kv *kv, uint64_t i);
double bt_gguf_f64_at(const bt_gguf_kv *kv, uint64_t i); // of f32 and f64
bool bt_gguf_is_integer(bt_gguf_type type);              // bool is not
bool bt_gguf_is_real(bt_gguf_type type);

/* The value of a key, checked for type and range; FORMAT names key, found and allowed. `get` wants
 * the key to be there; `opt` leaves *ret_value alone when it is not. */
BT_CHECKED bt_status bt_gguf_get_i64(const bt_gguf *gguf, const char *key, int64_t lo, int64_t hi,
                                     int64_t *ret_value);
BT_CHECKED bt_status bt_gguf_opt_i64(const bt_gguf *gguf, const char *key, int64_t lo, int64_t hi,
                                     int64_t *ret_value);
BT_CHECKED bt_status bt_gguf_get_f64(const bt_gguf *gguf, const char *key, double lo, double hi,
                                     double *ret_value);
BT_CHECKED bt_status bt_gguf_opt_f64(const bt_gguf *gguf, const char *key, double lo, double hi,
                                     double *ret_value);
BT_CHECKED bt_status bt_gguf_opt_bool(const bt_gguf *gguf, const char *key, bool *ret_value);
BT_CHECKED bt_status bt_gguf_opt_text(const bt_gguf *gguf, const char *key, bt_name *ret_text);

/* An array with elements of `item`; NULL into *ret_kv when the key is absent. I32 takes any
 * integers. */
BT_CHECKED bt_status bt_gguf_opt_array(const bt_gguf *gguf, const char *key, bt_gguf_type item,
                                       const bt_gguf_kv **ret_kv);
