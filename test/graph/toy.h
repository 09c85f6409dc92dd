// SPDX-License-Identifier: Apache-2.0
/* toy: what the graph tests share: an operator whose results are exact, a device to run on, and the
 * comparison of frozen graphs and of plans, field by field. */
#pragma once
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "device/device.h"
#include "graph/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- an operator of the test's own: out = a + factor * b, elementwise; may write over a, if that is
 * not b, too ---- */

typedef struct axpy_param {
    float factor;
    int32_t flip; // 1: b is read from its end
} axpy_param;

typedef struct axpy_args {
    const float *a, *b;
    float *out;
    float factor;
    int64_t last; // of b, where it is flipped; else -1
} axpy_args;

static void axpy_kernel(const void *args, int64_t begin, int64_t end)
{
    const axpy_args *p = args;
    for (int64_t i = begin; i < end; i++)
        p->out[i] = p->a[i] + p->factor * p->b[p->last < 0 ? i : p->last - i];
}

static bt_status axpy_infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    if (!bt_desc_equal(&in[0], &in[1])) return bt_fail(BT_INVALID, "axpy: shapes differ");
    *ret_out = in[0];
    return BT_OK;
}

static bt_status axpy_setup(const bt_op_env *env, const void *param, const bt_desc *in,
                            const bt_desc *out, bt_op_setup *ret_setup)
{
    (void)env, (void)param, (void)in;
    *ret_setup =
        (bt_op_setup){.fn = {axpy_kernel}, .grain = {3}, .n_launch = 1, .work_bytes = out->dim[0]};
    return BT_OK;
}

static const bt_field axpy_fields[] = {BT_FIELD(axpy_param, factor, F32, VALUE),
                                       BT_FIELD(axpy_param, flip, I32, VALUE)};

static void axpy_bind(const bt_op_bind *node, bt_launch *ret_launch);
static const bt_op axpy = {.name = "axpy",
                           .n_in = 2,
                           .n_in_must = 2,
                           .inplace = 0,
                           .param_bytes = sizeof(axpy_param),
                           .field = axpy_fields,
                           .n_field = 2,
                           .infer = axpy_infer,
                           .setup = axpy_setup,
                           .bind = axpy_bind};

static void axpy_bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    const axpy_param *param = node->param;
    int64_t n = bt_desc_count(node->out);
    bt_op_launch_begin(node, &axpy, 0, n, ret_launch);
    *bt_op_args(ret_launch, axpy_args) = (axpy_args){.a = node->in_ptr[0],
                                                     .b = node->in_ptr[1],
                                                     .out = node->out_ptr,
                                                     .factor = param->factor,
                                                     .last = param->flip ? n - 1 : -1};
}

static inline bt_status add_axpy(bt_graph *g, const char *name, float factor, bt_value a,
                                 bt_value b, bt_value out)
{
    return bt_graph_node(g, name, &axpy, &(axpy_param){.factor = factor}, (bt_value[]){a, b}, 2,
                         out);
}

/* ---- where graphs run ---- */

typedef struct rig {
    bt_device *device;
    bt_context *context;
} rig;

static inline rig open_rig(void)
{
    rig k = {0};
    assert_ok(bt_device_open("cpu", &(bt_device_config){.n_thread = 2}, &k.device));
    assert_ok(bt_context_open(k.device, NULL, &k.context));
    return k;
}

static inline void close_rig(rig *k)
{
    bt_context_close(k->context);
    bt_device_close(k->device);
}

/* An executable up to these shapes. */
static inline bt_exec *open_exec(rig *k, bt_graph *g, const bt_desc *max_desc)
{
    bt_exec *exec;
    assert_ok(bt_exec_open(k->context, g, &(bt_exec_config){.max_desc = max_desc}, &exec));
    return exec;
}

/* Plan, bind, launch, wait. */
static inline bt_ticket run_once(bt_exec *exec, const bt_desc *in_desc, void *const *in_ptr)
{
    bt_ticket step;
    assert_ok(bt_exec_submit(exec, in_desc, in_ptr, -1, &step));
    assert_ok(bt_exec_wait(exec, step, -1));
    return step;
}

/* ---- sameness ---- */

static inline void assert_same_node(const bt_graph *a, const bt_graph *b, int32_t n, bool names)
{
    const bt_graph_node_info *x = &a->node[n], *y = &b->node[n];
    if (names) assert_string_equal(x->name, y->name);
    assert_ptr_equal(x->op, y->op);
    assert_memory_equal(x->param, y->param, sizeof x->param);
    assert_memory_equal(x->in, y->in, sizeof x->in);
    assert_int_equal(x->out, y->out);
    assert_int_equal(x->rank, y->rank);
}

/* Both frozen graphs say the same in the same order; with `names`, under the same names. */
static inline void assert_same_graph(const bt_graph *a, const bt_graph *b, bool names)
{
    assert_int_equal(a->n_node, b->n_node);
    assert_int_equal(a->n_value, b->n_value);
    assert_int_equal(a->n_output, b->n_output);
    for (int32_t n = 0; n < a->n_node; n++) assert_same_node(a, b, n, names);
    for (bt_value v = 0; v < a->n_value; v++) {
        assert_int_equal(a->value[v].kind, b->value[v].kind);
        assert_int_equal(a->value[v].node, b->value[v].node);
        assert_ptr_equal(a->value[v].data, b->value[v].data);
        if (names) assert_string_equal(a->value[v].name, b->value[v].name);
    }
    assert_memory_equal(a->output, b->output, sizeof *a->output * (size_t)a->n_output);
}

/* Both executables, of such graphs, plan these shapes alike: everything in the same place. */
static inline void assert_same_plan(bt_exec *a, bt_exec *b, const bt_desc *in_desc)
{
    uint64_t x, y;
    assert_ok(bt_exec_fingerprint(a, in_desc, &x));
    assert_ok(bt_exec_fingerprint(b, in_desc, &y));
    assert_true(x == y);
}
