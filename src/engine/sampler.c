// SPDX-License-Identifier: Apache-2.0
/* sampler: see sampler.h. What touches the whole vocabulary goes by vectors (logits.h), and at most
 * three times: the largest, the weights, the draw. A filter first leaves out in one pass all that it
 * certainly drops; candidates, those left, live in one array and are judged one by one. Weights are
 * exp((logit - largest) / temperature), so that nothing overflows; the sum that a filter compares
 * with is over what is left. */
#include "engine/sampler.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "engine/logits.h"
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

/* Whether logits are taken as they come. */
static bool is_plain(const bt_sample_input *in)
{
    const bt_request_params *p = in->params;
    return !p->n_logit_bias && p->repetition_penalty == 1.0 && p->presence_penalty == 0 &&
           p->frequency_penalty == 0 && !in->n_forbidden[0] && !in->n_forbidden[1];
}

static void adjust_logits(bt_sampler *s, const bt_sample_input *in)
{
    bt_logits_widen(in->logits, s->n_vocab, s->logit);
    for (int32_t i = 0; i < in->params->n_logit_bias; i++)
        s->logit[in->params->logit_bias[i].id] += in->params->logit_bias[i].bias;
    penalise_repetition(s, in);
    penalise_presence(s, in);
    for (int list = 0; list < 2; list++)
        for (int32_t i = 0; i < in->n_forbidden[list]; i++)
            s->logit[in->forbidden[list][i]] = -INFINITY;
}

/* The largest logit, the lowest id of equals; -1 when all are -inf. */
static int32_t choose_greedy(bt_sampler *s, const bt_sample_input *in)
{
    if (is_plain(in)) {
        float most = bt_logits_largest(in->logits, s->n_vocab);
        return most > -INFINITY ? bt_logits_find(in->logits, s->n_vocab, most) : -1;
    }
    adjust_logits(s, in);
    double most = bt_doubles_largest(s->logit, s->n_vocab);
    for (int32_t id = 0; id < s->n_vocab && most > -INFINITY; id++)
        if (s->logit[id] == most) return id;
    return -1;
}

/* ---- candidates ---- */

/* The k largest logits, lowest ids of equals, as candidates. They are gathered until there are many
 * more than k; the k best of these then tell what need not be looked at any more. */
static int32_t list_top_k(bt_sampler *s, int32_t k)
{
    enum { ROOM_MIN = 1024 };
    int32_t n = 0, room = k > s->n_vocab / 4 ? s->n_vocab : 4 * k;
    if (room < ROOM_MIN) room = ROOM_MIN;
    if (room > s->n_vocab) room = s->n_vocab;
    double bound = -INFINITY;
    for (int32_t at = 0, end; bt_doubles_above(s->logit, s->n_vocab, bound, &at, &end); at = end)
        for (int32_t id = at; id < end; id++) {
            if (!(s->logit[id] > bound)) continue;
            s->cand[n++] = (bt_cand){.key = s->logit[id], .weight = 1, .id = id};
            if (n < room || k >= n) continue;
            n = bt_topk_share(s->cand, n, k);
            bound = s->cand[0].key;
            for (int32_t i = 1; i < n; i++) bound = fmin(bound, s->cand[i].key);
        }
    return n > k ? bt_topk_share(s->cand, n, k) : n;
}

/* Ids of all whose logit is above `bound`, as candidates keyed by it. */
static int32_t list_above(bt_sampler *s, double bound)
{
    int32_t n = 0;
    for (int32_t at = 0, end; bt_doubles_above(s->logit, s->n_vocab, bound, &at, &end); at = end)
        for (int32_t id = at; id < end; id++)
            if (s->logit[id] > bound) s->cand[n++] = (bt_cand){.key = s->logit[id], .id = id};
    return n;
}

/* Turn keys, which are logits, into weights and drop those that are 0. The best one's weight is 1. */
static int32_t weigh(bt_cand *cand, int32_t n, double largest, double factor)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        double weight = bt_weight(cand[i].key, largest, factor);
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

/* Weigh the whole vocabulary in place and list those above a share of all the weight. */
static int32_t list_weighty(bt_sampler *s, double largest, double factor, double share)
{
    bt_doubles_weigh(s->logit, s->n_vocab, largest, factor);
    double sum = share > 0 ? bt_doubles_sum(s->logit, s->n_vocab) : 0;
    int32_t n = list_above(s, sum * share);
    for (int32_t i = 0; i < n; i++) s->cand[i].weight = s->cand[i].key;
    s->sum = sum;
    return n;
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

/* Nucleus sampling (Holtzman et al. 2020) of candidates that weigh `sum` together, those included
 * that a first pass has left out. */
static int32_t keep_top_p(bt_cand *cand, int32_t n, double p, double sum)
{
    if (p >= 1) return n;
    for (int32_t i = 0; i < n; i++) cand[i].key = cand[i].weight;
    return bt_topk_share(cand, n, p * sum);
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

/* The candidates that the first filter at work may keep, weighed. Every one behind it sees what this
 * has left: top-k is exact; top-p may drop all that weigh less than (1 - p) / n_vocab of the whole,
 * for together these weigh less than 1 - p; min-p what is less than p of the best, whose weight is 1,
 * give or take rounding. */
static int32_t list_candidates(bt_sampler *s, const bt_request_params *p, double largest)
{
    double factor = 1 / (double)p->temperature;
    int32_t n = 0;
    s->sum = 0;
    if (p->top_k > 0 && p->top_k < s->n_vocab) {
        n = weigh(s->cand, list_top_k(s, p->top_k), largest, factor);
        bt_topk_by_id(s->cand, n);
    } else if (p->typical_p < 1) {
        n = list_weighty(s, largest, factor, 0);
    } else if (p->top_p < 1) {
        n = list_weighty(s, largest, factor, 0.999 * (1 - (double)p->top_p) / s->n_vocab);
    } else {
        double least = largest + log((double)p->min_p) * p->temperature;
        n = weigh(s->cand, list_above(s, least - 1e-6 * (1 + fabs(least))), largest, factor);
    }
    return n;
}

/* ---- the draw ---- */

/* The id at which the sum of weights reaches u of all, w laid out by id: the same number draws the
 * same token whatever order filters left. By blocks, whose sums are added in order. */
static int32_t draw_all(const double *w, int32_t n, double u)
{
    enum { BLOCK = 256 };
    double sum = 0, reached = 0;
    int32_t last = 0;
    for (int32_t at = 0; at < n; at += BLOCK)
        sum += bt_doubles_sum(w + at, n - at < BLOCK ? n - at : BLOCK);
    for (int32_t at = 0; at < n; at += BLOCK) {
        int32_t n_block = n - at < BLOCK ? n - at : BLOCK;
        double block = bt_doubles_sum(w + at, n_block), inside = reached;
        reached += block;
        if (block > 0) last = at;
        if (u * sum >= reached) continue;
        for (int32_t id = at; id < at + n_block; id++) {
            inside += w[id];
            if (w[id] > 0) last = id;
            if (u * sum < inside) return id;
        }
        return last; // the block's parts were rounded to less than its sum
    }
    for (int32_t id = last; id < n && id < last + BLOCK; id++)
        if (w[id] > 0) last = id; // u * sum was rounded up to the sum
    return last;
}

/* The same among a few. */
static int32_t draw_few(bt_cand *cand, int32_t n, double u)
{
    double sum, reached = 0;
    bt_topk_by_id(cand, n);
    sum = sum_weights(cand, n);
    for (int32_t i = 0; i < n; i++) {
        reached += cand[i].weight;
        if (u * sum < reached) return cand[i].id;
    }
    return cand[n - 1].id; // u * sum was rounded up to the sum
}

static int32_t draw(bt_sampler *s, int32_t n, double u)
{
    enum { FEW = 4096 };
    if (n <= FEW) return draw_few(s->cand, n, u);
    memset(s->logit, 0, (size_t)s->n_vocab * sizeof *s->logit); // the logits have served
    for (int32_t i = 0; i < n; i++) s->logit[s->cand[i].id] = s->cand[i].weight;
    return draw_all(s->logit, s->n_vocab, u);
}

int32_t bt_sampler_choose(bt_sampler *s, const bt_sample_input *in)
{
    const bt_request_params *p = in->params;
    if (p->temperature == 0) return choose_greedy(s, in);
    adjust_logits(s, in);
    double largest = bt_doubles_largest(s->logit, s->n_vocab),
           u = bt_rng_uniform(bt_rng_at(p->seed, 0, (uint64_t)(in->n_id - in->n_prompt)));
    bool has_top_k = p->top_k > 0 && p->top_k < s->n_vocab;
    if (largest == -INFINITY) return -1;
    if (!has_top_k && p->typical_p >= 1 && p->top_p >= 1 && p->min_p <= 0) {
        bt_doubles_weigh(s->logit, s->n_vocab, largest, 1 / (double)p->temperature);
        return draw_all(s->logit, s->n_vocab, u);
    }
    int32_t n = list_candidates(s, p, largest);
    n = keep_typical(s->cand, n, p->typical_p);
    bool left_out = !has_top_k && p->typical_p >= 1;
    n = keep_top_p(s->cand, n, p->top_p, left_out ? s->sum : sum_weights(s->cand, n));
    n = keep_min_p(s->cand, n, p->min_p);
    return draw(s, n, u);
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
    float largest = bt_logits_largest(logits, n_vocab), bound = -INFINITY;
    int32_t n = 0;
    for (int32_t at = 0, end; n_top > 0 && bt_logits_above(logits, n_vocab, bound, &at, &end);
         at = end)
        for (int32_t i = at; i < end; i++) {
            if (!(logits[i] > bound)) continue;
            n = insert_top(ret_top, n, n_top,
                           (bt_token_logprob){i, logits[i] > FLT_MAX ? FLT_MAX : logits[i]});
            if (n == n_top) bound = ret_top[n - 1].logprob;
        }
    double log_sum = largest > -INFINITY
                         ? (double)largest + log(bt_logits_exp_sum(logits, n_vocab, largest))
                         : -INFINITY;
    for (int32_t i = 0; i < n; i++) ret_top[i].logprob = (float)(ret_top[i].logprob - log_sum);
    double logit = isnan(logits[id]) ? -INFINITY : logits[id] > FLT_MAX ? FLT_MAX : logits[id];
    *ret_logprob = (float)(logit - log_sum);
    return n;
}
