// SPDX-License-Identifier: Apache-2.0
/* thread: a thread of the library's own. Signals go to the program's threads, not to these. */
#pragma once
#include "base/status.h"
#include <pthread.h>

typedef struct bt_thread {
    pthread_t id;
    bool started;
} bt_thread;

/* Run main(arg) on a new thread, with 2 MiB of stack or more. NOMEM: the system gave none. */
BT_CHECKED bt_status bt_thread_start(bt_thread *ret_thread, void *(*main)(void *), void *arg);

/* Wait for its end; {0} is nothing. */
void bt_thread_join(bt_thread *thread);
