// SPDX-License-Identifier: Apache-2.0
/* bench_kernels: every operator with every type for 1 to 512 tokens, each by itself on the device's
 * threads, beside the bandwidth and the peak of the same machine at the same time. */
#include "app/bench/bench.h"
#include "app/bench/kernel_cases.h"
#include "app/console.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/membw.h"
#include <stdio.h>
#include <string.h>

typedef struct kernels_options {
    bt_device_config device;
    const char *filter;
    int32_t n_run;
    bool json;
} kernels_options;

enum { RUN_MAX = 101 };
static const double RUN_S = 0.004; // a run is as many steps as fill it
static const int32_t tokens[] = {1, 2, 4, 8, 16, 32, 128, 512};

#define AT(member) offsetof(kernels_options, member)
static const bt_arg args[] = {
    {"filter", 0, BT_ARG_TEXT, AT(filter), 0, 0, "NAME",
     "only those in whose name it is: 'linear q4', 'attention'"},
    {"runs", 0, BT_ARG_I32, AT(n_run), 1, RUN_MAX, "N", "runs of each, 4 ms long; default 9"},
    {"threads", 't', BT_ARG_I32, AT(device.n_thread), 1, 256, "N",
     "worker threads; default: one a processor"},
    {"cpu", 0, BT_ARG_TEXT, AT(device.cpu_level), 0, 0, "LEVEL",
     "highest kernels: ref, avx2, avx512, ...; default: $BATON_CPU or the best"},
    {"json", 0, BT_ARG_FLAG, AT(json), 0, 0, NULL, "one JSON object instead of a table"},
};
#undef AT

static const bt_arg_group groups[] = {{"Bench", args, BT_COUNT_OF(args), 0}};

typedef struct kernel_row {
    bt_kernel_case which;
    int32_t m;
    double us, spread;
    double gb_s, bandwidth_share, gop_s, peak_share, bound_share;
} kernel_row;

// ---- measuring ----

static bt_status time_runs(const bt_kernel_run *r, int32_t n_run, double *ret_us)
{
    for (int i = 0; i < 3; i++) BT_TRY(bt_kernel_run_step(r)); // the second one is captured
    for (int32_t run = 0; run < n_run; run++) {
        int64_t n = 0, begin = bt_now_ns();
        for (; n < 1 || bt_seconds_since(begin) < RUN_S; n++) BT_TRY(bt_kernel_run_step(r));
        ret_us[run] = bt_seconds_since(begin) * 1e6 / (double)(n * r->n_node);
    }
    return BT_OK;
}

static bt_status measure(bt_device *device, bt_machine *machine, int32_t n_run, kernel_row *row)
{
    bt_kernel_run r;
    double us[RUN_MAX];
    BT_TRY(row->m == tokens[0] ? bt_machine_measure(machine)
                               : bt_machine_measure_bandwidth(machine));
    BT_TRY(bt_kernel_run_open(device, &row->which, row->m, &r));
    bt_status st = time_runs(&r, n_run, us);
    row->us = st == BT_OK ? bt_bench_median(us, n_run, &row->spread) : 0;
    if (row->us > 0) {
        double seconds = row->us * 1e-6;
        row->gb_s = r.cost.bytes / seconds * 1e-9;
        row->bandwidth_share = row->gb_s * 1e9 / machine->bytes_s;
        row->gop_s = r.cost.ops / seconds * 1e-9;
        row->peak_share = row->gop_s * 1e9 / bt_machine_peak(machine, r.peak, NULL);
        row->bound_share = bt_machine_bound(machine, r.peak, r.cost.bytes, r.cost.ops) / seconds;
    }
    bt_kernel_run_close(&r);
    return st;
}

// ---- how it is shown ----

static bt_status put_row(const kernel_row *row, bool json, bool first, bt_buf *out)
{
    const char *type = bt_dtype_name(row->which.type);
    if (!json)
        return bt_buf_format(out, "%-12s%-6s%5d%12.1f%6.1f %%%9.2f%5.0f %%%10.1f%5.0f %%%6.0f %%\n",
                             row->which.op, type, row->m, row->us, 100 * row->spread, row->gb_s,
                             100 * row->bandwidth_share, row->gop_s, 100 * row->peak_share,
                             100 * row->bound_share);
    BT_TRY(bt_buf_format(out, "%s{\"kernel\": \"%s\", \"type\": \"%s\", \"m\": %d",
                         first ? "\n" : ",\n", row->which.op, type, row->m));
    BT_TRY(bt_bench_put(out, "us", row->us));
    BT_TRY(bt_bench_put(out, "spread", row->spread));
    BT_TRY(bt_bench_put(out, "gb_s", row->gb_s));
    BT_TRY(bt_bench_put(out, "bandwidth_share", row->bandwidth_share));
    BT_TRY(bt_bench_put(out, "gop_s", row->gop_s));
    BT_TRY(bt_bench_put(out, "peak_share", row->peak_share));
    BT_TRY(bt_bench_put(out, "bound_share", row->bound_share));
    return bt_buf_text(out, "}");
}

static bt_status put_machine(const bt_machine *machine, bool json, bt_buf *out)
{
    BT_TRY(bt_buf_text(out, json ? "\n], \"machine\": " : "\n"));
    BT_TRY(json ? bt_machine_json(machine, out) : bt_machine_text(machine, out));
    return bt_buf_text(out, json ? "}\n" : "");
}

static const char heading[] =
    "kernel      type      M          us  spread     GB/s  share     GOP/s  share   bound\n";

static void flush(bt_buf *out)
{
    fwrite(out->data, 1, out->len, stdout);
    fflush(stdout);
    bt_buf_clear(out);
}

/* Rows of a table appear as they are measured: all of them take a minute. */
static bt_status run_all(const kernels_options *o, bt_device *device, bt_buf *out)
{
    bt_device_caps caps;
    bt_machine machine;
    bool first = true;
    kernel_row row = {.m = 0};
    bt_device_get_caps(device, &caps);
    BT_TRY(bt_machine_init(caps.level, caps.n_thread, BT_MEMBW_QUICK, &machine));
    BT_TRY(bt_buf_text(out, o->json ? "{\"rows\": [" : heading));
    for (int32_t i = 0; bt_kernel_case_at(i, &row.which); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", row.which.op, bt_dtype_name(row.which.type));
        if (o->filter && !strstr(name, o->filter)) continue;
        for (size_t k = 0; k < BT_COUNT_OF(tokens); k++) {
            row.m = tokens[k];
            BT_TRY(measure(device, &machine, o->n_run, &row));
            BT_TRY(put_row(&row, o->json, first, out));
            if (!o->json) flush(out);
            first = false;
        }
    }
    return put_machine(&machine, o->json, out);
}

// ---- the command ----

static int check_filter(const bt_command *self, const char *filter)
{
    bt_kernel_case which;
    for (int32_t i = 0; filter && bt_kernel_case_at(i, &which); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", which.op, bt_dtype_name(which.type));
        if (strstr(name, filter)) return BT_ARGS_GO_ON;
    }
    if (!filter) return BT_ARGS_GO_ON;
    return bt_args_usage(self, "--filter is '%s', which is in no name of a kernel", filter);
}

static int run_kernels(const bt_command *self, int argc, char **argv)
{
    kernels_options o = {.n_run = 9};
    bt_device *device = NULL;
    bt_buf out = {0};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON || (status = check_filter(self, o.filter)) != BT_ARGS_GO_ON)
        return status;
    bt_status st = bt_device_open("cpu", &o.device, &device);
    if (st == BT_OK) st = run_all(&o, device, &out);
    if (st == BT_OK) flush(&out);
    bt_device_close(device);
    bt_buf_done(&out);
    return st == BT_OK ? BT_EXIT_OK : bt_console_fail();
}

const bt_command bt_bench_kernels = {
    .name = "bench kernels",
    .summary = BT_BENCH_KERNELS_SUMMARY,
    .operands = "",
    .notes =
        "Nodes of one operator, in the sizes of a 1B model (width 2048, FFN 8192, 32 heads and 8\n"
        "KV heads of 64), for M tokens. 'linear' is a product with 8192 x 2048 weights, their\n"
        "activations' rounding included; up to M = 32 its weights come from memory, 128 MB in\n"
        "turn. 'attention' sees 1024 tokens: of a sequence each up to M = 32, beyond it a "
        "prompt's\n"
        "last M. 'type' is that of weights, or of keys and values. Medians; GB/s and GOP/s by the\n"
        "operator's cost; 'bound' is the least time that bandwidth and peak allow over that "
        "taken.\n"
        "What the small ones take is mostly handing them to the threads.",
    .groups = groups,
    .n_group = BT_COUNT_OF(groups),
    .run = run_kernels,
};
