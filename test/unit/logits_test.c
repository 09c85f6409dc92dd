// SPDX-License-Identifier: Apache-2.0
/* Passes over logits against plain loops with the C library's exponential, and every version of them
 * against the others, bit for bit. */
#include "base/bits.h"
#include "base/cpuid.h"
#include "engine/logits.h"
#include "support/support.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { N_MAX = 1000, N_BLOCK_MAX = (N_MAX + BT_LOGITS_BLOCK - 1) / BT_LOGITS_BLOCK };

static const unsigned levels[] = {0, BT_CPU_AVX2, BT_CPU_AVX2 | BT_CPU_AVX512};

/* The version of a level, NULL where this machine cannot run it. */
static const bt_logits_passes *version(size_t level)
{
    bool runs = (bt_cpu_flags() & levels[level]) == levels[level];
    return runs ? bt_logits_passes_for(levels[level]) : NULL;
}

typedef struct result {
    float largest, peak[N_BLOCK_MAX];
    double sum[N_BLOCK_MAX], weight[BT_LOGITS_BLOCK];
} result;

static result run(const bt_logits_passes *pass, const float *x, int32_t n, double factor)
{
    result r = {0};
    r.largest = pass->peaks(x, n, r.peak);
    pass->sums(x, n, r.largest, factor, r.sum);
    pass->weigh(x, bt_min_i32(n, BT_LOGITS_BLOCK), r.largest, factor, r.weight);
    return r;
}

/* exp((x - largest) * factor); what is below 2^-1022 is 0. */
static double weight_of(float x, double largest, double factor)
{
    double weight = isnan(x) ? 0 : (double)expl(((long double)x - largest) * factor);
    return weight < DBL_MIN ? 0 : weight;
}

static void check(const result *r, const float *x, int32_t n, double factor)
{
    for (int32_t b = 0; b * BT_LOGITS_BLOCK < n; b++) {
        float peak = -INFINITY;
        double sum = 0;
        for (int32_t i = 0; i < BT_LOGITS_BLOCK && b * BT_LOGITS_BLOCK + i < n; i++) {
            float logit = x[b * BT_LOGITS_BLOCK + i];
            if (logit > peak) peak = logit;
            sum += weight_of(logit, r->largest, factor);
        }
        assert_true(r->peak[b] == peak);
        if (!(fabs(r->sum[b] - sum) <= 3e-13 * sum + DBL_MIN))
            fail_msg("block %d of %d weighs %.17g, wanted %.17g", b, n, r->sum[b], sum);
    }
    for (int32_t i = 0; i < BT_LOGITS_BLOCK; i++) {
        double want = i < n ? weight_of(x[i], r->largest, factor) : 0;
        if (!(fabs(r->weight[i] - want) <= 2e-13 * want + DBL_MIN))
            fail_msg("logit %d, %g of at most %g, weighs %.17g, wanted %.17g", i,
                     i < n ? (double)x[i] : 0, (double)r->largest, r->weight[i], want);
    }
}

static void every_version_is_the_plain_loops(void **state)
{
    (void)state;
    static const int32_t sizes[] = {1, 7, 8, 63, 64, 65, 128, 500, N_MAX};
    static const double factors[] = {1, 1 / 0.8, 0.2, 50, 1e-6};
    test_rng rng = {1};
    for (int round = 0; round < 400; round++) {
        int32_t n = sizes[round % BT_COUNT_OF(sizes)];
        double factor = factors[round % BT_COUNT_OF(factors)];
        float x[N_MAX + 1];
        for (int32_t i = 0; i < n; i++) {
            x[i] = (float)(test_normal(&rng) * (round % 3 ? 5 : 200));
            if (round % 4 == 1 && test_range(&rng, 0, 9) == 0) x[i] = i % 2 ? NAN : -INFINITY;
        }
        x[test_range(&rng, 0, n - 1)] = (float)test_normal(&rng); // one is possible
        x[n] = 1e9f;                                              // and not read
        result first;
        for (size_t level = 0; level < BT_COUNT_OF(levels); level++) {
            const bt_logits_passes *pass = version(level);
            if (!pass) continue;
            result r = run(pass, x, n, factor);
            check(&r, x, n, factor);
            if (level == 0) first = r;
            if (memcmp(&r, &first, sizeof r))
                fail_msg("%s: other bits than %s, %d logits", pass->isa,
                         bt_logits_passes_for(0)->isa, n);
        }
    }
}

static void where_nothing_is_possible_nothing_weighs(void **state)
{
    (void)state;
    float x[100];
    for (int32_t i = 0; i < 100; i++) x[i] = i % 2 ? NAN : -INFINITY;
    for (size_t level = 0; level < BT_COUNT_OF(levels); level++) {
        const bt_logits_passes *pass = version(level);
        if (!pass) continue;
        result r = run(pass, x, 100, 1);
        assert_true(r.largest == -INFINITY && r.peak[0] == -INFINITY && r.peak[1] == -INFINITY);
        assert_true(r.sum[0] == 0 && r.sum[1] == 0 && r.weight[0] == 0 && r.weight[1] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_is_the_plain_loops),
        cmocka_unit_test(where_nothing_is_possible_nothing_weighs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
