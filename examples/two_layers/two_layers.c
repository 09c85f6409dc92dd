// SPDX-License-Identifier: Apache-2.0
/* two_layers: a block built by hand, run eagerly, then captured and replayed: the same bits. A layer
 * is x + down(swiglu(gate_up(rmsnorm(x)))): one graph, called twice. */
#include <baton/dispatch.h>
#include <baton/ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 4, WIDTH = 64, HIDDEN = 160, N = TOKENS * WIDTH };
enum { X, GAIN, GATE_UP, DOWN, N_IN }; /* a layer's inputs */
static float x[N] __attribute__((aligned(64))), rows[2 * HIDDEN * WIDTH], eager[N];

static void must(int failed) /* a status is 0 when all went well: calls are chained with || */
{
    if (failed) exit((fprintf(stderr, "two_layers: %s\n", bt_error_message()), 1));
}

static void build(bt_device *device, bt_graph *g, bt_graph *block, void *panels[N_IN])
{
    const bt_op *rmsnorm = bt_op_find("rmsnorm"), *linear = bt_op_find("linear");
    bt_desc packed, vec = bt_desc_1d(BT_F32, WIDTH), matrix[N_IN];
    bt_value in[N_IN], normed, both, act, out;
    for (int i = 0; i < N_IN; i++) must(bt_graph_input(g, "in", &in[i]));
    must(bt_graph_apply(g, "norm", rmsnorm, &(bt_rmsnorm_param){1e-5f}, in, 2, &normed));
    must(bt_graph_apply(g, "gate_up", linear, NULL, (bt_value[]){normed, in[GATE_UP]}, 2, &both));
    must(bt_graph_apply(g, "act", bt_op_find("swiglu"), NULL, &both, 1, &act));
    bt_value no_bias[] = {act, in[DOWN], BT_VALUE_NONE, in[X]}; /* but the residual */
    must(bt_graph_apply(g, "down", linear, NULL, no_bias, 4, &out));
    must(bt_graph_output(g, out) || bt_graph_freeze(g));
    matrix[GATE_UP] = bt_desc_2d(BT_F32, 2 * HIDDEN, WIDTH);
    matrix[DOWN] = bt_desc_2d(BT_F32, WIDTH, HIDDEN);
    must(bt_graph_input(block, "x", &in[X]) || bt_graph_const(block, "w", &vec, rows, &in[GAIN]));
    for (int i = GATE_UP; i <= DOWN; i++) /* the layers share their weights */
        must(bt_weight_pack(device, &matrix[i], rows, &packed, &panels[i]) ||
             bt_graph_const(block, "W", &packed, panels[i], &in[i]));
    for (int l = 0; l < 2; l++, in[X] = out)
        must(bt_graph_value(block, "x", &out) ||
             bt_graph_call(block, l ? "layer.1" : "layer.0", g, in, N_IN, &out, 1));
    must(bt_graph_output(block, out) || bt_graph_freeze(block));
}

int main(void)
{
    bt_device *device;
    bt_context *context;
    bt_graph *layer, *block;
    bt_exec *exec;
    bt_capture *capture;
    bt_ticket ticket;
    bt_exec_counters c;
    bt_desc desc = bt_desc_2d(BT_F32, TOKENS, WIDTH);
    void *panels[N_IN], *address = x;
    for (int i = 0; i < 2 * HIDDEN * WIDTH; i++) x[i % N] = rows[i] = (i * 37 % 101 - 50) / 99.f;
    must(bt_device_open("cpu", NULL, &device) || bt_context_open(device, NULL, &context) ||
         bt_graph_new(&layer) || bt_graph_new(&block));
    build(device, layer, block, panels);
    must(bt_exec_open(context, block, &(bt_exec_config){.max_desc = &desc}, &exec) ||
         bt_exec_submit(exec, &desc, &address, -1, &ticket) || bt_exec_wait(exec, ticket, -1));
    memcpy(eager, bt_exec_output(exec, ticket, 0), sizeof eager);
    bt_stream *stream = bt_context_stream(context);
    must(bt_capture_begin(stream) || bt_exec_submit(exec, &desc, &address, -1, &ticket) ||
         bt_capture_end(stream, &capture)); /* recorded, and not run */
    float *replayed = memset(bt_exec_output(exec, ticket, 0), 0, sizeof eager);
    must(bt_capture_replay(capture, stream) || bt_stream_sync(stream));
    int n = bt_capture_n_launch(capture), same = !memcmp(replayed, eager, sizeof eager);
    printf("%d launches replayed, %s bits\n", n, same ? "the same" : "other");
    bt_exec_get_counters(exec, &c);
    printf("steps %d, plans built %d, reused %d, binds %d, launches %d\n", (int)c.steps,
           (int)c.plans_built, (int)c.plans_reused, (int)c.binds, (int)c.launches);
    bt_capture_unref(capture);
    bt_exec_close(exec);
    bt_graph_unref(block);
    bt_graph_unref(layer);
    for (int i = GATE_UP; i <= DOWN; i++) bt_device_free(device, panels[i]);
    bt_context_close(context);
    bt_device_close(device);
    return !same;
}
