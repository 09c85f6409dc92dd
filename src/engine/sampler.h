// SPDX-License-Identifier: Apache-2.0
/* sampler: from logits to one token. A pure function of the logits, the request's parameters, its
 * tokens so far and its seed: what runs beside it cannot matter. Weights are in double precision;
 * logits that were changed are rounded to f32 again.
 *
 *   logits -> NaN is -inf -> bias, forbidden -> penalties -> greedy: the largest, lowest id of
 * equals
 *          -> temperature -> top-k -> typical -> top-p -> min-p -> draw u from Philox(seed, 0,
 * n_output)
 *
 * Each filter keeps at least one token and judges what the filters before it left, renormalised.
 */
#pragma once
#include "baton/engine.h"
#include "engine/logits.h"
#include "engine/topk.h"

/* Scratch for one vocabulary; one thread. Blocks are those of logits.h. */
typedef struct bt_sampler {
    int32_t n_vocab, n_block;
    const bt_logits_passes *pass;
    bt_cand *cand;  // [n_vocab]
    double *sum;    // [n_block] the weight of each block
    float *logit;   // [n_vocab] changed logits
    float *peak;    // [n_block] the largest of x in each block
    int32_t *count; // [n_vocab] all 0 between calls

    const float *raw; // [n_vocab] the caller's logits
    bool is_raw;      // x are these; their values, at least
    const float *x;   // [n_vocab] what is looked at now: raw or logit
    float largest;    // of x; -inf when none is possible
    double factor;    // 1 / temperature of `total`; 0: it is not known
    double total;     // weight of all x
} bt_sampler;

size_t bt_sampler_bytes(int32_t n_vocab); // what init allocates
BT_CHECKED bt_status bt_sampler_init(bt_sampler *sampler, int32_t n_vocab);
void bt_sampler_done(bt_sampler *sampler); // {0} is nothing

typedef struct bt_sample_input {
    const float *logits;             // [n_vocab] raw
    const bt_request_params *params; // checked
    const int32_t *ids;              // [n_id] the prompt and what was generated
    int32_t n_id, n_prompt;
    const int32_t *forbidden[2]; // lists of ids that may not come now; NULL where n is 0
    int32_t n_forbidden[2];
} bt_sample_input;

/* Choose the next token; -1 when every token is impossible (all logits -inf or NaN, or forbidden).
 */
int32_t bt_sampler_choose(bt_sampler *sampler, const bt_sample_input *in);

/* Log probabilities (log-softmax; NaN counts as -inf) of the raw logits that bt_sampler_choose saw
 * last, which must still be there: of `id`, and of the n_top likeliest into ret_top, best first, lowest
 * id first of equals, impossible ones left out. Returns how many there are. */
int32_t bt_sampler_logprobs(bt_sampler *sampler, int32_t id, int32_t n_top, float *ret_logprob,
                            bt_token_logprob *ret_top);
