// SPDX-License-Identifier: Apache-2.0
/* queue: one mutex, two conditions, one ring. Locks are never held together with any other. */
#define _GNU_SOURCE
#include "base/queue.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

struct bt_queue {
    pthread_mutex_t lock; // guards everything below
    pthread_cond_t not_full, not_empty;
    size_t item_bytes, n_max, n, head;
    bool closed;
    char ring[];
};

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bt_status bt_queue_new(size_t item_bytes, size_t n_max, bt_queue **ret_queue)
{
    BT_FAIL_IF(n_max < 1 || n_max > 1 << 24 || item_bytes < 1 || item_bytes > 1 << 16, INVALID,
               "a queue of %zu items of %zu bytes", n_max, item_bytes);
    bt_queue *q;
    BT_TRY(bt_alloc_zero((void **)&q, sizeof *q + n_max * item_bytes, BT_MEM_MISC));
    q->item_bytes = item_bytes;
    q->n_max = n_max;
    pthread_mutex_init(&q->lock, NULL);
    init_cond(&q->not_full);
    init_cond(&q->not_empty);
    *ret_queue = q;
    return BT_OK;
}

void bt_queue_free(bt_queue *queue)
{
    if (!queue) return;
    pthread_cond_destroy(&queue->not_full);
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->lock);
    bt_free(queue);
}

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Wait on `cond` while *n equals `stuck_at` and the queue is open; false when time ran out. */
static bool wait_while(bt_queue *q, pthread_cond_t *cond, size_t stuck_at, int timeout_ms)
{
    struct timespec until = deadline_after(timeout_ms);
    while (q->n == stuck_at && !q->closed) {
        if (timeout_ms <= 0) return false;
        if (pthread_cond_timedwait(cond, &q->lock, &until)) return q->n != stuck_at || q->closed;
    }
    return true;
}

bt_status bt_queue_push(bt_queue *q, const void *item, int timeout_ms)
{
    bt_status st = BT_OK;
    pthread_mutex_lock(&q->lock);
    if (!wait_while(q, &q->not_full, q->n_max, timeout_ms))
        st = bt_fail(BT_BUSY, "the queue is full (%zu items)", q->n_max);
    else if (q->closed)
        st = bt_fail(BT_CANCELLED, "the queue is closed");
    if (st == BT_OK) {
        memcpy(q->ring + (q->head + q->n) % q->n_max * q->item_bytes, item, q->item_bytes);
        q->n++;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

bt_status bt_queue_pop(bt_queue *q, void *ret_item, int timeout_ms)
{
    bt_status st = BT_OK;
    pthread_mutex_lock(&q->lock);
    if (!wait_while(q, &q->not_empty, 0, timeout_ms))
        st = bt_fail(BT_BUSY, "the queue is empty");
    else if (q->n == 0)
        st = bt_fail(BT_CANCELLED, "the queue is closed");
    if (st == BT_OK) {
        memcpy(ret_item, q->ring + q->head * q->item_bytes, q->item_bytes);
        q->head = (q->head + 1) % q->n_max;
        q->n--;
        pthread_cond_signal(&q->not_full);
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

void bt_queue_close(bt_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

size_t bt_queue_len(bt_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}
