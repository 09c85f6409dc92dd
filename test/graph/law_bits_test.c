// SPDX-License-Identifier: Apache-2.0
/* Law 1: the same bits of logits and log probabilities whatever the threads, the cutting of the
 * prompt, the company in the batch, the page length and placement, the size of a step; for float
 * and quantised weights. The undisturbed run is one thread, one request, the whole prompt in one
 * step. Every setting is tried on this machine's best CPU level, the worst one on all of them.
 * Nothing here knows what is right, only what is the same. */
#include "base/cpuid.h"
#include "oracle/drive.h"
#include "oracle/golden.h"
#include "oracle/memory.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include <stdio.h>
#include <string.h>

enum { N_PROMPT = 75, N_MORE = 10, N_CTX = 96, N_COMPANY = 15, N_COMPANY_PROMPT = 40 };

typedef struct setting {
    const char *name;
    int32_t n_thread, n_chunk, page_len, n_tok_step_max;
    bool company; // fifteen other requests around it
    bool churn;   // requests before it have come and gone, some cancelled midway
} setting;

static const setting undisturbed = {"undisturbed", 1, 128, 32, 128, false, false};

static const setting settings[] = {
    {"two threads", 2, 128, 32, 128, false, false},
    {"three threads", 3, 128, 32, 128, false, false},
    {"prompt token by token", 1, 1, 32, 128, false, false},
    {"prompt in sevens", 1, 7, 32, 128, false, false},
    {"prompt in 64s, three threads", 3, 64, 32, 128, false, false},
    {"pages of 16", 1, 128, 16, 128, false, false},
    {"pages of 64", 1, 128, 64, 128, false, false},
    {"steps of 16 tokens at most", 1, 128, 32, 16, false, false},
    {"steps of 33 tokens at most", 2, 50, 16, 33, false, false},
    {"pages used before", 1, 128, 16, 128, false, true},
    {"in company", 1, 128, 32, 128, true, false},
    {"in company, chunks of 7, two threads", 2, 7, 16, 40, true, false},
    {"in company, after others, chunks of 64, steps of 500", 3, 64, 16, 500, true, true},
};

/* What differs most from the undisturbed run: enough for the levels and types that are not swept.
 */
static const setting worst = {"in company, after others, chunks of 5", 2, 5, 16, 48, true, true};

typedef struct subject {
    const char *path, *level;
    bt_dtype kv_dtype;
    int32_t ids[N_PROMPT];
    int32_t n_vocab;
} subject;

static bt_engine *open_with(const subject *s, const setting *set)
{
    return drive_open(&(bt_engine_config){
        .model = s->path,
        .cpu_level = s->level,
        .n_thread = set->n_thread,
        .n_ctx = N_CTX,
        .n_seq_max = 1 + N_COMPANY,
        .n_tok_step_max = set->n_tok_step_max,
        .n_chunk = set->n_chunk,
        .page_len = set->page_len,
        .kv_dtype = s->kv_dtype,
    });
}

/* A crowd of requests of all lengths, greedy and sampled. */
static void make_crowd(const subject *s, test_rng *rng, int32_t (*ids)[N_PROMPT], drive *crowd)
{
    for (int i = 0; i < N_COMPANY; i++) {
        crowd[i] = (drive){.ids = ids[i],
                           .n_id = (int32_t)test_range(rng, 1, N_COMPANY_PROMPT),
                           .n_more = (int32_t)test_range(rng, 1, 14),
                           .seed = test_u64(rng),
                           .temperature = i % 2 ? 0.9f : 0,
                           .no_logits = i % 3 != 0};
        for (int32_t j = 0; j < crowd[i].n_id; j++)
            ids[i][j] = (int32_t)test_range(rng, 0, s->n_vocab - 1);
    }
}

/* Leave the pool's free pages in disorder, with other sequences' keys in them. */
static void churn(bt_engine *e, const subject *s, test_rng *rng)
{
    int32_t ids[N_COMPANY][N_PROMPT];
    drive crowd[N_COMPANY];
    make_crowd(s, rng, ids, crowd);
    for (int i = 0; i < N_COMPANY; i++) drive_submit(e, &crowd[i]);
    for (int step = 0; step < 4; step++) assert_ok(bt_engine_step(e, NULL));
    for (int i = 0; i < N_COMPANY; i += 4) bt_request_cancel(crowd[i].request);
    drive_finish(e, crowd, N_COMPANY);
    for (int i = 0; i < N_COMPANY; i++) drive_done(&crowd[i]);
}

/* Run the subject's request under a setting; others come before, with and after it. */
static void run_under(const subject *s, const setting *set, drive *probe)
{
    test_rng rng = {(uint64_t)set->n_chunk * 7919 + (uint64_t)set->page_len};
    int32_t ids[N_COMPANY][N_PROMPT];
    drive crowd[N_COMPANY];
    bt_engine *e = open_with(s, set);
    *probe = (drive){.ids = s->ids, .n_id = N_PROMPT, .n_more = N_MORE};
    if (set->churn) churn(e, s, &rng);
    if (set->company) {
        make_crowd(s, &rng, ids, crowd);
        for (int i = 0; i < 8; i++) drive_submit(e, &crowd[i]);
        for (int step = 0; step < 2; step++) assert_ok(bt_engine_step(e, NULL));
    }
    drive_submit(e, probe);
    if (set->company) {
        for (int i = 8; i < 12; i++) drive_submit(e, &crowd[i]);
        assert_ok(bt_engine_step(e, NULL));
        for (int i = 12; i < N_COMPANY; i++) drive_submit(e, &crowd[i]);
    }
    drive_finish(e, probe, 1);
    if (set->company) {
        drive_finish(e, crowd, N_COMPANY);
        for (int i = 0; i < N_COMPANY; i++) drive_done(&crowd[i]);
    }
    bt_request_free(probe->request);
    probe->request = NULL;
    bt_engine_close(e);
}

static void compare(const subject *s, const setting *set, int n_set)
{
    drive want, got;
    run_under(s, &undisturbed, &want);
    assert_int_equal(want.n_out, N_MORE);
    for (int i = 0; i < n_set; i++) {
        char what[256];
        snprintf(what, sizeof what, "%.100s on %s, %s", strrchr(s->path, '/') + 1, s->level,
                 set[i].name);
        run_under(s, &set[i], &got);
        assert_same_bits(what, &got, &want);
        drive_done(&got);
    }
    drive_done(&want);
}

static subject subject_of(const char *path, const char *level, int32_t n_vocab)
{
    test_rng rng = {77};
    subject s = {.path = path, .level = level, .n_vocab = n_vocab};
    for (int i = 0; i < N_PROMPT; i++) s.ids[i] = (int32_t)test_range(&rng, 0, n_vocab - 1);
    return s;
}

/* Under a sanitizer one level is enough: what is looked for there is the same on all, and takes thirty
 * times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const int first_level = BT_CPU_LEVEL_AVX2;
static const int last_level = BT_CPU_LEVEL_AVX2;
#else
static const int first_level = 0;
static const int last_level = BT_CPU_LEVEL_COUNT - 1;
#endif

/* NULL: the machine lacks it, or it is not tried. */
static const char *level_name(int level)
{
    if (level < first_level || level > last_level || !bt_cpu_has_level((bt_cpu_level)level))
        return NULL;
    return bt_cpu_level_name((bt_cpu_level)level);
}

static bool is_best(int level)
{
    for (int higher = level + 1; higher < BT_CPU_LEVEL_COUNT; higher++)
        if (level_name(higher)) return false;
    return level_name(level) != NULL;
}

static void a_request_gets_the_same_bits_under_every_setting(void **state)
{
    (void)state;
    for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++) {
        if (!level_name(level)) continue;
        subject s = subject_of(golden_dir("qwen3"), level_name(level), 120);
        if (is_best(level))
            compare(&s, settings, sizeof settings / sizeof *settings);
        else
            compare(&s, &worst, 1);
    }
}

static void every_family_and_cache_type_keeps_its_bits_in_the_worst_company(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "llama-tied", "mistral-window", "qwen2",
                                        "llama-head-dim"};
    static const bt_dtype kv[] = {BT_F32, BT_F16, BT_BF16};
    for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++) {
        for (size_t i = 0; is_best(level) && i < sizeof names / sizeof *names; i++) {
            char path[1200];
            snprintf(path, sizeof path, "%s", golden_dir(names[i]));
            subject s = subject_of(path, level_name(level), 101);
            s.kv_dtype = kv[i % 3];
            compare(&s, &worst, 1);
        }
    }
}

static void every_weight_type_keeps_its_bits_in_the_worst_company(void **state)
{
    (void)state;
    static const bt_dtype types[] = {BT_F32,  BT_F16,  BT_BF16, BT_Q8_0, BT_Q4_0, BT_Q4_1,
                                     BT_Q5_0, BT_Q5_1, BT_Q4_K, BT_Q5_K, BT_Q6_K};
    tiny_dir dir;
    tiny_config c = tiny_wide(TINY_MISTRAL);
    c.n_layer = 1;
    tiny_dir_open(&dir);
    tiny_write(&dir, &c);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.gguf", bt_dtype_name(types[i]));
        const char *path = tiny_path(&dir, name);
        assert_ok(bt_model_quantize(dir.path, path, types[i], NULL, NULL));
        for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++) {
            bool wanted =
                is_best(level) || types[i] == BT_Q4_K ||
                (level > BT_CPU_LEVEL_REF && (types[i] == BT_Q8_0 || types[i] == BT_BF16));
            if (!level_name(level) || !wanted) continue;
            subject s = subject_of(path, level_name(level), c.n_vocab);
            compare(&s, &worst, 1);
        }
    }
    tiny_dir_close(&dir);
}

/* Quantised keys and values: a token's codes are its own, whoever is around. */
static void quantised_caches_keep_their_bits_in_the_worst_company(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_config c = tiny_wide(TINY_MISTRAL);
    tiny_dir_open(&dir);
    tiny_write(&dir, &c);
    for (int level = 0; level < BT_CPU_LEVEL_COUNT; level++)
        for (int i = 0; i < 2 && level_name(level); i++) {
            subject s = subject_of(dir.path, level_name(level), c.n_vocab);
            s.kv_dtype = i ? BT_Q4_0 : BT_Q8_0;
            compare(&s, &worst, 1);
        }
    tiny_dir_close(&dir);
}

/* Beyond one chunk of positions: a long prompt read at once, where KV heads are the items, says the
 * same as one read in small batches, where chunks are (op/attention.c), on any number of threads. */
static void a_long_text_has_the_same_bits_by_heads_and_by_chunks(void **state)
{
    (void)state;
    enum { LONG = 1150 };
    static int32_t ids[LONG];
    tiny_dir dir;
    tiny_config c = tiny_wide(TINY_LLAMA);
    test_rng rng = {4};
    tiny_dir_open(&dir);
    tiny_write(&dir, &c);
    for (int i = 0; i < LONG; i++) ids[i] = (int32_t)test_range(&rng, 0, c.n_vocab - 1);
    for (int level = 1; level < BT_CPU_LEVEL_COUNT; level++) {
        drive d[3];
        for (int i = 0; i < 3 && level_name(level); i++) {
            bt_engine *e = drive_open(&(bt_engine_config){.model = dir.path,
                                                          .cpu_level = level_name(level),
                                                          .n_thread = 1 + i,
                                                          .n_ctx = LONG + 50,
                                                          .n_seq_max = 1,
                                                          .n_chunk = i == 0   ? 600
                                                                     : i == 1 ? 16
                                                                              : 5,
                                                          .n_tok_step_max = 1200,
                                                          .kv_dtype = BT_F16});
            d[i] = (drive){.ids = ids, .n_id = LONG, .n_more = 20};
            drive_run(e, &d[i]);
            assert_int_equal(d[i].n_out, 20);
            if (i) assert_same_bits(level_name(level), &d[i], &d[0]);
            bt_request_free(d[i].request);
            d[i].request = NULL;
            bt_engine_close(e);
        }
        for (int i = 0; i < 3 && level_name(level); i++) drive_done(&d[i]);
    }
    tiny_dir_close(&dir);
}

/* Reading a text and having written it are the same: the log probability of generated token k is,
 * bit for bit, that of the first token generated after a prompt of all before it. */
static void a_decoded_token_has_the_bits_of_a_prefilled_one(void **state)
{
    (void)state;
    subject s = subject_of(golden_dir("llama"), NULL, 101);
    bt_engine *e = open_with(&s, &undisturbed);
    int32_t text[N_PROMPT + N_MORE];
    drive whole = {.ids = s.ids, .n_id = N_PROMPT, .n_more = N_MORE, .no_logits = true};
    drive_run(e, &whole);
    memcpy(text, s.ids, sizeof s.ids);
    for (int i = 0; i < N_MORE; i++) {
        drive one = {.ids = text, .n_id = N_PROMPT + i, .n_more = 1, .no_logits = true};
        drive_run(e, &one);
        assert_memory_equal(&one.token[0], &whole.token[i], sizeof one.token[0]);
        text[N_PROMPT + i] = whole.token[i].id;
        drive_done(&one);
    }
    drive_done(&whole);
    bt_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_the_same_bits_under_every_setting),
        cmocka_unit_test(every_family_and_cache_type_keeps_its_bits_in_the_worst_company),
        cmocka_unit_test(every_weight_type_keeps_its_bits_in_the_worst_company),
        cmocka_unit_test(quantised_caches_keep_their_bits_in_the_worst_company),
        cmocka_unit_test(a_long_text_has_the_same_bits_by_heads_and_by_chunks),
        cmocka_unit_test(a_decoded_token_has_the_bits_of_a_prefilled_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
