// SPDX-License-Identifier: Apache-2.0
/* machine: what a bench's figures are shares of: bandwidth and peaks of this machine, measured in
 * the same run with the same number of threads. */
#pragma once
#include "base/buf.h"
#include "base/peak.h"
#include "baton/tensor.h"

typedef struct bt_machine {
    bt_cpu_level level; // of the kernels
    int32_t n_thread;
    int64_t read_bytes; // how many are read to measure
    double bytes_s;     // that come so from memory
    bt_peaks peaks;
} bt_machine;

/* Nothing is measured yet. read_bytes: as in base/membw.h; what is held against it should read as
 * much. INVALID: the level has no such name. */
BT_CHECKED bt_status bt_machine_init(const char *level, int32_t n_thread, int64_t read_bytes,
                                     bt_machine *ret_machine);

/* Measure once more; the best counts. Takes about 0.3 s, the bandwidth alone 0.1 s and more where
 * read_bytes are many. */
BT_CHECKED bt_status bt_machine_measure(bt_machine *machine);
BT_CHECKED bt_status bt_machine_measure_bandwidth(bt_machine *machine);

/* Operations a second of the fastest instruction for a type; *ret_name (may be NULL) is which. */
double bt_machine_peak(const bt_machine *machine, bt_peak_type type, const char **ret_name);

/* Which peak a product with weights of this type counts against: int8 for quantised ones, for they
 * are multiplied with activations in 8 bits. */
bt_peak_type bt_machine_peak_type(bt_dtype weight);

/* The least time in which so much can be read and computed, in seconds. */
double bt_machine_bound(const bt_machine *machine, bt_peak_type type, double bytes, double ops);

/* One line; and a JSON object. */
BT_CHECKED bt_status bt_machine_text(const bt_machine *machine, bt_buf *out);
BT_CHECKED bt_status bt_machine_json(const bt_machine *machine, bt_buf *out);

/* ---- what benches share ---- */

/* Append `, "name": value`. */
BT_CHECKED bt_status bt_bench_put(bt_buf *out, const char *name, double value);

/* The median of x [n], which is sorted; *ret_spread (may be NULL) is (max - min) / median. */
double bt_bench_median(double *x, int32_t n, double *ret_spread);
