// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"
#include "app/console.h"
#include "app/options.h"
#include <stdio.h>

typedef struct inspect_options {
    bt_model_options model;
    bool json;
} inspect_options;

static const bt_arg args[] = {
    {"json", 0, BT_ARG_FLAG, offsetof(inspect_options, json), 0, 0, NULL, "as one JSON object"},
};

static const bt_arg_group groups[] = {
    {"Output", args, 1, 0},
    BT_GROUP_MODEL(inspect_options, model),
};

static bt_status inspect_model(const char *path, bool json)
{
    bt_model_file *file = NULL;
    char *text = NULL;
    BT_TRY(bt_model_file_open(path, BT_USE_INSPECT, &file));
    bt_status st = bt_model_report(file, json, &text);
    if (st == BT_OK) {
        fputs(text, stdout);
        if (json) putchar('\n');
    }
    bt_model_text_free(text);
    bt_model_file_close(file);
    return st;
}

static int run_inspect(const bt_command *self, int argc, char **argv)
{
    inspect_options options = {.model = BT_MODEL_DEFAULTS};
    const char *operand;
    int status = bt_args_parse(self, argc, argv, &options, &operand);
    if (status != BT_ARGS_GO_ON) return status;
    if (operand && options.model.path)
        return bt_args_usage(self, "the model is given twice: '%s' and -m", operand);
    if (operand) options.model.path = operand;
    bt_buf path = {0};
    status = bt_model_options_resolve(self, &options.model, &path);
    if (status == BT_ARGS_GO_ON)
        status = inspect_model(path.data, options.json) == BT_OK ? BT_EXIT_OK : bt_console_fail();
    bt_buf_done(&path);
    return status;
}

const bt_command bt_cmd_inspect = {
    .name = "inspect",
    .summary = "print a model's hyperparameters, tensors, tokenizer and memory needs",
    .operands = "[FILE]",
    .n_operand_max = 1,
    .groups = groups,
    .n_group = sizeof groups / sizeof groups[0],
    .run = run_inspect,
};
