// SPDX-License-Identifier: Apache-2.0
/* Libraries of operators: right ones, each kind of wrong one (oplib/oplib.c, compiled once a kind),
 * files that are none, files cut short; and sets of them in front of the built-in operators. */
#include "support/support.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/file.h"
#include "baton/engine.h"
#include "device/device.h"
#include "graph/custom.h"
#include "baton/dispatch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The module of a kind; in a ring of buffers, valid for the next 8 calls. */
static const char *module(const char *kind)
{
    static char ring[8][4096];
    static unsigned next;
    char *path = ring[next++ % 8];
    snprintf(path, sizeof ring[0], "%s/oplib_%s.so", OPLIB_DIR, kind);
    return path;
}

static const char *scratch(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/scratch_%s", OPLIB_DIR, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* ---- right ones ---- */

static void a_library_says_what_is_in_it(void **state)
{
    (void)state;
    bt_op_library *l;
    assert_ok(bt_op_library_open(module("good"), &l));
    assert_string_equal(bt_op_library_name(l), "oplib");
    assert_int_equal(bt_op_library_count(l), 2);
    assert_string_equal(bt_op_library_at(l, 0)->name, "double");
    assert_ptr_equal(bt_op_library_at(l, 1), bt_op_library_find(l, "other"));
    assert_null(bt_op_library_at(l, 2));
    assert_null(bt_op_library_at(l, -1));
    assert_null(bt_op_library_find(l, "swiglu"));
    bt_op_library *again;
    assert_ok(bt_op_library_open(module("good"), &again));
    bt_op_library_close(l);
    assert_string_equal(bt_op_library_name(again), "oplib"); // closing one leaves the other
    bt_op_library_close(again);
    bt_op_library_close(NULL);
}

static void a_path_without_a_slash_is_in_the_current_directory(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0);
    bt_op_library *l;
    assert_int_equal(chdir(OPLIB_DIR), 0);
    bt_status st = bt_op_library_open("oplib_good.so", &l);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(st, BT_OK);
    bt_op_library_close(l);
}

static void an_operator_of_a_library_runs_in_a_graph(void **state)
{
    (void)state;
    bt_op_library *l;
    bt_device *device;
    bt_context *context;
    bt_graph *g;
    bt_exec *exec;
    bt_ticket step;
    bt_value x, y;
    int32_t param[2] = {0};
    float in[100];
    void *in_ptr[] = {in};
    bt_desc desc = bt_desc_1d(BT_F32, 100);
    for (int i = 0; i < 100; i++) in[i] = (float)(i - 50);
    assert_ok(bt_op_library_open(module("good"), &l));
    assert_ok(bt_device_open("cpu", &(bt_device_config){.n_thread = 2}, &device));
    assert_ok(bt_context_open(device, NULL, &context));
    assert_ok(bt_graph_new(&g));
    assert_ok(bt_graph_input(g, "x", &x));
    assert_ok(bt_graph_apply(g, "y", bt_op_library_find(l, "double"), param, &x, 1, &y));
    assert_ok(bt_graph_output(g, y));
    assert_ok(bt_graph_freeze(g));
    assert_ok(bt_exec_open(context, g, &(bt_exec_config){.max_desc = &desc}, &exec));
    assert_ok(bt_exec_submit(exec, &desc, in_ptr, -1, &step));
    assert_ok(bt_exec_wait(exec, step, -1));
    const float *out = bt_exec_output(exec, step, 0);
    for (int i = 0; i < 100; i++) assert_true(out[i] == 2 * in[i]);
    desc.dtype = BT_I32; // its words come through
    assert_fails(bt_exec_submit(exec, &desc, in_ptr, -1, &step), BT_UNSUPPORTED,
                 "double: input 0 is i32");
    bt_exec_close(exec);
    bt_graph_unref(g);
    bt_context_close(context);
    bt_device_close(device);
    bt_op_library_close(l);
}

/* ---- wrong ones ---- */

static const struct {
    const char *kind;
    bt_status status;
    const char *part;
} wrong[] = {
    {"abi", BT_UNSUPPORTED, "compiled for operator ABI 42, this libbaton has 1"},
    {"desc_bytes", BT_UNSUPPORTED, "bt_desc of 8 bytes, this libbaton has 80"},
    {"op_bytes", BT_UNSUPPORTED, "bt_op of 8 bytes, this libbaton has"},
    {"launch_bytes", BT_UNSUPPORTED, "bt_launch of 8 bytes, this libbaton has"},
    {"no_library_name", BT_INVALID, "it has no name"},
    {"no_list", BT_INVALID, "2 operators and no list"},
    {"no_ops", BT_INVALID, "it has 0 operators, must be 1 to 1024"},
    {"minus_ops", BT_INVALID, "it has -2147483648 operators, must be 1 to 1024"},
    {"too_many_ops", BT_INVALID, "it has 2147483647 operators, must be 1 to 1024"},
    {"null_row", BT_INVALID, "row 1 of its 3 operators is NULL"},
    {"duplicate", BT_INVALID, "rows 0 and 2 are both called 'double'"},
    {"no_symbol", BT_INVALID, "exports no 'bt_op_library_info_v'"},
    {"small_symbol", BT_INVALID, "is not what BT_OP_LIBRARY defines"},
    {"function_symbol", BT_INVALID, "is not what BT_OP_LIBRARY defines"},
    {"unresolved", BT_IO, "undefined symbol: bt_no_such_function_anywhere"},
    {"row_no_name", BT_INVALID, "an operator without a name"},
    {"row_empty_name", BT_INVALID, "an operator without a name"},
    {"row_many_inputs", BT_INVALID, "operator 'double': 1 to 9 inputs, at most 8"},
    {"row_must_exceeds", BT_INVALID, "operator 'double': 2 to 1 inputs"},
    {"row_inplace", BT_INVALID, "operator 'double': inplace is input 1 of 1"},
    {"row_no_infer", BT_INVALID, "operator 'double': infer is missing"},
    {"row_no_setup", BT_INVALID, "operator 'double': setup is missing"},
    {"row_no_bind", BT_INVALID, "operator 'double': bind is missing"},
    {"row_view_of_nothing", BT_INVALID, "operator 'double': a view of no input"},
    {"row_param_bytes", BT_INVALID, "operator 'double': 65 bytes of parameters, at most 64"},
    {"row_no_fields", BT_INVALID, "operator 'double': its parameters have no table of fields"},
    {"row_zero_fields", BT_INVALID, "operator 'double': its parameters have no table of fields"},
    {"row_field_outside", BT_INVALID, "operator 'double': field 0 does not lie in its 8 bytes"},
    {"row_field_type", BT_INVALID, "operator 'double': field 0 does not lie in"},
    {"row_field_count", BT_INVALID, "operator 'double': field 0 does not lie in"},
    {"row_field_unnamed", BT_INVALID, "operator 'double': field 0 does not lie in"},
    {"row_field_role", BT_INVALID, "operator 'double': field 'idle' has role 7"},
};

static void each_kind_of_wrong_library_is_refused_in_its_own_words(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_MISC);
    bt_op_library *const untouched = (bt_op_library *)&live;
    for (size_t i = 0; i < BT_COUNT_OF(wrong); i++) {
        bt_op_library *l = untouched;
        const char *path = module(wrong[i].kind);
        assert_fails(bt_op_library_open(path, &l), wrong[i].status, wrong[i].part);
        assert_non_null(strstr(bt_error_message(), path));
        assert_null(strchr(bt_error_message(), '\n'));
        assert_ptr_equal(l, untouched);
    }
    assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
}

static void files_that_are_no_libraries_are_refused(void **state)
{
    (void)state;
    bt_op_library *l;
    const char *path = scratch("file");
    assert_fails(bt_op_library_open(NULL, &l), BT_INVALID, "the path is empty");
    assert_fails(bt_op_library_open("", &l), BT_INVALID, "the path is empty");
    assert_fails(bt_op_library_open("/no/such/lib.so", &l), BT_NOTFOUND, "'/no/such/lib.so'");
    assert_fails(bt_op_library_open("no_such_lib.so", &l), BT_NOTFOUND, "'no_such_lib.so'");
    assert_fails(bt_op_library_open(OPLIB_DIR, &l), BT_INVALID, "is a directory");
    write_file(path, "", 0);
    assert_fails(bt_op_library_open(path, &l), BT_IO, "the file is empty");
    write_file(path, "int main(void)\n", 15);
    assert_fails(bt_op_library_open(path, &l), BT_IO, "the file is not a shared object");
    assert_fails(bt_op_library_open("/proc/self/exe", &l), BT_IO, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fails(bt_op_library_open(path, &l), BT_INVALID, "not a regular file");
    assert_int_equal(unlink(path), 0);
}

/* The loader maps a file that is cut short and dies of reading it; here each length is an error or,
 * past the last segment, a library. A header with any one byte turned over is no worse. */
static void a_library_cut_short_or_with_a_broken_header_kills_nobody(void **state)
{
    (void)state;
    bt_file file;
    bt_op_library *l;
    const char *path = scratch("cut");
    size_t n_open = 0;
    assert_ok(bt_file_map(&file, module("good")));
    for (size_t len = 0; len < file.len; len += len < 1024 ? 1 : 509) {
        write_file(path, file.bytes, len);
        if (bt_op_library_open(path, &l) == BT_OK) {
            n_open++;
            bt_op_library_close(l);
        }
        unlink(path); // the loader knows files by their inodes
    }
    assert_true(n_open < file.len / 509);
    char *bytes = malloc(file.len);
    assert_non_null(bytes);
    memcpy(bytes, file.bytes, file.len);
    for (size_t at = 0; at < 64; at++) {
        bytes[at] = (char)~bytes[at];
        write_file(path, bytes, file.len);
        if (bt_op_library_open(path, &l) == BT_OK) bt_op_library_close(l);
        bytes[at] = (char)~bytes[at];
        unlink(path);
    }
    free(bytes);
    bt_file_unmap(&file);
}

/* ---- sets ---- */

static void what_stands_in_must_take_what_the_built_in_one_takes(void **state)
{
    (void)state;
    bt_op_set set;
    const char *path[] = {module("good"), module("swiglu_inputs")};
    assert_fails(bt_op_set_open(path, 2, &set), BT_INVALID,
                 "operator 'swiglu' of library 'oplib' takes 1 to 2 inputs, the built-in 'swiglu' "
                 "that it would replace 1 to 1");
    path[1] = module("swiglu_params");
    assert_fails(bt_op_set_open(path, 2, &set), BT_INVALID,
                 "operator 'swiglu' of library 'oplib' has 8 bytes of parameters, the built-in "
                 "'swiglu' that it would replace 0");
    path[1] = module("swiglu_view");
    assert_fails(bt_op_set_open(path, 2, &set), BT_INVALID, "is a view");
    path[1] = "/no/such/lib.so";
    assert_fails(bt_op_set_open(path, 2, &set), BT_NOTFOUND, "/no/such/lib.so");
    assert_fails(bt_op_set_open(path, -1, &set), BT_INVALID, "-1 operator libraries");
    assert_fails(bt_op_set_open(NULL, 1, &set), BT_INVALID, "no list of them");
}

static void later_libraries_win_and_others_stay_built_in(void **state)
{
    (void)state;
    const bt_op *swiglu = bt_op_find("swiglu"), *linear = bt_op_find("linear");
    const char *path[] = {module("as_swiglu"), module("good"), module("as_swiglu_2")};
    bt_op_set set;
    assert_ptr_equal(bt_op_set_get(NULL, swiglu), swiglu);
    for (int32_t n = 0; n <= 3; n++) {
        assert_ok(bt_op_set_open(path, n, &set));
        const bt_op *got = bt_op_set_get(&set, swiglu);
        if (n == 0) assert_ptr_equal(got, swiglu);
        if (n == 1 || n == 2) assert_ptr_equal(got, bt_op_library_at(set.library[0], 0));
        if (n == 3) assert_ptr_equal(got, bt_op_library_at(set.library[2], 0));
        assert_ptr_equal(bt_op_set_get(&set, linear), linear);
        bt_op_set_close(&set);
        assert_int_equal(set.n, 0);
        bt_op_set_close(&set);
    }
}

static void an_engine_uses_them_and_closes_them(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_MISC);
    const char *path[] = {module("good"), module("as_swiglu")};
    bt_engine_config config = {
        .model = "synth:tiny-llama:f32", .n_thread = 1, .op_libs = path, .n_op_lib = 1};
    bt_engine *engine;
    assert_ok(bt_engine_open(&config, &engine)); // nothing in it has a built-in one's name
    bt_engine_close(engine);
    config.n_op_lib = 2; // a swiglu whose output is as wide as its input: the next node notices
    assert_fails(bt_engine_open(&config, &engine), BT_INVALID, "blk.0.ffn_down");
    config.n_op_lib = 1;
    path[0] = module("abi");
    assert_fails(bt_engine_open(&config, &engine), BT_UNSUPPORTED, "operator ABI 42");
    config.op_libs = NULL;
    assert_fails(bt_engine_open(&config, &engine), BT_INVALID, "operator libraries");
    assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
    (void)state;
    size_t live = bt_mem_live(BT_MEM_MISC);
    const char *path[] = {module("good"), module("as_swiglu")};
    bt_op_set set;
    int n_failed = 0;
    for (uint64_t nth = 1;; nth++) {
        bt_mem_fail_nth(nth);
        bt_status st = bt_op_set_open(path, 2, &set);
        bt_mem_fail_nth(0);
        if (st == BT_OK) break;
        assert_int_equal(st, BT_NOMEM);
        assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
        n_failed++;
    }
    bt_op_set_close(&set);
    assert_int_equal(n_failed, 5); // the array; each library and its path
    assert_int_equal(bt_mem_live(BT_MEM_MISC), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_says_what_is_in_it),
        cmocka_unit_test(a_path_without_a_slash_is_in_the_current_directory),
        cmocka_unit_test(an_operator_of_a_library_runs_in_a_graph),
        cmocka_unit_test(each_kind_of_wrong_library_is_refused_in_its_own_words),
        cmocka_unit_test(files_that_are_no_libraries_are_refused),
        cmocka_unit_test(a_library_cut_short_or_with_a_broken_header_kills_nobody),
        cmocka_unit_test(what_stands_in_must_take_what_the_built_in_one_takes),
        cmocka_unit_test(later_libraries_win_and_others_stay_built_in),
        cmocka_unit_test(an_engine_uses_them_and_closes_them),
        cmocka_unit_test(memory_that_runs_out_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
