// SPDX-License-Identifier: Apache-2.0
/* The capacity plan: known figures, defaults, what memory does to them; and on a real (tiny) model
 * that predicted memory is allocated memory and that no failing allocation leaves anything behind.
 */
#include "support/support.h"
#include "base/alloc.h"
#include "base/meminfo.h"
#include "engine/capacity.h"
#include "model/file/modelfile.h"
#include "oracle/tiny.h"
#include <string.h>

static void kv_bytes_count_the_heads_that_are_kept(void **state)
{
    (void)state;
    bt_hparams gpt3 = {.n_layer = 96, .n_head = 96, .n_kv = 96, .d_head = 128};
    assert_int_equal(bt_kv_token_bytes(&gpt3, BT_F16) * 2048,
                     9663676416); // 9.66 GB, batch 1, 2048 tokens
    bt_hparams llama70b = {.n_layer = 80, .n_head = 64, .n_kv = 8, .d_head = 128};
    assert_int_equal(bt_kv_token_bytes(&llama70b, BT_F16), 327680); // not 8 times as much
    assert_int_equal(bt_kv_token_bytes(&llama70b, BT_F32), 655360);
    assert_int_equal(bt_kv_token_bytes(&llama70b, BT_BF16), 327680);
    assert_int_equal(bt_kv_token_bytes(&llama70b, BT_Q8_0), 327680 / 64 * 34);
    assert_int_equal(bt_kv_token_bytes(&llama70b, BT_Q4_0), 327680 / 64 * 18);
}

static bt_capacity plan(bt_engine_config c, bt_capacity_facts facts)
{
    bt_capacity p;
    assert_ok(bt_capacity_plan(&c, &facts, &p));
    return p;
}

static const bt_capacity_facts roomy = {.n_ctx_model = 131072,
                                        .n_vocab = 1000,
                                        .kv_token_bytes = 1000,
                                        .free_bytes = (int64_t)1 << 40,
                                        .n_cpu = 6};

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    bt_capacity p = plan((bt_engine_config){0}, roomy);
    assert_int_equal(p.n_ctx, 8192);
    assert_int_equal(p.n_thread, 6);
    assert_int_equal(p.n_request_max, 16 + 256);
    assert_int_equal(p.sched.n_chunk, 256);
    assert_int_equal(p.sched.limits.n_tok_max, 512);
    assert_int_equal(p.sched.limits.n_seq_max, 16);
    assert_int_equal(p.sched.limits.page_len, 32);
    assert_int_equal(p.sched.limits.n_page_max, 256);
    assert_int_equal(p.sched.limits.n_page, 16 * 256);
    assert_int_equal(p.sched.limits.kv_dtype, BT_F32);
    assert_int_equal(p.kv_bytes, (int64_t)16 * 8192 * 1000);
    bt_capacity_facts small = roomy;
    small.n_ctx_model = 500;
    assert_int_equal(plan((bt_engine_config){0}, small).n_ctx, 500);
    p = plan((bt_engine_config){.n_tok_step_max = 5}, roomy); // the sequences follow the step
    assert_int_equal(p.sched.limits.n_seq_max, 5);
    p = plan((bt_engine_config){.n_seq_max = 1000}, roomy); // and the step the sequences
    assert_int_equal(p.sched.limits.n_tok_max, 1000);
    p = plan((bt_engine_config){.n_ctx = 100, .n_kv_token = 1001, .page_len = 16}, roomy);
    assert_int_equal(p.sched.limits.n_page, 63);
    assert_int_equal(p.sched.limits.n_page_max, 7);
}

static void little_memory_makes_a_small_pool_and_less_a_clear_error(void **state)
{
    (void)state;
    bt_capacity_facts facts = roomy;
    bt_engine_config c = {.n_ctx = 1024};
    facts.free_bytes = 8 << 20; // half holds 131 pages of 32 tokens of 1000 bytes
    assert_int_equal(plan(c, facts).sched.limits.n_page, 131);
    facts.free_bytes = 32 * 32000;
    assert_int_equal(plan(c, facts).sched.limits.n_page, 32); // one request of n_ctx, exactly
    bt_capacity p;
    facts.free_bytes--;
    assert_fails(bt_capacity_plan(&c, &facts, &p), BT_NOMEM,
                 "a KV pool of 1024 tokens of 1000 bytes needs 1.0 MiB");
    facts.free_bytes = -5; // the weights alone are too large
    assert_fails(bt_capacity_plan(&c, &facts, &p), BT_NOMEM, "n_ctx is 1024");
    facts = roomy;
    facts.kv_token_bytes = INT64_MAX / 2;
    assert_fails(bt_capacity_plan(&c, &facts, &p), BT_LIMIT, "a KV token of");
    c.n_kv_token = INT64_MAX;
    facts = roomy;
    assert_fails(bt_capacity_plan(&c, &facts, &p), BT_INVALID, "n_kv_token is 9223372036854775807");
}

static void available_memory_is_a_plausible_number(void **state)
{
    (void)state;
    int64_t bytes = bt_mem_available();
    assert_true(bytes > 1 << 20);
}

static const char *tiny_model(void) { return test_path("test/golden/models/llama"); }

static void a_real_model_takes_the_memory_that_was_predicted(void **state)
{
    (void)state;
    static const bt_dtype dtype[] = {BT_F32, BT_F16, BT_BF16, BT_Q8_0, BT_Q4_0};
    tiny_dir dir;
    tiny_config wide = tiny_wide(TINY_LLAMA); // heads that are whole blocks
    tiny_dir_open(&dir);
    tiny_write(&dir, &wide);
    for (int i = 0; i < 5; i++) {
        bt_engine_config c = {.model = i < 3 ? tiny_model() : dir.path,
                              .n_ctx = 64 - i,
                              .n_thread = 1,
                              .kv_dtype = dtype[i]};
        bt_engine *engine;
        size_t kv = bt_mem_live(BT_MEM_KV), request = bt_mem_live(BT_MEM_REQUEST);
        assert_ok(bt_engine_open(&c, &engine));
        const bt_hparams *hp = bt_model_file_hparams(bt_engine_model(engine));
        bt_capacity_facts facts = roomy;
        facts.n_ctx_model = hp->n_ctx_train;
        facts.n_vocab = hp->n_vocab;
        facts.kv_token_bytes = bt_kv_token_bytes(hp, c.kv_dtype);
        bt_capacity p = plan(c, facts);
        bt_engine_stats s;
        bt_engine_get_stats(engine, &s);
        assert_int_equal(bt_mem_live(BT_MEM_KV) - kv, p.kv_bytes);
        assert_int_equal(s.kv_bytes, p.kv_bytes);
        assert_int_equal(bt_mem_live(BT_MEM_REQUEST) - request, p.slab_bytes);
        assert_int_equal(s.n_page, p.sched.limits.n_page);
        assert_true(s.load_s > 0 && s.weight_bytes > 0 && s.cpu_level);
        bt_engine_close(engine);
    }
    tiny_dir_close(&dir);
}

static void opening_a_real_model_survives_every_failing_allocation(void **state)
{
    (void)state;
    size_t live[BT_MEM_COUNT];
    uint64_t nth = 0;
    bt_status st;
    bt_engine_config c = {.model = tiny_model(), .n_ctx = 32, .n_thread = 1, .n_seq_max = 2};
    for (int t = 0; t < BT_MEM_COUNT; t++) live[t] = bt_mem_live(t);
    do {
        bt_engine *engine = NULL;
        bt_mem_fail_nth(++nth);
        st = bt_engine_open(&c, &engine);
        bt_mem_fail_nth(0);
        if (st == BT_OK)
            bt_engine_close(engine);
        else
            assert_null(engine);
        if (st != BT_OK && st != BT_NOMEM)
            fail_msg("allocation %d: %s", (int)nth, bt_error_message());
        for (int t = 0; t < BT_MEM_COUNT; t++)
            if (bt_mem_live(t) != live[t])
                fail_msg("allocation %d leaks %s", (int)nth, bt_mem_name(t));
    } while (st != BT_OK && nth < 20000);
    assert_true(nth > 30);
    print_message("%d allocations\n", (int)nth - 1);
}

static void opening_says_what_is_wrong_with_which_model(void **state)
{
    (void)state;
    bt_engine *engine;
    assert_fails(bt_engine_open(&(bt_engine_config){0}, &engine), BT_INVALID, "model is NULL");
    assert_fails(bt_engine_open(&(bt_engine_config){.model = "/no/such.gguf"}, &engine),
                 BT_NOTFOUND, "/no/such.gguf");
    bt_engine_config c = {.model = tiny_model(), .page_len = 5};
    assert_fails(bt_engine_open(&c, &engine), BT_INVALID, "golden/models/llama': page_len is 5");
    c = (bt_engine_config){.model = tiny_model(), .kv_dtype = BT_Q4_K};
    assert_fails(bt_engine_open(&c, &engine), BT_INVALID,
                 "kv_dtype is q4_k (8); allowed are f32, f16, bf16, q8_0 and q4_0");
    c.kv_dtype = BT_Q8_0;
    assert_fails(bt_engine_open(&c, &engine), BT_INVALID,
                 "kv_dtype is q8_0, which wants heads of a multiple of 32; the model's are ");
    c = (bt_engine_config){.model = tiny_model(), .kv_dtype = (bt_dtype)99};
    assert_fails(bt_engine_open(&c, &engine), BT_INVALID, "kv_dtype is 99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kv_bytes_count_the_heads_that_are_kept),
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(little_memory_makes_a_small_pool_and_less_a_clear_error),
        cmocka_unit_test(available_memory_is_a_plausible_number),
        cmocka_unit_test(a_real_model_takes_the_memory_that_was_predicted),
        cmocka_unit_test(opening_a_real_model_survives_every_failing_allocation),
        cmocka_unit_test(opening_says_what_is_wrong_with_which_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
