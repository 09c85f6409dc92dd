// SPDX-License-Identifier: Apache-2.0
/* thread: starting and joining, with all signals blocked meanwhile so that the new thread inherits
 * that. Some C libraries give threads 128 KiB of stack; kernels keep their accumulators there. */
#define _GNU_SOURCE
#include "base/thread.h"
#include <signal.h>

enum { STACK_BYTES = 2 << 20 };

static int create(pthread_t *id, void *(*main)(void *), void *arg)
{
    pthread_attr_t attr;
    size_t bytes;
    int error = pthread_attr_init(&attr);
    if (error) return error;
    if (!pthread_attr_getstacksize(&attr, &bytes) && bytes < STACK_BYTES)
        pthread_attr_setstacksize(&attr, STACK_BYTES);
    error = pthread_create(id, &attr, main, arg);
    pthread_attr_destroy(&attr);
    return error;
}

bt_status bt_thread_start(bt_thread *ret_thread, void *(*main)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = create(&ret_thread->id, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    BT_FAIL_IF(error, NOMEM, "the system gave no thread");
    ret_thread->started = true;
    return BT_OK;
}

void bt_thread_join(bt_thread *thread)
{
    if (thread->started) pthread_join(thread->id, NULL);
    thread->started = false;
}
