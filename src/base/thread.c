// SPDX-License-Identifier: Apache-2.0
/* thread: starting and joining, with all signals blocked meanwhile so that the new thread inherits
 * that. */
#define _GNU_SOURCE
#include "base/thread.h"
#include <signal.h>

bt_status bt_thread_start(bt_thread *ret_thread, void *(*main)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&ret_thread->id, NULL, main, arg);
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
