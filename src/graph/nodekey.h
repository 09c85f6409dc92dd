// SPDX-License-Identifier: Apache-2.0
/* nodekey: everything that a node's infer and setup may look at, as bytes: the operator, the
 * parameter fields whose role is KEY, the input descriptors. Generated from the operator's table of
 * fields, so that no field can be forgotten and padding never counts. ADDRESS and VALUE fields are
 * left out: two nodes that differ in those alone have one key. */
#pragma once
#include "op/op.h"

enum { BT_NODE_KEY_MAX = 8 + BT_OP_PARAM_BYTES + BT_OP_IN_MAX * (8 + 16 * BT_DIM_MAX) };

/* Write the key; returns its bytes, at most BT_NODE_KEY_MAX. `in` has BT_OP_IN_MAX entries. */
int32_t bt_node_key(const bt_op *op, const void *param, const bt_desc *in, uint8_t *ret_key);

/* The part of it that is the parameters'; at most BT_OP_PARAM_BYTES. */
int32_t bt_param_key(const bt_op *op, const void *param, uint8_t *ret_key);

/* A descriptor's part; at most 8 + 16 * BT_DIM_MAX. */
int32_t bt_desc_key(const bt_desc *desc, uint8_t *ret_key);
