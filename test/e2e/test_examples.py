# SPDX-License-Identifier: Apache-2.0
"""The examples build against what was installed, outside the tree, and do what they say. The operator
library has tests of its own, test_custom_op.py."""
import os
import re

from conftest import ROOT, copy_example, make

EXAMPLES = os.path.join(ROOT, "examples")


def test_two_layers_replays_the_bits_of_the_eager_run(prefix, tmp_path):
    out = make(copy_example("two_layers", tmp_path), prefix, "check")
    assert "8 launches replayed, the same bits\n" in out
    counters = dict((name, int(n)) for name, n in re.findall(r"(steps|built|reused|binds|launches) (\d+)", out))
    # The second step, which was recorded, took the first one's plan and addresses as they were.
    assert counters == {"steps": 2, "built": 1, "reused": 1, "binds": 1, "launches": 16}


def test_two_layers_is_short_and_its_readme_shows_what_it_prints(prefix, tmp_path):
    where = copy_example("two_layers", tmp_path)
    assert (where / "two_layers.c").read_text().count("\n") < 80
    shown = re.search(r"```\n(\d+ launches[^`]*)```", (where / "README.md").read_text()).group(1)
    assert shown in make(where, prefix, "check")


def test_each_example_says_how_to_use_it():
    for name in os.listdir(EXAMPLES):
        assert {"Makefile", "README.md"} <= set(os.listdir(os.path.join(EXAMPLES, name))), name
