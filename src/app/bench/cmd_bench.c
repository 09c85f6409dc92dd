// SPDX-License-Identifier: Apache-2.0
/* cmd_bench: find the bench and run it; what is left of the command line is the bench's. */
#include "app/bench/bench.h"
#include "app/commands.h"
#include <string.h>

static const struct {
    const char *name;
    const bt_command *command;
} benches[] = {
#define ROW(name, summary) {#name, &bt_bench_##name},
    BT_BENCH_LIST(ROW)
#undef ROW
};

static const char *bench_name(const void *ctx, int i)
{
    (void)ctx;
    return i < (int)(sizeof benches / sizeof benches[0]) ? benches[i].name : NULL;
}

static int unknown_bench(const bt_command *self, const char *name)
{
    const char *near = bt_args_nearest(name, bench_name, NULL);
    if (near) return bt_args_usage(self, "'%s' is no bench; did you mean '%s'?", name, near);
    return bt_args_usage(self, "'%s' is no bench; 'baton bench --help' lists them", name);
}

static int run_bench(const bt_command *self, int argc, char **argv)
{
    const char *name;
    if (argc > 1 && argv[1][0] != '-') {
        for (int i = 0; bench_name(NULL, i); i++)
            if (!strcmp(bench_name(NULL, i), argv[1]))
                return benches[i].command->run(benches[i].command, argc - 1, argv + 1);
        return unknown_bench(self, argv[1]);
    }
    int status = bt_args_parse(self, argc, argv, NULL, &name);
    return status == BT_ARGS_GO_ON ? unknown_bench(self, name) : status;
}

#define LINE(name, summary) "\n  " #name ": " summary
const bt_command bt_cmd_bench = {
    .name = "bench",
    .summary = "measure a part of baton on this machine",
    .operands = "WHAT",
    .n_operand_min = 1,
    .n_operand_max = 1,
    .notes = "WHAT is one of" BT_BENCH_LIST(LINE) "\n\n'baton bench WHAT --help' says more.",
    .run = run_bench,
};
#undef LINE
