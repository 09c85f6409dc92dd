# SPDX-License-Identifier: Apache-2.0
"""The tree keeps its own rules; and each rule, shown an offender, sees it."""
import os
import shutil
import subprocess
import warnings

import pytest
import rules

LIBRARY = [p for p in rules.sources("src") if not p.startswith(("src/app/", "src/serve/"))]
ALL_C = rules.sources("src", "include", "test", "examples")
PUBLIC = rules.sources("include")


def no_complaints(found):
    assert not found, "\n" + "\n".join(found)


def each(check, paths, *more):
    no_complaints([c for p in paths for c in check(p, rules.read(p), *more)])


def test_includes_point_down_the_floors():
    each(rules.include_complaints, rules.sources("src"))


@pytest.mark.skipif(not shutil.which("clang-format"), reason="clang-format is absent")
def test_the_sources_are_formatted():
    ran = subprocess.run(["clang-format", "--dry-run", "-Werror"] + ALL_C, cwd=rules.ROOT,
                         stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 0, "run 'make format':\n" + ran.stderr[:2000]


def test_base_names_are_unique_except_for_kernel_twins():
    no_complaints(rules.base_name_complaints(rules.sources("src")))


def test_every_source_has_its_licence_line():
    scripts = rules.sources("test", "tools", "models", "bench", suffixes=(".py", ".sh"))
    each(rules.spdx_complaints, ALL_C + scripts)


def test_files_and_lines_stay_within_their_limits():
    each(rules.size_complaints, rules.sources("src", "include"))


def test_functions_stay_within_their_limit():
    each(rules.function_complaints, rules.sources("src"))


def test_the_library_never_prints_exits_or_aborts():
    each(rules.call_complaints, LIBRARY, rules.FORBIDDEN, "the library returns a status instead")


def test_no_unsafe_string_function_is_called():
    each(rules.call_complaints, rules.sources("src"), rules.UNSAFE, "it cannot be used safely here")


def test_the_library_takes_its_heap_from_base_alloc():
    each(rules.heap_complaints, LIBRARY)


def test_nothing_is_left_to_be_done():
    each(rules.marker_complaints, rules.sources("src", "include"))


def test_folders_stay_small():
    for folder in sorted({os.path.dirname(p) for p in rules.sources("src")}):
        n = sum(1 for p in rules.sources(folder, suffixes=(".c",)) if os.path.dirname(p) == folder)
        if n > rules.FOLDER_MODULES:
            warnings.warn("%s holds %d modules, the aim is %d" % (folder, n, rules.FOLDER_MODULES))


@pytest.mark.parametrize("header", PUBLIC)
@pytest.mark.parametrize("language", ["c99", "c++17"])
def test_a_public_header_compiles_alone(header, language, tmp_path):
    name = header.split("include/", 1)[1]
    source = tmp_path / ("alone.c" if language == "c99" else "alone.cc")
    source.write_text('#include "%s"\nint main(void) { return 0; }\n' % name)
    compiler = "gcc" if language == "c99" else "g++"
    done = subprocess.run([compiler, "-std=" + language, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                           "-I", os.path.join(rules.ROOT, "include"), str(source)],
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- the rules see what they are for ----

@pytest.mark.parametrize("path,include", [
    ("src/base/x.c", "text/tokenizer.h"), ("src/text/x.c", "tensor/dtype.h"), ("src/text/x.c", "baton/tensor.h"),
    ("src/tensor/x.c", "text/bpe.h"), ("src/engine/x.c", "kernel/kernel.h"), ("src/app/x.c", "engine/engine.h"),
    ("src/model/x.c", "engine/runner.h"), ("src/app/x.c", "args.h"), ("src/serve/x.c", "app/args.h")])
def test_an_include_that_points_up_is_seen(path, include):
    assert rules.include_complaints(path, '#include "%s"\n' % include)


@pytest.mark.parametrize("path,include", [
    ("src/text/x.c", "base/buf.h"), ("src/op/x.c", "kernel/kernel.h"), ("src/app/x.c", "baton/engine.h"),
    ("src/app/x.c", "app/args.h"), ("src/engine/x.c", "text/tokenizer.h"), ("src/kernel/x86/x.c", "tensor/half.h")])
def test_an_include_that_points_down_is_allowed(path, include):
    assert not rules.include_complaints(path, '#include "%s"\n#include <stdio.h>\n' % include)


def test_the_other_rules_see_offenders():
    assert rules.base_name_complaints(["src/base/a.c", "src/text/a.h"])
    assert not rules.base_name_complaints(["src/base/a.c", "src/base/a.h", "src/kernel/x86/b.c", "src/kernel/npu/b.c"])
    assert rules.spdx_complaints("a.c", "int x;\n")
    assert rules.size_complaints("src/base/a.c", "x" * 111 + "\n") and rules.size_complaints("src/a/a.c", "\n" * 801)
    assert rules.function_complaints("src/base/a.c", "void f(void)\n{\n" + "    g();\n" * 81 + "}\n")
    assert not rules.function_complaints("src/base/a.c", "void f(void)\n{\n" + "    g();\n" * 80 + "}\n")
    assert rules.function_complaints("src/base/a.c", "void f(void) {\n    g();\n}\n")
    offender = 'void f(void)\n{\n    printf("%d", 1);\n}\n'
    assert rules.call_complaints("a.c", offender, rules.FORBIDDEN, "")
    assert not rules.call_complaints("a.c", '// printf("x")\nsnprintf(a, 1, "exit(1)");\n', rules.FORBIDDEN, "")
    assert rules.heap_complaints("src/text/a.c", "p = malloc(1);") and not rules.heap_complaints("a.c", "bt_free(p);")
    assert rules.marker_complaints("a.c", "// FIX" + "ME later")
