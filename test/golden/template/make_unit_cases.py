#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make unit_cases.json: what Jinja prints for those published unit cases whose published answer follows
another engine (JavaScript's true and null, lists as JSON, filters that return lists). {name: text},
or null where Jinja raises.

    python3 make_unit_cases.py jinja_unit_cases.json > unit_cases.json
"""
import json
import runpy
import sys

environment = runpy.run_path(__file__.replace("make_unit_cases", "make_cases"), run_name="oracle")["environment"]
with open(sys.argv[1], encoding="utf-8") as file:
    cases = json.loads(file.read().replace("u0000", "u0001"))  # our JSON has no NUL in keys
answers = {}
for case in cases:
    try:
        text = environment().from_string(case["template"]).render(**case["context"])
    except Exception:
        text = None
    if text != case["expected"]:
        answers[case["name"]] = text
json.dump(answers, sys.stdout, ensure_ascii=False, indent=0)
print()
