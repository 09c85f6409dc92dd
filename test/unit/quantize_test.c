// SPDX-License-Identifier: Apache-2.0
/* quantize: conversions keep what they should (values, hyperparameters, tokenizer), a quantised
 * copy is what bt_quant_row makes of each row, and what cannot be converted is refused. */
#include "base/bits.h"
#include "base/file.h"
#include "model/file/gguf_write.h"
#include "model/file/modelparts.h"
#include "model/file/synth.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *row_of(const bt_tensor_view *view, int64_t r)
{
    return (const uint8_t *)view->data +
           r * bt_row_bytes(view->desc.dtype, view->desc.dim[view->desc.n_dim - 1]);
}

/* The file `to` has what the row functions make of each row of `in` in a type; how many matrices had
 * to take another one. */
static int32_t compare_rows(const bt_model_file *in, const char *to, bt_dtype type)
{
    bt_model_file *out;
    int32_t n_fallback = 0;
    assert_ok(bt_model_file_open(to, BT_USE_COMPUTE, &out));
    assert_int_equal(bt_model_file_n_tensor(out), bt_model_file_n_tensor(in));
    for (int64_t i = 0; i < bt_model_file_n_tensor(in); i++) {
        const bt_tensor_view *a = bt_model_file_tensor(in, i),
                             *b = bt_model_file_find(out, a->name);
        int64_t n = a->desc.dim[a->desc.n_dim - 1], rows = a->desc.n_dim == 2 ? a->desc.dim[0] : 1;
        float wide[1024];
        uint8_t want[4096];
        assert_int_equal(b->desc.dtype, bt_stored_dtype(type, &a->desc));
        n_fallback += a->desc.n_dim == 2 && b->desc.dtype != type;
        for (int64_t r = 0; r < rows; r += 5) {
            bt_dequant_row(a->desc.dtype, row_of(a, r), n, wide);
            bt_quant_row(b->desc.dtype, wide, n, want);
            assert_memory_equal(row_of(b, r), want, bt_row_bytes(b->desc.dtype, n));
        }
    }
    bt_model_file_close(out);
    return n_fallback;
}

/* Write a model in `from` in each type of a range as each of another, and compare. */
static void convert_each(int first_from, int last_from, int last_to)
{
    tiny_dir dir;
    bt_model_file *in;
    tiny_dir_open(&dir);
    const char *from = tiny_path(&dir, "in.gguf"), *to = tiny_path(&dir, "out.gguf");
    for (int a = first_from; a <= last_from; a++) {
        assert_ok(bt_model_synth("tiny-llama", (bt_dtype)a, from, NULL));
        assert_ok(bt_model_file_open(from, BT_USE_COMPUTE, &in));
        for (int b = 0; b <= last_to; b++) {
            int32_t n_fallback = -1;
            assert_ok(bt_model_quantize(from, to, (bt_dtype)b, NULL, &n_fallback));
            assert_int_equal(n_fallback, compare_rows(in, to, (bt_dtype)b));
        }
        bt_model_file_close(in);
    }
    tiny_dir_close(&dir);
}

static void each_row_is_what_the_row_function_makes(void **state)
{
    (void)state;
    convert_each(BT_F32, BT_F32, BT_Q6_K);
}

static void what_is_quantised_becomes_floats(void **state)
{
    (void)state;
    convert_each(BT_Q8_0, BT_Q6_K, BT_BF16);
}

static void rows_that_do_not_fit_fall_to_a_type_that_does(void **state)
{
    (void)state;
    bt_desc wide = bt_desc_2d(BT_F32, 3, 512), middle = bt_desc_2d(BT_F32, 3, 96),
            narrow = bt_desc_2d(BT_F32, 3, 20), vector = bt_desc_1d(BT_F32, 512);
    assert_int_equal(bt_stored_dtype(BT_Q4_K, &wide), BT_Q4_K);
    assert_int_equal(bt_stored_dtype(BT_Q4_K, &middle), BT_Q8_0);
    assert_int_equal(bt_stored_dtype(BT_Q4_K, &narrow), BT_F16);
    assert_int_equal(bt_stored_dtype(BT_Q4_0, &middle), BT_Q4_0);
    assert_int_equal(bt_stored_dtype(BT_Q4_K, &vector), BT_F32);
    assert_int_equal(bt_stored_dtype(BT_F16, &vector), BT_F32);
}

/* The frequencies each way, and one element of q: r of GGUF's rows is a row of the halves. */
static void compare_turned(const bt_model_file *hf, const bt_model_file *gguf)
{
    const bt_hparams *a = bt_model_file_hparams(hf), *b = bt_model_file_hparams(gguf);
    float x[64], y[64];
    bt_model_file_inv_freq(hf, x);
    bt_model_file_inv_freq(gguf, y);
    for (int i = 0; i < a->rope.d_rot / 2; i++) assert_float_equal(y[i] / x[i], 1, 1e-6);
    assert_true(fabs(a->rope.attn_factor - b->rope.attn_factor) < 1e-6);
    bool turned = b->rope.kind == BT_ROPE_INTERLEAVED;
    for (int32_t layer = 0; layer < a->n_layer; layer++) {
        const bt_tensor_view *q = bt_model_file_find_layer(hf, "attn_q.weight", layer);
        const bt_tensor_view *p = bt_model_file_find_layer(gguf, "attn_q.weight", layer);
        for (int64_t r = 0; r < q->desc.dim[0]; r++) {
            int64_t in = r % a->d_head,
                    from = turned ? r - in + in % 2 * (a->d_head / 2) + in / 2 : r;
            assert_memory_equal(row_of(p, r), row_of(q, from), 4 * (size_t)q->desc.dim[1]);
        }
    }
    const bt_tensor_view *bias = bt_model_file_find_layer(hf, "attn_k.bias", 0),
                         *other = bt_model_file_find_layer(gguf, "attn_k.bias", 0);
    assert_true(!bias == !other);
    if (bias && turned)
        assert_true(((const float *)other->data)[1] == ((const float *)bias->data)[a->d_head / 2]);
}

static void compare_hparams(const bt_hparams *a, const bt_hparams *b)
{
    assert_true(a->family == b->family && a->n_layer == b->n_layer && a->n_head == b->n_head &&
                a->n_kv == b->n_kv);
    assert_true(a->d_model == b->d_model && a->d_head == b->d_head && a->d_ff == b->d_ff &&
                a->n_vocab == b->n_vocab);
    assert_true(a->n_ctx_train == b->n_ctx_train && a->rms_eps == b->rms_eps &&
                a->window == b->window);
    assert_true(a->tie_embeddings == b->tie_embeddings && a->qkv_bias == b->qkv_bias &&
                a->qk_norm == b->qk_norm);
    assert_true(a->out_bias == b->out_bias && a->ffn_bias == b->ffn_bias);
}

static void directories_of_every_family_and_scaling_become_gguf(void **state)
{
    (void)state;
    test_rng rng = {42};
    for (int i = 0; i < 24; i++) {
        tiny_dir dir;
        tiny_config config = tiny_random(&rng);
        bt_model_file *hf, *gguf;
        tiny_dir_open(&dir);
        tiny_write(&dir, &config);
        const char *out = tiny_path(&dir, "out.gguf");
        assert_ok(bt_model_quantize(dir.path, out, BT_F32, NULL, NULL));
        assert_ok(bt_model_file_open(dir.path, BT_USE_COMPUTE, &hf));
        assert_ok(bt_model_file_open(out, BT_USE_COMPUTE, &gguf));
        compare_hparams(bt_model_file_hparams(hf), bt_model_file_hparams(gguf));
        compare_turned(hf, gguf);
        bt_model_file_close(hf);
        bt_model_file_close(gguf);
        tiny_dir_close(&dir);
    }
}

static void the_tokenizer_comes_along(void **state)
{
    (void)state;
    need_data(hf_path, "models/llama2xs-tok512/hf");
    need_data(text_path, "models/llama2xs-tok512/nll_text.txt");
    tiny_dir dir;
    bt_model_file *hf, *gguf;
    bt_buf text = {0};
    static int32_t a[8192], b[8192];
    size_t n_a, n_b;
    tiny_dir_open(&dir);
    assert_ok(bt_file_read(text_path, 1 << 20, &text));
    assert_ok(bt_buf_text(&text, "  two  spaces\n\ttab \xe6\xbc\xa2 \xf0\x9f\x98\x80 <s> 123"));
    assert_ok(bt_model_quantize(hf_path, tiny_path(&dir, "m.gguf"), BT_F16, NULL, NULL));
    assert_ok(bt_model_file_open(hf_path, BT_USE_COMPUTE, &hf));
    assert_ok(bt_model_file_open(tiny_path(&dir, "m.gguf"), BT_USE_COMPUTE, &gguf));
    assert_ok(bt_tokenizer_encode(bt_model_file_tokenizer(hf), text.data, text.len, BT_ENCODE_BOS,
                                  a, 8192, &n_a));
    assert_ok(bt_tokenizer_encode(bt_model_file_tokenizer(gguf), text.data, text.len, BT_ENCODE_BOS,
                                  b, 8192, &n_b));
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a * sizeof *a);
    bt_model_file_close(hf);
    bt_model_file_close(gguf);
    bt_buf_done(&text);
    tiny_dir_close(&dir);
}

static void copy_file(const char *from, const char *to)
{
    bt_buf bytes = {0};
    bt_writer w;
    assert_ok(bt_file_read(from, 1 << 26, &bytes));
    assert_ok(bt_writer_open(&w, to));
    assert_ok(bt_writer_add(&w, bytes.data, bytes.len));
    assert_ok(bt_writer_commit(&w));
    bt_buf_done(&bytes);
}

/* A real byte-level vocabulary on a model with as many rows. */
static void check_byte_level(const char *tokenizer, int32_t n_vocab)
{
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_QWEN3);
    bt_model_file *hf, *gguf;
    const char *text = "Hello  World! don't 12345 \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80\n\n  x "
                       "= y+1; <|im_start|>";
    int32_t a[128], b[128];
    size_t n_a, n_b;
    config.n_vocab = n_vocab;
    config.n_layer = 1;
    config.d_model = config.d_ff = 8;
    config.tie = true;
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    copy_file(tokenizer, tiny_path(&dir, "tokenizer.json"));
    assert_ok(bt_model_quantize(dir.path, tiny_path(&dir, "m.gguf"), BT_F16, NULL, NULL));
    assert_ok(bt_model_file_open(dir.path, BT_USE_TOKENIZER, &hf));
    assert_ok(bt_model_file_open(tiny_path(&dir, "m.gguf"), BT_USE_COMPUTE, &gguf));
    for (unsigned flags = 0; flags < 4; flags++) {
        assert_ok(bt_tokenizer_encode(bt_model_file_tokenizer(hf), text, strlen(text), flags, a,
                                      128, &n_a));
        assert_ok(bt_tokenizer_encode(bt_model_file_tokenizer(gguf), text, strlen(text), flags, b,
                                      128, &n_b));
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a * sizeof *a);
    }
    bt_model_file_close(hf);
    bt_model_file_close(gguf);
    tiny_dir_close(&dir);
}

static void byte_level_vocabularies_come_along(void **state)
{
    (void)state;
    need_data(qwen, "tokenizers/qwen/tokenizer.json");
    check_byte_level(qwen, 151936);
}

static void what_cannot_be_converted_is_named(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_dir_open(&dir);
    const char *from = tiny_path(&dir, "in.gguf"), *to = tiny_path(&dir, "out.gguf");
    assert_ok(bt_model_synth("tiny-llama", BT_Q8_0, from, NULL));
    assert_fails(bt_model_quantize(from, to, BT_Q4_0, NULL, NULL), BT_INVALID,
                 "is quantised (q8_0) already, and can only become f32, f16 or bf16");
    assert_fails(bt_model_quantize(from, to, BT_Q8_0, NULL, NULL), BT_INVALID,
                 "start from one of these for q8_0");
    assert_fails(bt_model_quantize(from, to, BT_I32, NULL, NULL), BT_INVALID,
                 "type 'i32' cannot hold weights");
    assert_fails(bt_model_quantize("/nonexistent.gguf", to, BT_Q4_0, NULL, NULL), BT_NOTFOUND,
                 "/nonexistent.gguf");
    assert_false(bt_file_exists(to));
    tiny_dir_close(&dir);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_config config = tiny_wide(TINY_LLAMA);
    config.n_layer = 1;
    tiny_dir_open(&dir);
    tiny_write(&dir, &config);
    const char *out = tiny_path(&dir, "out.gguf");
    for (uint64_t n = 1;; n++) {
        bt_mem_fail_nth(n);
        bt_status st = bt_model_quantize(dir.path, out, BT_Q4_K, NULL, NULL);
        bt_mem_fail_nth(0);
        if (st == BT_OK) break;
        assert_int_equal(st, BT_NOMEM);
        assert_false(bt_file_exists(out));
    }
    assert_int_equal(bt_mem_live(BT_MEM_MODEL) + bt_mem_live(BT_MEM_TEXT), 0);
    tiny_dir_close(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_what_the_row_function_makes),
        cmocka_unit_test(what_is_quantised_becomes_floats),
        cmocka_unit_test(rows_that_do_not_fit_fall_to_a_type_that_does),
        cmocka_unit_test(directories_of_every_family_and_scaling_become_gguf),
        cmocka_unit_test(the_tokenizer_comes_along),
        cmocka_unit_test(byte_level_vocabularies_come_along),
        cmocka_unit_test(what_cannot_be_converted_is_named),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
