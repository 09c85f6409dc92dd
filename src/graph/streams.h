// SPDX-License-Identifier: Apache-2.0
/* streams: which stream each node of a graph runs on, and which events keep the order.
 *
 * Independent branches go to different streams; a node continues the stream of one of its makers
 * where it can. A node waits for another stream only for what its own stream does not know to be
 * over already, so the events are as few as the assignment allows.
 *
 *   stream 0   embed --> norm --> qkv --> rope_kv --> attention
 *   stream 1   angles --record e0--------^ wait e0
 */
#pragma once
#include "graph/graph.h"

enum { BT_GRAPH_STREAM_MAX = 8 };

typedef struct bt_streams {
    int32_t n_stream, n_event; // used
    int32_t *stream;           // [n_node]; -1: a view, which runs nowhere
    int32_t *event;            // [n_node] the event recorded behind the node; -1: none
    int32_t *wait_at;          // [n_node + 1] where a node's waits begin in wait_node
    int32_t *wait_node;        // nodes whose events are waited for
    int32_t n_word;
    uint64_t *before; // [n_node][n_word] bit b of row a: a is over before b begins; NULL when there
                      // is one stream: then nodes run one after the other
    void *block;      // all arrays
} bt_streams;

/* Assign the nodes of a frozen graph to at most n_stream_max (1..8) streams. */
BT_CHECKED bt_status bt_streams_plan(const bt_graph *graph, int32_t n_stream_max,
                                     bt_streams *ret_streams);
void bt_streams_done(bt_streams *streams); // {0} is nothing
