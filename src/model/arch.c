// SPDX-License-Identifier: Apache-2.0
/* arch: the family table spelled out, the checks that make hyperparameters trustworthy, and the
 * rotary frequencies with their scalings.
 * Source: RoPE: Su et al. 2021; YaRN: Peng et al. 2023, sec. 3; llama3: the model card's scaling.
 */
#include "model/arch.h"
#include "base/bits.h"
#include "base/buf.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum bias { BIAS_NO, BIAS_YES, BIAS_CONFIG };

static const struct {
    const char *name, *classes;
    bt_rope_kind gguf_rope;
    enum bias bias;
    bool qk_norm;
} families[] = {
#define FAMILY(upper, lower, classes, rope, bias, norm) {#lower, classes, rope, bias, norm},
    BT_FAMILY_LIST(FAMILY)
#undef FAMILY
};

const char *bt_rope_scaling_name(bt_rope_scaling scaling)
{
    static const char *const name[] = {
#define NAME(upper, lower) #lower,
        BT_ROPE_SCALING_LIST(NAME)
#undef NAME
    };
    return (unsigned)scaling < BT_COUNT_OF(name) ? name[scaling] : "unknown";
}

const char *bt_family_name(bt_family family)
{
    return (unsigned)family < BT_FAMILY_COUNT ? families[family].name : "unknown";
}

bt_rope_kind bt_family_gguf_rope(bt_family family) { return families[family].gguf_rope; }

bt_status bt_family_from_gguf(const char *arch, bt_family *ret_family)
{
    char list[128] = "";
    for (int i = 0; i < BT_FAMILY_COUNT; i++) {
        if (!strcmp(arch, families[i].name)) {
            *ret_family = (bt_family)i;
            return BT_OK;
        }
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", families[i].name);
    }
    return bt_fail(BT_UNSUPPORTED, "architecture '%s' is not supported; supported are %s", arch,
                   list);
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *w = words; len && *w;) {
        size_t n = strcspn(w, " ");
        if (n == len && !memcmp(w, word, n)) return true;
        w += n + (w[n] == ' ');
    }
    return false;
}

bt_status bt_family_from_class(const char *class_name, bt_family *ret_family)
{
    char list[256] = "";
    for (int i = 0; i < BT_FAMILY_COUNT; i++) {
        if (has_word(families[i].classes, class_name)) {
            *ret_family = (bt_family)i;
            return BT_OK;
        }
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s", i ? " " : "", families[i].classes);
    }
    for (char *c = list; *c; c++)
        if (*c == ' ') *c = ',';
    return bt_fail(BT_UNSUPPORTED, "architecture '%s' is not supported; supported are %s",
                   class_name, list);
}

void bt_hparams_family(bt_hparams *hp, bt_family family)
{
    hp->family = family;
    hp->qkv_bias = families[family].bias == BIAS_YES;
    hp->qk_norm = families[family].qk_norm;
}

/* ---- checks ---- */

static bt_status check_range(const char *what, int64_t value, int64_t lo, int64_t hi)
{
    BT_FAIL_IF(value < lo || value > hi, FORMAT, "%s is %lld, must be from %lld to %lld", what,
               (long long)value, (long long)lo, (long long)hi);
    return BT_OK;
}

static bt_status check_positive(const char *what, double value)
{
    BT_FAIL_IF(!(value > 0 && value < 1e12), FORMAT, "%s is %g, must be positive and below 1e12",
               what, value);
    return BT_OK;
}

static bt_status check_rope(const bt_rope *rope, int32_t d_head)
{
    BT_TRY(check_range("the rotary dimension", rope->d_rot, 2, d_head));
    BT_FAIL_IF(rope->d_rot % 2, FORMAT, "the rotary dimension is %d, must be even", rope->d_rot);
    BT_TRY(check_positive("the rotary base", rope->base));
    if (rope->scaling == BT_ROPE_SCALE_NONE) return BT_OK;
    BT_FAIL_IF(!(rope->factor >= 1 && rope->factor <= 1e6), FORMAT,
               "the rotary scaling factor is %g, must be from 1 to 1e6", rope->factor);
    if (rope->scaling == BT_ROPE_SCALE_LINEAR) return BT_OK;
    BT_TRY(check_range("the original context of rotary scaling", rope->n_ctx_orig, 1, BT_CTX_MAX));
    if (rope->scaling == BT_ROPE_SCALE_LLAMA3) {
        BT_TRY(check_positive("low_freq_factor", rope->low_freq_factor));
        BT_TRY(check_positive("high_freq_factor", rope->high_freq_factor));
        BT_FAIL_IF(rope->high_freq_factor <= rope->low_freq_factor, FORMAT,
                   "high_freq_factor is %g, must be more than low_freq_factor, which is %g",
                   rope->high_freq_factor, rope->low_freq_factor);
        return BT_OK;
    }
    BT_TRY(check_positive("beta_fast", rope->beta_fast));
    BT_TRY(check_positive("beta_slow", rope->beta_slow));
    BT_FAIL_IF(rope->beta_fast < rope->beta_slow, FORMAT,
               "beta_fast is %g, must be at least beta_slow, which is %g", rope->beta_fast,
               rope->beta_slow);
    BT_FAIL_IF(rope->base == 1, FORMAT, "the rotary base is 1, which yarn scaling cannot use");
    return check_positive("the rotary attention factor", rope->attn_factor);
}

bt_status bt_hparams_check(const bt_hparams *hp)
{
    BT_TRY(check_range("the number of layers", hp->n_layer, 1, BT_LAYER_MAX));
    BT_TRY(check_range("the number of heads", hp->n_head, 1, BT_HEAD_MAX));
    BT_TRY(check_range("the number of key-value heads", hp->n_kv, 1, hp->n_head));
    BT_FAIL_IF(hp->n_head % hp->n_kv, FORMAT, "%d heads cannot share %d key-value heads evenly",
               hp->n_head, hp->n_kv);
    BT_TRY(check_range("the model width", hp->d_model, 1, BT_WIDTH_MAX));
    BT_TRY(check_range("the head width", hp->d_head, 2, 4096));
    BT_TRY(check_range("the feed-forward width", hp->d_ff, 1, BT_WIDTH_MAX));
    BT_TRY(check_range("the vocabulary", hp->n_vocab, 1, BT_VOCAB_MAX));
    BT_TRY(check_range("the context length", hp->n_ctx_train, 1, BT_CTX_MAX));
    BT_TRY(
        check_range("heads times head width", (int64_t)hp->n_head * hp->d_head, 2, BT_WIDTH_MAX));
    BT_TRY(check_range("the sliding window", hp->window, 0, BT_CTX_MAX));
    BT_FAIL_IF(!(hp->rms_eps >= 0 && hp->rms_eps < 1), FORMAT,
               "the norm's epsilon is %g, must be from 0 to below 1", (double)hp->rms_eps);
    return check_rope(&hp->rope, hp->d_head);
}

/* ---- rotary frequencies ---- */

/* llama3: wavelengths longer than n_ctx_orig / low_freq_factor are divided by factor, those shorter
 * than n_ctx_orig / high_freq_factor stay, and between the two a ramp. */
static double scale_llama3(const bt_rope *rope, double freq)
{
    double turns = rope->n_ctx_orig * freq / (2 * M_PI); // over the original context
    if (turns > rope->high_freq_factor) return freq;
    if (turns < rope->low_freq_factor) return freq / rope->factor;
    double smooth =
        (turns - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor);
    return (1 - smooth) * freq / rope->factor + smooth * freq;
}

/* The pair (as a real number) that turns `turns` times over the original context. */
static double yarn_pair(const bt_rope *rope, double turns)
{
    return rope->d_rot * log(rope->n_ctx_orig / (turns * 2 * M_PI)) / (2 * log(rope->base));
}

static double scale_yarn(const bt_rope *rope, double freq, int pair)
{
    double lo = fmax(floor(yarn_pair(rope, rope->beta_fast)), 0);
    double hi = fmin(ceil(yarn_pair(rope, rope->beta_slow)), rope->d_rot - 1);
    if (lo == hi) hi += 0.001;
    double ramp = fmin(fmax((pair - lo) / (hi - lo), 0), 1); // 0: keep, 1: divide
    return freq / rope->factor * ramp + freq * (1 - ramp);
}

void bt_rope_inv_freq(const bt_rope *rope, const float *freq_factor, float *ret_inv_freq)
{
    for (int i = 0; i < rope->d_rot / 2; i++) {
        double freq = pow(rope->base, -2.0 * i / rope->d_rot);
        if (freq_factor) freq /= (double)freq_factor[i];
        switch (rope->scaling) {
        case BT_ROPE_SCALE_NONE:
            break;
        case BT_ROPE_SCALE_LINEAR:
            freq /= rope->factor;
            break;
        case BT_ROPE_SCALE_LLAMA3:
            freq = scale_llama3(rope, freq);
            break;
        case BT_ROPE_SCALE_YARN:
            freq = scale_yarn(rope, freq, i);
            break;
        }
        ret_inv_freq[i] = (float)freq;
    }
}
