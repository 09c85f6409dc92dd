// SPDX-License-Identifier: Apache-2.0
/* drive: requests through an engine's public face, with everything they gave kept for comparison.
 */
#pragma once
#include "baton/engine.h"

enum { DRIVE_TOP = 5 };

typedef struct drive_token {
    int32_t id;
    float logprob;
    bt_token_logprob top[DRIVE_TOP];
} drive_token;

/* One request. Fill what is asked, the rest is filled. */
typedef struct drive {
    const int32_t *ids; // the prompt
    int32_t n_id;
    int32_t n_more;    // tokens to generate; end-of-generation tokens do not end it
    float temperature; // 0: greedy
    uint64_t seed;
    bool no_logits; // logits of the prompt are not wanted

    float *logits;   // [n_id, n_vocab] after each prompt token; NULL with no_logits
    int32_t *n_seen; // [n_id] how often each row came: again after a preemption
    int32_t n_vocab;
    drive_token *token; // [n_out]
    int32_t n_out;
    bt_finish finish;
    bool differed; // a row came twice, with other bits
    bt_request *request;
} drive;

/* Open an engine; the test fails where that fails. */
bt_engine *drive_open(const bt_engine_config *config);

void drive_submit(bt_engine *e, drive *d);
bool drive_collect(drive *d);                     // take what is there; true once it has ended
void drive_finish(bt_engine *e, drive *d, int n); // step until all of them have ended
void drive_run(bt_engine *e, drive *d);           // submit one and finish it
void drive_done(drive *d);                        // frees what was filled

/* The same logits, tokens and log probabilities, bit for bit, or the test fails and says where. */
void assert_same_bits(const char *what, const drive *got, const drive *want);
