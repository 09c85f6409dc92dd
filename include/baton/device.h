// SPDX-License-Identifier: Apache-2.0
/* baton/device.h: devices, streams and launches.
 *
 * A launch is a copyable value: a kernel, how many items it has, and its argument block. That one
 * shape is what operators produce, plans keep, streams run and captures record.
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
    uint64_t args[BT_LAUNCH_ARG_BYTES / 8];
} bt_launch;

typedef struct bt_device bt_device;
typedef struct bt_stream bt_stream;

typedef struct bt_device_config {
    int32_t n_thread;      /* cpu: 1..256; 0: one a processor */
    const char *cpu_level; /* cpu: "ref", "avx2", "avx512", "avx512vnni", "amx"; NULL: $BATON_CPU,
                              else the best */
} bt_device_config;

/* Open a device by name ("cpu"). `config` may be NULL. NOTFOUND lists the names there are. */
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

/* Device memory: 64-byte aligned, zeroed, tagged as workspace. */
BT_API BT_CHECKED bt_status bt_device_alloc(bt_device *device, size_t bytes, void **ret_block);
BT_API void bt_device_free(bt_device *device, void *block);

/* A stream runs what is submitted to it in order. On the CPU device work begins when the stream is
 * synchronised, with the calling thread as one of the workers; on others it begins at once. */
BT_API BT_CHECKED bt_status bt_stream_new(bt_device *device, bt_stream **ret_stream);
BT_API void bt_stream_free(bt_stream *stream); /* must be idle; NULL is nothing */

/* Enqueue n launches. The array is not copied: it must stay as it is until the stream is
 * synchronised. BUSY: as many lists as the stream can hold are waiting; synchronise first. */
BT_API BT_CHECKED bt_status bt_stream_submit(bt_stream *stream, const bt_launch *launch, int32_t n);

/* Return when everything submitted has run. One thread at a time a device. */
BT_API BT_CHECKED bt_status bt_stream_sync(bt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
