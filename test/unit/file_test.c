// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/bits.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/baton-file-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void a_file_appears_only_when_it_is_whole(void **state)
{
    (void)state;
    const char *path = in_dir("a");
    bt_writer w;
    bt_file file;
    assert_ok(bt_writer_open(&w, path));
    assert_ok(bt_writer_add(&w, "hello", 5));
    assert_ok(bt_writer_align(&w, 64));
    assert_false(bt_file_exists(path));
    char *big = calloc(3, 1 << 20);
    assert_ok(bt_writer_add(&w, big, 3 << 20));
    free(big);
    assert_int_equal(w.at, (3 << 20) + 64);
    assert_ok(bt_writer_commit(&w));
    assert_ok(bt_file_map(&file, path));
    assert_int_equal(file.len, (3 << 20) + 64);
    assert_memory_equal(file.bytes, "hello\0\0", 7);
    bt_file_unmap(&file);
    unlink(path);
}

static void an_aborted_file_leaves_nothing(void **state)
{
    (void)state;
    bt_writer w;
    assert_ok(bt_writer_open(&w, in_dir("b")));
    assert_ok(bt_writer_add(&w, "x", 1));
    bt_writer_abort(&w);
    bt_writer_abort(&w); // harmless twice; drop_dir proves that the folder is empty
}

static void faults_name_the_path_and_the_reason(void **state)
{
    (void)state;
    bt_file file;
    bt_buf buf = {0};
    bt_writer w;
    assert_fails(bt_file_map(&file, "/nonexistent/x"), BT_NOTFOUND,
                 "'/nonexistent/x': No such file");
    assert_fails(bt_file_map(&file, dir), BT_INVALID, "is a directory");
    assert_fails(bt_writer_open(&w, "/nonexistent/x"), BT_NOTFOUND,
                 "cannot create '/nonexistent/x'");
    assert_fails(bt_file_read(test_path("LICENSE"), 10, &buf), BT_LIMIT, "at most 10");
    bt_buf_done(&buf);
}

static void an_empty_file_maps(void **state)
{
    (void)state;
    const char *path = in_dir("empty");
    bt_writer w;
    bt_file file;
    assert_ok(bt_writer_open(&w, path));
    assert_ok(bt_writer_commit(&w));
    assert_ok(bt_file_map(&file, path));
    assert_non_null(file.bytes);
    assert_int_equal(file.len, 0);
    bt_file_unmap(&file);
    unlink(path);
}

/* Known answers of the authors' reference implementation (Random123, kat_vectors: philox4x32 10).
 */
static void philox_gives_the_published_numbers(void **state)
{
    (void)state;
    bt_rng_block zero = bt_rng_at(0, 0, 0);
    assert_int_equal(zero.word[0], 0x6627e8d5);
    assert_int_equal(zero.word[1], 0xe169c58d);
    assert_int_equal(zero.word[2], 0xbc57ac4c);
    assert_int_equal(zero.word[3], 0x9b00dbd8);
    bt_rng_block ones = bt_rng_at(UINT64_MAX, UINT64_MAX, UINT64_MAX);
    assert_int_equal(ones.word[0], 0x408f276d);
    assert_int_equal(ones.word[1], 0x41c83b0e);
    assert_int_equal(ones.word[2], 0xa20bc7c6);
    assert_int_equal(ones.word[3], 0x6d5451fd);
}

static void levels_form_a_ladder(void **state)
{
    (void)state;
    bt_cpu_level level;
    assert_true(bt_cpu_has_level(BT_CPU_LEVEL_REF));
    for (int i = 1; i < BT_CPU_LEVEL_COUNT; i++) {
        unsigned below = bt_cpu_level_flags((bt_cpu_level)(i - 1)),
                 here = bt_cpu_level_flags((bt_cpu_level)i);
        assert_int_equal(below & here, below);
    }
    assert_ok(bt_cpu_level_parse("avx2", &level));
    assert_int_equal(level, BT_CPU_LEVEL_AVX2);
    assert_fails(bt_cpu_level_parse("sse9", &level), BT_INVALID, "'sse9' is unknown; one of ref");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_appears_only_when_it_is_whole),
        cmocka_unit_test(an_aborted_file_leaves_nothing),
        cmocka_unit_test(faults_name_the_path_and_the_reason),
        cmocka_unit_test(an_empty_file_maps),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(levels_form_a_ladder),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
