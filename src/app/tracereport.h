// SPDX-License-Identifier: Apache-2.0
/* tracereport: what a trace of one request says, in words or as JSON: each step, and what the decode
 * steps have in common once they run warm. */
#pragma once
#include "base/buf.h"
#include "baton/trace.h"

enum { BT_TRACE_WARM_UP = 2 }; // decode steps that the summary leaves out

typedef struct bt_trace_report {
    bt_trace_step *step; // owned, [n_step]
    int32_t n_step;
    const int32_t *n_prompt; // [n_run] prompt tokens that step i + 1 read; 0: it decoded one token
    int32_t n_run;           // steps that ran
    int32_t n_warm;          // decode steps that the summary is about; 0: there is none
    int64_t median_ns;       // of one of those
    double idle, blame[BT_BLAME_COUNT]; // shares of their time
    uint64_t n_dropped;
} bt_trace_report;

/* Ask the trace. n_prompt stays the caller's. */
BT_CHECKED bt_status bt_trace_report_of(const bt_trace *trace, const int32_t *n_prompt,
                                        int32_t n_run, bt_trace_report *ret_report);
void bt_trace_report_done(bt_trace_report *report); // {0} is nothing

BT_CHECKED bt_status bt_trace_report_text(const bt_trace_report *report, bt_buf *out);
BT_CHECKED bt_status bt_trace_report_json(const bt_trace_report *report, bt_buf *out);
