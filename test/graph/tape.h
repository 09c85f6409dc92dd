// SPDX-License-Identifier: Apache-2.0
/* tape: an operator that writes down what it is given, in the order in which it runs: the witness
 * of tests in which a host runs ahead of a device. out = in + 1, and the number read is added to the
 * tape. Its setup takes a set host time. */
#pragma once
#include "support/support.h"
#include "base/bits.h"
#include "base/clock.h"
#include "device/device.h"
#include "graph/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tape {
    int32_t *number; // [n_max]
    int32_t n, n_max;
    int64_t setup_ns; // how long setting the operator up takes the host
} tape;

typedef struct tape_param {
    tape *to;
} tape_param;

typedef struct tape_args {
    const int32_t *in;
    int32_t *out;
    tape *to;
} tape_args;

static void tape_kernel(const void *args, int64_t begin, int64_t end)
{
    const tape_args *a = args;
    for (int64_t i = begin; i < end; i++) a->out[i] = a->in[i] + 1;
    if (begin == 0 && a->to->n < a->to->n_max) a->to->number[a->to->n++] = a->in[0];
}

static bt_status tape_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    *ret_out = in[0];
    return BT_OK;
}

static bt_status tape_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                            const bt_desc *out, bt_op_setup *ret_setup)
{
    const tape_param *p = param;
    (void)env, (void)in, (void)out;
    if (p->to->setup_ns) bt_wait_until(bt_now_ns() + p->to->setup_ns);
    *ret_setup = (bt_op_setup){.fn = {tape_kernel}, .grain = {1 << 20}, .n_launch = 1};
    return BT_OK;
}

static void tape_bind(const bt_op_bind *node, bt_launch *ret_launch);
static const bt_field tape_fields[] = {BT_FIELD(tape_param, to, PTR, ADDRESS)};
static const bt_op tape_op = {.name = "tape",
                              .n_in = 1,
                              .n_in_must = 1,
                              .inplace = -1,
                              .param_bytes = sizeof(tape_param),
                              .field = tape_fields,
                              .n_field = 1,
                              .infer = tape_infer,
                              .setup = tape_setup,
                              .bind = tape_bind};

static void tape_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const tape_param *p = node->param;
    tape_args *a = bt_op_launch(node, &tape_op, 0, bt_desc_count(node->out), sizeof *a, ret_launch);
    *a = (tape_args){.in = node->in_ptr[0], .out = node->out_ptr, .to = p->to};
}

static inline void tape_open(tape *t, int32_t n_max)
{
    *t = (tape){.number = calloc((size_t)n_max, sizeof *t->number), .n_max = n_max};
    assert_non_null(t->number);
}

static inline void tape_close(tape *t) { free(t->number); }

/* A frozen chain of n nodes called n0, n1, ...; the first writes to `t`, the others nowhere. */
static inline bt_graph *tape_graph(tape *t, int n)
{
    static tape nowhere;
    bt_graph *g;
    bt_value v;
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "in", &v));
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        assert_ok(bt_graph_apply(g, name, &tape_op, &(tape_param){i ? &nowhere : t}, &v, 1, &v));
    }
    assert_ok(bt_graph_output(g, v));
    assert_ok(bt_graph_freeze(g));
    return g;
}
