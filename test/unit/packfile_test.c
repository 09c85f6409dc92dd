// SPDX-License-Identifier: Apache-2.0
/* A file of packed matrices gives back what was written, or says what is wrong with it: for every
 * flipped byte, every length, every other model and build; and writing leaves a whole file or none. */
#include "model/packfile.h"
#include "oracle/memory.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_MATRIX = 4, CHUNK = 1 << 20 };

typedef struct world {
    tiny_dir dir;
    bt_team *team;
    bt_packed matrix[N_MATRIX];
    bt_packfile_spec spec;
} world;

static world w;

static bt_packed random_matrix(bt_dtype dtype, int64_t n_row, int64_t n_col, int64_t bytes)
{
    test_rng rng = {(uint64_t)bytes};
    bt_packed m = {.desc = bt_desc_2d(dtype, n_row, n_col), .bytes = bytes};
    uint8_t *panels = fresh((size_t)bytes, 1);
    for (int64_t i = 0; i < bytes; i++) panels[i] = (uint8_t)test_u64(&rng);
    m.desc.layout = BT_PANELS;
    m.panels = panels;
    return m;
}

static int open_world(void **state)
{
    (void)state;
    tiny_dir_open(&w.dir);
    assert_ok(bt_team_new(2, &w.team));
    w.matrix[0] = random_matrix(BT_F32, 3, 1, 64);
    w.matrix[1] = random_matrix(BT_Q4_0, 16, 32, CHUNK);
    w.matrix[2] = random_matrix(BT_BF16, 40, 9, 2 * CHUNK + 64);
    w.matrix[3] = random_matrix(BT_Q8_0, 7, 64, 4096);
    w.spec = (bt_packfile_spec){.model = {{11, 12}},
                                .packing = 13,
                                .panel_version = 14,
                                .matrix = w.matrix,
                                .n_matrix = N_MATRIX};
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    tiny_dir_close(&w.dir); // fails where a temporary is left
    bt_team_free(w.team);
    for (int i = 0; i < N_MATRIX; i++) free(w.matrix[i].panels);
    return 0;
}

static const char *path_of(void) { return tiny_path(&w.dir, "x.panels"); }

static bt_status map(const bt_packfile_spec *spec, bt_file *file, const void **panels)
{
    return bt_packfile_map(path_of(), spec, w.team, NULL, file, panels);
}

/* The file maps, and holds the panels. */
static void assert_whole(void)
{
    bt_file file;
    const void *panels[N_MATRIX];
    assert_ok(map(&w.spec, &file, panels));
    for (int i = 0; i < N_MATRIX; i++) {
        assert_int_equal((uintptr_t)panels[i] % 64, 0);
        assert_memory_equal(panels[i], w.matrix[i].panels, (size_t)w.matrix[i].bytes);
    }
    bt_file_unmap(&file);
}

static void what_is_written_is_mapped_again(void **state)
{
    (void)state;
    uint64_t bytes;
    bt_file file;
    const void *panels[N_MATRIX];
    assert_fails(map(&w.spec, &file, panels), BT_NOTFOUND, "x.panels': No such file");
    assert_ok(bt_packfile_write(path_of(), &w.spec, w.team));
    assert_whole();
    assert_ok(bt_packfile_bytes(&w.spec, &bytes));
    assert_ok(bt_file_map(&file, path_of()));
    assert_int_equal(file.len, bytes);
    bt_file_unmap(&file);
    assert_ok(bt_packfile_write(path_of(), &w.spec, w.team)); // over the one that is there
    assert_whole();
}

static void another_model_or_build_is_refused_by_name(void **state)
{
    (void)state;
    bt_packed matrix[N_MATRIX];
    const bt_packfile_spec *same = &w.spec;
    bt_packfile_spec other = *same;
    bt_file file;
    const void *panels[N_MATRIX];
    other.panel_version++;
    assert_fails(map(&other, &file, panels), BT_UNSUPPORTED, "another build (version 14");
    other = *same;
    other.packing++;
    assert_fails(map(&other, &file, panels), BT_UNSUPPORTED, "digest 000000000000000d");
    for (int i = 0; i < 2; i++) {
        other = *same;
        other.model.word[i]++;
        assert_fails(map(&other, &file, panels), BT_NOTFOUND, "the model has changed since");
    }
    other = *same;
    other.n_matrix--;
    assert_fails(map(&other, &file, panels), BT_FORMAT, "4 matrices and 6 sums, must be 3 and 5");
    memcpy(matrix, w.matrix, sizeof matrix);
    other = *same;
    other.matrix = matrix;
    matrix[1].bytes -= 64;
    matrix[2].desc.dim[0]++;
    assert_fails(map(&other, &file, panels), BT_FORMAT, "matrix 1 is not the one");
    matrix[1].bytes += 64;
    assert_fails(map(&other, &file, panels), BT_FORMAT, "matrix 2 is not the one");
    matrix[2].bytes += CHUNK - 64;
    assert_fails(map(&other, &file, panels), BT_FORMAT, "and claims");
    matrix[2].bytes = INT64_MAX;
    assert_fails(map(&other, &file, panels), BT_LIMIT, "overflow");
}

/* ---- damage, in memory ---- */

static uint8_t *read_all(size_t *ret_len)
{
    bt_file file;
    assert_ok(bt_file_map(&file, path_of()));
    uint8_t *copy = fresh(file.len, 1);
    memcpy(copy, file.bytes, file.len);
    *ret_len = file.len;
    bt_file_unmap(&file);
    return copy;
}

static bt_status open_bytes(const uint8_t *bytes, size_t len)
{
    const void *panels[N_MATRIX];
    return bt_packfile_open(&(bt_file){.bytes = bytes, .len = len}, &w.spec, w.team, NULL, panels);
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    size_t len, head = 72 + N_MATRIX * 40 + 6 * 8;
    uint8_t *bytes = read_all(&len);
    test_rng rng = {1};
    assert_ok(open_bytes(bytes, len));
    for (size_t bit = 0; bit < 8 * head; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (open_bytes(bytes, len) == BT_OK) fail_msg("bit %zu of the head may be flipped", bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int i = 0; i < 40; i++) { // of a matrix: between them lies nothing
        int m = (int)test_range(&rng, 0, N_MATRIX - 1);
        uint64_t section_at;
        memcpy(&section_at, bytes + 72 + m * 40, sizeof section_at);
        uint8_t *at = bytes + section_at + test_range(&rng, 0, w.matrix[m].bytes - 1);
        *at ^= (uint8_t)(1 << i % 8);
        assert_fails(open_bytes(bytes, len), BT_FORMAT, "are damaged");
        *at ^= (uint8_t)(1 << i % 8);
    }
    memcpy(bytes, "GGUF", 4);
    assert_fails(open_bytes(bytes, len), BT_FORMAT, "no file of packed weights");
    free(bytes);
}

static void two_chunks_that_change_places_are_found(void **state)
{
    (void)state;
    size_t len;
    uint64_t at;
    uint8_t *bytes = read_all(&len), *first = fresh(CHUNK, 1);
    memcpy(&at, bytes + 72 + 2 * 40, sizeof at);
    memcpy(first, bytes + at, CHUNK);
    memcpy(bytes + at, bytes + at + CHUNK, CHUNK);
    memcpy(bytes + at + CHUNK, first, CHUNK);
    assert_fails(open_bytes(bytes, len), BT_FORMAT, "the panels of matrix 2 are damaged");
    free(first);
    free(bytes);
}

static void every_other_length_is_found(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = read_all(&len);
    for (size_t cut = 0; cut < len; cut = cut < 6000 ? cut + 1 : cut + 99991) {
        uint8_t *exact = fresh(cut, 1); // the sanitizer sees one byte over
        memcpy(exact, bytes, cut);
        assert_fails(open_bytes(exact, cut), BT_FORMAT, cut < 72 ? "its header alone" : "must be");
        free(exact);
    }
    uint8_t *longer = fresh(len + 1, 1);
    memcpy(longer, bytes, len);
    assert_fails(open_bytes(longer, len + 1), BT_FORMAT, "must be");
    free(longer);
    free(bytes);
}

/* ---- writing ---- */

static void a_full_disk_leaves_the_file_that_was_there(void **state)
{
    (void)state;
    struct rlimit old, low = {.rlim_cur = CHUNK + CHUNK / 2};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_fails(bt_packfile_write(path_of(), &w.spec, w.team), BT_IO, "may have 1572864 bytes");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_whole();
    assert_int_equal(unlink(path_of()), 0); // close_world sees that nothing else is left
    assert_fails(bt_packfile_write("/nonexistent/x", &w.spec, w.team), BT_NOTFOUND, "nonexistent");
    assert_fails(bt_packfile_write("/proc/x", &w.spec, w.team), BT_NOTFOUND, "/proc/x");
}

static void failed_allocations_are_reported_and_leak_nothing(void **state)
{
    (void)state;
    bt_file file;
    const void *panels[N_MATRIX];
    size_t live = bt_mem_live(BT_MEM_MISC);
    for (int what = 0; what < 2; what++) {
        bt_status st = BT_NOMEM;
        for (uint64_t nth = 1; st != BT_OK; nth++) {
            bt_mem_fail_nth(nth);
            st = what ? map(&w.spec, &file, panels) : bt_packfile_write(path_of(), &w.spec, w.team);
            bt_mem_fail_nth(0);
            assert_true(st == BT_OK || st == BT_NOMEM);
            assert_true(nth < 20);
            assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
        }
    }
    bt_file_unmap(&file);
}

static void writers_of_one_path_do_not_meet(void **state)
{
    (void)state;
    enum { N_WRITER = 3, N_ROUND = 4 };
    pid_t child[N_WRITER];
    for (int i = 0; i < N_WRITER; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            bt_team *team; // threads do not survive a fork
            int status = bt_team_new(1, &team) != BT_OK;
            for (int round = 0; round < N_ROUND && !status; round++)
                status = bt_packfile_write(path_of(), &w.spec, team) != BT_OK;
            _exit(status);
        }
    }
    for (int i = 0; i < 20; i++) assert_whole(); // at any moment
    for (int i = 0; i < N_WRITER; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    assert_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_mapped_again),
        cmocka_unit_test(another_model_or_build_is_refused_by_name),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(two_chunks_that_change_places_are_found),
        cmocka_unit_test(every_other_length_is_found),
        cmocka_unit_test(a_full_disk_leaves_the_file_that_was_there),
        cmocka_unit_test(failed_allocations_are_reported_and_leak_nothing),
        cmocka_unit_test(writers_of_one_path_do_not_meet),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
