// SPDX-License-Identifier: Apache-2.0
/* order: in which order the nodes of a graph run, and which of them need to. */
#pragma once
#include "graph/graph.h"

/* Drop the nodes no output needs and sort the rest so that each comes after those it reads; among
 * nodes that are ready, the one of the smallest rank goes first (see graph.h). Number ranks and
 * values anew, so that the order of adding shows nowhere. INVALID: an undefined value that is
 * needed, or a cycle; names the nodes. The graph is unchanged on failure. */
BT_CHECKED bt_status bt_graph_order(bt_graph *graph);
