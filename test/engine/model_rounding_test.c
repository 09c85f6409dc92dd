// SPDX-License-Identifier: Apache-2.0
/* What the rounding of activations costs: the perplexity of a model in each type, whose products
 * round activations to 8 bits or to bf16, beside that of the same weights in a file of f32, whose
 * products do not. They may be 0.5 % apart. Rounding makes a token likelier or less likely by a
 * percent or more, so texts are read until these even out: until the cost, and three standard errors
 * more, are below the bound, or there are no more texts. */
#include "oracle/drive.h"
#include "oracle/texts.h"
#include "oracle/tiny.h"
#include "support/support.h"
#include "tensor/quant.h"
#include <math.h>

/* Under a sanitizer a short text shows that all of it runs, and nothing of what it costs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N = 24, N_TEXT_MIN = 1, N_TEXT_MAX = 1, N_TOLD = 1 };
static const double LOSS_MAX = 0.05;
#else
enum { N = 240, N_TEXT_MIN = 8, N_TEXT_MAX = 240, N_TOLD = 24 };
static const double LOSS_MAX = 0.005;
#endif

typedef struct loss {
    int32_t n_text;
    double mean, error; // of the log of perplexity; standard error of the mean
    double exact;       // log of perplexity without rounding
} loss;

static bt_engine *open_model(const char *path)
{
    return drive_open(
        &(bt_engine_config){.model = path, .n_thread = 1, .n_ctx = N + 1, .n_seq_max = 1});
}

static loss measure(const char *file, const char *twin, const texts *t)
{
    loss l = {0};
    double sum = 0, squares = 0, exact = 0;
    bt_engine *a = open_model(file), *b = open_model(twin);
    while (l.n_text < t->n_text) {
        const int32_t *ids = t->ids + l.n_text++ * t->n;
        double want = mean_nll(b, ids, t->n), apart = mean_nll(a, ids, t->n) - want;
        exact += want;
        sum += apart;
        squares += apart * apart;
        l.mean = sum / l.n_text;
        l.error = sqrt((squares / l.n_text - l.mean * l.mean) / fmax(1, l.n_text - 1));
        if (l.n_text >= N_TEXT_MIN && fabs(l.mean) + 3 * l.error <= LOSS_MAX) break;
    }
    l.exact = exact / l.n_text;
    bt_engine_close(a);
    bt_engine_close(b);
    return l;
}

/* `model` is in floats. */
static void check_types(const char *name, const char *model, const texts *t)
{
    tiny_dir dir;
    tiny_dir_open(&dir);
    const char *file = tiny_path(&dir, "type.gguf"), *twin = tiny_path(&dir, "twin.gguf");
    for (int type = BT_F16; type <= BT_Q6_K; type++) {
        int32_t n_fallback;
        assert_ok(bt_model_quantize(model, file, (bt_dtype)type, NULL, &n_fallback));
        assert_ok(bt_model_quantize(file, twin, BT_F32, NULL, NULL));
        loss l = measure(file, twin, t);
        double cost = expm1(l.mean);
        print_message("%s in %-4s %+.3f +- %.3f %% of perplexity %.5g (%d x %d tokens)%s\n", name,
                      bt_dtype_name((bt_dtype)type), cost * 100, l.error * 100, exp(l.exact),
                      l.n_text, t->n, n_fallback ? ", some matrices in another type" : "");
        if (!(fabs(cost) <= LOSS_MAX))
            fail_msg("%s in %s: rounding activations costs %.3f %% of perplexity", name,
                     bt_dtype_name((bt_dtype)type), cost * 100);
    }
    tiny_dir_close(&dir);
}

static void the_bundled_model(void **state)
{
    (void)state;
    tiny_dir dir;
    tiny_dir_open(&dir);
    const char *story = test_path("models/story.gguf"), *wide = tiny_path(&dir, "wide.gguf");
    assert_ok(bt_model_quantize(story, wide, BT_F32, NULL, NULL));
    texts t = texts_told(story, N_TOLD, N);
    check_types("story", wide, &t);
    texts_done(&t);
    tiny_dir_close(&dir);
}

static void check_shared(const char *name, const char *model, const char *path, int32_t n_text)
{
    texts t = texts_read(model, path, n_text, N);
    check_types(name, model, &t);
    texts_done(&t);
}

static void babyllama(void **state)
{
    (void)state;
    need_data(model, "models/babyllama-tok105/babyllama-tok105.gguf");
    need_data(text, "text/tinystories_v2_train_part.txt");
    check_shared("babyllama-tok105", model, text, N_TEXT_MAX);
}

static void llama2xs(void **state)
{
    (void)state;
    need_data(model, "models/llama2xs-tok512/llama2xs-tok512.gguf");
    need_data(text, "text/tinystories_v2_train_part.txt");
    check_shared("llama2xs-tok512", model, text, N_TEXT_MAX);
}

/* Every id is about as likely as any other, rounded or not: one text tells as much as many. */
static void llama_2_tiny_random(void **state)
{
    (void)state;
    need_data(model, "models/llama-2-tiny-random/llama-2-tiny-random.gguf");
    need_data(text, "text/tinystories_v2_train_part.txt");
    check_shared("llama-2-tiny-random", model, text, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bundled_model),
        cmocka_unit_test(babyllama),
        cmocka_unit_test(llama2xs),
        cmocka_unit_test(llama_2_tiny_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
