// SPDX-License-Identifier: Apache-2.0
/* gguf: files built byte by byte, each with one thing wrong, and round trips through the writer. */
#include "base/bits.h"
#include "model/file/gguf.h"
#include "model/file/gguf_write.h"
#include "support/support.h"
#include <stdlib.h>
#include <string.h>

/* ---- a file to order ---- */

typedef struct blob {
    uint8_t bytes[1 << 17];
    size_t len;
} blob;

static void add(blob *b, const void *bytes, size_t n)
{
    assert_true(b->len + n <= sizeof b->bytes);
    memcpy(b->bytes + b->len, bytes, n);
    b->len += n;
}

static void add_u32(blob *b, uint32_t x) { add(b, &x, 4); }
static void add_u64(blob *b, uint64_t x) { add(b, &x, 8); }

static void add_text(blob *b, const char *text)
{
    add_u64(b, strlen(text));
    add(b, text, strlen(text));
}

static void add_zeros(blob *b, size_t n)
{
    assert_true(b->len + n <= sizeof b->bytes);
    memset(b->bytes + b->len, 0, n);
    b->len += n;
}

/* The head of a version 3 file. */
static void add_head(blob *b, uint64_t n_tensor, uint64_t n_kv)
{
    add(b, "GGUF", 4);
    add_u32(b, 3);
    add_u64(b, n_tensor);
    add_u64(b, n_kv);
}

/* What a tensor's entry says; the defaults make a valid f32 [2, 8] at offset 0. */
typedef struct entry {
    const char *name;
    uint32_t n_dim;
    uint64_t dim[5];
    uint32_t type;
    uint64_t offset;
} entry;

static entry plain(const char *name, uint64_t offset)
{
    return (entry){.name = name, .n_dim = 2, .dim = {8, 2}, .type = 0, .offset = offset};
}

static void add_entry(blob *b, entry e)
{
    add_text(b, e.name);
    add_u32(b, e.n_dim);
    for (uint32_t i = 0; i < e.n_dim && i < 5; i++) add_u64(b, e.dim[i]);
    add_u32(b, e.type);
    add_u64(b, e.offset);
}

static void add_data(blob *b, size_t n)
{
    add_zeros(b, (32 - b->len % 32) % 32);
    add_zeros(b, n);
}

/* One tensor and 64 bytes of data, enough for the plain entry. */
static void one(blob *b, entry e)
{
    add_head(b, 1, 0);
    add_entry(b, e);
    add_data(b, 64);
}

/* One key; the caller writes its value. */
static void key(blob *b, const char *name, uint32_t type)
{
    add_head(b, 0, 1);
    add_text(b, name);
    add_u32(b, type);
}

/* ---- one thing wrong each ---- */

static void empty(blob *b) { (void)b; }
static void magic(blob *b) { add(b, "GGML\3\0\0\0", 8); }
static void version_of(blob *b, uint32_t v)
{
    add(b, "GGUF", 4);
    add_u32(b, v);
    add_zeros(b, 16);
}
static void version_0(blob *b) { version_of(b, 0); }
static void version_1(blob *b) { version_of(b, 1); }
static void version_4(blob *b) { version_of(b, 4); }
static void big_endian(blob *b) { version_of(b, 3u << 24); }
static void short_head(blob *b)
{
    add_head(b, 0, 0);
    b->len -= 3;
}
static void many_keys(blob *b) { add_head(b, 0, 1ull << 60); }
static void many_tensors(blob *b) { add_head(b, 1ull << 60, 0); }
static void keys_past_end(blob *b)
{
    add_head(b, 0, 100);
    add_zeros(b, 1000);
}
static void tensors_past_end(blob *b)
{
    add_head(b, 100, 0);
    add_zeros(b, 1000);
}
static void tensors_after_keys(blob *b)
{
    add_head(b, 8, 1);
    add_text(b, "k");
    add_u32(b, BT_GGUF_TEXT);
    add_u64(b, 400);
    add_zeros(b, 400);
}
static void key_length(blob *b)
{
    add_head(b, 0, 1);
    add_u64(b, UINT64_MAX);
    add_zeros(b, 64);
}
static void key_past_end(blob *b)
{
    add_head(b, 0, 1);
    add_u64(b, 1000);
    add_zeros(b, 64);
}
static void key_empty(blob *b) { key(b, "", BT_GGUF_U8), add_zeros(b, 8); }
static void key_no_text(blob *b) { key(b, "a\xff", BT_GGUF_U8), add_zeros(b, 8); }
static void key_control(blob *b) { key(b, "a\nb", BT_GGUF_U8), add_zeros(b, 8); }
static void key_twice(blob *b)
{
    add_head(b, 0, 2);
    for (int i = 0; i < 2; i++) {
        add_text(b, "same");
        add_u32(b, BT_GGUF_U32);
        add_u32(b, 1);
    }
}
static void value_type(blob *b) { key(b, "k", 13), add_zeros(b, 8); }
static void value_short(blob *b) { key(b, "k", BT_GGUF_U64), add_zeros(b, 4); }
static void text_length(blob *b) { key(b, "k", BT_GGUF_TEXT), add_u64(b, 1ull << 62); }
static void bool_two(blob *b) { key(b, "k", BT_GGUF_BOOL), add(b, "\2", 1); }
static void array_of(blob *b, uint32_t item, uint64_t n)
{
    key(b, "k", BT_GGUF_ARRAY);
    add_u32(b, item);
    add_u64(b, n);
    add_zeros(b, 32);
}
static void array_count(blob *b) { array_of(b, BT_GGUF_U64, 1ull << 61); }
static void array_texts(blob *b) { array_of(b, BT_GGUF_TEXT, 5); }
static void array_arrays(blob *b) { array_of(b, BT_GGUF_ARRAY, 1ull << 50); }
static void array_type(blob *b) { array_of(b, 99, 1); }
static void array_bool(blob *b)
{
    key(b, "k", BT_GGUF_ARRAY);
    add_u32(b, BT_GGUF_BOOL);
    add_u64(b, 3);
    add(b, "\0\1\7", 3);
}
static void array_deep(blob *b)
{
    key(b, "k", BT_GGUF_ARRAY);
    for (int i = 0; i < 6; i++) {
        add_u32(b, BT_GGUF_ARRAY);
        add_u64(b, 1);
    }
    add_zeros(b, 64);
}
static void array_text_length(blob *b)
{
    key(b, "k", BT_GGUF_ARRAY);
    add_u32(b, BT_GGUF_TEXT);
    add_u64(b, 1);
    add_u64(b, 1ull << 40);
}
static void alignment_of(blob *b, uint32_t type, uint64_t value)
{
    key(b, "general.alignment", type);
    add_u64(b, value);
}
static void alignment_zero(blob *b) { alignment_of(b, BT_GGUF_U32, 0); }
static void alignment_odd(blob *b) { alignment_of(b, BT_GGUF_U32, 24); }
static void alignment_huge(blob *b) { alignment_of(b, BT_GGUF_U64, 1ull << 40); }
static void alignment_type(blob *b) { alignment_of(b, BT_GGUF_F64, 32); }
static void name_long(blob *b)
{
    char name[200];
    memset(name, 'a', sizeof name);
    name[199] = 0;
    one(b, plain(name, 0));
}
static void name_empty(blob *b) { one(b, plain("", 0)); }
static void tensor_twice(blob *b)
{
    add_head(b, 2, 0);
    add_entry(b, plain("a", 0));
    add_entry(b, plain("a", 64));
    add_data(b, 128);
}
static void dims_none(blob *b) { one(b, (entry){.name = "a", .n_dim = 0}); }
static void dims_nine(blob *b) { one(b, (entry){.name = "a", .n_dim = 9}); }
static void dim_zero(blob *b) { one(b, (entry){.name = "a", .n_dim = 2, .dim = {8, 0}}); }
static void dim_negative(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 2, .dim = {8, 1ull << 63}});
}
static void dims_overflow(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 3, .dim = {1ull << 32, 1ull << 32, 4}});
}
static void bytes_overflow(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 2, .dim = {1ull << 31, 1ull << 31}});
}
static void foreign_overflow(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 3, .dim = {1ull << 32, 1ull << 32, 4}, .type = 16});
}
static void type_unknown(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 1, .dim = {8}, .type = 77});
}
static void type_removed(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 1, .dim = {8}, .type = 4});
}
static void row_ragged(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 2, .dim = {33, 2}, .type = 8});
}
static void row_ragged_foreign(blob *b)
{
    one(b, (entry){.name = "a", .n_dim = 2, .dim = {32, 2}, .type = 16});
}
static void offset_ragged(blob *b) { one(b, plain("a", 8)); }
static void offset_past_end(blob *b) { one(b, plain("a", 1 << 20)); }
static void offset_wraps(blob *b) { one(b, plain("a", UINT64_MAX - 31)); }
static void data_short(blob *b)
{
    one(b, plain("a", 0));
    b->len -= 1;
}
static void data_none(blob *b)
{
    add_head(b, 1, 0);
    add_entry(b, plain("a", 0));
}
static void overlap(blob *b)
{
    add_head(b, 2, 0);
    add_entry(b, plain("a", 32));
    add_entry(b, plain("b", 0));
    add_data(b, 128);
}
static void entry_short(blob *b)
{
    add_head(b, 1, 0);
    add_text(b, "a");
    add_u32(b, 4);
    for (int i = 0; i < 3; i++) add_u64(b, 2);
    add_zeros(b, 6);
}

static const struct malformed {
    void (*build)(blob *b);
    bt_status status;
    const char *message;
} malformed[] = {
    {empty, BT_FORMAT, "the magic needs 4 bytes"},
    {magic, BT_FORMAT, "begins with 47 47 4d 4c, not with 'GGUF'"},
    {version_0, BT_FORMAT, "version 0, must be 2 or 3"},
    {version_1, BT_UNSUPPORTED, "version 1, must be 2 or 3"},
    {version_4, BT_FORMAT, "version 4, must be 2 or 3"},
    {big_endian, BT_UNSUPPORTED, "big-endian"},
    {short_head, BT_FORMAT, "the number of keys needs 8 bytes"},
    {many_keys, BT_FORMAT, "claims 1152921504606846976 keys, at most"},
    {many_tensors, BT_FORMAT, "claims 1152921504606846976 tensors, at most"},
    {keys_past_end, BT_FORMAT, "claims 100 keys, but only 1000 bytes"},
    {tensors_past_end, BT_FORMAT, "claims 100 tensors, but only 1000 bytes"},
    {tensors_after_keys, BT_FORMAT, "claims 8 tensors, but only 0 bytes"},
    {key_length, BT_FORMAT, "a key has a length of 18446744073709551615 bytes"},
    {key_past_end, BT_FORMAT, "a key needs 1000 bytes at byte 32, but only 64"},
    {key_empty, BT_FORMAT, "key 0 has an empty name"},
    {key_no_text, BT_FORMAT, "the name of key 0 has the byte 0xff"},
    {key_control, BT_FORMAT, "the name of key 0 has the byte 0x0a"},
    {key_twice, BT_FORMAT, "key 'same' appears twice"},
    {value_type, BT_FORMAT, "key 'k': value type 13, at most 12"},
    {value_short, BT_FORMAT, "key 'k': a value needs 8 bytes"},
    {text_length, BT_FORMAT, "key 'k': a text value needs 4611686018427387904 bytes"},
    {bool_two, BT_FORMAT, "key 'k': a bool is 2"},
    {array_count, BT_FORMAT, "key 'k': an array claims 2305843009213693952 elements of u64"},
    {array_texts, BT_FORMAT, "key 'k': an array claims 5 elements of text"},
    {array_arrays, BT_FORMAT, "key 'k': an array claims 1125899906842624 elements of array"},
    {array_type, BT_FORMAT, "key 'k': value type 99"},
    {array_bool, BT_FORMAT, "key 'k': a bool is 7"},
    {array_deep, BT_FORMAT, "key 'k': arrays are nested more than 4 deep"},
    {array_text_length, BT_FORMAT, "key 'k': an array's text needs 1099511627776 bytes"},
    {alignment_zero, BT_FORMAT, "'general.alignment' is 0, must be from 1"},
    {alignment_odd, BT_FORMAT, "'general.alignment' is 24, must be a power of two"},
    {alignment_huge, BT_FORMAT, "'general.alignment' is 1099511627776"},
    {alignment_type, BT_FORMAT, "'general.alignment' is f64, must be an integer"},
    {name_long, BT_FORMAT, "a tensor's name has a length of 199 bytes, at most 127"},
    {name_empty, BT_FORMAT, "tensor 0 has an empty name"},
    {tensor_twice, BT_FORMAT, "tensor 'a' appears twice"},
    {dims_none, BT_FORMAT, "tensor 'a': 0 dimensions, must be 1 to 4"},
    {dims_nine, BT_FORMAT, "tensor 'a': 9 dimensions, must be 1 to 4"},
    {dim_zero, BT_FORMAT, "tensor 'a': dimension 1 is 0"},
    {dim_negative, BT_FORMAT, "tensor 'a': dimension 1 is 9223372036854775808"},
    {dims_overflow, BT_FORMAT, "tensor 'a': the number of elements overflows"},
    {bytes_overflow, BT_FORMAT, "tensor 'a': the number of bytes overflows"},
    {foreign_overflow, BT_FORMAT, "tensor 'a': the number of elements overflows"},
    {type_unknown, BT_FORMAT, "tensor 'a': element type 77 is unknown"},
    {type_removed, BT_FORMAT, "tensor 'a': element type 4 is unknown"},
    {row_ragged, BT_FORMAT, "tensor 'a': rows of 33 elements, must be a multiple of 32 for q8_0"},
    {row_ragged_foreign, BT_FORMAT,
     "tensor 'a': rows of 32 elements, must be a multiple of 256 for iq2_xxs"},
    {offset_ragged, BT_FORMAT, "tensor 'a' lies at offset 8, must be a multiple of 32"},
    {offset_past_end, BT_FORMAT,
     "tensor 'a' needs 64 bytes at offset 1048576, but the file has 64"},
    {offset_wraps, BT_FORMAT, "tensor 'a' needs 64 bytes at offset 18446744073709551584"},
    {data_short, BT_FORMAT, "tensor 'a' needs 64 bytes at offset 0, but the file has 63"},
    {data_none, BT_FORMAT, "tensor 'a' needs 64 bytes at offset 0, but the file has 0"},
    {overlap, BT_FORMAT, "the data of tensors 'b' and 'a' overlap"},
    {entry_short, BT_FORMAT, "a dimension needs 8 bytes"},
};

/* Parse an exact copy, so that the sanitizer sees one byte too far. */
static bt_status parse(const blob *b, size_t len, bt_gguf *g, bt_arena *arena)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, b->bytes, len);
    bt_status st = bt_gguf_parse(copy, len, arena, g);
    free(copy);
    return st;
}

static void every_malformed_file_is_refused_with_its_own_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < BT_COUNT_OF(malformed); i++) {
        static blob b;
        bt_gguf g;
        bt_arena arena;
        b.len = 0;
        malformed[i].build(&b);
        bt_arena_init(&arena, BT_MEM_MODEL);
        assert_fails(parse(&b, b.len, &g, &arena), malformed[i].status, malformed[i].message);
        bt_arena_done(&arena);
    }
}

static void a_header_cannot_make_us_allocate_much(void **state)
{
    (void)state;
    static void (*const claims[])(blob *) = {many_keys, many_tensors, array_count, array_arrays,
                                             keys_past_end};
    for (size_t i = 0; i < BT_COUNT_OF(claims); i++) {
        static blob b;
        bt_gguf g;
        bt_arena arena;
        b.len = 0;
        claims[i](&b);
        bt_arena_init(&arena, BT_MEM_MODEL);
        assert_int_not_equal(parse(&b, b.len, &g, &arena), BT_OK);
        assert_true(bt_mem_live(BT_MEM_MODEL) < 1 << 20);
        bt_arena_done(&arena);
    }
}

/* ---- files that are right ---- */

static void fill_out(bt_gguf_out *out)
{
    static const bt_name texts[] = {{"one", 3}, {"", 0}, {"t\0o", 3}};
    static const int32_t numbers[] = {7, -8, 9};
    assert_ok(bt_gguf_put_u32(out, "a.u32", 4000000000u));
    assert_ok(bt_gguf_put_f32(out, "a.f32", 1.5f));
    assert_ok(bt_gguf_put_bool(out, "a.bool", true));
    assert_ok(bt_gguf_put_text(out, "a.text", "hello", 5));
    assert_ok(bt_gguf_put_texts(out, "a.texts", texts, 3));
    assert_ok(bt_gguf_put_array(out, "a.numbers", BT_GGUF_I32, numbers, 3));
    bt_desc d1 = bt_desc_1d(BT_F32, 3), d2 = bt_desc_2d(BT_Q4_K, 5, 512),
            d4 = bt_desc_4d(BT_F16, 2, 3, 4, 5);
    uint64_t offset;
    assert_ok(bt_gguf_put_tensor(out, "t1", &d1, &offset));
    assert_int_equal(offset, 0);
    assert_ok(bt_gguf_put_tensor(out, "t2", &d2, &offset));
    assert_int_equal(offset, 32);
    assert_ok(bt_gguf_put_tensor(out, "t4", &d4, &offset));
    assert_int_equal(offset, 32 + 5 * 288);
}

static void build(bt_buf *file)
{
    bt_gguf_out out = {0};
    fill_out(&out);
    assert_ok(bt_gguf_out_head(&out, file));
    assert_int_equal(file->len % 32, 0);
    for (uint64_t i = 0; i < out.n_data; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_ok(bt_buf_add(file, &byte, 1));
    }
    bt_gguf_out_done(&out);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    bt_buf file = {0};
    bt_arena arena;
    bt_gguf g;
    int64_t i = 0;
    double f = 0;
    bool b = false;
    bt_name text = {0};
    const bt_gguf_kv *kv;
    build(&file);
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse((uint8_t *)file.data, file.len, &arena, &g));
    assert_int_equal(g.version, 3);
    assert_int_equal(g.n_kv, 6);
    assert_ok(bt_gguf_get_i64(&g, "a.u32", 0, UINT32_MAX, &i));
    assert_int_equal(i, 4000000000u);
    assert_ok(bt_gguf_get_f64(&g, "a.f32", 0, 2, &f));
    assert_true(f == 1.5);
    assert_ok(bt_gguf_opt_bool(&g, "a.bool", &b));
    assert_true(b);
    assert_ok(bt_gguf_opt_text(&g, "a.text", &text));
    assert_int_equal(text.len, 5);
    assert_memory_equal(text.text, "hello", 5);
    assert_ok(bt_gguf_opt_array(&g, "a.texts", BT_GGUF_TEXT, &kv));
    assert_int_equal(kv->n, 3);
    assert_memory_equal(kv->text[2].text, "t\0o", 3);
    assert_ok(bt_gguf_opt_array(&g, "a.numbers", BT_GGUF_I32, &kv));
    assert_int_equal(bt_gguf_i64_at(kv, 1), -8);
    assert_int_equal(g.n_tensor, 3);
    bt_desc d4 = bt_desc_4d(BT_F16, 2, 3, 4, 5);
    assert_true(bt_desc_equal(&g.tensor[2].desc, &d4));
    assert_int_equal(g.tensor[1].n_bytes, 5 * 288);
    assert_int_equal(g.bytes[g.tensor[1].offset], (uint8_t)(32 * 7));
    bt_arena_done(&arena);
    bt_buf_done(&file);
}

static void getters_name_the_key_the_value_and_the_range(void **state)
{
    (void)state;
    bt_buf file = {0};
    bt_arena arena;
    bt_gguf g;
    int64_t i = 5;
    double f = 5;
    bool b;
    bt_name text;
    const bt_gguf_kv *kv;
    build(&file);
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse((uint8_t *)file.data, file.len, &arena, &g));
    assert_fails(bt_gguf_get_i64(&g, "a.none", 0, 9, &i), BT_FORMAT, "key 'a.none' is missing");
    assert_fails(bt_gguf_get_i64(&g, "a.u32", 0, 9, &i), BT_FORMAT,
                 "key 'a.u32' is 4000000000, must be from 0 to 9");
    assert_fails(bt_gguf_get_i64(&g, "a.f32", 0, 9, &i), BT_FORMAT,
                 "key 'a.f32' is f32, must be an integer");
    assert_fails(bt_gguf_opt_f64(&g, "a.text", 0, 9, &f), BT_FORMAT,
                 "key 'a.text' is text, must be a number");
    assert_fails(bt_gguf_opt_f64(&g, "a.f32", 0, 1, &f), BT_FORMAT,
                 "key 'a.f32' is 1.5, must be from 0 to 1");
    assert_fails(bt_gguf_opt_bool(&g, "a.u32", &b), BT_FORMAT,
                 "key 'a.u32' is u32, must be a bool");
    assert_fails(bt_gguf_opt_text(&g, "a.numbers", &text), BT_FORMAT,
                 "is array of i32, must be a text");
    assert_fails(bt_gguf_opt_array(&g, "a.numbers", BT_GGUF_TEXT, &kv), BT_FORMAT,
                 "must be an array of text");
    assert_ok(bt_gguf_opt_i64(&g, "a.none", 0, 9, &i));
    assert_int_equal(i, 5);
    bt_arena_done(&arena);
    bt_buf_done(&file);
}

static void every_prefix_of_a_file_is_refused(void **state)
{
    (void)state;
    bt_buf file = {0};
    build(&file);
    for (size_t len = 0; len < file.len - 16; len++) { // the last tensor's padding may be missing
        uint8_t *copy = malloc(len ? len : 1);
        bt_arena arena;
        bt_gguf g;
        memcpy(copy, file.data, len);
        bt_arena_init(&arena, BT_MEM_MODEL);
        assert_int_equal(bt_gguf_parse(copy, len, &arena, &g), BT_FORMAT);
        bt_arena_done(&arena);
        free(copy);
    }
    bt_buf_done(&file);
}

static void version_2_and_other_alignments_are_read(void **state)
{
    (void)state;
    static blob b;
    bt_arena arena;
    bt_gguf g;
    add(&b, "GGUF", 4);
    add_u32(&b, 2);
    add_u64(&b, 2);
    add_u64(&b, 1);
    add_text(&b, "general.alignment");
    add_u32(&b, BT_GGUF_U32);
    add_u32(&b, 64);
    add_entry(&b, plain("a", 0));
    add_entry(&b, (entry){.name = "b", .n_dim = 1, .dim = {256}, .type = 16, .offset = 64});
    add_zeros(&b, (64 - b.len % 64) % 64 + 64 + 66);
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse(b.bytes, b.len, &arena, &g));
    assert_int_equal(g.version, 2);
    assert_int_equal(g.tensor[0].offset % 64, 0);
    assert_int_equal(g.tensor[1].desc.dtype,
                     BT_DTYPE_COUNT); // listed, though we cannot compute with it
    assert_string_equal(bt_gguf_tensor_type_name(g.tensor[1].type), "iq2_xxs");
    assert_int_equal(g.tensor[1].n_bytes, 66);
    bt_arena_done(&arena);
}

static void nested_arrays_are_stepped_over(void **state)
{
    (void)state;
    static blob b;
    bt_arena arena;
    bt_gguf g;
    int64_t x = 0;
    add_head(&b, 0, 2);
    add_text(&b, "nested");
    add_u32(&b, BT_GGUF_ARRAY);
    add_u32(&b, BT_GGUF_ARRAY);
    add_u64(&b, 2);
    add_u32(&b, BT_GGUF_TEXT);
    add_u64(&b, 2);
    add_text(&b, "x");
    add_text(&b, "yy");
    add_u32(&b, BT_GGUF_U16);
    add_u64(&b, 3);
    add_zeros(&b, 6);
    add_text(&b, "after");
    add_u32(&b, BT_GGUF_U8);
    add(&b, "\x2a", 1);
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_gguf_parse(b.bytes, b.len, &arena, &g));
    assert_ok(bt_gguf_get_i64(&g, "after", 0, 255, &x));
    assert_int_equal(x, 42);
    bt_arena_done(&arena);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    bt_buf file = {0};
    build(&file);
    for (uint64_t n = 1;; n++) {
        bt_arena arena;
        bt_gguf g;
        bt_arena_init(&arena, BT_MEM_MODEL);
        bt_mem_fail_nth(n);
        bt_status st = bt_gguf_parse((uint8_t *)file.data, file.len, &arena, &g);
        bt_mem_fail_nth(0);
        bt_arena_done(&arena);
        if (st == BT_OK) break;
        assert_int_equal(st, BT_NOMEM);
    }
    assert_int_equal(bt_mem_live(BT_MEM_MODEL), 0);
    bt_buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_file_is_refused_with_its_own_message),
        cmocka_unit_test(a_header_cannot_make_us_allocate_much),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(getters_name_the_key_the_value_and_the_range),
        cmocka_unit_test(every_prefix_of_a_file_is_refused),
        cmocka_unit_test(version_2_and_other_alignments_are_read),
        cmocka_unit_test(nested_arrays_are_stepped_over),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
