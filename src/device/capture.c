// SPDX-License-Identifier: Apache-2.0
/* capture: a log grows while streams are being captured; ending turns it into an immutable capture.
 *
 * The log knows for each of its streams how much of each other one is sure to be over (a vector
 * clock): an event carries what its stream knew, a wait adds that to what the waiting stream knows.
 * A capture may end when its first stream knows all of the others. On a device whose streams take
 * turns, order of submission is order enough: the capture is one list of launches. Elsewhere it has
 * streams and events of its own, so that it depends on nobody's. */
#include "device/capture.h"
#include "base/alloc.h"
#include "base/bits.h"
#include <stdio.h>
#include <string.h>

enum { STREAM_MAX = 8, EVENT_MAX = 256 };

typedef enum entry_kind { RUN, RECORD, WAIT } entry_kind;

typedef struct entry {
    entry_kind kind;
    int32_t stream;   // 0: the one that is captured; others in order of joining
    int32_t first, n; // RUN: launches
    int32_t event;    // RECORD, WAIT
} entry;

typedef struct log_event {
    bt_stream_event *user; // NULL: gone, or recorded anew
    int32_t stream;
    int32_t known[STREAM_MAX]; // what its stream knew
} log_event;

typedef struct bt_capture_log {
    bt_device *device;
    bt_status failed; // what made recording stop
    bt_stream *stream[STREAM_MAX];
    int32_t known[STREAM_MAX][STREAM_MAX]; // [i][j]: entries of j that are over before i goes on
    int32_t n_stream, n_event, n_entry, n_launch, entry_max, launch_max;
    log_event event[EVENT_MAX];
    entry *entry;
    bt_launch *launch;
} bt_capture_log;

struct bt_capture {
    bt_refs refs;
    bt_device *device;
    bt_launch *launch;
    entry *entry;
    void **block;                      // device memory that the launches point into
    bt_stream *own_stream[STREAM_MAX]; // 0 is the one replayed on
    bt_stream_event **event;
    int32_t n_launch, n_entry, n_block, n_stream, n_event;
};

/* ---- recording ---- */

static void free_log(bt_capture_log *log)
{
    for (int32_t i = 0; i < log->n_stream; i++)
        if (log->stream[i]) log->stream[i]->log = NULL;
    for (int32_t i = 0; i < log->n_event; i++)
        if (log->event[i].user) log->event[i].user->log = NULL;
    bt_free(log->entry);
    bt_free(log->launch);
    bt_free(log);
}

bt_status bt_capture_begin(bt_stream *stream)
{
    bt_capture_log *log;
    BT_FAIL_IF(stream->log, INVALID, "the stream is being captured already");
    BT_TRY(bt_alloc_zero((void **)&log, sizeof *log, BT_MEM_PLAN));
    log->device = stream->device;
    log->stream[log->n_stream++] = stream;
    stream->log = log;
    return BT_OK;
}

bool bt_stream_is_capturing(const bt_stream *stream) { return stream->log != NULL; }

static int32_t index_of(const bt_capture_log *log, const bt_stream *stream)
{
    int32_t i = 0;
    while (i < log->n_stream && log->stream[i] != stream) i++;
    assert(i < log->n_stream);
    return i;
}

/* Make room for `more` elements behind the n there are. */
static bt_status grow(void **array, int32_t n, int32_t more, int32_t *n_max, size_t size)
{
    int64_t want = (int64_t)n + more;
    if (want <= *n_max) return BT_OK;
    want = bt_max_i64(want, 2 * (int64_t)*n_max + 16);
    BT_FAIL_IF(want > INT32_MAX / 2, LIMIT, "a capture of %lld launches", (long long)want);
    BT_TRY(bt_resize(array, (size_t)want * size, BT_MEM_PLAN));
    *n_max = (int32_t)want;
    return BT_OK;
}

static bt_status add_entry(bt_capture_log *log, entry e)
{
    BT_TRY(grow((void **)&log->entry, log->n_entry, 1, &log->entry_max, sizeof *log->entry));
    log->entry[log->n_entry++] = e;
    log->known[e.stream][e.stream]++;
    return BT_OK;
}

static bt_status submit(bt_capture_log *log, int32_t stream, const bt_launch *launch, int32_t n)
{
    BT_TRY(grow((void **)&log->launch, log->n_launch, n, &log->launch_max, sizeof *log->launch));
    BT_TRY(add_entry(log, (entry){.kind = RUN, .stream = stream, .first = log->n_launch, .n = n}));
    memcpy(log->launch + log->n_launch, launch, (size_t)n * sizeof *launch);
    log->n_launch += n;
    return BT_OK;
}

/* Recording goes on to the end whatever fails; the end then says what it was. */
static bt_status note(bt_capture_log *log, bt_status st)
{
    if (st != BT_OK && log->failed == BT_OK) log->failed = st;
    return st;
}

bt_status bt_capture_submit(bt_stream *stream, const bt_launch *launch, int32_t n)
{
    bt_capture_log *log = stream->log;
    return n ? note(log, submit(log, index_of(log, stream), launch, n)) : BT_OK;
}

static bt_status record(bt_capture_log *log, int32_t stream, bt_stream_event *event)
{
    BT_FAIL_IF(log->n_event == EVENT_MAX, LIMIT, "more than %d events in one capture", EVENT_MAX);
    BT_TRY(add_entry(log, (entry){.kind = RECORD, .stream = stream, .event = log->n_event}));
    bt_capture_drop_event(event);
    log_event *e = &log->event[log->n_event];
    *e = (log_event){.user = event, .stream = stream};
    memcpy(e->known, log->known[stream], sizeof e->known);
    event->log = log;
    event->log_index = log->n_event++;
    return BT_OK;
}

bt_status bt_capture_record(bt_stream *stream, bt_stream_event *event)
{
    bt_capture_log *log = stream->log;
    return note(log, record(log, index_of(log, stream), event));
}

static bt_status join(bt_capture_log *log, bt_stream *stream)
{
    BT_FAIL_IF(log->n_stream == STREAM_MAX, LIMIT, "more than %d streams in one capture",
               STREAM_MAX);
    log->stream[log->n_stream++] = stream;
    stream->log = log;
    return BT_OK;
}

static bt_status wait(bt_capture_log *log, bt_stream *stream, const log_event *event)
{
    if (!stream->log) BT_TRY(join(log, stream));
    int32_t s = index_of(log, stream);
    BT_TRY(
        add_entry(log, (entry){.kind = WAIT, .stream = s, .event = (int32_t)(event - log->event)}));
    for (int32_t i = 0; i < STREAM_MAX; i++)
        if (log->known[s][i] < event->known[i]) log->known[s][i] = event->known[i];
    return BT_OK;
}

bt_status bt_capture_wait(bt_stream *stream, bt_stream_event *event)
{
    bt_capture_log *log = event->log;
    if (!log) {
        if (event->n_recorded == 0) return BT_OK; // no mark: nothing to wait for
        return note(stream->log, bt_fail(BT_INVALID, "a stream that is being captured cannot wait "
                                                     "for an event from outside the capture"));
    }
    BT_FAIL_IF(stream->log && stream->log != log, INVALID,
               "the stream and the event take part in different captures");
    return note(log, wait(log, stream, &log->event[event->log_index]));
}

void bt_capture_drop_event(bt_stream_event *event)
{
    if (event->log) event->log->event[event->log_index].user = NULL;
    event->log = NULL;
}

void bt_capture_drop(bt_stream *stream)
{
    bt_capture_log *log = stream->log;
    if (!log) return;
    if (log->stream[0] == stream) {
        free_log(log);
        return;
    }
    log->stream[index_of(log, stream)] = NULL;
    stream->log = NULL;
    if (log->failed == BT_OK) log->failed = BT_INVALID;
}

/* ---- ending ---- */

static bt_status check_joined(const bt_capture_log *log)
{
    for (int32_t i = 1; i < log->n_stream; i++)
        BT_FAIL_IF(log->known[0][i] != log->known[i][i], INVALID,
                   "stream %d joined the capture, and its work was not waited for",
                   log->stream[i] ? log->stream[i]->number : -1);
    return BT_OK;
}

/* Blocks that any word of the arguments may point into: a word that only looks like an address
 * keeps a block for longer than needed, nothing worse. */
static bt_status keep_blocks(bt_capture *c)
{
    int32_t block_max = 0;
    for (int32_t i = 0; i < c->n_launch; i++)
        for (size_t w = 0; w < BT_COUNT_OF(c->launch[i].args); w++) {
            uintptr_t word = (uintptr_t)c->launch[i].args[w];
            bool known = false;
            if (word < 4096) continue;
            BT_TRY(grow((void **)&c->block, c->n_block, 1, &block_max, sizeof *c->block));
            void *block = bt_device_block_ref(c->device, (const void *)word);
            if (!block) continue;
            for (int32_t b = 0; b < c->n_block && !known; b++) known = c->block[b] == block;
            if (known)
                bt_device_free(c->device, block);
            else
                c->block[c->n_block++] = block;
        }
    return BT_OK;
}

/* Take over the log's lists: whole, or the launches alone where they say it all. */
static bt_status take_lists(bt_capture *c, bt_capture_log *log)
{
    c->launch = log->launch;
    c->n_launch = log->n_launch;
    log->launch = NULL;
    if (log->n_stream == 1 || c->device->takes_turns) {
        BT_TRY(bt_alloc_array((void **)&c->entry, 1, sizeof *c->entry, BT_MEM_PLAN));
        c->entry[0] = (entry){.kind = RUN, .n = c->n_launch};
        c->n_entry = c->n_stream = 1;
        return BT_OK;
    }
    c->entry = log->entry;
    c->n_entry = log->n_entry;
    log->entry = NULL;
    BT_TRY(bt_alloc_array((void **)&c->event, (size_t)log->n_event + 1, sizeof *c->event,
                          BT_MEM_PLAN));
    for (; c->n_event < log->n_event; c->n_event++)
        BT_TRY(bt_stream_event_new(c->device, &c->event[c->n_event]));
    for (c->n_stream = 1; c->n_stream < log->n_stream; c->n_stream++)
        BT_TRY(bt_stream_new(c->device, &c->own_stream[c->n_stream]));
    return BT_OK;
}

bt_status bt_capture_end(bt_stream *stream, bt_capture **ret_capture)
{
    bt_capture_log *log = stream->log;
    bt_capture *c = NULL;
    BT_FAIL_IF(!log || log->stream[0] != stream, INVALID, "the stream is not being captured");
    bt_status st = log->failed ? bt_fail(log->failed, "recording failed") : check_joined(log);
    if (st == BT_OK) st = bt_alloc_zero((void **)&c, sizeof *c, BT_MEM_PLAN);
    if (st == BT_OK) {
        bt_refs_init(&c->refs);
        c->device = log->device;
        st = take_lists(c, log);
    }
    if (st == BT_OK) st = keep_blocks(c);
    free_log(log);
    if (st == BT_OK)
        *ret_capture = c;
    else
        bt_capture_unref(c);
    return st;
}

/* ---- replaying ---- */

static bt_status replay_run(const bt_capture *c, const entry *e, bt_stream *s, int32_t *ret_node)
{
    int32_t failed = 0;
    if (s->log) return bt_capture_submit(s, c->launch + e->first, e->n);
    if (!e->n) return BT_OK;
    s->replaying = true;
    bt_status st = c->device->ops->submit(s, c->launch + e->first, e->n, &failed);
    s->replaying = false;
    if (st != BT_OK) *ret_node = c->launch[e->first + failed].node;
    return st;
}

static bt_status replay_entry(const bt_capture *c, const entry *e, bt_stream *stream,
                              int32_t *ret_node)
{
    bt_stream *s = e->stream ? c->own_stream[e->stream] : stream;
    s->step = stream->step;
    s->names = stream->names;
    switch (e->kind) {
    case RUN:
        return replay_run(c, e, s, ret_node);
    case RECORD:
        return c->device->ops->record(s, c->event[e->event]);
    default:
        return c->device->ops->wait(s, c->event[e->event]);
    }
}

/* A replay failed midway: nobody but the capture can wait for what its own streams have begun. */
static void let_end(bt_capture *c)
{
    char first[256];
    snprintf(first, sizeof first, "%s", bt_error_message());
    for (int32_t i = 1; i < c->n_stream; i++) {
        bt_status again = c->device->ops->sync(c->own_stream[i]);
        (void)again; // what failed first is what is told
    }
    bt_fail_record("%s", first);
}

bt_status bt_capture_replay_at(bt_capture *c, bt_stream *stream, int32_t *ret_node)
{
    *ret_node = -1;
    BT_FAIL_IF(stream->device != c->device, INVALID, "the capture belongs to another device");
    BT_FAIL_IF(stream->log && c->n_stream > 1, UNSUPPORTED,
               "a capture of several streams cannot be replayed into another capture");
    bt_status st = BT_OK;
    for (int32_t i = 0; i < c->n_entry && st == BT_OK; i++)
        st = replay_entry(c, &c->entry[i], stream, ret_node);
    if (st != BT_OK) let_end(c);
    return st;
}

bt_status bt_capture_replay(bt_capture *c, bt_stream *stream)
{
    int32_t node;
    return bt_capture_replay_at(c, stream, &node);
}

void bt_capture_unref(bt_capture *c)
{
    if (!c || !bt_refs_drop(&c->refs)) return;
    for (int32_t i = 1; i < c->n_stream; i++) bt_stream_dispose(c->own_stream[i]);
    for (int32_t i = 0; i < c->n_event; i++) c->device->ops->event_free(c->event[i]);
    for (int32_t i = 0; i < c->n_block; i++) bt_device_free(c->device, c->block[i]);
    bt_free(c->event);
    bt_free(c->block);
    bt_free(c->entry);
    bt_free(c->launch);
    bt_free(c);
}

int32_t bt_capture_n_launch(const bt_capture *c) { return c->n_launch; }

int64_t bt_capture_bytes(const bt_capture *c)
{
    return (int64_t)sizeof *c + (int64_t)c->n_launch * (int64_t)sizeof *c->launch +
           (int64_t)c->n_entry * (int64_t)sizeof *c->entry;
}
