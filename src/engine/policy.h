// SPDX-License-Identifier: Apache-2.0
/* policy: who goes first. A policy is one function: a strict order of requests. The scheduler
 * admits waiting requests in this order and takes KV pages back from the other end, so the first
 * request always progresses. A further policy is a further file */
#pragma once
#include "engine/request.h"

typedef struct bt_policy {
    const char *name;
    /* a goes before b; for different requests exactly one of before(a, b) and before(b, a) holds.
     * Reads what a request is and how far it is, and the step's number; changes nothing. */
    bool (*before)(const bt_request *a, const bt_request *b, uint64_t step_id);
} bt_policy;

extern const bt_policy bt_policy_fcfs; // larger priority first, then first come, first served
