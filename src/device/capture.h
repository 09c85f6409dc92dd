// SPDX-License-Identifier: Apache-2.0
/* capture: recording what is submitted to a stream, and to those that wait for it, for replays.
 * device.c sends the public calls here while a stream or event has a log. */
#pragma once
#include "device/device.h"

BT_CHECKED bt_status bt_capture_submit(bt_stream *stream, const bt_launch *launch, int32_t n);
BT_CHECKED bt_status bt_capture_record(bt_stream *stream, bt_stream_event *event);
BT_CHECKED bt_status bt_capture_wait(bt_stream *stream, bt_stream_event *event);

/* bt_capture_replay that says which node's launch is to blame; -1: none is. */
BT_CHECKED bt_status bt_capture_replay_at(bt_capture *capture, bt_stream *stream,
                                          int32_t *ret_node);

/* The stream or event is about to go: a capture it takes part in must not look at it again. */
void bt_capture_drop(bt_stream *stream);
void bt_capture_drop_event(bt_stream_event *event);
