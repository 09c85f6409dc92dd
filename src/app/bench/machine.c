// SPDX-License-Identifier: Apache-2.0
#include "app/bench/machine.h"
#include "base/json.h"
#include "base/membw.h"
#include <stdlib.h>

bt_status bt_machine_init(const char *level, int32_t n_thread, int64_t read_bytes,
                          bt_machine *ret_machine)
{
    bt_machine m = {.n_thread = n_thread, .read_bytes = read_bytes};
    BT_TRY(bt_cpu_level_parse(level, &m.level));
    *ret_machine = m;
    return BT_OK;
}

bt_status bt_machine_measure_bandwidth(bt_machine *m)
{
    double bytes_s;
    BT_TRY(bt_membw_measure(m->n_thread, m->read_bytes, &bytes_s));
    if (bytes_s > m->bytes_s) m->bytes_s = bytes_s;
    return BT_OK;
}

bt_status bt_machine_measure(bt_machine *m)
{
    BT_TRY(bt_machine_measure_bandwidth(m));
    return bt_peaks_measure(m->n_thread, m->level, &m->peaks);
}

double bt_machine_peak(const bt_machine *m, bt_peak_type type, const char **ret_name)
{
    bt_peak best = bt_peaks_best(&m->peaks, type);
    if (ret_name) *ret_name = bt_peak_name(best);
    return m->peaks.ops_s[best];
}

bt_peak_type bt_machine_peak_type(bt_dtype weight)
{
    if (bt_dtype_is_quantised(weight)) return BT_PEAK_INT8;
    return weight == BT_BF16 ? BT_PEAK_BF16 : BT_PEAK_F32;
}

double bt_machine_bound(const bt_machine *m, bt_peak_type type, double bytes, double ops)
{
    double peak = bt_machine_peak(m, type, NULL);
    double read_s = m->bytes_s > 0 ? bytes / m->bytes_s : 0, compute_s = peak > 0 ? ops / peak : 0;
    return read_s > compute_s ? read_s : compute_s;
}

// ---- as text ----

bt_status bt_machine_text(const bt_machine *m, bt_buf *out)
{
    BT_TRY(bt_buf_format(out, "machine   %s, %d threads: %.1f GB/s read",
                         bt_cpu_level_name(m->level), m->n_thread, m->bytes_s * 1e-9));
    for (int type = 0; type < BT_PEAK_TYPE_COUNT; type++) {
        const char *name;
        double peak = bt_machine_peak(m, (bt_peak_type)type, &name);
        BT_TRY(bt_buf_format(out, "; %s %.0f %s (%s)", bt_peak_type_name((bt_peak_type)type),
                             peak * 1e-9, type == BT_PEAK_INT8 ? "GOP/s" : "GFLOP/s", name));
    }
    return bt_buf_text(out, "\n");
}

static bt_status put_peaks(const bt_machine *m, bt_buf *out)
{
    const char *between = "";
    BT_TRY(bt_buf_text(out, ", \"peaks\": ["));
    for (int i = 0; i < BT_PEAK_COUNT; i++) {
        if (m->peaks.ops_s[i] <= 0) continue;
        BT_TRY(bt_buf_format(out, "%s{\"type\": \"%s\", \"by\": \"%s\"", between,
                             bt_peak_type_name(bt_peak_type_of((bt_peak)i)),
                             bt_peak_name((bt_peak)i)));
        BT_TRY(bt_bench_put(out, "gop_s", m->peaks.ops_s[i] * 1e-9));
        BT_TRY(bt_buf_text(out, "}"));
        between = ", ";
    }
    return bt_buf_text(out, "]");
}

bt_status bt_machine_json(const bt_machine *m, bt_buf *out)
{
    static const char *const key[] = {"int8_gop_s", "bf16_gflop_s", "f32_gflop_s"};
    BT_TRY(bt_buf_format(out, "{\"level\": \"%s\", \"n_thread\": %d", bt_cpu_level_name(m->level),
                         m->n_thread));
    BT_TRY(bt_bench_put(out, "bandwidth_gb_s", m->bytes_s * 1e-9));
    for (int type = 0; type < BT_PEAK_TYPE_COUNT; type++) {
        const char *name, *kind = bt_peak_type_name((bt_peak_type)type);
        BT_TRY(bt_bench_put(out, key[type], bt_machine_peak(m, (bt_peak_type)type, &name) * 1e-9));
        BT_TRY(bt_buf_format(out, ", \"%s_by\": \"%s\"", kind, name));
    }
    BT_TRY(put_peaks(m, out));
    return bt_buf_text(out, "}");
}

// ---- what benches share ----

bt_status bt_bench_put(bt_buf *out, const char *name, double value)
{
    BT_TRY(bt_buf_format(out, ", \"%s\": ", name));
    return bt_json_put_f64(out, value);
}

static int compare_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bt_bench_median(double *x, int32_t n, double *ret_spread)
{
    if (n < 1) return 0;
    qsort(x, (size_t)n, sizeof *x, compare_f64);
    double median = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
    if (ret_spread) *ret_spread = median > 0 ? (x[n - 1] - x[0]) / median : 0;
    return median;
}
