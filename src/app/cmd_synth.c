// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"
#include "app/console.h"
#include <stdio.h>
#include <string.h>

typedef struct synth_options {
    const char *shape, *out;
    bt_dtype type;
    bool list;
} synth_options;

#define AT(member) offsetof(synth_options, member)
static const bt_arg args[] = {
    {"shape", 0, BT_ARG_TEXT, AT(shape), 0, 0, "SHAPE", "the model whose shape it takes"},
    {"type", 0, BT_ARG_DTYPE, AT(type), 0, 0, "TYPE", "element type of the matrices; default q8_0"},
    {"out", 'o', BT_ARG_TEXT, AT(out), 0, 0, "FILE", "the GGUF file to write"},
    {"list", 0, BT_ARG_FLAG, AT(list), 0, 0, NULL, "print the shapes, one a line"},
};
#undef AT

static const bt_arg_group groups[] = {{"Output", args, sizeof args / sizeof args[0], 0}};

static const char *shape_name(const void *ctx, int i)
{
    (void)ctx;
    return bt_model_shape_name(i);
}

static int check_shape(const bt_command *self, const char *shape)
{
    for (int i = 0; bt_model_shape_name(i); i++)
        if (!strcmp(bt_model_shape_name(i), shape)) return BT_ARGS_GO_ON;
    const char *near = bt_args_nearest(shape, shape_name, NULL);
    if (near) return bt_args_usage(self, "--shape is '%s'; did you mean '%s'?", shape, near);
    return bt_args_usage(self, "--shape is '%s'; 'baton synth --list' prints the shapes", shape);
}

static int run_synth(const bt_command *self, int argc, char **argv)
{
    synth_options o = {.type = BT_Q8_0};
    int status = bt_args_parse(self, argc, argv, &o, NULL);
    if (status != BT_ARGS_GO_ON) return status;
    for (int i = 0; o.list && bt_model_shape_name(i); i++) puts(bt_model_shape_name(i));
    if (o.list) return BT_EXIT_OK;
    if (!o.shape)
        return bt_args_usage(self, "there is no shape; give one with --shape, --list prints them");
    if (!o.out) return bt_args_usage(self, "there is no file to write; give one with -o FILE");
    if ((status = check_shape(self, o.shape)) != BT_ARGS_GO_ON) return status;
    bt_bar bar = {0};
    bt_status st = bt_model_synth(o.shape, o.type, o.out, &(bt_progress){bt_bar_draw, &bar});
    bt_bar_clear(&bar);
    return st == BT_OK ? BT_EXIT_OK : bt_console_fail();
}

const bt_command bt_cmd_synth = {
    .name = "synth",
    .summary = "write a model of random weights in a real model's shape",
    .operands = "",
    .notes = "For measuring speed without a download; the same file every time. 'baton synth "
             "--list' prints the shapes.",
    .groups = groups,
    .n_group = 1,
    .run = run_synth,
};
