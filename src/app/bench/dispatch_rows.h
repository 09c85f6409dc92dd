// SPDX-License-Identifier: Apache-2.0
/* dispatch_rows: the rows of `bench dispatch`: every mode on one graph, measured in turns, checked
 * to give the same bits; and how they are shown. */
#pragma once
#include "app/bench/subject.h"
#include "base/buf.h"

/* In the order of the rows; each does without less than the one before. */
enum {
    BT_MODE_NO_CACHES,
    BT_MODE_NODE_CACHE,
    BT_MODE_PLAN_CACHE,
    BT_MODE_REUSE,
    BT_MODE_PIPELINE,
    BT_MODE_CAPTURED,
    BT_MODE_COUNT
};

enum { BT_DISPATCH_ROUND = 5, BT_DISPATCH_TRACED = 33 }; // rounds; steps traced after them

typedef struct bt_dispatch_row {
    const char *graph, *mode;
    double host_us;           // a step, median over rounds of their median step
    double first_us, last_us; // lower quartile of the first and of the last quarter of all steps
    double tok_s;             // by the clock on the wall: of the median step, likewise
    double bubble_ratio;      // idle share of the device, median of the traced steps
    bt_bench_counts counts;   // of the timed steps
    int32_t launches;         // of a step
    uint64_t n_alloc;         // allocations during the steps of all rounds but the first
    bool hits;                // a step may find its plan: n_alloc is that of hits
    uint64_t checksum;
} bt_dispatch_row;

/* Decode n_step tokens in each mode. DEVICE: a mode's results differ from those of the first. */
BT_CHECKED bt_status bt_dispatch_measure(const bt_bench_graph *graph, int32_t n_step,
                                         bt_dispatch_row ret_row[BT_MODE_COUNT]);

typedef struct bt_dispatch_report {
    bt_device_caps device;
    int32_t n_step;
    const bt_dispatch_row *row; // [n_graph][BT_MODE_COUNT]
    int32_t n_graph;
} bt_dispatch_report;

/* A table for people, with the targets below it, or one JSON object. */
BT_CHECKED bt_status bt_dispatch_table(const bt_dispatch_report *report, bt_buf *out);
BT_CHECKED bt_status bt_dispatch_json(const bt_dispatch_report *report, bt_buf *out);
