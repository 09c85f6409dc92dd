// SPDX-License-Identifier: Apache-2.0
/* arch: the family table, the checks of hyperparameters, and rotary frequencies against the
 * formulas worked out by hand. */
#include "base/bits.h"
#include "model/arch.h"
#include "support/support.h"
#include <math.h>
#include <string.h>

static bt_hparams good(void)
{
    bt_hparams hp = {0};
    bt_hparams_family(&hp, BT_FAMILY_LLAMA);
    hp.n_layer = 2;
    hp.n_head = 8;
    hp.n_kv = 4;
    hp.d_model = 64;
    hp.d_head = 8;
    hp.d_ff = 128;
    hp.n_vocab = 100;
    hp.n_ctx_train = 512;
    hp.rms_eps = 1e-5f;
    hp.rope =
        (bt_rope){.d_rot = 8, .base = 10000, .factor = 1, .attn_factor = 1, .n_ctx_orig = 512};
    return hp;
}

#define REFUSED(field, value, message)                                                             \
    do {                                                                                           \
        bt_hparams bad = good();                                                                   \
        bad.field = value;                                                                         \
        assert_fails(bt_hparams_check(&bad), BT_FORMAT, message);                                  \
    } while (0)

static void each_field_is_held_against_its_limits(void **state)
{
    (void)state;
    bt_hparams hp = good();
    assert_ok(bt_hparams_check(&hp));
    REFUSED(n_layer, 0, "the number of layers is 0");
    REFUSED(n_layer, 1000000, "the number of layers is 1000000, must be from 1 to 512");
    REFUSED(n_head, 0, "the number of heads is 0");
    REFUSED(n_head, 5000, "the number of heads is 5000");
    REFUSED(n_kv, 0, "the number of key-value heads is 0");
    REFUSED(n_kv, 9, "the number of key-value heads is 9, must be from 1 to 8");
    REFUSED(n_kv, 3, "8 heads cannot share 3 key-value heads");
    REFUSED(d_model, -1, "the model width is -1");
    REFUSED(d_head, 1, "the head width is 1");
    REFUSED(d_ff, 0, "the feed-forward width is 0");
    REFUSED(n_vocab, 0, "the vocabulary is 0");
    REFUSED(n_ctx_train, 0, "the context length is 0");
    REFUSED(window, -1, "the sliding window is -1");
    REFUSED(rms_eps, -1.0f, "the norm's epsilon is -1");
    REFUSED(rms_eps, NAN, "the norm's epsilon is");
    REFUSED(rope.d_rot, 10, "the rotary dimension is 10, must be from 2 to 8");
    REFUSED(rope.d_rot, 3, "the rotary dimension is 3, must be even");
    REFUSED(rope.base, 0, "the rotary base is 0");
    REFUSED(rope.base, NAN, "the rotary base is");
    REFUSED(rope.base, INFINITY, "the rotary base is");
}

static void scalings_are_held_against_their_limits(void **state)
{
    (void)state;
    bt_hparams hp = good();
    hp.rope.scaling = BT_ROPE_SCALE_LINEAR;
    hp.rope.factor = 0.5;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "the rotary scaling factor is 0.5");
    hp.rope.factor = NAN;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "the rotary scaling factor is");
    hp.rope.factor = 8;
    hp.rope.scaling = BT_ROPE_SCALE_LLAMA3;
    hp.rope.low_freq_factor = 4;
    hp.rope.high_freq_factor = 4;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "high_freq_factor is 4, must be more than");
    hp.rope.low_freq_factor = 1;
    assert_ok(bt_hparams_check(&hp));
    hp.rope.n_ctx_orig = 0;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "the original context of rotary scaling is 0");
    hp.rope.n_ctx_orig = 512;
    hp.rope.scaling = BT_ROPE_SCALE_YARN;
    hp.rope.beta_fast = 1;
    hp.rope.beta_slow = 2;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "beta_fast is 1, must be at least beta_slow");
    hp.rope.beta_fast = 32;
    hp.rope.attn_factor = 0;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "attention factor is 0");
    hp.rope.attn_factor = 1;
    hp.rope.base = 1;
    assert_fails(bt_hparams_check(&hp), BT_FORMAT, "the rotary base is 1");
}

static void families_are_found_by_either_name_and_others_are_named(void **state)
{
    (void)state;
    bt_family family;
    assert_ok(bt_family_from_gguf("qwen2", &family));
    assert_int_equal(family, BT_FAMILY_QWEN2);
    assert_ok(bt_family_from_class("MistralForCausalLM", &family));
    assert_int_equal(family, BT_FAMILY_LLAMA);
    assert_ok(bt_family_from_class("LlamaForCausalLM", &family));
    assert_ok(bt_family_from_class("Qwen3ForCausalLM", &family));
    assert_int_equal(family, BT_FAMILY_QWEN3);
    assert_fails(bt_family_from_gguf("gemma", &family), BT_UNSUPPORTED,
                 "'gemma' is not supported; supported are llama, qwen2, qwen3");
    assert_fails(bt_family_from_gguf("", &family), BT_UNSUPPORTED, "''");
    assert_fails(bt_family_from_class("Llama", &family), BT_UNSUPPORTED,
                 "'Llama' is not supported");
    assert_fails(bt_family_from_class("LlamaForCausalLM MistralForCausalLM", &family),
                 BT_UNSUPPORTED, "supported are");
    assert_fails(bt_family_from_class("", &family), BT_UNSUPPORTED, "supported are");
}

static void plain_frequencies_are_powers_of_the_base(void **state)
{
    (void)state;
    bt_rope rope = {.d_rot = 8, .base = 10000, .factor = 1};
    float f[4], factor[4] = {1, 2, 4, 8};
    bt_rope_inv_freq(&rope, NULL, f);
    const float want[4] = {1, 0.1f, 0.01f, 0.001f};
    for (int i = 0; i < 4; i++) assert_float_equal(f[i], want[i], 1e-9);
    bt_rope_inv_freq(&rope, factor, f);
    for (int i = 0; i < 4; i++) assert_float_equal(f[i], want[i] / factor[i], 1e-9);
    rope.scaling = BT_ROPE_SCALE_LINEAR;
    rope.factor = 4;
    bt_rope_inv_freq(&rope, NULL, f);
    for (int i = 0; i < 4; i++) assert_float_equal(f[i], want[i] / 4, 1e-9);
}

static void llama3_keeps_short_waves_and_divides_long_ones(void **state)
{
    (void)state;
    bt_rope rope = {.d_rot = 128,
                    .base = 500000,
                    .scaling = BT_ROPE_SCALE_LLAMA3,
                    .factor = 8,
                    .low_freq_factor = 1,
                    .high_freq_factor = 4,
                    .n_ctx_orig = 8192};
    float f[64];
    int kept = 0, divided = 0;
    bt_rope_inv_freq(&rope, NULL, f);
    for (int i = 0; i < 64; i++) {
        double plain = pow(500000, -i / 64.0), wave = 2 * M_PI / plain;
        double smooth = (8192 / wave - 1) / 3, want = (1 - smooth) * plain / 8 + smooth * plain;
        if (wave < 8192 / 4.0) want = plain, kept++;
        if (wave > 8192) want = plain / 8, divided++;
        assert_float_equal(f[i] / want, 1, 1e-6);
    }
    assert_in_range(kept, 20, 40); // all three zones are there
    assert_in_range(divided, 10, 40);
    assert_true(kept + divided < 64);
}

/* The pairs between which YaRN ramps are those of Peng et al. 2023, eq. 17 to 23. */
static void yarn_ramps_between_its_two_betas(void **state)
{
    (void)state;
    bt_rope rope = {.d_rot = 128,
                    .base = 10000,
                    .scaling = BT_ROPE_SCALE_YARN,
                    .factor = 4,
                    .beta_fast = 32,
                    .beta_slow = 1,
                    .n_ctx_orig = 4096,
                    .attn_factor = 1};
    float f[64];
    double lo = floor(64 * log(4096 / (32 * 2 * M_PI)) / log(10000)),
           hi = ceil(64 * log(4096 / (2 * M_PI)) / log(10000));
    bt_rope_inv_freq(&rope, NULL, f);
    assert_true(lo > 10 && hi < 60 && hi > lo + 10);
    for (int i = 0; i < 64; i++) {
        double plain = pow(10000, -i / 64.0), ramp = fmin(fmax((i - lo) / (hi - lo), 0), 1);
        double want = plain * (1 - ramp) + plain / 4 * ramp;
        assert_float_equal(f[i] / want, 1, 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_is_held_against_its_limits),
        cmocka_unit_test(scalings_are_held_against_their_limits),
        cmocka_unit_test(families_are_found_by_either_name_and_others_are_named),
        cmocka_unit_test(plain_frequencies_are_powers_of_the_base),
        cmocka_unit_test(llama3_keeps_short_waves_and_divides_long_ones),
        cmocka_unit_test(yarn_ramps_between_its_two_betas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
