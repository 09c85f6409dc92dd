// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"
#include "app/console.h"
#include "base/status.h"

typedef struct quantize_options {
    bt_dtype type; // BT_DTYPE_COUNT: not given
} quantize_options;

static const bt_arg args[] = {
    {"type", 0, BT_ARG_DTYPE, offsetof(quantize_options, type), 0, 0, "TYPE",
     "element type of the matrices in OUT"},
};

static const bt_arg_group groups[] = {{"Output", args, 1, 0}};

static int run_quantize(const bt_command *self, int argc, char **argv)
{
    quantize_options o = {.type = BT_DTYPE_COUNT};
    const char *path[2];
    int status = bt_args_parse(self, argc, argv, &o, path);
    if (status != BT_ARGS_GO_ON) return status;
    if (o.type == BT_DTYPE_COUNT)
        return bt_args_usage(self, "there is no type; give one with --type, such as q8_0");
    bt_bar bar = {0};
    int32_t n_fallback = 0;
    bt_status st =
        bt_model_quantize(path[0], path[1], o.type, &(bt_progress){bt_bar_draw, &bar}, &n_fallback);
    bt_bar_clear(&bar);
    if (st != BT_OK) {
        bt_fail_note("quantizing '%s'", path[0]);
        return bt_console_fail();
    }
    if (n_fallback)
        bt_console_note("%d matrices have rows that %s cannot hold; they are q8_0 or f16",
                        n_fallback, bt_dtype_name(o.type));
    return BT_EXIT_OK;
}

const bt_command bt_cmd_quantize = {
    .name = "quantize",
    .summary = "write a model as a GGUF file in another element type",
    .operands = "IN OUT",
    .n_operand_min = 2,
    .n_operand_max = 2,
    .notes = "IN is a GGUF file or Hugging Face directory in f32, f16 or bf16; a quantised one can "
             "become f32 (exactly),\n"
             "f16 or bf16 (rounded). Vectors stay f32. A matrix whose rows are no multiple of the "
             "type's block falls to\n"
             "q8_0, then to f16.",
    .groups = groups,
    .n_group = 1,
    .run = run_quantize,
};
