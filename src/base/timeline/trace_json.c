// SPDX-License-Identifier: Apache-2.0
/* trace_json: a timeline in Chrome's trace event format, for Perfetto and chrome://tracing.
 *
 * One process; a lane is a thread. Steps and bubbles get lanes of their own between host and device,
 * so that blame is seen where it falls. Times are in microseconds from the first span, printed from
 * integers, for a locale's decimal comma would break the file.
 * Source: "Trace Event Format" (Google): M metadata, X complete, s/f flow.
 */
#include "base/timeline/timeline.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/textfile.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Thread ids: 0 would be taken for the idle thread of a kernel.
enum { TID_LANE = 1, TID_STEPS = BT_LANE_MAX + 1, TID_IDLE, SORT_STEPS = 100, SORT_STREAM = 200 };

typedef struct json_trace {
    bt_textfile f;
    bt_timeline t;
    const bt_trace *trace;
    bt_trace_step *step;   // owned, [t.n_step]
    const bt_span **group; // owned, [t.n]: by step, then lane, then begin
} json_trace;

typedef struct us_text {
    char text[32];
} us_text;

static us_text us(int64_t ns)
{
    us_text out;
    uint64_t abs = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    snprintf(out.text, sizeof out.text, "%s%" PRIu64 ".%03" PRIu64, ns < 0 ? "-" : "", abs / 1000,
             abs % 1000);
    return out;
}

static void put_name(bt_textfile *f, const char *name)
{
    bt_textfile_do(f, bt_json_put_text(&f->line, name, strlen(name)));
}

static void put_thread(json_trace *j, int tid, int sort, const char *name)
{
    bt_textfile_put(&j->f, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",", tid);
    bt_textfile_put(&j->f, "\"args\":{\"name\":\"%s\"}}", name);
    bt_textfile_put(&j->f, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_sort_index\",",
                    tid);
    bt_textfile_put(&j->f, "\"args\":{\"sort_index\":%d}}", sort);
}

static void put_threads(json_trace *j)
{
    bool seen[BT_LANE_MAX] = {0};
    bt_textfile_put(&j->f, "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\","
                           "\"args\":{\"name\":\"baton\"}}");
    for (int32_t i = 0; i < j->t.n; i++) seen[j->t.span[i]->lane] = true;
    for (int lane = 0; lane < BT_LANE_MAX; lane++) {
        if (!seen[lane]) continue;
        int sort = lane < BT_LANE_STREAM ? lane : SORT_STREAM + lane;
        put_thread(j, TID_LANE + lane, sort, bt_lane_name(lane).text);
    }
    if (!j->t.n_step) return;
    put_thread(j, TID_STEPS, SORT_STEPS, "steps");
    put_thread(j, TID_IDLE, SORT_STEPS + 1, "device: idle");
}

/* All of an X event but its name and args. */
static void put_event(json_trace *j, int tid, int64_t begin_ns, int64_t end_ns)
{
    bt_textfile_put(&j->f, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%s,\"dur\":%s,", tid,
                    us(begin_ns - j->t.begin_ns).text, us(end_ns - begin_ns).text);
}

static void put_spans(json_trace *j)
{
    for (int32_t i = 0; i < j->t.n; i++) {
        const bt_span *s = j->t.span[i];
        bool device = s->lane >= BT_LANE_STREAM;
        put_event(j, TID_LANE + s->lane, s->begin_ns, s->end_ns);
        bt_textfile_put(&j->f, "\"cat\":\"%s\",\"name\":", device ? "device" : "host");
        put_name(&j->f, s->name);
        bt_textfile_put(&j->f, ",\"args\":{\"step\":%d", s->step);
        if (device && s->enqueue_ns > 0)
            bt_textfile_put(&j->f, ",\"queued_us\":%s", us(s->begin_ns - s->enqueue_ns).text);
        if (device && s->ready_ns > 0)
            bt_textfile_put(&j->f, ",\"event_us\":%s", us(s->ready_ns - j->t.begin_ns).text);
        const char *node = bt_trace_node(j->trace, s);
        if (node) bt_textfile_put(&j->f, ",\"node\":");
        if (node) put_name(&j->f, node);
        bt_textfile_put(&j->f, "}}");
    }
}

static void put_steps(json_trace *j)
{
    for (int32_t k = 0; k < j->t.n_step; k++) {
        const bt_trace_step *s = &j->step[k];
        put_event(j, TID_STEPS, s->begin_ns, s->begin_ns + s->total_ns);
        bt_textfile_put(&j->f, "\"cat\":\"step\",\"name\":\"step %" PRId64 "\",", s->step);
        bt_textfile_put(&j->f, "\"args\":{\"step\":%" PRId64 ",\"n_launch\":%d,\"busy_us\":%s",
                        s->step, s->n_launch, us(s->busy_ns).text);
        for (int i = 0; i < BT_BLAME_COUNT; i++)
            bt_textfile_put(&j->f, ",\"%s us\":%s", bt_blame_name((bt_blame)i),
                            us(s->blame_ns[i]).text);
        bt_textfile_put(&j->f, "}}");
    }
}

static void put_idle(void *ctx, const bt_idle *idle)
{
    json_trace *j = ctx;
    put_event(j, TID_IDLE, idle->begin_ns, idle->end_ns);
    bt_textfile_put(&j->f, "\"cat\":\"idle\",\"name\":\"%s\",\"args\":{\"step\":%d}}",
                    bt_blame_name(idle->blame), j->t.step[idle->k].step);
}

static int by_step_and_lane(const void *left, const void *right)
{
    const bt_span *a = *(const bt_span *const *)left, *b = *(const bt_span *const *)right;
    if (a->step != b->step) return a->step < b->step ? -1 : 1;
    if (a->lane != b->lane) return a->lane < b->lane ? -1 : 1;
    if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns ? -1 : 1;
    return (a > b) - (a < b);
}

static void put_flow(json_trace *j, int id, const bt_span *from, const bt_span *to)
{
    const bt_span *end[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        bt_textfile_put(&j->f, ",\n{\"ph\":\"%c\",\"pid\":1,\"tid\":%d,\"ts\":%s,", "sf"[i],
                        TID_LANE + end[i]->lane, us(end[i]->begin_ns - j->t.begin_ns).text);
        bt_textfile_put(&j->f, "\"cat\":\"launch\",\"name\":\"launch\",\"id\":%d%s}", id,
                        i ? ",\"bp\":\"e\"" : "");
    }
}

/* From the first LAUNCH span of a step to the first span of that step on each stream. */
static void put_flows(json_trace *j)
{
    const bt_span *launch = NULL;
    int32_t lane = -1, id = 0;
    if (j->t.n) memcpy(j->group, j->t.span, (size_t)j->t.n * sizeof *j->group);
    qsort(j->group, (size_t)j->t.n, sizeof *j->group, by_step_and_lane);
    for (int32_t i = 0; i < j->t.n; i++) {
        const bt_span *s = j->group[i];
        if (s->step < 0) continue;
        if (launch && launch->step != s->step) launch = NULL, lane = -1;
        if (!launch && s->lane == BT_LANE_LAUNCH) launch = s;
        if (!launch || s->lane < BT_LANE_STREAM || s->lane == lane) continue;
        put_flow(j, ++id, launch, s);
        lane = s->lane;
    }
}

static void put_all(json_trace *j)
{
    bt_textfile_put(&j->f, "{\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"version\":\"%s\",",
                    bt_version());
    bt_textfile_put(&j->f, "\"spans\":%d,\"dropped\":%" PRIu64 "},\n\"traceEvents\":[\n", j->t.n,
                    bt_trace_n_dropped(j->trace));
    put_threads(j);
    put_spans(j);
    put_steps(j);
    bt_timeline_each_idle(&j->t, put_idle, j);
    put_flows(j);
    bt_textfile_put(&j->f, "\n]}\n");
}

bt_status bt_trace_write_json(const bt_trace *trace, const char *path)
{
    json_trace j = {.t = bt_timeline_of(trace), .trace = trace};
    bt_status st;
    size_t n_step = (size_t)j.t.n_step, n = (size_t)j.t.n;
    if ((st = bt_alloc((void **)&j.step, n_step * sizeof *j.step, BT_MEM_MISC)) ||
        (st = bt_alloc((void **)&j.group, n * sizeof *j.group, BT_MEM_MISC)) ||
        (st = bt_textfile_open(&j.f, path)))
        goto done;
    bt_trace_steps(trace, j.step, j.t.n_step); // gives the same timeline again
    put_all(&j);
    st = bt_textfile_close(&j.f);
done:
    bt_free(j.step);
    bt_free(j.group);
    return st;
}
