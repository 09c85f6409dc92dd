// SPDX-License-Identifier: Apache-2.0
/* quant_test: dequantisation is bit-exact with the gguf package's, quantisation no worse than it.
 */
#include "support/support.h"
#include "base/bits.h"
#include "model/file/modelfile.h"
#include "tensor/half.h"
#include "tensor/quant.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *read_golden(const char *name, size_t *ret_size)
{
    char relative[128];
    snprintf(relative, sizeof relative, "test/golden/quant/%s", name);
    FILE *f = fopen(test_path(relative), "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *ret_size = (size_t)ftell(f);
    rewind(f);
    char *data = calloc(1, *ret_size + 1);
    assert_int_equal(fread(data, 1, *ret_size, f), *ret_size);
    fclose(f);
    return data;
}

static void every_type_dequantises_to_the_same_bits_as_the_package(void **state)
{
    (void)state;
    for (int t = BT_F32; t <= BT_Q6_K; t++) {
        char name[32];
        size_t size, want_size;
        snprintf(name, sizeof name, "%s.bin", bt_dtype_name((bt_dtype)t));
        uint8_t *blocks = read_golden(name, &size);
        snprintf(name, sizeof name, "%s.f32", bt_dtype_name((bt_dtype)t));
        float *want = read_golden(name, &want_size);
        int64_t n = (int64_t)(want_size / sizeof *want);
        assert_int_equal(bt_row_bytes((bt_dtype)t, n), size);
        float *got = calloc((size_t)n, sizeof *got);
        uint8_t *shifted = malloc(size + 1); // blocks lie unaligned in files
        memcpy(shifted + 1, blocks, size);
        bt_dequant_row((bt_dtype)t, shifted + 1, n, got);
        for (int64_t i = 0; i < n; i++)
            if (bt_f32_bits(got[i]) != bt_f32_bits(want[i]))
                fail_msg("%s: element %ld is %a, wanted %a", bt_dtype_name((bt_dtype)t), (long)i,
                         got[i], want[i]);
        free(shifted);
        free(got);
        free(want);
        free(blocks);
    }
}

static double rms_error(bt_dtype dtype, const float *x, int64_t n)
{
    uint8_t *packed = malloc((size_t)bt_row_bytes(dtype, n));
    float *back = malloc((size_t)n * sizeof *back);
    double sum = 0;
    bt_quant_row(dtype, x, n, packed);
    bt_dequant_row(dtype, packed, n, back);
    for (int64_t i = 0; i < n; i++) sum += ((double)back[i] - x[i]) * ((double)back[i] - x[i]);
    free(packed);
    free(back);
    return sqrt(sum / (double)n);
}

/* The same over all matrices of a model, each as one long row. */
static double rms_error_of_model(bt_dtype dtype, const bt_model_file *file)
{
    double sum = 0;
    int64_t n_all = 0;
    for (int64_t i = 0; i < bt_model_file_n_tensor(file); i++) {
        const bt_tensor_view *view = bt_model_file_tensor(file, i);
        int64_t n = bt_desc_count(&view->desc);
        if (view->desc.n_dim != 2 || n % 32) continue;
        float *x = malloc((size_t)n * sizeof *x);
        memcpy(x, view->data, (size_t)n * sizeof *x);
        double e = rms_error(dtype, x, n);
        sum += e * e * (double)n;
        n_all += n;
        free(x);
    }
    return sqrt(sum / (double)n_all);
}

static void quantisation_of_real_weights_is_no_worse_than_the_package(void **state)
{
    (void)state;
    need_data(path, "models/babyllama-tok105/babyllama-tok105.gguf");
    bt_model_file *file;
    size_t text_size;
    assert_ok(bt_model_file_open(path, BT_USE_INSPECT, &file));
    char *text = read_golden("real_error.txt", &text_size), *line = strtok(text, "\n");
    for (; line; line = strtok(NULL, "\n")) {
        char name[16];
        double limit;
        bt_dtype dtype = BT_F32;
        assert_int_equal(sscanf(line, "%15s %lf", name, &limit), 2);
        assert_ok(bt_dtype_parse(name, &dtype));
        double got = rms_error_of_model(dtype, file);
        print_message("%s: rms error %.9f, the package's %.9f\n", name, got, limit);
        assert_true(got <= limit * (1 + 1e-6));
    }
    free(text);
    bt_model_file_close(file);
}

static void quantisation_is_no_worse_than_the_package(void **state)
{
    (void)state;
    size_t size, text_size;
    float *x = read_golden("normals.f32", &size);
    char *text = read_golden("error.txt", &text_size), *line = strtok(text, "\n");
    int seen = 0;
    for (; line; line = strtok(NULL, "\n"), seen++) {
        char name[16];
        double limit;
        bt_dtype dtype = BT_F32;
        assert_int_equal(sscanf(line, "%15s %lf", name, &limit), 2);
        assert_ok(bt_dtype_parse(name, &dtype));
        double got = rms_error(dtype, x, (int64_t)(size / sizeof *x));
        print_message("%s: rms error %.6f, the package's %.6f\n", name, got, limit);
        assert_true(got <= limit * (1 + 1e-6));
    }
    assert_int_equal(seen, 8);
    free(text);
    free(x);
}

static void k_types_beat_the_simple_types_of_their_size(void **state)
{
    (void)state;
    size_t size;
    float *x = read_golden("normals.f32", &size);
    int64_t n = (int64_t)(size / sizeof *x);
    double q4_k = rms_error(BT_Q4_K, x, n), q5_k = rms_error(BT_Q5_K, x, n),
           q6_k = rms_error(BT_Q6_K, x, n);
    print_message("q4_k %.5f q5_k %.5f q6_k %.5f\n", q4_k, q5_k, q6_k);
    assert_true(q4_k < rms_error(BT_Q4_0, x, n) && q4_k < 0.074); // of unit normals
    assert_true(q5_k < rms_error(BT_Q5_0, x, n) && q5_k < 0.037);
    assert_true(q6_k < q5_k && q6_k < 0.020);
    free(x);
}

static void values_with_no_code_become_zero_and_poison_nothing(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-42f, 0, -0.0f};
    for (int t = BT_Q8_0; t <= BT_Q6_K; t++)
        for (size_t o = 0; o < BT_COUNT_OF(odd); o++) {
            float x[256], back[256];
            uint8_t packed[512];
            for (int i = 0; i < 256; i++) x[i] = i % 2 ? 0.5f : 1.0f;
            x[0] = odd[o];
            bt_quant_row((bt_dtype)t, x, 256, packed);
            bt_dequant_row((bt_dtype)t, packed, 256, back);
            for (int i = 0; i < 256; i++) assert_true(isfinite(back[i]));
            if (!isfinite(odd[o])) {
                assert_true(fabsf(back[0]) < 0.08f);
                assert_true(fabsf(back[1] - 0.5f) < 0.08f && fabsf(back[255] - 0.5f) < 0.08f);
            }
            for (int i = 0; i < 256; i++) x[i] = odd[o];
            bt_quant_row((bt_dtype)t, x, 256, packed);
            bt_dequant_row((bt_dtype)t, packed, 256, back);
            for (int i = 0; i < 256; i++) assert_true(isfinite(back[i]));
        }
}

static void what_a_type_can_hold_survives_a_round_trip(void **state)
{
    (void)state;
    for (int t = BT_Q8_0; t <= BT_Q6_K; t++) {
        bt_dtype dtype = (bt_dtype)t;
        float x[256], back[256];
        uint8_t packed[512];
        for (int i = 0; i < 256; i++) x[i] = (float)(i * 7 % 16 - 8) * 0.25f;
        bt_quant_row(dtype, x, 256, packed);
        bt_dequant_row(dtype, packed, 256, back);
        for (int i = 0; i < 256; i++)
            assert_true(fabsf(x[i] - back[i]) <= (dtype == BT_Q4_K ? 0.02f : 0.01f));
    }
    for (int t = BT_F32; t <= BT_BF16; t++) {
        float x[3] = {1.5f, NAN, -INFINITY}, back[3];
        uint8_t packed[16];
        bt_quant_row((bt_dtype)t, x, 3, packed);
        bt_dequant_row((bt_dtype)t, packed, 3, back);
        assert_true(back[0] == 1.5f && isnan(back[1]) && back[2] == -INFINITY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_dequantises_to_the_same_bits_as_the_package),
        cmocka_unit_test(quantisation_is_no_worse_than_the_package),
        cmocka_unit_test(quantisation_of_real_weights_is_no_worse_than_the_package),
        cmocka_unit_test(k_types_beat_the_simple_types_of_their_size),
        cmocka_unit_test(values_with_no_code_become_zero_and_poison_nothing),
        cmocka_unit_test(what_a_type_can_hold_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
