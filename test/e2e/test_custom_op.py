# SPDX-License-Identifier: Apache-2.0
"""Operator libraries built outside the tree, against what was installed: the example, and wrong ones."""
import subprocess

import pytest
from conftest import copy_example, expect_error, expect_ok, make, pkg_config

# A library with one operator called swiglu; the test says what its parts are.
LIBRARY_TEXT = r"""
#include <baton/op.h>
static const bt_op swiglu;
static void zero(const void *args, int64_t begin, int64_t end)
{
    float *const *out = args;
    for (int64_t i = begin; i < end; i++) (*out)[i] = 0;
}
static bt_status infer(const void *param, const bt_desc *in, bt_desc *ret_out)
{
    (void)param;
    REFUSE;
    *ret_out = bt_desc_2d(BT_F32, in[0].dim[0], in[0].dim[1] / 2);
    return BT_OK;
}
static bt_status setup(const bt_op_env *env, const void *param, const bt_desc *in, const bt_desc *out,
                       bt_op_setup *ret_setup)
{
    (void)env, (void)param, (void)in, (void)out;
    *ret_setup = (bt_op_setup){.fn = {zero}, .grain = {64}, .n_launch = 1};
    return BT_OK;
}
static void bind(const bt_op_bind *node, bt_launch *ret_launch)
{
    void **out = bt_op_launch(node, &swiglu, 0, bt_desc_count(node->out), sizeof *out, ret_launch);
    *out = node->out_ptr;
}
static const bt_op swiglu = {.name = "swiglu", .n_in = N_IN, .n_in_must = 1, .inplace = -1,
                             .infer = infer, .setup = setup, .bind = bind};
static const bt_op *const rows[] = {&swiglu};
__attribute__((visibility("default"))) const bt_op_library_info bt_op_library_info_v = {
    ABI, sizeof(bt_desc), sizeof(bt_op), sizeof(bt_launch), "test", rows, 1};
"""


@pytest.fixture(scope="module")
def example(prefix, tmp_path_factory):
    where = copy_example("custom_op", tmp_path_factory.mktemp("outside"))
    make(where, prefix, "custom_ops.so")
    return where


@pytest.fixture
def build(prefix, tmp_path):
    """Compile LIBRARY_TEXT; it is not linked with libbaton, for the program brings that."""
    def compile_one(name, abi="BT_OP_ABI", n_in=1, refuse=""):
        (tmp_path / (name + ".c")).write_text(LIBRARY_TEXT)
        path = str(tmp_path / (name + ".so"))
        subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-shared", "-fPIC", "-DABI=%s" % abi, "-DN_IN=%d" % n_in,
                        "-DREFUSE=%s" % refuse, str(tmp_path / (name + ".c")), "-o", path] +
                       pkg_config(prefix, "--cflags"), check=True)
        return path
    return compile_one


def story_ids(*more):
    """A few: an exp that differs in its last bit moves an activation over a half at some time, and then another word."""
    return expect_ok("run", "--raw", "-p", "Once upon a time", "-n", "20", "--json", "-q", *more).json["ids"]


def logits(*more):
    return expect_ok("logits", "-p", "Once upon a time", *more).out


def test_the_example_tells_the_same_story(example, story):
    library = example / "custom_ops.so"
    assert story_ids("-m", story, "--op-lib", library) == story_ids("-m", story)
    assert story_ids("-m", story, "--op-lib", library, "--threads", "1") == story_ids("-m", story)


def test_the_example_gives_the_reference_kernels_bits(example, story):
    args = ["-m", story, "--cpu", "ref"]
    assert logits(*args, "--op-lib", example / "custom_ops.so") == logits(*args)


def test_the_program_that_uses_the_example_agrees_with_a_loop(example, prefix):
    out = make(example, prefix, "check")
    assert [line.rsplit(" ", 1)[0] for line in out.splitlines() if "off by" in line] == [
        "%d rows, scale %d: off by at most" % case for case in ((7, 2), (3, 2), (7, 5))]


def test_a_replacement_is_what_runs_and_the_last_one_wins(example, build, story):
    zero = build("zero")
    plain, zeroed = logits("-m", story), logits("-m", story, "--op-lib", zero)
    assert zeroed != plain
    both = ["--op-lib", example / "custom_ops.so", "--op-lib", zero]
    assert logits("-m", story, *both) == zeroed
    assert logits("-m", story, *both, "--op-lib", example / "custom_ops.so") != zeroed


@pytest.mark.parametrize("command", [["run", "--raw", "-p", "x"], ["chat"], ["logits", "-p", "x"],
                                     ["perplexity", "-f", "-"]])
def test_a_library_of_another_abi_is_refused_by_every_command(build, story, command):
    library = build("old", abi="7")
    done = expect_error(1, "operator ABI 7, this libbaton has 1", *command, "-m", story, "--op-lib", library, stdin="x\n")
    assert library in done.err and done.out == ""


def test_wrong_libraries_are_named(build, story, tmp_path):
    run = ["run", "--raw", "-p", "x", "-q", "-m", story, "--op-lib"]
    expect_error(1, "the built-in 'swiglu' that it would replace 1 to 1", *run, build("wide", n_in=2))
    expect_error(1, "/no/such/library.so", *run, "/no/such/library.so")
    (tmp_path / "text.so").write_text("no library\n")
    expect_error(1, "text.so': the file is not a shared object", *run, tmp_path / "text.so")


def test_what_an_operator_says_is_wrong_reaches_the_user(build, story):
    refuse = 'return bt_error_set(BT_UNSUPPORTED, "no %lld columns today", (long long)in[0].dim[1])'
    done = expect_error(1, "columns today", "run", "--raw", "-p", "x", "-q", "-m", story,
                        "--op-lib", build("refusing", refuse=refuse))
    assert "blk.0.swiglu" in done.err and story in done.err
