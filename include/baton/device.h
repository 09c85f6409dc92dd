// SPDX-License-Identifier: Apache-2.0
/* baton/device.h: devices, streams, events, launches and captures.
 *
 * A launch is a copyable value: a kernel, how many items it has, and its argument block. That one
 * shape is what operators produce, plans keep, streams run and captures record.
 *
 *   device --- stream 0: launches, record e, launches ...     a stream runs in order;
 *          \-- stream 1: wait e, launches ...                 an event orders two streams
 */
#ifndef BATON_DEVICE_H
#define BATON_DEVICE_H

#include "baton/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A kernel works on items [begin, end) of its argument block; see kernel contract in
 * docs/adding.md. */
typedef void (*bt_kernel_fn)(const void *args, int64_t begin, int64_t end);

enum { BT_LAUNCH_ARG_BYTES = 192 };

typedef struct bt_launch {
    bt_kernel_fn fn;
    int64_t n_item;
    int64_t grain;    /* items a worker takes at a time, >= 1; a function of the shape alone */
    const char *name; /* of the operator, for timelines and errors; static */
    int32_t node;     /* number of the node in its graph, for timelines and errors; -1: none */
    int32_t reserved; /* 0 */
    uint64_t args[BT_LAUNCH_ARG_BYTES / 8];
} bt_launch;

typedef struct bt_device bt_device;
typedef struct bt_stream bt_stream;
struct bt_trace; /* see trace.h */

typedef struct bt_device_config {
    int32_t n_thread;      /* cpu: 1..256; 0: one a processor */
    const char *cpu_level; /* cpu, paced: "ref", "avx2", "avx512", "avx512vnni", "amx"; NULL:
                              $BATON_CPU, else the best */
    bool pin;              /* cpu: keep each worker thread on a processor of its own */
    int64_t kernel_ns;     /* paced: how long a launch takes on the device */
    int64_t launch_ns;     /* paced: how long enqueuing a launch takes the host */
} bt_device_config;

/* Open a device by name. `config` may be NULL. NOTFOUND lists the names there are.
 *
 *   cpu    runs kernels on a team of threads. Streams of one device take turns
 *   paced  for measuring: runs kernels as well, on one thread a stream, but a launch takes the set
 *          time on the device and to enqueue, so that what a host does wrong shows on any machine */
BT_API BT_CHECKED bt_status bt_device_open(const char *name, const bt_device_config *config,
                                           bt_device **ret_device);
BT_API void
bt_device_close(bt_device *device); /* its streams and memory must be gone; NULL is nothing */

typedef struct bt_device_caps {
    const char *name;  /* "cpu" */
    const char *level; /* "avx512vnni" */
    int32_t n_thread;
} bt_device_caps;
BT_API void bt_device_get_caps(const bt_device *device, bt_device_caps *ret_caps);

/* Record what the device does from now on; NULL stops. The trace must outlive its recording. Change
 * it between steps. */
BT_API void bt_device_set_trace(bt_device *device, struct bt_trace *trace);

/* Device memory: 64-byte aligned, zeroed, tagged as workspace. A block that a capture uses lives on
 * until the capture is gone, too. */
BT_API BT_CHECKED bt_status bt_device_alloc(bt_device *device, size_t bytes, void **ret_block);
BT_API void bt_device_free(bt_device *device, void *block); /* NULL is nothing */

/* ---- streams ---- */

/* A stream runs what is submitted to it in order. */
BT_API BT_CHECKED bt_status bt_stream_new(bt_device *device, bt_stream **ret_stream);
BT_API void bt_stream_free(bt_stream *stream); /* waits for what was submitted; NULL is nothing */

/* Enqueue n launches. The array is not copied: it must stay as it is until it has run (an event
 * after it says so). BUSY: the stream holds as many commands as it can; synchronise first. */
BT_API BT_CHECKED bt_status bt_stream_submit(bt_stream *stream, const bt_launch *launch, int32_t n);

/* Begin running what was submitted, beside the caller. On the CPU device, work that nobody started
 * runs when somebody waits for it, with the waiting thread as one of the workers: the quickest way
 * where the host has nothing else to do. Other devices begin at once by themselves. */
BT_API BT_CHECKED bt_status bt_stream_start(bt_stream *stream);

/* Return when everything submitted has run. INVALID while the stream is being captured. */
BT_API BT_CHECKED bt_status bt_stream_sync(bt_stream *stream);

/* ---- events: points in streams ---- */

typedef struct bt_stream_event bt_stream_event;
BT_API BT_CHECKED bt_status bt_stream_event_new(bt_device *device, bt_stream_event **ret_event);
BT_API void bt_stream_event_free(bt_stream_event *event); /* NULL is nothing */

/* Mark the point behind everything submitted to the stream so far; an earlier mark is forgotten. */
BT_API BT_CHECKED bt_status bt_stream_record(bt_stream *stream, bt_stream_event *event);

/* Let what is submitted to the stream from now on begin after the event's mark (none: at once). */
BT_API BT_CHECKED bt_status bt_stream_wait(bt_stream *stream, bt_stream_event *event);

/* Wait on the host for the event's mark, at most timeout_ms (0: only look; -1: for ever).
 * BUSY: not reached yet. */
BT_API BT_CHECKED bt_status bt_stream_event_sync(bt_stream_event *event, int timeout_ms);

/* ---- capture: record launches once, replay them any number of times ----
 *
 * Between begin and end, what is submitted to the stream is recorded instead of run, argument
 * blocks included; so is what is submitted to streams that wait for an event recorded on it. The
 * memory that the arguments point into is kept alive by the capture. What lies in that memory is
 * read when a replay runs: put new token ids, positions and lengths there and replay. */
typedef struct bt_capture bt_capture;

/* INVALID: the stream is being captured already. */
BT_API BT_CHECKED bt_status bt_capture_begin(bt_stream *stream);

/* Whether begin was called and end was not: submitting records. */
BT_API bool bt_stream_is_capturing(const bt_stream *stream);

/* Stop recording and hand out what was recorded, with one reference; on failure nothing is.
 * INVALID: not being captured; or another stream joined the capture and was not waited for. */
BT_API BT_CHECKED bt_status bt_capture_end(bt_stream *stream, bt_capture **ret_capture);

/* Enqueue everything recorded on `stream`, as if it were submitted again. */
BT_API BT_CHECKED bt_status bt_capture_replay(bt_capture *capture, bt_stream *stream);

BT_API void bt_capture_unref(bt_capture *capture); /* not before its replays have run; NULL is
                                                      nothing */
BT_API int32_t bt_capture_n_launch(const bt_capture *capture);
BT_API int64_t bt_capture_bytes(const bt_capture *capture);

#ifdef __cplusplus
}
#endif
#endif
