// SPDX-License-Identifier: Apache-2.0
/* device: the interface behind baton/device.h and the registry of those there are. A device is a
 * struct that begins with bt_device and a table of what it can do; so are its streams and events.
 * The public calls (device.c) add what all devices share: the table of memory blocks, and capture
 * (capture.c), which records above the table of functions and replays through it. */
#pragma once
#include "base/lock.h"
#include "base/refs.h"
#include "base/status.h"
#include "base/trace.h"
#include "baton/device.h"

typedef struct bt_device_ops {
    void (*close)(bt_device *device);
    void (*get_caps)(const bt_device *device, bt_device_caps *ret_caps);
    bt_status (*alloc)(bt_device *device, size_t bytes, void **ret_block);
    void (*free)(bt_device *device, void *block);
    /* Sets base.device; the rest of the base is filled in by bt_stream_new. */
    bt_status (*stream_new)(bt_device *device, bt_stream **ret_stream);
    void (*stream_free)(bt_stream *stream);
    /* On failure *ret_failed is the launch to blame, and none of the n runs. */
    bt_status (*submit)(bt_stream *stream, const bt_launch *launch, int32_t n, int32_t *ret_failed);
    bt_status (*start)(bt_stream *stream);
    bt_status (*sync)(bt_stream *stream);
    bt_status (*event_new)(bt_device *device, bt_stream_event **ret_event);
    void (*event_free)(bt_stream_event *event);
    bt_status (*record)(bt_stream *stream, bt_stream_event *event);
    bt_status (*wait)(bt_stream *stream, bt_stream_event *event);
    bt_status (*event_sync)(bt_stream_event *event, int timeout_ms);
} bt_device_ops;

struct bt_kernel_table;

/* A block of device memory; freed when its owner and all captures that use it have let go. */
typedef struct bt_device_block {
    char *at;
    size_t bytes;
    int32_t n_ref;
} bt_device_block;

struct bt_device {
    const bt_device_ops *ops;
    const struct bt_kernel_table *kernels; // what operators choose from
    bool takes_turns; // streams never run at the same time: a capture may be one list of launches
    _Atomic(bt_trace *) trace;
    atomic_uint n_trace;    // traces attached so far
    bt_lock block_lock;     // guards the table of blocks
    bt_device_block *block; // [n_block] by address
    int32_t n_block, block_max;
    uint64_t stream_numbers; // bit n: number n is taken
};

struct bt_capture_log;

struct bt_stream {
    bt_device *device;
    int32_t number;             // its lane in timelines; the lowest free one
    int32_t step;               // what it is working for; set before submitting
    int32_t names;              // of its nodes in the trace, see bt_trace_add_names; 0: none
    bool replaying;             // what is submitted is a replay: one call for all its launches
    struct bt_capture_log *log; // of the capture it takes part in, or NULL
};

/* A mark in a stream's order: reached once as many marks as were recorded have been. */
struct bt_stream_event {
    bt_device *device;
    uint64_t n_recorded, n_reached; // the device's
    int64_t reached_ns;             // the device's clock at the last mark
    struct bt_capture_log *log;     // of the capture it was last recorded in, or NULL
    int32_t log_index;              // which of the capture's events stands for it
};

/* The one list of devices: X(name). Each has bt_device_<name>_open. */
#define BT_DEVICE_LIST(X) X(cpu) X(paced)

#define BT_DEVICE_DECLARE(name)                                                                    \
    BT_CHECKED bt_status bt_device_##name##_open(const bt_device_config *config,                   \
                                                 bt_device **ret_device);
BT_DEVICE_LIST(BT_DEVICE_DECLARE)
#undef BT_DEVICE_DECLARE

/* ---- for the devices ---- */

/* Fill in the part that all devices have, and empty it again. */
void bt_device_init(bt_device *device, const bt_device_ops *ops,
                    const struct bt_kernel_table *kernels);
void bt_device_done(bt_device *device);

/* For devices whose memory is the host's: memory and events from the library's heap. */
BT_CHECKED bt_status bt_device_host_alloc(bt_device *device, size_t bytes, void **ret_block);
void bt_device_host_free(bt_device *device, void *block);
BT_CHECKED bt_status bt_device_host_event_new(bt_device *device, bt_stream_event **ret_event);
void bt_device_host_event_free(bt_stream_event *event);

/* The level a configuration asks for: named, or the best. UNSUPPORTED: the machine lacks it. */
BT_CHECKED bt_status bt_device_cpu_level(const bt_device_config *config, int *ret_level);

/* bt_stream_free of a stream that takes part in no capture. */
void bt_stream_dispose(bt_stream *stream);

/* bt_span.node of a launch, submitted while the stream had these `names`. */
static inline int32_t bt_launch_name(int32_t names, const bt_launch *launch)
{
    return names && launch->node >= 0 ? names + launch->node : 0;
}

/* ---- for the dispatcher ---- */

/* bt_stream_submit that says which launch is to blame. */
BT_CHECKED bt_status bt_stream_submit_at(bt_stream *stream, const bt_launch *launch, int32_t n,
                                         int32_t *ret_failed);

/* ---- for captures ---- */

/* Add a reference to the block that `address` points into, and return its begin; NULL where it
 * points into none. bt_device_free takes the reference back. */
void *bt_device_block_ref(bt_device *device, const void *address);
