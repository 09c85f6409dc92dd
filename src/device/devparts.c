// SPDX-License-Identifier: Apache-2.0
/* devparts: what every device is made of, below captures: the table of memory blocks with their
 * references, streams with their numbers, events. */
#include "base/alloc.h"
#include "device/device.h"
#include <string.h>

void bt_device_init(bt_device *device, const bt_device_ops *ops,
                    const struct bt_kernel_table *kernels)
{
    device->ops = ops;
    device->kernels = kernels;
    bt_lock_init(&device->block_lock);
}

void bt_device_done(bt_device *device)
{
    bt_lock_done(&device->block_lock);
    bt_free(device->block);
}

/* ---- memory ---- */

/* Index of the last block that begins at or before `address`, or -1. */
static int32_t block_before(const bt_device *d, const void *address)
{
    int32_t lo = 0, hi = d->n_block;
    while (lo < hi) {
        int32_t mid = (lo + hi) / 2;
        if (d->block[mid].at <= (const char *)address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

static bt_status make_room(bt_device *d)
{
    if (d->n_block < d->block_max) return BT_OK;
    int32_t more = d->block_max ? 2 * d->block_max : 16;
    BT_TRY(bt_resize((void **)&d->block, (size_t)more * sizeof *d->block, BT_MEM_DEVICE));
    d->block_max = more;
    return BT_OK;
}

static bt_status note_block(bt_device *d, void *at, size_t bytes)
{
    bt_lock_take(&d->block_lock);
    bt_status st = make_room(d);
    if (st == BT_OK) {
        int32_t i = block_before(d, at) + 1;
        memmove(d->block + i + 1, d->block + i, (size_t)(d->n_block - i) * sizeof *d->block);
        d->block[i] = (bt_device_block){.at = at, .bytes = bytes, .n_ref = 1};
        d->n_block++;
    }
    bt_lock_give(&d->block_lock);
    return st;
}

bt_status bt_device_alloc(bt_device *device, size_t bytes, void **ret_block)
{
    void *block;
    BT_TRY(device->ops->alloc(device, bytes, &block));
    bt_status st = note_block(device, block, bytes);
    if (st != BT_OK)
        device->ops->free(device, block);
    else
        *ret_block = block;
    return st;
}

void bt_device_free(bt_device *device, void *block)
{
    if (!block) return;
    bt_lock_take(&device->block_lock);
    int32_t i = block_before(device, block);
    assert(i >= 0 && device->block[i].at == block);
    bool last = --device->block[i].n_ref == 0;
    if (last)
        memmove(device->block + i, device->block + i + 1,
                (size_t)(--device->n_block - i) * sizeof *device->block);
    bt_lock_give(&device->block_lock);
    if (last) device->ops->free(device, block);
}

void *bt_device_block_ref(bt_device *device, const void *address)
{
    void *block = NULL;
    bt_lock_take(&device->block_lock);
    int32_t i = block_before(device, address);
    if (i >= 0 && (const char *)address - device->block[i].at < (int64_t)device->block[i].bytes) {
        device->block[i].n_ref++;
        block = device->block[i].at;
    }
    bt_lock_give(&device->block_lock);
    return block;
}

/* ---- where the host's memory is the device's ---- */

bt_status bt_device_host_alloc(bt_device *device, size_t bytes, void **ret_block)
{
    (void)device;
    return bt_alloc_zero(ret_block, bytes, BT_MEM_WORKSPACE);
}

void bt_device_host_free(bt_device *device, void *block)
{
    (void)device;
    bt_free(block);
}

bt_status bt_device_host_event_new(bt_device *device, bt_stream_event **ret_event)
{
    (void)device;
    return bt_alloc_zero((void **)ret_event, sizeof **ret_event, BT_MEM_DEVICE);
}

void bt_device_host_event_free(bt_stream_event *event) { bt_free(event); }

/* ---- streams and events ---- */

/* Streams are made and freed by the threads that use a device, so the numbers have the lock too. */
static int32_t take_number(bt_device *d)
{
    bt_lock_take(&d->block_lock);
    int32_t n = ~d->stream_numbers ? __builtin_ctzll(~d->stream_numbers) : 63;
    d->stream_numbers |= 1ull << n;
    bt_lock_give(&d->block_lock);
    return n;
}

bt_status bt_stream_new(bt_device *device, bt_stream **ret_stream)
{
    bt_stream *s;
    BT_TRY(device->ops->stream_new(device, &s));
    s->number = take_number(device);
    s->step = -1;
    *ret_stream = s;
    return BT_OK;
}

void bt_stream_dispose(bt_stream *stream)
{
    bt_device *d = stream->device;
    bt_lock_take(&d->block_lock);
    d->stream_numbers &= ~(1ull << stream->number);
    bt_lock_give(&d->block_lock);
    d->ops->stream_free(stream);
}

bt_status bt_stream_event_new(bt_device *device, bt_stream_event **ret_event)
{
    bt_stream_event *e;
    BT_TRY(device->ops->event_new(device, &e));
    e->device = device;
    *ret_event = e;
    return BT_OK;
}
