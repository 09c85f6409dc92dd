// SPDX-License-Identifier: Apache-2.0
/* synth: every shape is well-formed, weights have the spread they should in every type, and the
 * same bytes come out in memory and in a file. */
#include "base/bits.h"
#include "base/file.h"
#include "model/file/modelparts.h"
#include "model/file/synth.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <math.h>
#include <string.h>

static const char *const tiny_shapes[] = {"tiny-llama", "tiny-qwen2", "tiny-qwen3"};

static void every_tiny_shape_opens_in_every_type(void **state)
{
    (void)state;
    for (size_t s = 0; s < BT_COUNT_OF(tiny_shapes); s++)
        for (int type = 0; type <= BT_Q6_K; type++) {
            bt_model_file *file;
            assert_ok(bt_model_file_synth(tiny_shapes[s], (bt_dtype)type, &file));
            assert_string_equal(bt_model_file_format(file), "GGUF v3");
            assert_non_null(bt_model_file_tokenizer(file));
            bt_model_file_close(file);
        }
}

/* Mean and deviation of a matrix. */
static void spread(const bt_tensor_view *view, double *ret_mean, double *ret_deviation)
{
    int64_t n = view->desc.dim[1], rows = view->desc.dim[0];
    double sum = 0, square = 0;
    float wide[4096];
    for (int64_t r = 0; r < rows; r++) {
        bt_dequant_row(view->desc.dtype,
                       (const uint8_t *)view->data + r * bt_row_bytes(view->desc.dtype, n), n,
                       wide);
        for (int64_t c = 0; c < n; c++) {
            assert_true(isfinite(wide[c]));
            sum += wide[c];
            square += (double)wide[c] * wide[c];
        }
    }
    double count = (double)(n * rows);
    *ret_mean = sum / count;
    *ret_deviation = sqrt(square / count - *ret_mean * *ret_mean);
}

/* Rows of 256, so that every type is what was asked for. */
static void weights_spread_by_one_over_the_root_of_the_row(void **state)
{
    (void)state;
    for (int type = 0; type <= BT_Q6_K; type++) {
        bt_model_file *file;
        const bt_tensor_view *view;
        double mean, deviation;
        assert_ok(bt_model_file_synth("tiny-llama", (bt_dtype)type, &file));
        assert_ok(bt_model_file_get(file, "blk.0.ffn_down.weight", 128, 256, &view));
        assert_int_equal(view->desc.dtype, type);
        spread(view, &mean, &deviation);
        assert_float_equal(deviation * 16, 1, 0.12);
        assert_float_equal(mean * 16, 0, 0.08);
        assert_ok(bt_model_file_get(file, "blk.1.ffn_norm.weight", 0, 128, &view));
        assert_true(((const float *)view->data)[127] == 1);
        bt_model_file_close(file);
    }
}

static void a_file_is_the_image_in_memory(void **state)
{
    (void)state;
    tiny_dir dir;
    bt_model_file *disk, *memory;
    tiny_dir_open(&dir);
    assert_ok(bt_model_synth("tiny-qwen2", BT_Q5_0, tiny_path(&dir, "m.gguf"), NULL));
    assert_ok(bt_model_file_open(tiny_path(&dir, "m.gguf"), BT_USE_COMPUTE, &disk));
    assert_ok(bt_model_file_open("synth:tiny-qwen2:q5_0", BT_USE_COMPUTE, &memory));
    assert_int_equal(bt_model_file_n_tensor(disk), bt_model_file_n_tensor(memory));
    for (int64_t i = 0; i < bt_model_file_n_tensor(disk); i++) {
        const bt_tensor_view *a = bt_model_file_tensor(disk, i),
                             *b = bt_model_file_tensor(memory, i);
        assert_string_equal(a->name, b->name);
        assert_memory_equal(a->data, b->data, a->n_bytes);
    }
    bt_model_file_close(disk);
    bt_model_file_close(memory);
    tiny_dir_close(&dir);
}

static void no_two_tensors_have_the_same_weights(void **state)
{
    (void)state;
    bt_model_file *file;
    assert_ok(bt_model_file_synth("tiny-llama", BT_F32, &file));
    const bt_tensor_view *a = bt_model_file_find(file, "blk.0.attn_q.weight"),
                         *b = bt_model_file_find(file, "blk.1.attn_q.weight");
    assert_memory_not_equal(a->data, b->data, 4096);
    assert_memory_not_equal(a->data, (const uint8_t *)a->data + 4096, 4096);
    bt_model_file_close(file);
}

static void text_goes_in_and_comes_out(void **state)
{
    (void)state;
    bt_model_file *file;
    int32_t ids[64];
    size_t n, len;
    assert_ok(bt_model_file_synth("tiny-llama", BT_Q8_0, &file));
    const bt_tokenizer *t = bt_model_file_tokenizer(file);
    const char *text = "Hi  \xc3\xa9!\n";
    assert_ok(bt_tokenizer_encode(t, text, strlen(text), BT_ENCODE_BOS, ids, 64, &n));
    assert_int_equal(ids[0], 256);
    char back[64] = "";
    for (size_t i = 1; i < n; i++) {
        const char *piece = bt_tokenizer_piece(t, ids[i], &len);
        strncat(back, piece, len);
    }
    assert_string_equal(back, text);
    assert_string_equal(bt_tokenizer_piece(t, 300, &len), "<300>");
    assert_true(bt_tokenizer_is_eog(t, 257));
    bt_model_file_close(file);
}

static void count_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    uint64_t *last = ctx;
    assert_non_null(what);
    assert_true(done >= *last && done <= total);
    *last = done == total ? UINT64_MAX : done;
}

static void progress_rises_to_the_whole(void **state)
{
    (void)state;
    tiny_dir dir;
    uint64_t last = 0;
    bt_progress progress = {.fn = count_progress, .ctx = &last};
    tiny_dir_open(&dir);
    assert_ok(bt_model_synth("tiny-qwen3", BT_F16, tiny_path(&dir, "m.gguf"), &progress));
    assert_true(last == UINT64_MAX);
    tiny_dir_close(&dir);
}

static void what_cannot_be_made_is_named(void **state)
{
    (void)state;
    bt_model_file *file;
    assert_fails(bt_model_file_synth("llama-9", BT_F32, &file), BT_NOTFOUND,
                 "no shape 'llama-9'; the shapes are tiny-llama");
    assert_fails(bt_model_file_synth("tiny-llama", BT_I32, &file), BT_INVALID,
                 "type 'i32' cannot hold weights");
    assert_fails(bt_model_synth("tiny-llama", BT_F32, "/nonexistent/x.gguf", NULL), BT_NOTFOUND,
                 "/nonexistent/x.gguf");
    assert_null(bt_model_shape_name(bt_model_shape_count()));
    assert_null(bt_model_shape_name(-1));
    assert_string_equal(bt_model_shape_name(0), "tiny-llama");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tiny_shape_opens_in_every_type),
        cmocka_unit_test(weights_spread_by_one_over_the_root_of_the_row),
        cmocka_unit_test(a_file_is_the_image_in_memory),
        cmocka_unit_test(no_two_tensors_have_the_same_weights),
        cmocka_unit_test(text_goes_in_and_comes_out),
        cmocka_unit_test(progress_rises_to_the_whole),
        cmocka_unit_test(what_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
