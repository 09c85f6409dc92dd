// SPDX-License-Identifier: Apache-2.0
/* sampler: see sampler.h. What touches the whole vocabulary goes by vectors (logits.h), at most
 * twice: the largest of each block of ids, and what each block weighs. The former tell in which blocks
 * to look for those that a filter may keep; these, the candidates, live in one array and are judged one
 * by one. Weights are exp((logit - largest) / temperature), so that nothing overflows; the sum that a
 * filter compares with is over what is left. */
#include "engine/sampler.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/cpuid.h"
#include "base/rng.h"
#include <float.h>
#include <math.h>
#include <string.h>

static int32_t block_count(int32_t n_vocab)
{
    return (n_vocab + BT_LOGITS_BLOCK - 1) / BT_LOGITS_BLOCK;
}

size_t bt_sampler_bytes(int32_t n_vocab)
{
    return (size_t)n_vocab * (sizeof(bt_cand) + sizeof(float) + sizeof(int32_t)) +
           (size_t)block_count(n_vocab) * (sizeof(double) + sizeof(float));
}

bt_status bt_sampler_init(bt_sampler *s, int32_t n_vocab)
{
    char *block;
    BT_TRY(bt_alloc_zero((void **)&block, bt_sampler_bytes(n_vocab), BT_MEM_WORKSPACE));
    s->n_vocab = n_vocab;
    s->n_block = block_count(n_vocab);
    s->pass = bt_logits_passes_for(bt_cpu_flags());
    s->cand = (bt_cand *)block;
    s->sum = (double *)(s->cand + n_vocab);
    s->logit = (float *)(s->sum + s->n_block);
    s->peak = s->logit + n_vocab;
    s->count = (int32_t *)(s->peak + s->n_block);
    return BT_OK;
}

void bt_sampler_done(bt_sampler *s)
{
    bt_free(s->cand);
    *s = (bt_sampler){0};
}

/* ---- the logits ---- */

/* Look at logits from now on. The largest float there is stands for +inf, in a copy. */
static void look_at(bt_sampler *s, const float *x)
{
    s->x = x;
    s->factor = 0;
    s->largest = s->pass->peaks(x, s->n_vocab, s->peak);
    if (s->largest <= FLT_MAX) return;
    for (int32_t i = 0; i < s->n_vocab; i++) s->logit[i] = x[i] > FLT_MAX ? FLT_MAX : x[i];
    s->x = s->logit;
    s->largest = s->pass->peaks(s->logit, s->n_vocab, s->peak);
}

/* What all weigh, the likeliest being 1; leaves the weight of each block. */
static double weigh_all(bt_sampler *s, double factor)
{
    if (s->factor == factor) return s->total;
    s->factor = factor;
    s->total = 0;
    s->pass->sums(s->x, s->n_vocab, s->largest, factor, s->sum);
    for (int32_t b = 0; b < s->n_block; b++) s->total += s->sum[b];
    return s->total;
}

/* The weights of a block's ids; `factor` of the last weigh_all. */
static void weigh_block(const bt_sampler *s, int32_t block, double *weight)
{
    int32_t at = block * BT_LOGITS_BLOCK;
    s->pass->weigh(s->x + at, bt_min_i32(BT_LOGITS_BLOCK, s->n_vocab - at), s->largest, s->factor,
                   weight);
}

/* Put a changed logit in its place: what is possible stays possible, and finite. */
static void change(bt_sampler *s, int32_t id, double logit)
{
    bool finite = logit > -INFINITY && logit < INFINITY;
    s->logit[id] = (float)(finite ? fmin(fmax(logit, -FLT_MAX), FLT_MAX) : logit);
}

/* Tokens seen in the window lose in favour: positive logits are divided, negative ones multiplied.
 */
static void penalise_repetition(bt_sampler *s, const bt_sample_input *in)
{
    double penalty = in->params->repetition_penalty;
    if (penalty == 1.0) return;
    int32_t n = in->params->penalty_last_n;
    int32_t first = n < 0 || n >= in->n_id ? 0 : in->n_id - n;
    for (int32_t i = first; i < in->n_id; i++) {
        int32_t id = in->ids[i];
        if (s->count[id]++ == 0)
            change(s, id, s->logit[id] > 0 ? s->logit[id] / penalty : s->logit[id] * penalty);
    }
    for (int32_t i = first; i < in->n_id; i++) s->count[in->ids[i]] = 0;
}

/* Generated tokens lose `presence` once and `frequency` for each time they came. */
static void penalise_presence(bt_sampler *s, const bt_sample_input *in)
{
    double presence = in->params->presence_penalty, frequency = in->params->frequency_penalty;
    if (presence == 0 && frequency == 0) return;
    for (int32_t i = in->n_prompt; i < in->n_id; i++) s->count[in->ids[i]]++;
    for (int32_t i = in->n_prompt; i < in->n_id; i++) {
        int32_t id = in->ids[i];
        if (s->count[id]) change(s, id, s->logit[id] - (presence + frequency * s->count[id]));
        s->count[id] = 0;
    }
}

/* Whether logits are taken as they come. */
static bool is_plain(const bt_sample_input *in)
{
    const bt_request_params *p = in->params;
    return !p->n_logit_bias && p->repetition_penalty == 1.0 && p->presence_penalty == 0 &&
           p->frequency_penalty == 0 && !in->n_forbidden[0] && !in->n_forbidden[1];
}

static void adjust_logits(bt_sampler *s, const bt_sample_input *in)
{
    memcpy(s->logit, in->logits, (size_t)s->n_vocab * sizeof *s->logit);
    for (int32_t i = 0; i < in->params->n_logit_bias; i++) {
        bt_logit_bias b = in->params->logit_bias[i];
        change(s, b.id, (double)s->logit[b.id] + b.bias);
    }
    penalise_repetition(s, in);
    penalise_presence(s, in);
    for (int list = 0; list < 2; list++)
        for (int32_t i = 0; i < in->n_forbidden[list]; i++)
            s->logit[in->forbidden[list][i]] = -INFINITY;
}

/* The largest logit, the lowest id of equals. */
static int32_t choose_greedy(const bt_sampler *s)
{
    int32_t b = 0;
    while (s->peak[b] < s->largest) b++;
    int32_t id = b * BT_LOGITS_BLOCK;
    while (!(s->x[id] == s->largest)) id++;
    return id;
}

/* ---- candidates ---- */

/* All whose logit is `bound` (not -inf) or more, in the order of their ids, keyed by it. */
static int32_t list_from(bt_sampler *s, float bound)
{
    int32_t n = 0;
    for (int32_t b = 0; b < s->n_block; b++) {
        if (!(s->peak[b] >= bound)) continue;
        int32_t id = b * BT_LOGITS_BLOCK, end = bt_min_i32(id + BT_LOGITS_BLOCK, s->n_vocab);
        for (; id < end; id++) {
            s->cand[n] = (bt_cand){.key = s->x[id], .weight = 1, .id = id};
            n += s->x[id] >= bound;
        }
    }
    return n;
}

/* The largest logit of each block as candidates, their ids the blocks'. */
static int32_t list_peaks(bt_sampler *s)
{
    for (int32_t b = 0; b < s->n_block; b++)
        s->cand[b] = (bt_cand){.key = s->peak[b], .weight = 1, .id = b};
    return s->n_block;
}

/* The k largest logits, and perhaps more, as candidates: k blocks have one each that is no smaller
 * than the smallest of the k largest peaks. */
static int32_t list_largest(bt_sampler *s, int32_t k)
{
    double bound = INFINITY;
    if (k >= s->n_block) return list_from(s, -FLT_MAX);
    bt_topk_share(s->cand, list_peaks(s), k);
    for (int32_t i = 0; i < k; i++) bound = fmin(bound, s->cand[i].key);
    return list_from(s, (float)fmax(bound, -FLT_MAX));
}

/* Turn keys, which are logits, into weights and drop those that are 0. The best one's weight is 1. */
static int32_t weigh(bt_sampler *s, int32_t n, double factor)
{
    int32_t kept = 0;
    for (int32_t at = 0; at < n; at += BT_LOGITS_BLOCK) {
        float logit[BT_LOGITS_BLOCK];
        double weight[BT_LOGITS_BLOCK];
        int32_t n_here = bt_min_i32(BT_LOGITS_BLOCK, n - at);
        for (int32_t i = 0; i < n_here; i++) logit[i] = (float)s->cand[at + i].key;
        s->pass->weigh(logit, n_here, s->largest, factor, weight);
        for (int32_t i = 0; i < n_here; i++)
            if (weight[i] > 0)
                s->cand[kept++] = (bt_cand){.weight = weight[i], .id = s->cand[at + i].id};
    }
    return kept;
}

static double sum_weights(const bt_cand *cand, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += cand[i].weight;
    return sum;
}

/* Locally typical sampling (Meister et al. 2023): those whose surprise is nearest the entropy. */
static int32_t keep_typical(bt_cand *cand, int32_t n, double p)
{
    double sum = sum_weights(cand, n), log_sum = log(sum), entropy = 0;
    for (int32_t i = 0; i < n; i++) {
        double log_p = log(cand[i].weight) - log_sum;
        entropy -= exp(log_p) * log_p;
        cand[i].key = log_p;
    }
    for (int32_t i = 0; i < n; i++) cand[i].key = -fabs(cand[i].key + entropy);
    return bt_topk_share(cand, n, p * sum);
}

/* The heaviest that weigh `enough` together. */
static int32_t keep_heaviest(bt_cand *cand, int32_t n, double enough)
{
    for (int32_t i = 0; i < n; i++) cand[i].key = cand[i].weight;
    return bt_topk_share(cand, n, enough);
}

static int32_t keep_min_p(bt_cand *cand, int32_t n, double p)
{
    if (p <= 0) return n;
    double largest = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) largest = fmax(largest, cand[i].weight);
    for (int32_t i = 0; i < n; i++)
        if (cand[i].weight >= p * largest) cand[kept++] = cand[i];
    return kept;
}

/* The logit that weighs `weight`, or one a little smaller. */
static float logit_of(const bt_sampler *s, double weight, double factor)
{
    double logit = s->largest + log(weight) / factor;
    logit -= 1e-6 * (1 + fabs(logit));
    return logit > -FLT_MAX ? (float)logit : -FLT_MAX;
}

/* How light one may be of the heaviest that weigh `goal` together; never lighter than `least`. Where a
 * few tokens have nearly all the weight, even the peaks weigh as much, and the lightest that this
 * takes of them will do. */
static double lightest_of(bt_sampler *s, double goal, double least, double factor)
{
    int32_t n = weigh(s, list_peaks(s), factor);
    double lightest = 1;
    if (sum_weights(s->cand, n) < goal) return least;
    n = keep_heaviest(s->cand, n, goal);
    for (int32_t i = 0; i < n; i++) lightest = fmin(lightest, s->cand[i].weight);
    return fmax(lightest, least);
}

/* The candidates that the first filter at work may keep, weighed, and what all weigh that this filter
 * judges. Every one behind it sees what this has left: top-k is exact; of top-p's, all that weigh less
 * than (1 - p) / n_vocab of the whole weigh less than 1 - p together; min-p's best weighs 1. */
static int32_t list_candidates(bt_sampler *s, const bt_request_params *p, double *ret_sum)
{
    double factor = 1 / (double)p->temperature, top_p = (double)p->top_p;
    int32_t n;
    if (p->top_k > 0 && p->top_k < s->n_vocab) {
        n = list_largest(s, p->top_k);
        n = weigh(s, n > p->top_k ? bt_topk_share(s->cand, n, p->top_k) : n, factor);
    } else if (p->typical_p < 1) {
        n = weigh(s, list_from(s, -FLT_MAX), factor);
    } else if (p->top_p < 1) {
        *ret_sum = weigh_all(s, factor);
        double least = 0.999 * (1 - top_p) * *ret_sum / s->n_vocab;
        least = lightest_of(s, (1 + 1e-9) * top_p * *ret_sum, least, factor);
        return weigh(s, list_from(s, logit_of(s, least, factor)), factor);
    } else {
        n = weigh(s, list_from(s, logit_of(s, (double)p->min_p, factor)), factor);
    }
    *ret_sum = sum_weights(s->cand, n);
    return n;
}

/* ---- the draw ---- */

/* What candidates weigh by block, in place of what all weigh. */
static void sum_blocks(bt_sampler *s, int32_t n)
{
    memset(s->sum, 0, (size_t)s->n_block * sizeof *s->sum);
    for (int32_t i = 0; i < n; i++) s->sum[s->cand[i].id / BT_LOGITS_BLOCK] += s->cand[i].weight;
}

enum { ALL = -1 };

/* The weights of a block's ids: those of the n candidates, or of all. */
static void weights_of(const bt_sampler *s, int32_t n, int32_t block, double *weight)
{
    if (n == ALL) {
        weigh_block(s, block, weight);
        return;
    }
    memset(weight, 0, BT_LOGITS_BLOCK * sizeof *weight);
    for (int32_t i = 0; i < n; i++)
        if (s->cand[i].id / BT_LOGITS_BLOCK == block)
            weight[s->cand[i].id % BT_LOGITS_BLOCK] = s->cand[i].weight;
}

/* The id at which weights, in the order of ids, reach u of all: the same number draws the same token
 * whatever order filters left. First the block, then the id in it; where rounding keeps a sum from
 * being reached it is the last that weighs anything. */
static int32_t draw(bt_sampler *s, int32_t n, double u)
{
    double goal = 0, reached = 0, before = 0, weight[BT_LOGITS_BLOCK];
    int32_t block = 0, id = 0;
    for (int32_t b = 0; b < s->n_block; b++) goal += s->sum[b];
    goal *= u;
    for (int32_t b = 0; b < s->n_block && reached <= goal; b++) {
        if (!(s->sum[b] > 0)) continue;
        block = b;
        before = reached;
        reached += s->sum[b];
    }
    weights_of(s, n, block, weight);
    for (int32_t i = 0; i < BT_LOGITS_BLOCK && before <= goal; i++) {
        if (!(weight[i] > 0)) continue;
        id = block * BT_LOGITS_BLOCK + i;
        before += weight[i];
    }
    return id;
}

int32_t bt_sampler_choose(bt_sampler *s, const bt_sample_input *in)
{
    const bt_request_params *p = in->params;
    s->raw = in->logits;
    s->is_raw = is_plain(in);
    if (!s->is_raw) adjust_logits(s, in);
    look_at(s, s->is_raw ? s->raw : s->logit);
    if (s->largest == -INFINITY) return -1;
    if (p->temperature == 0) return choose_greedy(s);
    double sum, u = bt_rng_uniform(bt_rng_at(p->seed, 0, (uint64_t)(in->n_id - in->n_prompt)));
    bool has_top_k = p->top_k > 0 && p->top_k < s->n_vocab;
    if (!has_top_k && p->typical_p >= 1 && p->top_p >= 1 && p->min_p <= 0) {
        weigh_all(s, 1 / (double)p->temperature);
        return draw(s, ALL, u);
    }
    int32_t n = list_candidates(s, p, &sum);
    if (p->typical_p < 1) {
        n = keep_typical(s->cand, n, p->typical_p);
        sum = sum_weights(s->cand, n);
    }
    if (p->top_p < 1) n = keep_heaviest(s->cand, n, (double)p->top_p * sum); // Holtzman et al. 2020
    n = keep_min_p(s->cand, n, p->min_p);
    sum_blocks(s, n);
    return draw(s, n, u);
}

int32_t bt_sampler_logprobs(bt_sampler *s, int32_t id, int32_t n_top, float *ret_logprob,
                            bt_token_logprob *ret_top)
{
    if (!s->is_raw) look_at(s, s->raw);
    s->is_raw = true;
    double log_sum = s->largest + log(weigh_all(s, 1));
    int32_t n = n_top > 0 ? list_largest(s, n_top) : 0, kept = bt_min_i32(n, n_top);
    bt_topk_build(s->cand, n);
    for (int32_t i = 0; i < kept; i++) {
        bt_topk_pop(s->cand, n - i);
        const bt_cand *best = &s->cand[n - 1 - i];
        ret_top[i] = (bt_token_logprob){best->id, (float)(best->key - log_sum)};
    }
    *ret_logprob = (float)((isnan(s->x[id]) ? -INFINITY : (double)s->x[id]) - log_sum);
    return kept;
}
