// SPDX-License-Identifier: Apache-2.0
/* lock: a mutual exclusion lock in the owner's struct. Header only; the only lock the upper floors
 * use. Hold one at a time, for copies and counters only: never while a model runs or a caller is
 * called back. */
#pragma once
#include <pthread.h>

typedef struct bt_lock {
    pthread_mutex_t mutex;
} bt_lock;

static inline void bt_lock_init(bt_lock *lock) { pthread_mutex_init(&lock->mutex, NULL); }
static inline void bt_lock_done(bt_lock *lock) { pthread_mutex_destroy(&lock->mutex); }
static inline void bt_lock_take(bt_lock *lock) { pthread_mutex_lock(&lock->mutex); }
static inline void bt_lock_give(bt_lock *lock) { pthread_mutex_unlock(&lock->mutex); }
