// SPDX-License-Identifier: Apache-2.0
/* queue: a bounded ring of fixed-size items between threads, any number on either side.
 * Full: push answers BUSY (after at most timeout_ms). Empty: pop answers BUSY likewise. Nothing is
 * ever dropped or overwritten. */
#pragma once
#include "base/alloc.h"

typedef struct bt_queue bt_queue;

BT_CHECKED bt_status bt_queue_new(size_t item_bytes, size_t n_max, bt_queue **ret_queue);
void bt_queue_free(bt_queue *queue); // items left inside are dropped; NULL is nothing

/* Copy an item in; wait up to timeout_ms (0: do not wait). BUSY when still full, CANCELLED when
 * closed. */
BT_CHECKED bt_status bt_queue_push(bt_queue *queue, const void *item, int timeout_ms);

/* Copy the oldest item out; BUSY when still empty; CANCELLED when closed and empty. */
BT_CHECKED bt_status bt_queue_pop(bt_queue *queue, void *ret_item, int timeout_ms);

/* No more pushes; waiting threads return at once. */
void bt_queue_close(bt_queue *queue);
size_t bt_queue_len(bt_queue *queue);
