// SPDX-License-Identifier: Apache-2.0
/* sampler: see sampler.h. Candidates live in one array; a filter gives each a key, takes the best
 * until it has enough, and moves those to the front. Weights are exp(logit - largest), so that
 * nothing overflows; the sum that a filter compares with is over what is left. */
#include "engine/sampler.h"
#include "base/alloc.h"
#include "base/rng.h"
#include <float.h>
#include <math.h>
#include <string.h>

size_t bt_sampler_bytes(int32_t n_vocab)
{
    return (size_t)n_vocab * (sizeof(double) + sizeof(bt_cand) + sizeof(int32_t));
}

bt_status bt_sampler_init(bt_sampler *s, int32_t n_vocab)
{
    char *block;
    BT_TRY(bt_alloc_zero((void **)&block, bt_sampler_bytes(n_vocab), BT_MEM_WORKSPACE));
    s->n_vocab = n_vocab;
    s->cand = (bt_cand *)block;
    s->logit = (double *)(s->cand + n_vocab);
    s->count = (int32_t *)(s->logit + n_vocab);
    return BT_OK;
}

void bt_sampler_done(bt_sampler *s)
{
    bt_free(s->cand);
    *s = (bt_sampler){0};
}

/* A logit one can compute with: NaN means impossible; +inf is the largest number there is. */
static double clean(float logit)
{
    if (isnan(logit)) return -INFINITY;
    return logit > FLT_MAX ? FLT_MAX : logit;
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
            s->logit[id] = s->logit[id] > 0 ? s->logit[id] / penalty : s->logit[id] * penalty;
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
        if (s->count[id]) s->logit[id] -= presence + frequency * s->count[id];
        s->count[id] = 0;
    }
}

static void adjust_logits(bt_sampler *s, const bt_sample_input *in)
{
    for (int32_t id = 0; id < s->n_vocab; id++) s->logit[id] = clean(in->logits[id]);
    for (int32_t i = 0; i < in->params->n_logit_bias; i++)
        s->logit[in->params->logit_bias[i].id] += in->params->logit_bias[i].bias;
    penalise_repetition(s, in);
    penalise_presence(s, in);
    for (int list = 0; list < 2; list++)
        for (int32_t i = 0; i < in->n_forbidden[list]; i++)
            s->logit[in->forbidden[list][i]] = -INFINITY;
}

/* The largest logit, the lowest id of equals; -1 when all are -inf. */
static int32_t find_largest(const bt_sampler *s)
{
    int32_t best = -1;
    double largest = -INFINITY;
    for (int32_t id = 0; id < s->n_vocab; id++)
        if (s->logit[id] > largest) {
            largest = s->logit[id];
            best = id;
        }
    return best;
}

/* List the possible tokens by id, keyed by (logit - largest) / temperature <= 0. */
static int32_t list_candidates(bt_sampler *s, double largest, double temperature)
{
    int32_t n = 0;
    for (int32_t id = 0; id < s->n_vocab; id++)
        if (s->logit[id] > -INFINITY)
            s->cand[n++] = (bt_cand){.key = (s->logit[id] - largest) / temperature, .id = id};
    return n;
}

static int32_t keep_top_k(bt_cand *cand, int32_t n, int32_t k)
{
    if (k == 0 || k >= n) return n;
    bt_topk_build(cand, n);
    for (int32_t i = 0; i < k; i++) bt_topk_pop(cand, n - i);
    bt_topk_keep(cand, n, k);
    return k;
}

/* Turn keys into weights and drop those that are 0 in double precision. The best one's weight is 1.
 */
static int32_t weigh(bt_cand *cand, int32_t n)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        double weight = exp(cand[i].key);
        if (weight > 0) cand[kept++] = (bt_cand){.weight = weight, .id = cand[i].id};
    }
    return kept;
}

static double sum_weights(const bt_cand *cand, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += cand[i].weight;
    return sum;
}

/* Keep the best by key that have the share `p` of all weight. */
static int32_t keep_share(bt_cand *cand, int32_t n, double p)
{
    return bt_topk_share(cand, n, p * sum_weights(cand, n));
}

/* Locally typical sampling (Meister et al. 2023): those whose surprise is nearest the entropy. */
static int32_t keep_typical(bt_cand *cand, int32_t n, double p)
{
    if (p >= 1) return n;
    double log_sum = log(sum_weights(cand, n)), entropy = 0;
    for (int32_t i = 0; i < n; i++) {
        double log_p = log(cand[i].weight) - log_sum;
        entropy -= exp(log_p) * log_p;
        cand[i].key = log_p;
    }
    for (int32_t i = 0; i < n; i++) cand[i].key = -fabs(cand[i].key + entropy);
    return keep_share(cand, n, p);
}

/* Nucleus sampling (Holtzman et al. 2020). */
static int32_t keep_top_p(bt_cand *cand, int32_t n, double p)
{
    if (p >= 1) return n;
    for (int32_t i = 0; i < n; i++) cand[i].key = cand[i].weight;
    return keep_share(cand, n, p);
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

/* Draw with the number u in [0, 1). The candidates' weights are laid out by id, so that the same
 * number draws the same token whatever order the filters left them in. */
static int32_t draw(bt_sampler *s, int32_t n, double u)
{
    double *weight = s->logit, sum = 0, reached = 0; // the logits have served
    int32_t last = 0;
    memset(weight, 0, (size_t)s->n_vocab * sizeof *weight);
    for (int32_t i = 0; i < n; i++) weight[s->cand[i].id] = s->cand[i].weight;
    for (int32_t id = 0; id < s->n_vocab; id++) sum += weight[id];
    for (int32_t id = 0; id < s->n_vocab; id++) {
        reached += weight[id];
        if (u * sum < reached) return id;
        if (weight[id] > 0) last = id;
    }
    return last; // u * sum was rounded up to the sum
}

int32_t bt_sampler_choose(bt_sampler *s, const bt_sample_input *in)
{
    const bt_request_params *p = in->params;
    adjust_logits(s, in);
    int32_t best = find_largest(s);
    if (best < 0 || p->temperature == 0) return best;
    int32_t n = list_candidates(s, s->logit[best], p->temperature);
    n = keep_top_k(s->cand, n, p->top_k);
    n = weigh(s->cand, n);
    n = keep_typical(s->cand, n, p->typical_p);
    n = keep_top_p(s->cand, n, p->top_p);
    n = keep_min_p(s->cand, n, p->min_p);
    bt_rng_block random = bt_rng_at(p->seed, 0, (uint64_t)(in->n_id - in->n_prompt));
    return draw(s, n, bt_rng_uniform(random));
}

/* Insert into a list of at most n_top, best first; ids come in ascending order, so an equal logit
 * goes behind those that are there. */
static int32_t insert_top(bt_token_logprob *top, int32_t n, int32_t n_top, bt_token_logprob item)
{
    if (n == n_top && item.logprob <= top[n - 1].logprob) return n;
    int32_t at = n < n_top ? n++ : n - 1;
    for (; at > 0 && top[at - 1].logprob < item.logprob; at--) top[at] = top[at - 1];
    top[at] = item;
    return n;
}

int32_t bt_sampler_logprobs(const float *logits, int32_t n_vocab, int32_t id, int32_t n_top,
                            float *ret_logprob, bt_token_logprob *ret_top)
{
    double largest = -INFINITY, sum = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < n_vocab; i++) {
        double logit = clean(logits[i]);
        largest = fmax(largest, logit);
        if (n_top > 0 && logit > -INFINITY)
            n = insert_top(ret_top, n, n_top, (bt_token_logprob){i, (float)logit});
    }
    for (int32_t i = 0; i < n_vocab && largest > -INFINITY; i++)
        sum += exp(clean(logits[i]) - largest);
    double log_sum = largest + log(sum);
    for (int32_t i = 0; i < n; i++) ret_top[i].logprob = (float)(ret_top[i].logprob - log_sum);
    *ret_logprob = (float)(clean(logits[id]) - log_sum);
    return n;
}
