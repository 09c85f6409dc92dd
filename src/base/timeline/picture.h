// SPDX-License-Identifier: Apache-2.0
/* picture: what trace_svg draws and where: which spans, which rows, which colours. */
#pragma once
#include "base/timeline/svgtext.h"
#include "base/timeline/timeline.h"

enum {
    WIDTH = 1200,
    EDGE = 24,
    LEFT = 140, // of the time axis
    RIGHT = WIDTH - EDGE,
    TOP = 116, // of the first row
    ROW = 25,  // from row to row
    BAR = 20,  // height of a span
    SPAN_MAX = 4000,
    FAMILY_MAX = 64,
    COLOUR_MAX = 8, // the last one is for all other families
    ARROW_MAX = 40  // steps; with more, arrows are a thicket
};

typedef struct bt_family {
    const char *name; // points into a span's name
    int len;
    int64_t ns;
} bt_family;

typedef struct bt_picture {
    bt_textfile f;
    bt_timeline t;
    const bt_trace *trace;
    int64_t t0, t1;             // what is drawn; t0 < t1
    int32_t span0, step0;       // the first drawn
    int32_t n_left_out;         // spans
    uint64_t n_dropped;         // spans that found no room in the trace
    bt_family fam[FAMILY_MAX];  // by time, most first
    int32_t n_fam;              // kept
    int64_t fam_ns;             // time of all spans on the device
    int32_t row_y[BT_LANE_MAX]; // 0: no such lane
    int32_t step_y, stream_y, axis_y, height;
} bt_picture;

/* Decide everything from p->t; the rest of *p is zero before. */
void bt_picture_plan(bt_picture *p);

double bt_picture_x(const bt_picture *p, int64_t ns);
bool bt_picture_has(const bt_picture *p, int32_t i);                // span i
int32_t bt_picture_family(const bt_picture *p, const char *kernel); // -1: too many are
int bt_picture_colour(const bt_picture *p, const char *kernel);
