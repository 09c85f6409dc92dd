# SPDX-License-Identifier: Apache-2.0
"""The test runner counts right: a runner that loses a failure would make every other test worthless."""
import os
import sys

import rules

sys.path.insert(0, os.path.join(rules.ROOT, "test"))
import run  # noqa: E402

MIXED = """[==========] Running 4 test(s).
[ RUN      ] a
[  ERROR   ] --- x != y
[   LINE   ] --- f.c:1: error: Failure!
[  FAILED  ] a
[ RUN      ] b
SKIP-REASON: no data
[  SKIPPED ] b
[ RUN      ] c
text without a newline[       OK ] c
[  ERROR   ] d
[==========] 4 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] b
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] a
"""


def outcomes(output, status):
    return [r.outcome for r in run.parse_cmocka("phase", "program", output, status)]


def test_each_case_counts_once():
    found = run.parse_cmocka("phase", "program", MIXED, 1)
    assert [r.outcome for r in found] == ["failed", "skipped", "passed", "failed"]
    assert "x != y" in found[0].detail and found[1].detail == "no data"


def test_a_program_that_dies_is_a_failure():
    died = "[==========] Running 2 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
    assert outcomes(died, -11) == ["passed", "failed"]
    assert outcomes(died.replace("OK", "FAILED"), -11) == ["failed"]


def test_a_program_without_a_case_is_a_failure():
    assert outcomes("", 0) == ["failed"] and outcomes("hello\n", 3) == ["failed"]


def test_a_program_without_groups_counts():
    assert outcomes("[       OK ] corpus of 3 inputs\n", 0) == ["passed"]


def test_two_groups_of_one_program_count():
    group = "[==========] g: Running 1 test(s).\n[       OK ] a\n[==========] g: 1 test(s) run.\n"
    assert outcomes(group + group, 0) == ["passed", "passed"]
