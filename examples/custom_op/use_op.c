// SPDX-License-Identifier: Apache-2.0
/* use_op: load custom_ops.so, build a graph of one of its operators and a built-in one, run it at two
 * shapes and two scales, and compare each result with a loop.
 *
 *   gate_up [T, 2 d] -> swiglu (built in) -> scaled_tanh (the library's) -> out [T, d]
 */
#include "custom_ops.h"
#include <baton/dispatch.h>
#include <baton/ops.h>
#include <math.h>
#include <stdio.h>

enum { ROWS = 7, WIDTH = 96 };

static float gate_up[ROWS * 2 * WIDTH] __attribute__((aligned(64)));

typedef struct everything {
    bt_op_library *library;
    bt_device *device;
    bt_context *context;
    bt_graph *graph;
    bt_exec *exec;
} everything;

static bt_status build_graph(const bt_op *scaled_tanh, bt_graph **ret_graph)
{
    scaled_tanh_param param = {.exact = 0, .scale = 2};
    bt_value in, act, out;
    bt_status st;
    if ((st = bt_graph_new(ret_graph)) || (st = bt_graph_input(*ret_graph, "gate_up", &in)) ||
        (st = bt_graph_apply(*ret_graph, "act", bt_op_find("swiglu"), NULL, &in, 1, &act)) ||
        (st = bt_graph_apply(*ret_graph, "cap", scaled_tanh, &param, &act, 1, &out)) ||
        (st = bt_graph_output(*ret_graph, out)))
        return st;
    return bt_graph_freeze(*ret_graph);
}

static bt_status open_all(const char *path, everything *e)
{
    bt_desc most = bt_desc_2d(BT_F32, ROWS, 2 * WIDTH);
    bt_exec_config config = {.max_desc = &most};
    bt_status st;
    if ((st = bt_op_library_open(path, &e->library))) return st;
    const bt_op *scaled_tanh = bt_op_library_find(e->library, "scaled_tanh");
    if (!scaled_tanh) return bt_error_set(BT_NOTFOUND, "'%s' has no operator 'scaled_tanh'", path);
    if ((st = build_graph(scaled_tanh, &e->graph)) ||
        (st = bt_device_open("cpu", NULL, &e->device)) ||
        (st = bt_context_open(e->device, NULL, &e->context)))
        return st;
    return bt_exec_open(e->context, e->graph, &config, &e->exec);
}

/* In the reverse order; what was not opened is NULL, which is nothing. */
static void close_all(everything *e)
{
    bt_exec_close(e->exec);
    bt_graph_unref(e->graph);
    bt_context_close(e->context);
    bt_device_close(e->device);
    bt_op_library_close(e->library);
}

/* The largest difference between the graph's output and a plain loop; NaN counts as infinite. */
static double worst(const float *out, int n_row, double scale)
{
    double most = 0;
    for (int t = 0; t < n_row; t++)
        for (int j = 0; j < WIDTH; j++) {
            double gate = gate_up[t * 2 * WIDTH + j], up = gate_up[t * 2 * WIDTH + WIDTH + j];
            double want = scale * tanh(gate / (1 + exp(-gate)) * up / scale);
            double off = fabs(out[t * WIDTH + j] - want);
            if (!(off <= most)) most = off == off ? off : INFINITY;
        }
    return most;
}

static bt_status run(everything *e, int n_row, float scale)
{
    bt_desc desc = bt_desc_2d(BT_F32, n_row, 2 * WIDTH);
    void *address = gate_up;
    bt_ticket ticket;
    bt_status st;
    if ((st = bt_exec_set_param(e->exec, "cap", "scale", &scale)) ||
        (st = bt_exec_submit(e->exec, &desc, &address, -1, &ticket)) ||
        (st = bt_exec_wait(e->exec, ticket, -1)))
        return st;
    double off = worst(bt_exec_output(e->exec, ticket, 0), n_row, scale);
    printf("%d rows, scale %g: off by at most %.1e\n", n_row, (double)scale, off);
    if (off > 1e-5 * scale)
        return bt_error_set(BT_INVALID, "scaled_tanh is off by %g, at most %g", off,
                            1e-5 * (double)scale);
    return BT_OK;
}

int main(int argc, char **argv)
{
    everything e = {0};
    bt_status st;
    for (int i = 0; i < ROWS * 2 * WIDTH; i++) gate_up[i] = (float)(8 * sin(i * 0.37));
    if ((st = open_all(argc > 1 ? argv[1] : "./custom_ops.so", &e)) || (st = run(&e, ROWS, 2)) ||
        (st = run(&e, 3, 2)) || (st = run(&e, ROWS, 5)))
        fprintf(stderr, "use_op: %s\n", bt_error_message());
    close_all(&e);
    return st != BT_OK;
}
