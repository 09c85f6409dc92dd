// SPDX-License-Identifier: Apache-2.0
/* policy_fcfs: first come, first served among those of equal priority. A preempted request keeps
 * its place in the queue, for its arrival stays what it was. */
#include "engine/policy.h"

static bool before(const bt_request *a, const bt_request *b, uint64_t step_id)
{
    (void)step_id;
    if (a->params.priority != b->params.priority) return a->params.priority > b->params.priority;
    return a->arrival < b->arrival;
}

const bt_policy bt_policy_fcfs = {.name = "fcfs", .before = before};
