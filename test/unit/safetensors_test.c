// SPDX-License-Identifier: Apache-2.0
/* safetensors: headers with one thing wrong each, and files that are right. */
#include "base/bits.h"
#include "model/file/safetensors.h"
#include "support/support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of this header and n_data zero bytes, in an exact allocation; *ret_len is its length. */
static uint8_t *make(const char *header, size_t n_data, size_t *ret_len)
{
    uint64_t n = strlen(header);
    uint8_t *bytes = calloc(8 + n + n_data, 1);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, n);
    *ret_len = 8 + n + n_data;
    return bytes;
}

static bt_status parse(const char *header, size_t n_data)
{
    size_t len;
    uint8_t *bytes = make(header, n_data, &len);
    bt_arena arena;
    bt_safetensors s;
    bt_arena_init(&arena, BT_MEM_MODEL);
    bt_status st = bt_safetensors_parse(bytes, len, &arena, &s);
    bt_arena_done(&arena);
    free(bytes);
    return st;
}

#define A(fields) "{\"a\":{" fields "}}"
#define F32_2X2   "\"dtype\":\"F32\",\"shape\":[2,2]"

static const struct malformed {
    const char *header;
    size_t n_data;
    const char *message;
} malformed[] = {
    {"", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{", 0, "the header: JSON line 1"},
    {"{}{}", 0, "the header: JSON line 1"},
    {"{\"a\":{},\"a\":{}}", 0, "duplicate object key"},
    {"{\"\xff\":{}}", 0, "the header: JSON line 1"},
    {"{\"a\":7}", 0, "tensor 'a': its entry must be an object"},
    {"{\"\":{}}", 0, "a tensor's name has 0 bytes"},
    {A(""), 0, "tensor 'a': 'dtype' is missing"},
    {A("\"dtype\":4"), 0, "tensor 'a': 'dtype' is an integer, must be a string"},
    {A("\"dtype\":\"F31\""), 0, "tensor 'a': 'dtype' is 'F31', which is no safetensors type"},
    {A("\"dtype\":\"F32\""), 0, "tensor 'a': 'shape' is missing"},
    {A("\"dtype\":\"F32\",\"shape\":4"), 0, "'shape' is an integer, must be an array"},
    {A("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1]"), 0, "'shape' has 5 dimensions, at most 4"},
    {A("\"dtype\":\"F32\",\"shape\":[0]"), 0, "dimension 0 of 'shape' is not a positive integer"},
    {A("\"dtype\":\"F32\",\"shape\":[2,-2]"), 0,
     "dimension 1 of 'shape' is not a positive integer"},
    {A("\"dtype\":\"F32\",\"shape\":[2.0]"), 0, "dimension 0 of 'shape' is not a positive integer"},
    {A("\"dtype\":\"F32\",\"shape\":[9223372036854775807,4]"), 0, "the number of bytes overflows"},
    {A("\"dtype\":\"F32\",\"shape\":[99999999999999999999]"), 0, "too big integer"},
    {A(F32_2X2), 16, "'data_offsets' is missing"},
    {A(F32_2X2 ",\"data_offsets\":[0]"), 16, "'data_offsets' must be two integers"},
    {A(F32_2X2 ",\"data_offsets\":[0,16,32]"), 16, "'data_offsets' must be two integers"},
    {A(F32_2X2 ",\"data_offsets\":[0,\"16\"]"), 16, "'data_offsets' must be two integers"},
    {A(F32_2X2 ",\"data_offsets\":[-16,0]"), 16,
     "'data_offsets' are -16 to 0, must lie in order within the 16 bytes"},
    {A(F32_2X2 ",\"data_offsets\":[16,0]"), 16, "'data_offsets' are 16 to 0"},
    {A(F32_2X2 ",\"data_offsets\":[0,16]"), 15,
     "'data_offsets' are 0 to 16, must lie in order within the 15 bytes"},
    {A(F32_2X2 ",\"data_offsets\":[16,32]"), 16, "'data_offsets' are 16 to 32"},
    {A(F32_2X2 ",\"data_offsets\":[0,12]"), 16,
     "'data_offsets' span 12 bytes, but shape and type make 16"},
    {A(F32_2X2 ",\"data_offsets\":[0,16]"), 20, "4 bytes at the end belong to no tensor"},
    {A(F32_2X2 ",\"data_offsets\":[4,20]"), 20, "a gap of 4 bytes before the data of tensor 'a'"},
    {"{\"a\":{" F32_2X2 ",\"data_offsets\":[0,16]},\"b\":{" F32_2X2 ",\"data_offsets\":[8,24]}}",
     24, "the data of tensor 'b' overlaps that of tensor 'a'"},
    {"{\"a\":{" F32_2X2 ",\"data_offsets\":[0,16]},\"b\":{" F32_2X2 ",\"data_offsets\":[0,16]}}",
     16, "overlaps"},
    {"{\"a\":{" F32_2X2 ",\"data_offsets\":[0,16]},\"b\":{" F32_2X2 ",\"data_offsets\":[20,36]}}",
     36, "a gap of 4 bytes before the data of tensor 'b'"},
    {"{\"__metadata__\":[]}", 0, "'__metadata__' must be an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "'__metadata__' has the key 'a', which is no string"},
};

static void every_malformed_header_is_refused_with_its_own_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < BT_COUNT_OF(malformed); i++)
        assert_fails(parse(malformed[i].header, malformed[i].n_data), BT_FORMAT,
                     malformed[i].message);
}

static void header_lengths_beyond_the_file_or_the_limit_are_refused(void **state)
{
    (void)state;
    static uint8_t big[BT_SAFETENSORS_HEADER_MAX + 100];
    uint64_t n = UINT64_MAX;
    bt_arena arena;
    bt_safetensors s;
    bt_arena_init(&arena, BT_MEM_MODEL);
    memcpy(big, &n, 8);
    assert_fails(bt_safetensors_parse(big, 7, &arena, &s), BT_FORMAT, "the file has 7 bytes");
    assert_fails(bt_safetensors_parse(big, 20, &arena, &s), BT_FORMAT,
                 "claims 18446744073709551615 bytes, but only 12");
    n = BT_SAFETENSORS_HEADER_MAX + 1;
    memcpy(big, &n, 8);
    assert_fails(bt_safetensors_parse(big, sizeof big, &arena, &s), BT_LIMIT, "at most 33554432");
    bt_arena_done(&arena);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    static char deep[200002];
    memset(deep, '[', 200000);
    memcpy(deep, "{\"a\":", 5);
    assert_fails(parse(deep, 0), BT_FORMAT, "maximum parsing depth");
}

static void tensors_of_every_shape_are_found(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = make(
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[3,2],\"data_offsets\":[8,20]},"
        "\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"f8\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[20,24],\"extra\":1}}   ",
        24, &len);
    bt_arena arena;
    bt_safetensors s;
    bt_desc want = bt_desc_2d(BT_BF16, 3, 2);
    bt_arena_init(&arena, BT_MEM_MODEL);
    assert_ok(bt_safetensors_parse(bytes, len, &arena, &s));
    assert_int_equal(s.n, 3);
    assert_string_equal(s.tensor[0].name, "b");
    assert_true(bt_desc_equal(&s.tensor[0].desc, &want));
    assert_ptr_equal(s.tensor[0].data, bytes + len - 24 + 8);
    assert_int_equal(bt_name_set_find(&s.set, "scalar", 6), 1);
    assert_int_equal(s.tensor[1].desc.dim[0], 1);
    assert_int_equal(s.tensor[2].desc.dtype, BT_DTYPE_COUNT); // listed only
    assert_string_equal(s.tensor[2].type_name, "f8_e4m3");
    bt_arena_done(&arena);
    free(bytes);
}

static void a_file_of_nothing_is_fine(void **state)
{
    (void)state;
    assert_ok(parse("{}", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_header_is_refused_with_its_own_message),
        cmocka_unit_test(header_lengths_beyond_the_file_or_the_limit_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(tensors_of_every_shape_are_found),
        cmocka_unit_test(a_file_of_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
