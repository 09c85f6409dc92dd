// SPDX-License-Identifier: Apache-2.0
/* The sampler against a plain reference: full sorts, everything renormalised at every stage. With
 * --bench it is timed. */
#include "support/support.h"
#include "base/rng.h"
#include "engine/sampler.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VOCAB = 100 };

/* ---- the reference ---- */

typedef struct item {
    double score;
    int32_t id;
} item;

static int by_score(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->id - y->id;
}

static void normalise(double *p, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += p[i];
    for (int32_t i = 0; i < n; i++) p[i] /= sum;
}

/* Sort the possible tokens by score and drop those behind the first whose share reaches `enough`,
 * or behind the first n_keep. */
static void keep_first(double *p, const double *score, int32_t n, int32_t n_keep, double enough)
{
    item *order = calloc((size_t)n, sizeof *order);
    int32_t n_item = 0;
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        if (p[i] > 0) order[n_item++] = (item){score[i], i};
    qsort(order, (size_t)n_item, sizeof *order, by_score);
    for (int32_t i = 0; i < n_item; i++) {
        if (i >= n_keep || (i > 0 && sum >= enough - 1e-15)) {
            p[order[i].id] = 0;
            continue;
        }
        sum += p[order[i].id];
    }
    free(order);
    normalise(p, n);
}

static void apply_penalties(double *x, const bt_sample_input *in, int32_t n)
{
    const bt_request_params *q = in->params;
    for (int32_t v = 0; v < n; v++) {
        int32_t n_seen = 0, n_generated = 0;
        for (int32_t i = 0; i < in->n_id; i++) {
            if (in->ids[i] != v) continue;
            n_seen += q->penalty_last_n < 0 || i >= in->n_id - q->penalty_last_n;
            n_generated += i >= in->n_prompt;
        }
        if (n_seen)
            x[v] = x[v] > 0 ? x[v] / (double)q->repetition_penalty
                            : x[v] * (double)q->repetition_penalty;
        if (n_generated)
            x[v] -= (double)q->presence_penalty + (double)q->frequency_penalty * n_generated;
    }
}

/* The distribution the next token has to be drawn from; all 0 when there is none. */
static void reference(const bt_sample_input *in, int32_t n, double *p)
{
    const bt_request_params *q = in->params;
    double *x = calloc((size_t)n, sizeof *x), *score = calloc((size_t)n, sizeof *score),
           largest = -INFINITY;
    for (int32_t i = 0; i < n; i++)
        x[i] = isnan(in->logits[i]) ? -INFINITY : fmin(in->logits[i], FLT_MAX);
    for (int32_t i = 0; i < q->n_logit_bias; i++) x[q->logit_bias[i].id] += q->logit_bias[i].bias;
    apply_penalties(x, in, n);
    for (int l = 0; l < 2; l++)
        for (int32_t i = 0; i < in->n_forbidden[l]; i++) x[in->forbidden[l][i]] = -INFINITY;
    for (int32_t i = 0; i < n; i++) largest = fmax(largest, x[i]);
    memset(p, 0, (size_t)n * sizeof *p);
    if (largest > -INFINITY) {
        for (int32_t i = 0; i < n; i++) p[i] = exp((x[i] - largest) / (double)q->temperature);
        normalise(p, n);
        if (q->top_k > 0) keep_first(p, x, n, q->top_k, 2);
        if (q->typical_p < 1) {
            double entropy = 0;
            for (int32_t i = 0; i < n; i++) entropy -= p[i] > 0 ? p[i] * log(p[i]) : 0;
            for (int32_t i = 0; i < n; i++) score[i] = -fabs(-log(p[i]) - entropy);
            keep_first(p, score, n, n, (double)q->typical_p);
        }
        if (q->top_p < 1) {
            memcpy(score, p, (size_t)n * sizeof *score);
            keep_first(p, score, n, n, (double)q->top_p);
        }
        double most = 0;
        for (int32_t i = 0; i < n; i++) most = fmax(most, p[i]);
        for (int32_t i = 0; i < n; i++) p[i] = p[i] >= (double)q->min_p * most ? p[i] : 0;
        normalise(p, n);
    }
    free(x);
    free(score);
}

/* ---- the tests ---- */

typedef struct fixture {
    bt_sampler s;
    float logits[VOCAB];
    int32_t ids[64];
    bt_request_params params;
    bt_sample_input in;
} fixture;

static void start(fixture *f, uint64_t seed)
{
    test_rng rng = {seed};
    memset(f, 0, sizeof *f);
    assert_ok(bt_sampler_init(&f->s, VOCAB));
    for (int i = 0; i < VOCAB; i++) f->logits[i] = (float)(2 * test_normal(&rng));
    for (int i = 0; i < 64; i++) f->ids[i] = (int32_t)test_range(&rng, 0, VOCAB / 2);
    bt_request_defaults(&f->params);
    f->in = (bt_sample_input){
        .logits = f->logits, .params = &f->params, .ids = f->ids, .n_id = 40, .n_prompt = 20};
}

static int32_t choose(fixture *f) { return bt_sampler_choose(&f->s, &f->in); }

static void greedy_takes_the_largest_and_of_equals_the_lowest_id(void **state)
{
    (void)state;
    fixture f;
    start(&f, 1);
    f.logits[70] = f.logits[30] = f.logits[99] = 50;
    assert_int_equal(choose(&f), 30);
    f.logits[0] = 50;
    assert_int_equal(choose(&f), 0);
    f.logits[99] = 50.5f;
    assert_int_equal(choose(&f), 99);
    bt_sampler_done(&f.s);
}

static void not_a_number_counts_as_impossible(void **state)
{
    (void)state;
    fixture f;
    start(&f, 2);
    for (int t = 0; t < 2; t++) {
        f.params.temperature = t ? 1 : 0;
        for (int i = 0; i < VOCAB; i++) f.logits[i] = i % 2 ? NAN : -INFINITY;
        assert_int_equal(choose(&f), -1);
        f.logits[77] = -1e30f;
        assert_int_equal(choose(&f), 77);
        f.logits[11] = -NAN;
        f.logits[50] = INFINITY;
        assert_int_equal(choose(&f), 50);
    }
    bt_sampler_done(&f.s);
}

static void forbidden_tokens_never_come_and_without_others_there_is_none(void **state)
{
    (void)state;
    fixture f;
    start(&f, 3);
    int32_t all[VOCAB];
    for (int i = 0; i < VOCAB; i++) all[i] = i;
    f.in.forbidden[0] = all;
    f.in.n_forbidden[0] = 60;
    f.in.forbidden[1] = all + 61;
    f.in.n_forbidden[1] = 39;
    for (int t = 0; t < 2; t++) {
        f.params.temperature = t ? 2 : 0;
        f.in.n_forbidden[0] = 60;
        assert_int_equal(choose(&f), 60);
        f.in.n_forbidden[0] = 61;
        assert_int_equal(choose(&f), -1);
    }
    bt_logit_bias bias[VOCAB];
    for (int i = 0; i < VOCAB; i++) bias[i] = (bt_logit_bias){i, -INFINITY};
    f.in.n_forbidden[0] = f.in.n_forbidden[1] = 0;
    f.params.logit_bias = bias;
    f.params.n_logit_bias = VOCAB;
    assert_int_equal(choose(&f), -1);
    bt_sampler_done(&f.s);
}

/* Parameters that use every filter, alone and together. */
static void vary(bt_request_params *p, int kind, test_rng *rng)
{
    bt_request_defaults(p);
    p->temperature = (float)(0.3 + 1.5 * test_uniform(rng));
    if (kind & 1) p->top_k = (int32_t)test_range(rng, 1, 120);
    if (kind & 2) p->typical_p = (float)(0.05 + 0.94 * test_uniform(rng));
    if (kind & 4) p->top_p = (float)(0.05 + 0.94 * test_uniform(rng));
    if (kind & 8) p->min_p = (float)(0.3 * test_uniform(rng));
    if (kind & 16) {
        p->repetition_penalty = (float)(0.7 + 0.8 * test_uniform(rng));
        p->penalty_last_n = (int32_t)test_range(rng, -1, 50);
        p->presence_penalty = (float)(2 * test_uniform(rng) - 1);
        p->frequency_penalty = (float)(2 * test_uniform(rng) - 1);
    }
}

/* The draw is the reference's inverse cumulative distribution at the same Philox number: with the
 * right distribution and no other the token is the same every time. */
static void every_draw_is_the_references(void **state)
{
    (void)state;
    test_rng rng = {5};
    static bt_logit_bias bias[3] = {{4, 2}, {60, -INFINITY}, {4, 0.5f}};
    double p[VOCAB];
    for (int kind = 0; kind < 64; kind++)
        for (int round = 0; round < 40; round++) {
            fixture f;
            start(&f, (uint64_t)kind * 100 + (uint64_t)round);
            vary(&f.params, kind, &rng);
            if (kind & 32) f.params.logit_bias = bias, f.params.n_logit_bias = 3;
            if (round % 8 == 0)
                for (int i = 0; i < VOCAB; i += 3) f.logits[i] = f.logits[0]; // ties
            f.params.seed = test_u64(&rng);
            f.in.n_id = (int32_t)test_range(&rng, 20, 64);
            reference(&f.in, VOCAB, p);
            double u = bt_rng_uniform(bt_rng_at(f.params.seed, 0, (uint64_t)(f.in.n_id - 20))),
                   sum = 0;
            int32_t got = choose(&f), want = 0;
            while (want < VOCAB - 1 && (sum += p[want]) <= u) want++;
            if (got != want)
                fail_msg("kind %d round %d: got %d (p %g), wanted %d", kind, round, got, p[got],
                         want);
            bt_sampler_done(&f.s);
        }
}

/* A vocabulary of many blocks, in which passes may leave out most: sharp ones, flat ones, with ties,
 * and the best at either end. */
static void every_draw_from_many_is_the_references(void **state)
{
    (void)state;
    enum { MANY = 9001 };
    static float logits[MANY];
    static double p[MANY];
    test_rng rng = {8};
    bt_sampler s;
    assert_ok(bt_sampler_init(&s, MANY));
    for (int round = 0; round < 160; round++) {
        bt_request_params params;
        bt_sample_input in = {.logits = logits, .params = &params};
        double size = round % 5 == 0 ? 0.01 : round % 5 == 1 ? 30 : 3;
        for (int i = 0; i < MANY; i++) {
            double rank = round % 3 == 0 ? i : round % 3 == 1 ? MANY - i : 0; // sorted, or not
            logits[i] = (float)(test_normal(&rng) * size + rank * 1e-3);
            if (round % 7 == 0) logits[i] = roundf(logits[i]);
        }
        vary(&params, round % 16, &rng);
        if (params.top_k) params.top_k = (int32_t)test_range(&rng, 1, round % 2 ? 4000 : 50);
        params.seed = test_u64(&rng);
        reference(&in, MANY, p);
        double u = bt_rng_uniform(bt_rng_at(params.seed, 0, 0)), sum = 0;
        int32_t got = bt_sampler_choose(&s, &in), want = 0;
        while (want < MANY - 1 && (sum += p[want]) <= u) want++;
        if (got != want)
            fail_msg("round %d: got %d (p %g), wanted %d (p %g)", round, got, p[got], want,
                     p[want]);
    }
    bt_sampler_done(&s);
}

static void frequencies_follow_the_distribution(void **state)
{
    (void)state;
    enum { N = 20000 };
    fixture f;
    start(&f, 8);
    double p[VOCAB], chi2 = 0;
    int count[VOCAB] = {0}, n_cell = 0;
    f.params.temperature = 0.9f;
    f.params.top_k = 30;
    f.params.min_p = 0.02f;
    reference(&f.in, VOCAB, p);
    for (int i = 0; i < N; i++) {
        f.params.seed = (uint64_t)i;
        count[choose(&f)]++;
    }
    for (int i = 0; i < VOCAB; i++) {
        if (p[i] == 0) assert_int_equal(count[i], 0);
        if (p[i] == 0) continue;
        n_cell++;
        chi2 += (count[i] - N * p[i]) * (count[i] - N * p[i]) / (N * p[i]);
    }
    assert_true(n_cell > 8);
    double sigma = sqrt(2.0 * (n_cell - 1));
    if (!(fabs(chi2 - (n_cell - 1)) < 5 * sigma)) fail_msg("chi2 %g over %d cells", chi2, n_cell);
    bt_sampler_done(&f.s);
}

static void the_next_output_draws_another_number_and_the_same_seed_the_same(void **state)
{
    (void)state;
    fixture f;
    start(&f, 9);
    f.params.temperature = 1.5f;
    int n_differ = 0, first[40];
    for (int i = 0; i < 40; i++) {
        f.in.n_id = 20 + i % 44;
        first[i] = choose(&f);
        n_differ += first[i] != first[0];
    }
    assert_true(n_differ > 20);
    for (int i = 39; i >= 0; i--) {
        f.in.n_id = 20 + i % 44;
        assert_int_equal(choose(&f), first[i]);
    }
    bt_sampler_done(&f.s);
}

static void extreme_temperatures_neither_crash_nor_leave_the_vocabulary(void **state)
{
    (void)state;
    static const float temperature[] = {1e-38f, 1e-45f, 1e6f};
    fixture f;
    start(&f, 10);
    f.logits[42] = FLT_MAX;
    f.logits[43] = -FLT_MAX;
    f.params.repetition_penalty = 1e-30f;
    f.params.top_p = 1e-30f;
    f.params.typical_p = 1e-30f;
    for (int i = 0; i < 3; i++) {
        f.params.temperature = temperature[i];
        int32_t id = choose(&f);
        assert_true(id >= 0 && id < VOCAB);
    }
    bt_sampler_done(&f.s);
}

static void logprobs_are_the_log_softmax_of_the_raw_logits(void **state)
{
    (void)state;
    fixture f;
    start(&f, 11);
    f.logits[5] = NAN;
    f.logits[6] = f.logits[7] = 6;
    double sum = 0;
    for (int i = 0; i < VOCAB; i++) sum += isnan(f.logits[i]) ? 0 : exp((double)f.logits[i]);
    assert_true(choose(&f) >= 0);
    bt_token_logprob top[BT_TOP_LOGPROBS_MAX];
    float logprob;
    assert_int_equal(bt_sampler_logprobs(&f.s, 33, 20, &logprob, top), 20);
    assert_float_equal(logprob, f.logits[33] - log(sum), 1e-6);
    item order[VOCAB];
    for (int i = 0; i < VOCAB; i++)
        order[i] = (item){isnan(f.logits[i]) ? -INFINITY : f.logits[i], i};
    qsort(order, VOCAB, sizeof *order, by_score);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(top[i].id, order[i].id);
        assert_float_equal(top[i].logprob, order[i].score - log(sum), 1e-6);
    }
    for (int i = 0; i < VOCAB; i++) f.logits[i] = i == 8 || i == 9 ? 1000 : -INFINITY;
    assert_int_equal(choose(&f), 8);
    assert_int_equal(bt_sampler_logprobs(&f.s, 9, 5, &logprob, top), 2);
    assert_float_equal(logprob, -0.69314718, 1e-6);
    assert_int_equal(top[0].id, 8);
    assert_int_equal(bt_sampler_logprobs(&f.s, 9, 0, &logprob, top), 0);
    bt_sampler_done(&f.s);
}

/* Whatever choosing did before with the logits, a copy of them, or what they weigh. */
static void logprobs_are_of_the_raw_logits_whatever_was_chosen(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static float logits[MANY];
    static bt_logit_bias bias[2] = {{4, 9}, {60, -INFINITY}};
    test_rng rng = {14};
    bt_sampler s;
    assert_ok(bt_sampler_init(&s, MANY));
    for (int round = 0; round < 64; round++) {
        bt_request_params p;
        bt_sample_input in = {.logits = logits, .params = &p};
        bt_token_logprob top[BT_TOP_LOGPROBS_MAX];
        double largest = -INFINITY, sum = 0, x[MANY];
        float logprob;
        vary(&p, round % 16, &rng);
        if (round & 16) p.temperature = 1;
        if (round & 32) p.logit_bias = bias, p.n_logit_bias = 2;
        for (int i = 0; i < MANY; i++) logits[i] = (float)test_normal(&rng) * 4;
        if (round % 5 == 1) logits[7] = NAN;
        if (round % 5 == 2) logits[8] = INFINITY;
        if (round % 5 == 3)
            for (int i = 0; i < MANY; i++) logits[i] = roundf(logits[i]); // ties
        for (int i = 0; i < MANY; i++) {
            x[i] = isnan(logits[i]) ? -INFINITY : fmin(logits[i], FLT_MAX);
            largest = fmax(largest, x[i]);
        }
        for (int i = 0; i < MANY; i++) sum += exp(x[i] - largest);
        int32_t id = bt_sampler_choose(&s, &in), n = round % 3 * 10;
        assert_int_equal(bt_sampler_logprobs(&s, id, n, &logprob, top), n);
        assert_float_equal(logprob, x[id] - largest - log(sum), 1e-5);
        for (int i = 0; i < n; i++) {
            int32_t best = 0;
            for (int32_t j = 1; j < MANY; j++)
                if (x[j] > x[best]) best = j;
            assert_int_equal(top[i].id, best);
            assert_float_equal(top[i].logprob, x[best] - largest - log(sum), 1e-5);
            x[best] = -INFINITY;
        }
    }
    bt_sampler_done(&s);
}

static void a_heap_gives_the_best_in_order_whatever_the_input_was(void **state)
{
    (void)state;
    enum { N = 128000, K = 50 };
    bt_cand *cand = calloc(N, sizeof *cand);
    item *order = calloc(N, sizeof *order);
    for (int kind = 0; kind < 4; kind++) {
        test_rng rng = {12};
        for (int32_t i = 0; i < N; i++) {
            double key = kind == 0 ? test_normal(&rng) : kind == 1 ? i : kind == 2 ? -i : i % 3;
            cand[i] = (bt_cand){.key = key, .id = i};
            order[i] = (item){key, i};
        }
        qsort(order, N, sizeof *order, by_score);
        bt_topk_build(cand, N);
        for (int32_t i = 0; i < K; i++) {
            bt_topk_pop(cand, N - i);
            assert_int_equal(cand[N - 1 - i].id, order[i].id);
        }
        bt_topk_keep(cand, N, K);
        for (int32_t i = 0; i < K; i++) assert_int_equal(cand[i].id, order[K - 1 - i].id);
    }
    free(cand);
    free(order);
}

static void a_share_is_the_best_few_that_weigh_enough_whatever_the_input_was(void **state)
{
    (void)state;
    enum { N = 3000 };
    bt_cand *cand = calloc(N, sizeof *cand);
    item *order = calloc(N, sizeof *order);
    test_rng rng = {13};
    for (int round = 0; round < 200; round++) {
        int32_t n = round < 50 ? round + 1 : (int32_t)test_range(&rng, 1, N), want = 0;
        double total = 0, sum = 0;
        for (int32_t i = 0; i < n; i++) { // whole numbers: their sums are exact in any order
            double key = round % 4 == 0   ? i
                         : round % 4 == 1 ? -i
                                          : (double)test_range(&rng, 0, round * 10);
            if (round % 10 == 6) key = i % 2 ? 0.0 : -0.0;           // all equal
            if (round % 10 == 7) key = exp(300 * test_normal(&rng)); // most on one shelf
            cand[i] = (bt_cand){.key = key, .weight = (double)test_range(&rng, 1, 1000), .id = i};
            order[i] = (item){key, i};
            total += cand[i].weight;
        }
        double enough = round % 5 == 0   ? total
                        : round % 7 == 0 ? 0
                                         : (double)test_range(&rng, 1, (int64_t)total);
        qsort(order, (size_t)n, sizeof *order, by_score);
        while (want < n && (want == 0 || sum < enough)) sum += cand[order[want++].id].weight;
        assert_int_equal(bt_topk_share(cand, n, enough), want);
        static bool kept[N];
        memset(kept, 0, sizeof kept);
        for (int32_t i = 0; i < want; i++) kept[cand[i].id] = true;
        for (int32_t i = 0; i < want; i++) assert_true(kept[order[i].id]);
    }
    free(cand);
    free(order);
}

/* ---- `sampler_test --bench`: microseconds a token, this thread's processor time ---- */

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Logits of a shape that models have: a wide middle, a few far ahead. */
static void bench_one(const char *name, int32_t n_vocab, const bt_request_params *params,
                      int32_t n_top)
{
    enum { RUNS = 25 };
    bt_sampler s;
    test_rng rng = {9};
    double us[RUNS];
    float *logits = malloc((size_t)n_vocab * sizeof *logits), logprob;
    bt_token_logprob top[20];
    assert_ok(bt_sampler_init(&s, n_vocab));
    for (int32_t i = 0; i < n_vocab; i++)
        logits[i] = (float)(test_normal(&rng) * 3 + (i % 997 == 0 ? test_uniform(&rng) * 15 : 0));
    bt_sample_input in = {.logits = logits, .params = params};
    for (int r = 0; r < RUNS; r++) {
        double begin = cpu_us();
        int32_t id = bt_sampler_choose(&s, &in);
        if (n_top >= 0) bt_sampler_logprobs(&s, id, n_top, &logprob, top);
        us[r] = cpu_us() - begin;
    }
    qsort(us, RUNS, sizeof *us, by_time);
    printf("%-34s %6d tokens %9.1f us (%.1f to %.1f)\n", name, n_vocab, us[RUNS / 2], us[0],
           us[RUNS - 1]);
    free(logits);
    bt_sampler_done(&s);
}

static void bench(void)
{
    static const int32_t sizes[] = {49152, 128256, 151936};
    static const struct {
        const char *name;
        float temperature, top_p, min_p;
        int32_t top_k, n_top;
    } row[] = {{"greedy", 0, 1, 0, 0, -1},
               {"greedy, logprobs", 0, 1, 0, 0, 0},
               {"greedy, 20 logprobs", 0, 1, 0, 0, 20},
               {"temperature 0.8", 0.8f, 1, 0, 0, -1},
               {"temperature 0.8, top-k 40", 0.8f, 1, 0, 40, -1},
               {"temperature 0.8, top-p 0.95", 0.8f, 0.95f, 0, 0, -1},
               {"temperature 0.8, min-p 0.05", 0.8f, 1, 0.05f, 0, -1},
               {"top-k 40, top-p 0.95, 5 logprobs", 0.8f, 0.95f, 0, 40, 5},
               {"temperature 0.8, top-p, logprobs", 0.8f, 0.95f, 0, 0, 0},
               {"temperature 1, top-p 0.95, logprobs", 1, 0.95f, 0, 0, 0},
               {"temperature 2, top-p 0.95", 2, 0.95f, 0, 0, -1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t v = 0; v < sizeof sizes / sizeof *sizes; v++)
            bench_one(row[i].name, sizes[v],
                      &(bt_request_params){.temperature = row[i].temperature,
                                           .top_p = row[i].top_p,
                                           .min_p = row[i].min_p,
                                           .top_k = row[i].top_k,
                                           .typical_p = 1,
                                           .repetition_penalty = 1},
                      row[i].n_top);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_largest_and_of_equals_the_lowest_id),
        cmocka_unit_test(not_a_number_counts_as_impossible),
        cmocka_unit_test(forbidden_tokens_never_come_and_without_others_there_is_none),
        cmocka_unit_test(every_draw_is_the_references),
        cmocka_unit_test(every_draw_from_many_is_the_references),
        cmocka_unit_test(frequencies_follow_the_distribution),
        cmocka_unit_test(the_next_output_draws_another_number_and_the_same_seed_the_same),
        cmocka_unit_test(extreme_temperatures_neither_crash_nor_leave_the_vocabulary),
        cmocka_unit_test(logprobs_are_the_log_softmax_of_the_raw_logits),
        cmocka_unit_test(logprobs_are_of_the_raw_logits_whatever_was_chosen),
        cmocka_unit_test(a_heap_gives_the_best_in_order_whatever_the_input_was),
        cmocka_unit_test(a_share_is_the_best_few_that_weigh_enough_whatever_the_input_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
