// SPDX-License-Identifier: Apache-2.0
#include "app/tracereport.h"
#include "base/json.h"
#include <stdlib.h>

// ---- figures ----

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* The device knows steps by number; the engine counts from 1. */
static int32_t n_prompt_of(const bt_trace_report *r, const bt_trace_step *step)
{
    return step->step >= 1 && step->step <= r->n_run ? r->n_prompt[step->step - 1] : 0;
}

static int compare_i64(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static bt_status summarise(const bt_trace *trace, bt_trace_report *r)
{
    int64_t *total;
    int32_t skip = 0;
    while (skip < r->n_step && n_prompt_of(r, &r->step[skip]) > 0) skip++;
    skip += BT_TRACE_WARM_UP;
    if (skip >= r->n_step) return BT_OK;
    size_t n = (size_t)(r->n_step - skip);
    BT_TRY(bt_alloc_array((void **)&total, n, sizeof *total, BT_MEM_MISC));
    for (size_t i = 0; i < n; i++) total[i] = r->step[(size_t)skip + i].total_ns;
    qsort(total, n, sizeof *total, compare_i64);
    r->n_warm = (int32_t)n;
    r->median_ns = n % 2 ? total[n / 2] : (total[n / 2 - 1] + total[n / 2]) / 2;
    r->idle = bt_trace_bubble_ratio(trace, skip, r->blame);
    bt_free(total);
    return BT_OK;
}

bt_status bt_trace_report_of(const bt_trace *trace, const int32_t *n_prompt, int32_t n_run,
                             bt_trace_report *ret_report)
{
    bt_trace_report r = {
        .n_prompt = n_prompt, .n_run = n_run, .n_dropped = bt_trace_n_dropped(trace)};
    r.n_step = bt_trace_steps(trace, NULL, 0);
    BT_TRY(bt_alloc_array((void **)&r.step, (size_t)r.n_step, sizeof *r.step, BT_MEM_MISC));
    bt_trace_steps(trace, r.step, r.n_step);
    bt_status st = summarise(trace, &r);
    if (st != BT_OK)
        bt_free(r.step);
    else
        *ret_report = r;
    return st;
}

void bt_trace_report_done(bt_trace_report *report)
{
    bt_free(report->step);
    *report = (bt_trace_report){0};
}

static void step_blame(const bt_trace_step *step, double ret_blame[BT_BLAME_COUNT])
{
    for (int i = 0; i < BT_BLAME_COUNT; i++)
        ret_blame[i] = share(step->blame_ns[i], step->total_ns);
}

// ---- in words ----

/* "host late 3.1 %, nothing to do 0.2 %": what can be seen with one decimal. */
static bt_status put_blame(const double blame[BT_BLAME_COUNT], bt_buf *out)
{
    const char *between = "";
    for (int i = 0; i < BT_BLAME_COUNT; i++) {
        if (blame[i] < 0.0005) continue;
        BT_TRY(bt_buf_format(out, "%s%s %.1f %%", between, bt_blame_name((bt_blame)i),
                             100 * blame[i]));
        between = ", ";
    }
    return BT_OK;
}

static bt_status put_step(const bt_trace_report *r, const bt_trace_step *step, bt_buf *out)
{
    double blame[BT_BLAME_COUNT];
    int32_t n_prompt = n_prompt_of(r, step);
    step_blame(step, blame);
    BT_TRY(bt_buf_format(out, "%6lld %7d %-8s %12.1f %12.1f %7.1f %%  ", (long long)step->step,
                         n_prompt ? n_prompt : 1, n_prompt ? "prefill" : "decode",
                         (double)step->total_ns / 1e3, (double)step->busy_ns / 1e3,
                         100 * share(step->total_ns - step->busy_ns, step->total_ns)));
    BT_TRY(put_blame(blame, out));
    while (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
    return bt_buf_text(out, "\n");
}

static bt_status put_summary(const bt_trace_report *r, bt_buf *out)
{
    if (!r->n_warm)
        return bt_buf_format(out, "no summary: it takes more than %d decode steps\n",
                             BT_TRACE_WARM_UP);
    BT_TRY(bt_buf_format(out, "decode after %d to warm up: %d step%s, median %.1f us, idle %.1f %%",
                         BT_TRACE_WARM_UP, r->n_warm, r->n_warm == 1 ? "" : "s",
                         (double)r->median_ns / 1e3, 100 * r->idle));
    if (r->idle >= 0.0005) BT_TRY(bt_buf_text(out, ": "));
    BT_TRY(put_blame(r->blame, out));
    return bt_buf_text(out, "\n");
}

bt_status bt_trace_report_text(const bt_trace_report *r, bt_buf *out)
{
    BT_TRY(bt_buf_format(out, "%6s %7s %-8s %12s %12s %9s  %s\n", "step", "tokens", "", "total us",
                         "busy us", "idle", "blame"));
    for (int32_t i = 0; i < r->n_step; i++) BT_TRY(put_step(r, &r->step[i], out));
    BT_TRY(put_summary(r, out));
    if (r->n_dropped)
        BT_TRY(bt_buf_format(out,
                             "the trace was full: %llu spans were dropped, and the last steps "
                             "with them\n",
                             (unsigned long long)r->n_dropped));
    return BT_OK;
}

// ---- as JSON ----

static bt_status put_number(const char *key, double value, bt_buf *out)
{
    BT_TRY(bt_buf_format(out, ", \"%s\": ", key));
    return bt_json_put_f64(out, value);
}

static bt_status put_json_blame(const double blame[BT_BLAME_COUNT], bt_buf *out)
{
    BT_TRY(bt_buf_text(out, ", \"blame\": "));
    for (int i = 0; i < BT_BLAME_COUNT; i++) {
        BT_TRY(bt_buf_format(out, "%s\"%s\": ", i ? ", " : "{", bt_blame_name((bt_blame)i)));
        BT_TRY(bt_json_put_f64(out, blame[i]));
    }
    return bt_buf_text(out, "}");
}

static bt_status put_json_step(const bt_trace_report *r, const bt_trace_step *step, bt_buf *out)
{
    double blame[BT_BLAME_COUNT];
    int32_t n_prompt = n_prompt_of(r, step);
    step_blame(step, blame);
    BT_TRY(bt_buf_format(out, "{\"step\": %lld, \"kind\": \"%s\", \"tokens\": %d, \"launches\": %d",
                         (long long)step->step, n_prompt ? "prefill" : "decode",
                         n_prompt ? n_prompt : 1, step->n_launch));
    BT_TRY(put_number("total_us", (double)step->total_ns / 1e3, out));
    BT_TRY(put_number("busy_us", (double)step->busy_ns / 1e3, out));
    BT_TRY(put_number("bubble_ratio", share(step->total_ns - step->busy_ns, step->total_ns), out));
    BT_TRY(put_json_blame(blame, out));
    return bt_buf_text(out, "}");
}

bt_status bt_trace_report_json(const bt_trace_report *r, bt_buf *out)
{
    for (int32_t i = 0; i < r->n_step; i++) {
        BT_TRY(bt_buf_text(out, i ? ",\n" : "{\"steps\": [\n"));
        BT_TRY(put_json_step(r, &r->step[i], out));
    }
    BT_TRY(bt_buf_format(out, "%s], \"warm_steps\": %d", r->n_step ? "\n" : "{\"steps\": [",
                         r->n_warm));
    if (r->n_warm) {
        BT_TRY(put_number("median_us", (double)r->median_ns / 1e3, out));
        BT_TRY(put_number("bubble_ratio", r->idle, out));
        BT_TRY(put_json_blame(r->blame, out));
    } else {
        BT_TRY(bt_buf_text(out, ", \"median_us\": null, \"bubble_ratio\": null, \"blame\": null"));
    }
    return bt_buf_format(out, ", \"dropped\": %llu}\n", (unsigned long long)r->n_dropped);
}
