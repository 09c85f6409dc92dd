// SPDX-License-Identifier: Apache-2.0
/* params: see params.h. Every comparison with a real number is written so that NaN fails it. */
#include "engine/params.h"
#include "base/status.h"
#include "base/bits.h"
#include "base/utf8.h"
#include "engine/stop.h"
#include <math.h>
#include <string.h>

void bt_request_defaults(bt_request_params *ret_params)
{
    *ret_params = (bt_request_params){
        .max_tokens = -1,
        .repetition_penalty = 1,
        .penalty_last_n = -1,
        .typical_p = 1,
        .top_p = 1,
    };
}

int32_t bt_params_n_output_max(const bt_request_params *p, int32_t n_ctx)
{
    int32_t room = n_ctx - p->n_id;
    return p->max_tokens >= 0 && p->max_tokens < room ? p->max_tokens : room;
}

/* X(field, lowest, highest): both allowed. */
#define INT_FIELDS(X)                                                                              \
    X(max_tokens, -1, INT32_MAX)                                                                   \
    X(min_tokens, 0, INT32_MAX)                                                                    \
    X(penalty_last_n, -1, INT32_MAX)                                                               \
    X(top_k, 0, INT32_MAX)                                                                         \
    X(n_stop, 0, BT_STOP_MAX)                                                                      \
    X(n_stop_id, 0, BT_STOP_ID_MAX)                                                                \
    X(n_top_logprobs, 0, BT_TOP_LOGPROBS_MAX)                                                      \
    X(n_logit_bias, 0, n_vocab)

/* X(field, lowest, highest, the lowest is allowed): the highest always is. */
#define REAL_FIELDS(X)                                                                             \
    X(repetition_penalty, 0, 1e6, false)                                                           \
    X(presence_penalty, -2, 2, true)                                                               \
    X(frequency_penalty, -2, 2, true)                                                              \
    X(temperature, 0, 1e6, true)                                                                   \
    X(typical_p, 0, 1, false)                                                                      \
    X(top_p, 0, 1, false)                                                                          \
    X(min_p, 0, 1, true)

static bt_status check_numbers(const bt_request_params *p, int32_t n_vocab)
{
#define CHECK_INT(field, lo, hi)                                                                   \
    BT_FAIL_IF(p->field<(lo) || p->field>(hi), INVALID, #field " is %d; allowed are %d to %d",     \
               p->field, (lo), (hi));
#define CHECK_REAL(field, lo, hi, closed)                                                          \
    BT_FAIL_IF(!((closed ? p->field >= (lo) : p->field > (lo)) && p->field <= (hi)), INVALID,      \
               #field " is %g; allowed is %s %g, at most %g", (double)p->field,                    \
               closed ? "at least" : "more than", (double)(lo), (double)(hi));
    INT_FIELDS(CHECK_INT)
    REAL_FIELDS(CHECK_REAL)
#undef CHECK_INT
#undef CHECK_REAL
    BT_FAIL_IF(p->max_tokens >= 0 && p->min_tokens > p->max_tokens, INVALID,
               "min_tokens is %d, more than max_tokens %d", p->min_tokens, p->max_tokens);
    BT_FAIL_IF(p->n_top_logprobs > 0 && !p->logprobs, INVALID,
               "n_top_logprobs is %d without logprobs", p->n_top_logprobs);
    BT_FAIL_IF(p->logits_all && !p->logits_fn, INVALID, "logits_all without a logits_fn");
    return BT_OK;
}

static bt_status check_id(const char *field, int32_t i, int32_t id, int32_t n_vocab)
{
    BT_FAIL_IF(id < 0 || id >= n_vocab, INVALID, "%s[%d] is %d; the vocabulary has 0 to %d", field,
               i, id, n_vocab - 1);
    return BT_OK;
}

static bt_status check_ids(const bt_request_params *p, const bt_params_limits *limits)
{
    BT_FAIL_IF(p->n_id < 1, INVALID, "n_id is %d; a prompt has at least 1 token", p->n_id);
    BT_FAIL_IF(p->n_id > limits->n_ctx, LIMIT, "n_id is %d; a request may hold %d tokens (n_ctx)",
               p->n_id, limits->n_ctx);
    BT_FAIL_IF(!p->ids, INVALID, "ids is NULL");
    BT_FAIL_IF(p->n_stop_id && !p->stop_ids, INVALID, "stop_ids is NULL with n_stop_id %d",
               p->n_stop_id);
    for (int32_t i = 0; i < p->n_id; i++) BT_TRY(check_id("ids", i, p->ids[i], limits->n_vocab));
    for (int32_t i = 0; i < p->n_stop_id; i++)
        BT_TRY(check_id("stop_ids", i, p->stop_ids[i], limits->n_vocab));
    return BT_OK;
}

static bt_status check_bias(const bt_request_params *p, int32_t n_vocab)
{
    BT_FAIL_IF(p->n_logit_bias && !p->logit_bias, INVALID,
               "logit_bias is NULL with n_logit_bias %d", p->n_logit_bias);
    for (int32_t i = 0; i < p->n_logit_bias; i++) {
        float bias = p->logit_bias[i].bias;
        BT_TRY(check_id("logit_bias", i, p->logit_bias[i].id, n_vocab));
        BT_FAIL_IF(isnan(bias) || bias == INFINITY, INVALID,
                   "logit_bias[%d] is %g; allowed are finite numbers and -inf", i, (double)bias);
    }
    return BT_OK;
}

static bt_status check_stop(const bt_request_params *p, bool has_tokenizer)
{
    BT_FAIL_IF(p->n_stop && !p->stop, INVALID, "stop is NULL with n_stop %d", p->n_stop);
    BT_FAIL_IF(p->n_stop && !has_tokenizer, INVALID, "stop texts need a model with a tokenizer");
    for (int32_t i = 0; i < p->n_stop; i++) {
        BT_FAIL_IF(!p->stop[i], INVALID, "stop[%d] is NULL", i);
        size_t len = strnlen(p->stop[i], BT_STOP_BYTES_MAX + 1);
        BT_FAIL_IF(len < 1 || len > BT_STOP_BYTES_MAX, INVALID,
                   "stop[%d] has %s%zu bytes; allowed are 1 to %d", i,
                   len > BT_STOP_BYTES_MAX ? "at least " : "", len, BT_STOP_BYTES_MAX);
        for (size_t at = 0, n; at < len; at += n) {
            n = bt_utf8_valid_len(p->stop[i] + at, len - at);
            BT_FAIL_IF(n == 0, INVALID, "stop[%d] is not UTF-8 at byte %zu", i, at);
        }
    }
    return BT_OK;
}

bt_status bt_params_check(const bt_request_params *p, const bt_params_limits *limits)
{
    BT_TRY(check_numbers(p, limits->n_vocab)); // first: the loops below trust the counts
    BT_TRY(check_ids(p, limits));
    BT_TRY(check_bias(p, limits->n_vocab));
    BT_TRY(check_stop(p, limits->has_tokenizer));
    return BT_OK;
}
