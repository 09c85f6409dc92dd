// SPDX-License-Identifier: Apache-2.0
/* cmd_bench: find the bench and run it; what is left of the command line is the bench's. Without a
 * word it is the model bench. */
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
    if (argc < 2 || argv[1][0] == '-') return bt_bench_model_run(self, argc, argv);
    for (int i = 0; bench_name(NULL, i); i++)
        if (!strcmp(bench_name(NULL, i), argv[1]))
            return benches[i].command->run(benches[i].command, argc - 1, argv + 1);
    return unknown_bench(self, argv[1]);
}

#define LINE(name, summary) "\n  " #name ": " summary
const bt_command bt_cmd_bench = {
    .name = "bench",
    .summary = "measure how fast a model is on this machine, or a part of baton",
    .operands = "",
    .notes =
        "Reads prompts (prefill), decodes one stream, one behind a long prompt (at depth) and "
        "many\n"
        "together, random tokens each time, and holds it against the machine: the bandwidth and\n"
        "the peak that are measured in the same run with the same threads.\n"
        "\n"
        "  GB/s   weights that each step reads, and keys and values that its tokens see\n"
        "  GOP/s  products and attention; a multiply-add is two; its share is of the peak of the\n"
        "         fastest instruction for the weights' type (int8 for quantised ones)\n"
        "  bound  the least time the larger of the two allows, over the time it took\n"
        "\n"
        "Works take turns, and medians are shown. A batch counts only steps in which all of it\n"
        "decodes. -d and -b decode as many tokens as -n says first. --ops traces one prompt and\n"
        "16 decode steps more.\n"
        "\n"
        "Other benches: 'baton bench WHAT --help' says more." BT_BENCH_LIST(LINE),
    .groups = bt_bench_model_groups,
    .n_group = BT_N_BENCH_MODEL_GROUP,
    .run = run_bench,
};
#undef LINE
