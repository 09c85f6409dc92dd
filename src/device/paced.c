// SPDX-License-Identifier: Apache-2.0
/* paced: a device for measuring what hosts do. A launch takes kernel_ns on its stream and launch_ns
 * of the thread that enqueues it, on any machine; kernels are really run, so results can be checked.
 *
 * Each stream has a thread and a clock of its own: a launch begins when the one before has ended by
 * that clock, when it has been enqueued, and when the event it waits for has been reached; it ends
 * kernel_ns later. The thread sleeps until then, and where it oversleeps the next launch still
 * begins on time: the machine's noise is not the device's.
 *
 *   host      |launch_ns|launch_ns|
 *   stream              |####kernel_ns####|####kernel_ns####|
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/monitor.h"
#include "base/thread.h"
#include "device/device.h"
#include "kernel/table.h"

enum { RING = 256 };

typedef enum command_kind { RUN, RECORD, WAIT, END } command_kind;

typedef struct command {
    command_kind kind;
    int32_t n, step, names; // of the stream when it was submitted
    const bt_launch *launch;
    bt_stream_event *event;
    uint64_t mark;
    int64_t enqueue_ns; // when the call that submitted it began
    int64_t each_ns;    // RUN: host time a launch
} command;

typedef struct paced_device {
    bt_device base;
    bt_kernel_table kernels;
    int64_t kernel_ns, launch_ns;
    bt_monitor monitor; // guards rings and events
} paced_device;

typedef struct paced_stream {
    bt_stream base;
    bt_thread thread;
    command ring[RING];
    uint64_t head, tail; // commands done, and submitted
    int64_t clock_ns;    // the thread's: when the last launch ended
    int64_t ready_ns;    // the thread's: when the last event waited for was reached; 0: none since
} paced_stream;

static paced_device *device_of(bt_stream *stream) { return (paced_device *)stream->device; }

/* ---- the stream's thread ---- */

static void run_launch(paced_stream *s, const command *c, int32_t i)
{
    paced_device *d = device_of(&s->base);
    const bt_launch *l = &c->launch[i];
    int64_t enqueue_ns = c->enqueue_ns + (i + 1) * c->each_ns;
    int64_t begin = bt_max_i64(bt_max_i64(s->clock_ns, enqueue_ns), s->ready_ns);
    bt_trace *trace = bt_trace_of(&d->base.trace);
    if (l->n_item > 0) l->fn(l->args, 0, l->n_item);
    s->clock_ns = begin + d->kernel_ns;
    bt_wait_until(s->clock_ns);
    if (trace)
        bt_trace_add(trace, &(bt_span){.begin_ns = begin,
                                       .end_ns = s->clock_ns,
                                       .name = l->name,
                                       .lane = BT_LANE_STREAM + s->base.number,
                                       .step = c->step,
                                       .enqueue_ns = enqueue_ns,
                                       .ready_ns = s->ready_ns,
                                       .node = bt_launch_name(c->names, l)});
    s->ready_ns = 0;
}

/* Inside the monitor, for which the launches are run outside. */
static void run_command(paced_stream *s, const command *c)
{
    paced_device *d = device_of(&s->base);
    if (c->kind == RUN) {
        bt_monitor_leave(&d->monitor);
        for (int32_t i = 0; i < c->n; i++) run_launch(s, c, i);
        bt_monitor_enter(&d->monitor);
    } else if (c->kind == RECORD) {
        c->event->reached_ns = bt_max_i64(s->clock_ns, c->enqueue_ns);
        if (c->event->n_reached < c->mark) c->event->n_reached = c->mark;
    } else if (c->kind == WAIT) {
        while (c->event->n_reached < c->mark) bt_monitor_wait(&d->monitor, -1);
        s->ready_ns = bt_max_i64(s->ready_ns, c->event->reached_ns);
    }
}

static void *stream_main(void *arg)
{
    paced_stream *s = arg;
    paced_device *d = device_of(&s->base);
    bool over = false;
    bt_monitor_enter(&d->monitor);
    while (!over) {
        while (s->head == s->tail) bt_monitor_wait(&d->monitor, -1);
        command c = s->ring[s->head % RING];
        run_command(s, &c);
        over = c.kind == END;
        s->head++;
        bt_monitor_wake(&d->monitor);
    }
    bt_monitor_leave(&d->monitor);
    return NULL;
}

/* ---- the host's side ---- */

static bt_status push(bt_stream *stream, command c)
{
    paced_stream *s = (paced_stream *)stream;
    paced_device *d = device_of(stream);
    bt_status st = BT_OK;
    c.step = stream->step;
    c.names = stream->names;
    c.enqueue_ns = bt_now_ns();
    bt_monitor_enter(&d->monitor);
    if (s->tail - s->head == RING) {
        st = bt_fail(BT_BUSY, "%d commands wait on the stream, which is all it holds", RING);
    } else {
        if (c.kind == RECORD) c.mark = ++c.event->n_recorded;
        if (c.kind == WAIT) c.mark = c.event->n_recorded;
        s->ring[s->tail++ % RING] = c;
        bt_monitor_wake(&d->monitor);
    }
    bt_monitor_leave(&d->monitor);
    return st;
}

/* Launch i of a list is enqueued (i + 1) * launch_ns after the call began, and the call returns when
 * the last one is; a replay is enqueued at once. */
static bt_status paced_submit(bt_stream *stream, const bt_launch *launch, int32_t n,
                              int32_t *ret_failed)
{
    int64_t each_ns = device_of(stream)->launch_ns, begin_ns = bt_now_ns();
    command c = {.kind = RUN, .launch = launch, .n = n, .each_ns = each_ns};
    *ret_failed = 0;
    if (stream->replaying) {
        bt_wait_until(begin_ns + each_ns);
        c.each_ns = 0;
        return push(stream, c);
    }
    BT_TRY(push(stream, c));
    bt_wait_until(begin_ns + n * each_ns);
    return BT_OK;
}

static bt_status paced_record(bt_stream *stream, bt_stream_event *event)
{
    return push(stream, (command){.kind = RECORD, .event = event});
}

static bt_status paced_wait(bt_stream *stream, bt_stream_event *event)
{
    return push(stream, (command){.kind = WAIT, .event = event});
}

static bt_status paced_start(bt_stream *stream)
{
    (void)stream; // it began when it was submitted
    return BT_OK;
}

static bt_status paced_sync(bt_stream *stream)
{
    paced_stream *s = (paced_stream *)stream;
    paced_device *d = device_of(stream);
    bt_monitor_enter(&d->monitor);
    while (s->head != s->tail) bt_monitor_wait(&d->monitor, -1);
    bt_monitor_leave(&d->monitor);
    return BT_OK;
}

static bt_status paced_stream_new(bt_device *device, bt_stream **ret_stream)
{
    paced_stream *s;
    BT_TRY(bt_alloc_zero((void **)&s, sizeof *s, BT_MEM_DEVICE));
    s->base.device = device;
    bt_status st = bt_thread_start(&s->thread, stream_main, s);
    if (st != BT_OK)
        bt_free(s);
    else
        *ret_stream = &s->base;
    return st;
}

static void paced_stream_free(bt_stream *stream)
{
    paced_stream *s = (paced_stream *)stream;
    while (push(stream, (command){.kind = END}) != BT_OK) (void)paced_sync(stream);
    bt_thread_join(&s->thread);
    bt_free(s);
}

/* ---- events ---- */

static bt_status paced_event_sync(bt_stream_event *event, int timeout_ms)
{
    paced_device *d = (paced_device *)event->device;
    int64_t until = timeout_ms < 0 ? -1 : bt_now_ns() + (int64_t)timeout_ms * 1000000;
    bool late = false;
    bt_monitor_enter(&d->monitor);
    while (event->n_reached != event->n_recorded && !late)
        late = timeout_ms == 0 || !bt_monitor_wait(&d->monitor, until);
    bool reached = event->n_reached == event->n_recorded;
    bt_monitor_leave(&d->monitor);
    return reached ? BT_OK : bt_fail(BT_BUSY, "the event was not reached in %d ms", timeout_ms);
}

/* ---- the device ---- */

static void paced_get_caps(const bt_device *device, bt_device_caps *ret_caps)
{
    const paced_device *d = (const paced_device *)device;
    *ret_caps = (bt_device_caps){
        .name = "paced", .level = bt_cpu_level_name(d->kernels.level), .n_thread = 1};
}

static void paced_close(bt_device *device)
{
    paced_device *d = (paced_device *)device;
    bt_monitor_done(&d->monitor);
    bt_device_done(device);
    bt_free(d);
}

static const bt_device_ops paced_ops = {
    .close = paced_close,
    .get_caps = paced_get_caps,
    .alloc = bt_device_host_alloc,
    .free = bt_device_host_free,
    .stream_new = paced_stream_new,
    .stream_free = paced_stream_free,
    .submit = paced_submit,
    .start = paced_start,
    .sync = paced_sync,
    .event_new = bt_device_host_event_new,
    .event_free = bt_device_host_event_free,
    .record = paced_record,
    .wait = paced_wait,
    .event_sync = paced_event_sync,
};

bt_status bt_device_paced_open(const bt_device_config *config, bt_device **ret_device)
{
    int level;
    paced_device *d;
    BT_FAIL_IF(config->kernel_ns < 0 || config->launch_ns < 0, INVALID,
               "a paced device whose launches take %lld ns and cost %lld ns",
               (long long)config->kernel_ns, (long long)config->launch_ns);
    BT_TRY(bt_device_cpu_level(config, &level));
    BT_TRY(bt_alloc_zero((void **)&d, sizeof *d, BT_MEM_DEVICE));
    bt_kernel_table_init(&d->kernels, (bt_cpu_level)level);
    bt_device_init(&d->base, &paced_ops, &d->kernels);
    bt_monitor_init(&d->monitor);
    d->kernel_ns = config->kernel_ns;
    d->launch_ns = config->launch_ns;
    *ret_device = &d->base;
    return BT_OK;
}
