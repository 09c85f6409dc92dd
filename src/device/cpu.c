// SPDX-License-Identifier: Apache-2.0
/* cpu: a worker team, a kernel table of one CPU level, and streams that are rings of commands.
 *
 * The team does one thing at a time, so streams take turns. Whoever waits for work runs it: the
 * waiting thread becomes thread 0 of the team, and no time is lost in waking anybody. Work that was
 * started (bt_stream_start) is run by a driver thread instead, beside the host. Both are `pump`: take
 * the next command that may run, run it with the lock let go, go on.
 *
 *   host    submit submit start        ...does other things...          sync (waits)
 *   driver                  |##launches##|##launches##|
 *
 *   host    submit submit                                   sync |##launches##|##launches##|
 */
#include "device/cpu.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/monitor.h"
#include "base/thread.h"
#include "kernel/table.h"
#include <string.h>

enum { RING = 256, STREAM_MAX = 64, STAMP_MAX = 8192 };

typedef enum command_kind { RUN, RECORD, WAIT } command_kind;

typedef struct command {
    command_kind kind;
    int32_t n, step, names; // of the stream when it was submitted
    const bt_launch *launch;
    bt_stream_event *event;
    uint64_t mark;      // RECORD, WAIT: which mark of the event
    int64_t enqueue_ns; // while there is a trace
} command;

typedef struct cpu_stream {
    bt_stream base;
    command ring[RING];
    uint64_t head, tail; // commands done, and submitted
    bool running;        // the command at head is being run
    bool started;        // the driver is to run what is there
    int64_t end_ns;      // when the last launch ended, while there is a trace
} cpu_stream;

typedef struct cpu_device {
    bt_device base;
    bt_kernel_table kernels;
    bt_team *team;      // used by the one who set `busy`
    bt_monitor monitor; // guards everything below, streams and events; its signal is the waiters'
    bt_signal work;     // the driver's: there may be something for it to run
    cpu_stream *stream[STREAM_MAX];
    int32_t n_stream, turn; // turn: whose command is looked at first
    bool busy;              // somebody is running a command
    bool closing;
    bt_thread driver;
    int64_t *stamp; // [STAMP_MAX + 1] begins of launches, while there is a trace
} cpu_device;

static bt_step step_of_launch(const void *ctx, int i)
{
    const bt_launch *l = (const bt_launch *)ctx + i;
    return (bt_step){.fn = l->fn, .args = l->args, .n_item = l->n_item, .grain = l->grain};
}

/* ---- running commands ---- */

/* Spans are recorded once the launches are over; the device stands still meanwhile, and the timeline
 * says so. */
static void run_traced(cpu_device *d, bt_trace *trace, const command *c, cpu_stream *s)
{
    for (int32_t at = 0, n; at < c->n; at += n) {
        n = (int32_t)bt_min_i64(c->n - at, STAMP_MAX);
        bt_team_run_timed(d->team, step_of_launch, c->launch + at, n, d->stamp);
        for (int32_t i = 0; i < n; i++)
            bt_trace_add(trace, &(bt_span){.begin_ns = d->stamp[i],
                                           .end_ns = d->stamp[i + 1],
                                           .name = c->launch[at + i].name,
                                           .lane = BT_LANE_STREAM + s->base.number,
                                           .step = c->step,
                                           .enqueue_ns = c->enqueue_ns,
                                           .node = bt_launch_name(c->names, &c->launch[at + i])});
        s->end_ns = d->stamp[n];
        bt_trace_add(trace, &(bt_span){.begin_ns = s->end_ns,
                                       .end_ns = bt_now_ns(),
                                       .name = "tracing",
                                       .lane = BT_LANE_ENGINE,
                                       .step = c->step});
    }
}

static bool may_run(const cpu_stream *s)
{
    if (s->head == s->tail || s->running) return false;
    const command *c = &s->ring[s->head % RING];
    return c->kind != WAIT || c->event->n_reached >= c->mark;
}

/* The next stream whose first command may run, in turns; NULL when there is none. */
static cpu_stream *next_stream(cpu_device *d)
{
    for (int32_t i = 0; i < d->n_stream; i++) {
        int32_t at = (d->turn + i) % d->n_stream;
        if (!may_run(d->stream[at])) continue;
        d->turn = at;
        return d->stream[at];
    }
    return NULL;
}

static bool any_started(const cpu_device *d)
{
    for (int32_t i = 0; i < d->n_stream; i++)
        if (d->stream[i]->started) return true;
    return false;
}

/* Inside the monitor: run one command that may run; false when there is none. */
static bool pump_one(cpu_device *d)
{
    cpu_stream *s = d->busy ? NULL : next_stream(d);
    if (!s) return false;
    command c = s->ring[s->head % RING];
    if (c.kind == RUN) {
        bt_trace *trace = bt_trace_of(&d->base.trace);
        s->running = d->busy = true;
        bt_monitor_leave(&d->monitor);
        if (trace && d->stamp)
            run_traced(d, trace, &c, s);
        else
            bt_team_run(d->team, step_of_launch, c.launch, c.n);
        bt_monitor_enter(&d->monitor);
        s->running = d->busy = false;
    } else if (c.kind == RECORD) {
        c.event->reached_ns = s->end_ns;
        if (c.event->n_reached < c.mark) c.event->n_reached = c.mark;
    }
    s->head++;
    if (s->head == s->tail) s->started = false;
    bt_monitor_wake(&d->monitor);
    if (any_started(d)) bt_signal_wake(&d->work); // it may have waited for this command
    return true;
}

/* Inside the monitor: run or wait until `reached` holds; false when the time is over. */
static bool pump_until(cpu_device *d, bool (*reached)(const void *goal), const void *goal,
                       int64_t until_ns)
{
    while (!reached(goal))
        if (!pump_one(d) && !bt_monitor_wait(&d->monitor, until_ns)) return reached(goal);
    return true;
}

static void *driver_main(void *arg)
{
    cpu_device *d = arg;
    bt_monitor_enter(&d->monitor);
    while (!d->closing)
        if (!any_started(d) || !pump_one(d)) bt_signal_wait(&d->work, &d->monitor, -1);
    bt_monitor_leave(&d->monitor);
    return NULL;
}

/* ---- streams ---- */

static bt_status push(bt_stream *stream, command c)
{
    cpu_stream *s = (cpu_stream *)stream;
    cpu_device *d = (cpu_device *)stream->device;
    bt_status st = BT_OK;
    c.step = stream->step;
    c.names = stream->names;
    bt_monitor_enter(&d->monitor);
    if (s->tail - s->head == RING) {
        st = bt_fail(BT_BUSY, "%d commands wait on the stream, which is all it holds", RING);
    } else {
        if (c.kind == RECORD) c.mark = ++c.event->n_recorded;
        if (c.kind == WAIT) c.mark = c.event->n_recorded;
        s->ring[s->tail++ % RING] = c;
        if (s->started) bt_signal_wake(&d->work);
    }
    bt_monitor_leave(&d->monitor);
    return st;
}

static bt_status cpu_submit(bt_stream *stream, const bt_launch *launch, int32_t n,
                            int32_t *ret_failed)
{
    command c = {.kind = RUN, .launch = launch, .n = n};
    if (bt_trace_of(&stream->device->trace)) c.enqueue_ns = bt_now_ns();
    *ret_failed = 0;
    return push(stream, c);
}

static bt_status cpu_record(bt_stream *stream, bt_stream_event *event)
{
    return push(stream, (command){.kind = RECORD, .event = event});
}

static bt_status cpu_wait(bt_stream *stream, bt_stream_event *event)
{
    return push(stream, (command){.kind = WAIT, .event = event});
}

static bt_status cpu_start(bt_stream *stream)
{
    cpu_stream *s = (cpu_stream *)stream;
    cpu_device *d = (cpu_device *)stream->device;
    bt_status st = BT_OK;
    bt_monitor_enter(&d->monitor);
    if (!d->driver.started) st = bt_thread_start(&d->driver, driver_main, d);
    if (st == BT_OK && s->head != s->tail) s->started = true;
    bt_signal_wake(&d->work);
    bt_monitor_leave(&d->monitor);
    return st;
}

static bool is_idle(const void *goal)
{
    const cpu_stream *s = goal;
    return s->head == s->tail;
}

static bt_status cpu_sync(bt_stream *stream)
{
    cpu_device *d = (cpu_device *)stream->device;
    bt_monitor_enter(&d->monitor);
    pump_until(d, is_idle, stream, -1);
    bt_monitor_leave(&d->monitor);
    return BT_OK;
}

static bt_status cpu_stream_new(bt_device *device, bt_stream **ret_stream)
{
    cpu_device *d = (cpu_device *)device;
    cpu_stream *s;
    BT_TRY(bt_alloc_zero((void **)&s, sizeof *s, BT_MEM_DEVICE));
    s->base.device = device;
    bt_monitor_enter(&d->monitor);
    bool fits = d->n_stream < STREAM_MAX;
    if (fits) d->stream[d->n_stream++] = s;
    bt_monitor_leave(&d->monitor);
    if (!fits) {
        bt_free(s);
        return bt_fail(BT_LIMIT, "the device has %d streams, which is all it can have", STREAM_MAX);
    }
    *ret_stream = &s->base;
    return BT_OK;
}

static void cpu_stream_free(bt_stream *stream)
{
    cpu_device *d = (cpu_device *)stream->device;
    int32_t i = 0;
    bt_monitor_enter(&d->monitor);
    pump_until(d, is_idle, stream, -1);
    while (d->stream[i] != (cpu_stream *)stream) i++;
    d->stream[i] = d->stream[--d->n_stream];
    d->turn = 0;
    bt_monitor_leave(&d->monitor);
    bt_free(stream);
}

/* ---- events ---- */

static bool is_reached(const void *goal)
{
    const bt_stream_event *e = goal;
    return e->n_reached == e->n_recorded;
}

static bt_status cpu_event_sync(bt_stream_event *event, int timeout_ms)
{
    cpu_device *d = (cpu_device *)event->device;
    int64_t until = timeout_ms < 0 ? -1 : bt_now_ns() + (int64_t)timeout_ms * 1000000;
    bt_monitor_enter(&d->monitor);
    bool reached = timeout_ms == 0 ? is_reached(event) : pump_until(d, is_reached, event, until);
    bt_monitor_leave(&d->monitor);
    return reached ? BT_OK : bt_fail(BT_BUSY, "the event was not reached in %d ms", timeout_ms);
}

/* ---- the device ---- */

static void cpu_get_caps(const bt_device *device, bt_device_caps *ret_caps)
{
    const cpu_device *d = (const cpu_device *)device;
    *ret_caps = (bt_device_caps){.name = "cpu",
                                 .level = bt_cpu_level_name(d->kernels.level),
                                 .n_thread = bt_team_size(d->team)};
}

static void cpu_close(bt_device *device)
{
    cpu_device *d = (cpu_device *)device;
    bt_monitor_enter(&d->monitor);
    d->closing = true;
    bt_signal_wake(&d->work);
    bt_monitor_leave(&d->monitor);
    bt_thread_join(&d->driver);
    bt_team_free(d->team);
    bt_signal_done(&d->work);
    bt_monitor_done(&d->monitor);
    bt_device_done(device);
    bt_free(d->stamp);
    bt_free(d);
}

static const bt_device_ops cpu_ops = {
    .close = cpu_close,
    .get_caps = cpu_get_caps,
    .alloc = bt_device_host_alloc,
    .free = bt_device_host_free,
    .stream_new = cpu_stream_new,
    .stream_free = cpu_stream_free,
    .submit = cpu_submit,
    .start = cpu_start,
    .sync = cpu_sync,
    .event_new = bt_device_host_event_new,
    .event_free = bt_device_host_event_free,
    .record = cpu_record,
    .wait = cpu_wait,
    .event_sync = cpu_event_sync,
};

bt_status bt_device_cpu_open(const bt_device_config *config, bt_device **ret_device)
{
    int level;
    cpu_device *d;
    BT_TRY(bt_device_cpu_level(config, &level));
    BT_TRY(bt_alloc_zero((void **)&d, sizeof *d, BT_MEM_DEVICE));
    bt_kernel_table_init(&d->kernels, (bt_cpu_level)level);
    bt_device_init(&d->base, &cpu_ops, &d->kernels);
    bt_monitor_init(&d->monitor);
    bt_signal_init(&d->work);
    d->base.takes_turns = true;
    bt_status st = bt_team_new(config->n_thread ? config->n_thread : bt_cpu_count(), &d->team);
    if (st == BT_OK && config->pin) bt_team_pin(d->team);
    if (st == BT_OK)
        st = bt_alloc_array((void **)&d->stamp, STAMP_MAX + 1, sizeof *d->stamp, BT_MEM_DEVICE);
    if (st != BT_OK) {
        cpu_close(&d->base);
        return st;
    }
    *ret_device = &d->base;
    return BT_OK;
}

bt_team *bt_device_cpu_team(bt_device *device)
{
    assert(device->ops->close == cpu_close);
    return ((cpu_device *)device)->team;
}
