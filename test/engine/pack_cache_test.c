// SPDX-License-Identifier: Apache-2.0
/* The pack cache, through the engine's public face: with it a model says the same bits as without,
 * the second engine really maps, and whatever is wrong with model, cache or folder costs a note and
 * the time to pack, never the engine and never a bit. */
#include "base/cpuid.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/table.h"
#include "model/packcache.h"
#include "op/pack.h"
#include "oracle/drive.h"
#include "oracle/memory.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A sanitizer finds the same on one type as on all, thirty times as slowly. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FEW_TYPES = true };
#else
enum { FEW_TYPES = false };
#endif

enum { N_ID = 6, N_MORE = 4 };

/* ---- notes ---- */

static int n_note;
static char last_note[512];

static void hear(bt_log_level level, const char *line)
{
    (void)level;
    n_note++;
    snprintf(last_note, sizeof last_note, "%s", line);
}

/* ---- one load ---- */

typedef struct fixture {
    tiny_dir model, cache;
    char path[256]; // what is opened: model.path, or a GGUF file in it
} fixture;

static void fixture_open(fixture *f, tiny_family family)
{
    tiny_config c = tiny_wide(family);
    tiny_dir_open(&f->model);
    tiny_dir_open(&f->cache);
    tiny_write(&f->model, &c);
    snprintf(f->path, sizeof f->path, "%s", f->model.path);
    n_note = 0;
}

static void fixture_close(fixture *f)
{
    tiny_dir_close(&f->model);
    tiny_dir_close(&f->cache);
}

/* What a load gave. */
typedef struct loaded {
    drive d;
    bool mapped; // all of the weights
    int n_note;
} loaded;

static loaded load_at(const fixture *f, const char *cache, const char *level)
{
    static const int32_t ids[N_ID] = {5, 90, 3, 17, 44, 2};
    bt_engine_stats s;
    loaded l = {.d = {.ids = ids, .n_id = N_ID, .n_more = N_MORE}};
    size_t heap = bt_mem_live(BT_MEM_WEIGHTS);
    int before = n_note;
    bt_engine *e = drive_open(&(bt_engine_config){.model = f->path,
                                                  .cpu_level = level,
                                                  .n_thread = 2,
                                                  .n_ctx = 32,
                                                  .n_seq_max = 1,
                                                  .pack_cache = cache});
    bt_engine_get_stats(e, &s);
    l.mapped = s.weight_mapped_bytes == s.weight_bytes;
    l.n_note = n_note - before;
    assert_true(l.mapped || s.weight_mapped_bytes == 0);
    // The panels are there once: in the mapping, or on the heap (where a synthetic model is too).
    size_t taken = bt_mem_live(BT_MEM_WEIGHTS) - heap;
    assert_true(l.mapped ? taken == 0 : taken >= (size_t)s.weight_bytes);
    drive_run(e, &l.d);
    bt_request_free(l.d.request);
    l.d.request = NULL;
    bt_engine_close(e);
    assert_int_equal(bt_mem_live(BT_MEM_WEIGHTS), heap);
    return l;
}

/* Load with this cache: the bits of `want`, mapped or packed, and so many notes. */
static void expect(const char *what, const fixture *f, const char *cache, const drive *want,
                   bool mapped, int notes)
{
    loaded l = load_at(f, cache, NULL);
    assert_same_bits(what, &l.d, want);
    if (l.mapped != mapped) fail_msg("%s: %s", what, l.mapped ? "mapped" : "packed");
    if (l.n_note != notes)
        fail_msg("%s: %d notes, wanted %d; '%s'", what, l.n_note, notes, last_note);
    drive_done(&l.d);
}

/* The one file of a folder; NULL when there is none. */
static const char *only_file(tiny_dir *dir)
{
    static char name[300];
    int n = 0;
    DIR *list = opendir(dir->path);
    assert_non_null(list);
    for (struct dirent *e; (e = readdir(list));)
        if (e->d_name[0] != '.') snprintf(name, sizeof name, "%s/%s", dir->path, e->d_name), n++;
    closedir(list);
    assert_true(n <= 1);
    return n ? name : NULL;
}

/* ---- it works ---- */

static void the_second_engine_maps_and_says_the_same_bits(void **state)
{
    (void)state;
    for (int family = 0; family < TINY_FAMILIES; family++) {
        fixture f;
        fixture_open(&f, family);
        loaded want = load_at(&f, NULL, NULL);
        assert_false(want.mapped);
        assert_null(only_file(&f.cache));
        expect("first", &f, f.cache.path, &want.d, false, 0);
        assert_non_null(only_file(&f.cache));
        expect("second", &f, f.cache.path, &want.d, true, 0);
        expect("third", &f, f.cache.path, &want.d, true, 0);
        drive_done(&want.d);
        fixture_close(&f);
    }
}

static void every_type_on_every_level_maps_what_another_level_packed(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY_QWEN3);
    snprintf(f.path, sizeof f.path, "%s", tiny_path(&f.model, "model.gguf"));
    for (int dtype = 0; dtype < BT_DTYPE_COUNT; dtype++) {
        if (!bt_dtype_is_weight((bt_dtype)dtype) || (FEW_TYPES && dtype != BT_Q4_0)) continue;
        assert_ok(bt_model_quantize(f.model.path, f.path, (bt_dtype)dtype, NULL, NULL));
        const char *kept = only_file(&f.cache);
        if (kept) assert_int_equal(unlink(kept), 0); // a stale one is another test's
        for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++) {
            const char *name = bt_cpu_level_name((bt_cpu_level)level);
            if (!bt_cpu_has_level((bt_cpu_level)level)) continue;
            loaded want = load_at(&f, NULL, name), got = load_at(&f, f.cache.path, name);
            assert_same_bits(name, &got.d, &want.d);
            assert_int_equal(got.mapped, level > 0);
            assert_int_equal(got.n_note, 0);
            drive_done(&want.d);
            drive_done(&got.d);
        }
    }
    fixture_close(&f);
}

static void a_model_without_a_file_is_not_kept(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY_LLAMA);
    snprintf(f.path, sizeof f.path, "synth:tiny-llama:q4_0");
    loaded want = load_at(&f, NULL, NULL);
    for (int i = 0; i < 2; i++) expect("synthetic", &f, f.cache.path, &want.d, false, 0);
    assert_null(only_file(&f.cache));
    drive_done(&want.d);
    fixture_close(&f);
}

/* ---- the model changes ---- */

/* Other weights in the same sizes, and the times set back to what they were. */
static void a_changed_model_is_packed_anew_and_replaces_the_file(void **state)
{
    (void)state;
    fixture f;
    struct stat s;
    fixture_open(&f, TINY_LLAMA);
    loaded one = load_at(&f, f.cache.path, NULL);
    const char *weights = tiny_path(&f.model, "model.safetensors");
    assert_int_equal(stat(weights, &s), 0);
    tiny_config c = tiny_wide(TINY_LLAMA);
    c.seed++;
    usleep(20000); // a tick of the clock that file systems look at
    tiny_write(&f.model, &c);
    assert_int_equal(utimensat(AT_FDCWD, weights, (struct timespec[2]){s.st_atim, s.st_mtim}, 0),
                     0);
    loaded two = load_at(&f, NULL, NULL);
    assert_true(memcmp(one.d.logits, two.d.logits, sizeof *one.d.logits) != 0);
    expect("changed", &f, f.cache.path, &two.d, false, 1);
    assert_non_null(strstr(last_note, "the model has changed since"));
    assert_non_null(only_file(&f.cache));
    expect("changed, again", &f, f.cache.path, &two.d, true, 0);
    drive_done(&one.d);
    drive_done(&two.d);
    fixture_close(&f);
}

static void models_in_two_places_have_a_file_each(void **state)
{
    (void)state;
    fixture f, g;
    bt_packcache a, b;
    bt_model_file *file_a, *file_b;
    bt_packed none = {.desc = bt_desc_2d(BT_F32, 1, 1), .bytes = 64};
    fixture_open(&f, TINY_LLAMA);
    fixture_open(&g, TINY_LLAMA); // the same bytes
    assert_ok(bt_model_file_open(f.path, BT_USE_COMPUTE, &file_a));
    assert_ok(bt_model_file_open(g.path, BT_USE_COMPUTE, &file_b));
    bt_packcache_config config = {.dir = f.cache.path,
                                  .file = file_a,
                                  .env = &(bt_op_env){0},
                                  .matrix = &none,
                                  .n_matrix = 0};
    bt_packcache_init(&a, &config);
    config.file = file_b;
    bt_packcache_init(&b, &config);
    assert_string_not_equal(a.path.data, b.path.data);
    assert_memory_not_equal(&a.spec.model, &b.spec.model, sizeof a.spec.model);
    bt_packcache_done(&a);
    bt_packcache_done(&b);
    bt_model_file_close(file_a);
    bt_model_file_close(file_b);
    fixture_close(&f);
    fixture_close(&g);
}

/* ---- the file is damaged ---- */

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_true(c != EOF);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 0x10, f), c ^ 0x10);
    assert_int_equal(fclose(f), 0);
}

static void a_damaged_file_costs_a_note_and_is_replaced(void **state)
{
    (void)state;
    fixture f;
    struct stat s;
    fixture_open(&f, TINY_QWEN2);
    loaded want = load_at(&f, f.cache.path, NULL);
    const char *kept = only_file(&f.cache);
    assert_int_equal(stat(kept, &s), 0);
    const long at[] = {0, 8, 12, 16, 24, 40, 48, 64, 72, 112, 4096, s.st_size / 2, s.st_size - 1};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        char what[64];
        snprintf(what, sizeof what, "flipped at %ld", at[i]);
        flip(kept, at[i]);
        expect(what, &f, f.cache.path, &want.d, false, 1);
        assert_non_null(strstr(last_note, "packing anew"));
        expect("replaced", &f, f.cache.path, &want.d, true, 0);
    }
    const long len[] = {0, 1, 71, 72, 1000, 4096, s.st_size / 2, s.st_size - 1, s.st_size + 1};
    for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
        char what[64];
        snprintf(what, sizeof what, "cut to %ld", len[i]);
        assert_int_equal(truncate(kept, len[i]), 0);
        expect(what, &f, f.cache.path, &want.d, false, 1);
        expect("replaced", &f, f.cache.path, &want.d, true, 0);
    }
    drive_done(&want.d);
    fixture_close(&f);
}

static void the_file_of_another_build_is_replaced(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, TINY_LLAMA);
    loaded want = load_at(&f, f.cache.path, NULL);
    const char *kept = only_file(&f.cache);
    uint32_t version = 0;
    FILE *file = fopen(kept, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 12, SEEK_SET), 0);
    assert_int_equal(fread(&version, sizeof version, 1, file), 1);
    assert_int_equal(version, BT_PANEL_VERSION);
    version++;
    assert_int_equal(fseek(file, 12, SEEK_SET), 0);
    assert_int_equal(fwrite(&version, sizeof version, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    expect("another build's", &f, f.cache.path, &want.d, false, 1);
    assert_non_null(strstr(last_note, "those of another build"));
    expect("replaced", &f, f.cache.path, &want.d, true, 0);
    drive_done(&want.d);
    fixture_close(&f);
}

/* Kernels whose packing differs in the last byte of the last panel. */
static bt_kernel_table right, wrong;

static void pack_wrong(const void *args, int64_t begin, int64_t end)
{
    const bt_pack_args *a = args;
    right.fn[BT_SLOT_pack](args, begin, end);
    ((uint8_t *)a->panels)[bt_panels_bytes(a->dtype, a->n_row, a->n_col) - 1] ^= 1;
}

static void whoever_packs_otherwise_is_another_build_whatever_its_number(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < BT_DTYPE_COUNT; dtype++) {
        if (!bt_dtype_is_weight((bt_dtype)dtype)) continue;
        uint64_t first = 0, digest;
        for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++) {
            if (!bt_cpu_has_level((bt_cpu_level)level)) continue;
            bt_kernel_table_init(&right, (bt_cpu_level)level);
            assert_ok(bt_pack_digest(&(bt_op_env){.kernels = &right}, (bt_dtype)dtype, &digest));
            if (level == 0) first = digest;
            assert_int_equal(digest, first);
        }
        wrong = right;
        wrong.fn[BT_SLOT_pack] = pack_wrong;
        assert_ok(bt_pack_digest(&(bt_op_env){.kernels = &wrong}, (bt_dtype)dtype, &digest));
        assert_int_not_equal(digest, first);
    }
}

/* ---- the folder is no good ---- */

static void a_folder_that_cannot_be_used_costs_a_note(void **state)
{
    (void)state;
    fixture f;
    struct rlimit old, low = {.rlim_cur = 100000};
    fixture_open(&f, TINY_LLAMA);
    loaded want = load_at(&f, NULL, NULL);
    expect("no parent", &f, "/nonexistent/cache", &want.d, false, 1);
    assert_non_null(strstr(last_note, "cannot make the folder '/nonexistent/cache'"));
    expect("a file", &f, tiny_path(&f.model, "config.json"), &want.d, false, 1);
    expect("nobody may write there", &f, "/proc/self", &want.d, false, 1);
    expect("an empty name", &f, "", &want.d, false, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    expect("full", &f, f.cache.path, &want.d, false, 1);
    assert_non_null(strstr(last_note, "may have 100000 bytes"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_null(only_file(&f.cache)); // not even half of one
    drive_done(&want.d);
    fixture_close(&f);
}

static void a_folder_in_the_files_place_costs_two_notes(void **state)
{
    (void)state;
    fixture f;
    char kept[300];
    fixture_open(&f, TINY_LLAMA);
    loaded want = load_at(&f, f.cache.path, NULL);
    snprintf(kept, sizeof kept, "%s", only_file(&f.cache));
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(mkdir(kept, 0700), 0);
    expect("a folder", &f, f.cache.path, &want.d, false, 2); // neither read nor replaced
    assert_non_null(strstr(last_note, "nothing is kept"));
    assert_int_equal(rmdir(kept), 0);
    drive_done(&want.d);
    fixture_close(&f);
}

/* ---- memory ---- */

static void failing_allocations_cost_at_most_the_cache(void **state)
{
    (void)state;
    fixture f;
    size_t live[BT_MEM_COUNT];
    fixture_open(&f, TINY_LLAMA);
    bt_engine_config c = {
        .model = f.path, .n_ctx = 32, .n_thread = 1, .n_seq_max = 2, .pack_cache = f.cache.path};
    for (int cold = 0; cold < 2; cold++) {
        bt_engine *engine;
        assert_ok(bt_engine_open(&c, &engine));
        bt_engine_close(engine);
        for (int t = 0; t < BT_MEM_COUNT; t++) live[t] = bt_mem_live(t);
        uint64_t n_ok = 0, n_alloc = 1000;
        for (uint64_t nth = 1; nth <= n_alloc; nth++) {
            if (cold && only_file(&f.cache)) unlink(only_file(&f.cache));
            uint64_t before = bt_mem_n_alloc();
            bt_mem_fail_nth(nth);
            bt_status st = bt_engine_open(&c, &engine);
            bt_mem_fail_nth(0);
            if (st != BT_OK && st != BT_NOMEM)
                fail_msg("allocation %d: %s", (int)nth, bt_error_message());
            n_ok += st == BT_OK;
            if (st == BT_OK && bt_mem_n_alloc() - before < nth) n_alloc = nth;
            if (st == BT_OK) bt_engine_close(engine);
            for (int t = 0; t < BT_MEM_COUNT; t++)
                if (bt_mem_live(t) != live[t])
                    fail_msg("allocation %d leaks %s", (int)nth, bt_mem_name(t));
        }
        assert_true(n_ok > 5 && n_alloc > 30 && n_alloc < 1000);
    }
    fixture_close(&f);
}

static int hear_notes(void **state)
{
    (void)state;
    bt_log_to(hear, BT_LOG_WARN);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_engine_maps_and_says_the_same_bits),
        cmocka_unit_test(every_type_on_every_level_maps_what_another_level_packed),
        cmocka_unit_test(a_model_without_a_file_is_not_kept),
        cmocka_unit_test(a_changed_model_is_packed_anew_and_replaces_the_file),
        cmocka_unit_test(models_in_two_places_have_a_file_each),
        cmocka_unit_test(a_damaged_file_costs_a_note_and_is_replaced),
        cmocka_unit_test(the_file_of_another_build_is_replaced),
        cmocka_unit_test(whoever_packs_otherwise_is_another_build_whatever_its_number),
        cmocka_unit_test(a_folder_that_cannot_be_used_costs_a_note),
        cmocka_unit_test(a_folder_in_the_files_place_costs_two_notes),
        cmocka_unit_test(failing_allocations_cost_at_most_the_cache),
    };
    return cmocka_run_group_tests(tests, hear_notes, NULL);
}
