#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrap the C lines that are longer than the limit of the lint tests, and leave all others as they are.

clang-format rewrites whole statements, so only those that hold a long line are handed to it. A long
comment or string that it cannot break is listed at the end for a person to shorten.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test", "lint"))
import rules  # noqa: E402


def long_lines(path):
    return [i for i, line in enumerate(rules.read(path).split("\n"), 1) if len(line) > rules.LINE_MAX]


def main():
    left = []
    for path in rules.sources("src", "include", "test"):
        found = long_lines(path)
        if found:
            where = ["--lines=%d:%d" % (i, i) for i in found]
            subprocess.run(["clang-format", "-i"] + where + [path], cwd=ROOT, check=True)
            left += ["%s:%d" % (path, i) for i in long_lines(path)]
    if left:
        print("still longer than %d columns:\n  %s" % (rules.LINE_MAX, "\n  ".join(left)))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
