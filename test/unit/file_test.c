// SPDX-License-Identifier: Apache-2.0
#include "support/support.h"
#include "base/bits.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

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

static void writers_of_one_path_have_temporaries_of_their_own(void **state)
{
    (void)state;
    const char *path = in_dir("c");
    bt_writer one, two;
    bt_file file;
    assert_ok(bt_writer_open(&one, path));
    assert_ok(bt_writer_open(&two, path));
    assert_ok(bt_writer_add(&one, "one", 3));
    assert_ok(bt_writer_add(&two, "two", 3));
    assert_ok(bt_writer_commit(&two));
    assert_ok(bt_writer_commit(&one));
    assert_ok(bt_file_map(&file, path));
    assert_int_equal(file.len, 3);
    assert_memory_equal(file.bytes, "one", 3); // the last one wins
    bt_file_unmap(&file);
    unlink(path);
}

static void what_killed_writers_left_is_swept(void **state)
{
    (void)state;
    bt_writer dead, alive, other;
    struct utimbuf old = {0};
    assert_ok(bt_writer_open(&other, in_dir("other")));
    assert_ok(bt_writer_open(&dead, in_dir("d")));
    assert_ok(bt_writer_open(&alive, in_dir("d")));
    assert_int_equal(utime(dead.temp, &old), 0);
    assert_int_equal(utime(other.temp, &old), 0);
    bt_writer_sweep(in_dir("d"), 60);
    assert_false(bt_file_exists(dead.temp));
    assert_true(bt_file_exists(alive.temp));
    assert_true(bt_file_exists(other.temp));
    assert_fails(bt_writer_commit(&dead), BT_NOTFOUND, "cannot rename");
    bt_writer_abort(&alive);
    bt_writer_abort(&other);
    bt_writer_sweep("/nonexistent/d", 60);
}

static void writing_stops_at_the_limit_of_the_process(void **state)
{
    (void)state;
    bt_writer w;
    struct rlimit old, low = {.rlim_cur = 5};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0); // SIGXFSZ would end the test
    assert_ok(bt_writer_open(&w, in_dir("e")));
    assert_ok(bt_writer_add(&w, "123456", 6));
    assert_fails(bt_writer_commit(&w), BT_IO, "files of this process may have 5 bytes");
    assert_ok(bt_writer_open(&w, in_dir("e")));
    assert_ok(bt_writer_add(&w, "12345", 5));
    assert_ok(bt_writer_commit(&w));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    unlink(in_dir("e"));
}

static void a_folder_is_made_for_its_owner_alone(void **state)
{
    (void)state;
    struct stat s;
    const char *path = in_dir("folder");
    assert_ok(bt_dir_make(path));
    assert_ok(bt_dir_make(path)); // there is one
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    assert_ok(bt_dir_check_room(path, 1));
    assert_fails(bt_dir_check_room(path, UINT64_MAX), BT_LIMIT, "MiB are free");
    rmdir(path);
    assert_fails(bt_dir_check_room(path, 1), BT_NOTFOUND, "folder': No such file");
    assert_fails(bt_dir_make("/nonexistent/x"), BT_NOTFOUND, "'/nonexistent/x': No such file");
    assert_fails(bt_dir_make(test_path("LICENSE")), BT_IO, "LICENSE': File exists");
}

/* The same size, and a time that was set back: ctime tells. */
static void whoever_changes_a_file_changes_what_it_is_known_by(void **state)
{
    (void)state;
    const char *path = in_dir("f");
    bt_file file, again;
    struct utimbuf old = {.actime = 1000, .modtime = 1000};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs("x", f) < 0 || fclose(f), 0);
    assert_int_equal(utime(path, &old), 0);
    assert_ok(bt_file_map(&file, path));
    assert_int_equal(file.id.size, 1);
    assert_int_equal(file.id.mtime_ns, 1000 * (int64_t)1000000000);
    assert_ok(bt_file_map(&again, path));
    assert_memory_equal(&file.id, &again.id, sizeof file.id);
    bt_file_unmap(&again);
    usleep(20000); // a tick of the clock that file systems look at
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs("y", f) < 0 || fclose(f), 0);
    assert_int_equal(utime(path, &old), 0);
    assert_ok(bt_file_map(&again, path));
    assert_int_equal(again.id.inode, file.id.inode);
    assert_int_equal(again.id.mtime_ns, file.id.mtime_ns);
    assert_int_not_equal(again.id.ctime_ns, file.id.ctime_ns);
    bt_file_unmap(&again);
    bt_file_unmap(&file);
    unlink(path);
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
        cmocka_unit_test(writers_of_one_path_have_temporaries_of_their_own),
        cmocka_unit_test(what_killed_writers_left_is_swept),
        cmocka_unit_test(writing_stops_at_the_limit_of_the_process),
        cmocka_unit_test(a_folder_is_made_for_its_owner_alone),
        cmocka_unit_test(whoever_changes_a_file_changes_what_it_is_known_by),
        cmocka_unit_test(faults_name_the_path_and_the_reason),
        cmocka_unit_test(an_empty_file_maps),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(levels_form_a_ladder),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
