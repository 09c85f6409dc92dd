# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can check. Each takes text and gives a list of complaints."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FLOORS = {"base": 0, "tensor": 1, "text": 1, "kernel": 2, "device": 3, "comm": 4, "op": 5, "graph": 6,
          "model": 7, "engine": 8, "serve": 9, "app": 10}
OUTER = ("serve", "app")  # they see base and the public headers only
TEXT_PUBLIC = ("baton/base.h", "baton/tokenizer.h", "baton/template.h")  # text never sees tensors

LINE_MAX = 110
FILE_MAX = 800
HEADER_MAX = 200       # the aim is 120; a public header with its contract may need more
PUBLIC_HEADER_MAX = 400
FUNCTION_MAX = 80
FOLDER_MODULES = 16


def sources(*folders, suffixes=(".c", ".h")):
    """Relative paths of the files under `folders`, sorted."""
    found = []
    for folder in folders:
        for where, inside, names in os.walk(os.path.join(ROOT, folder)):
            inside[:] = [d for d in inside if d not in ("__pycache__", "corpus")]
            found += [os.path.relpath(os.path.join(where, n), ROOT) for n in names if n.endswith(suffixes)]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def strip_c(text):
    """Blank out comments, strings and character constants, keeping the lines."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def include_complaints(path, text):
    """Includes point down: `path` is src/<floor>/...; see "Allowed includes" in docs/tour.md."""
    here = path.split("/")[1]
    if here not in FLOORS:
        return ["%s: '%s' is not a floor; one of %s" % (path, here, ", ".join(FLOORS))]
    bad = []
    for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        there = target.split("/")[0]
        why = None
        if there == "baton":
            if here == "text" and target not in TEXT_PUBLIC:
                why = "text sees base only"
        elif there not in FLOORS:
            why = "includes are written from src/, '%s' is no floor" % there
        elif there in (here, "base"):
            pass
        elif here in OUTER:
            if not (here == "app" and target == "serve/serve.h"):
                why = "%s sees base and the public headers only" % here
        elif here == "text":
            why = "text sees base only"
        elif FLOORS[there] >= FLOORS[here]:
            why = "includes point down, %s is not below %s" % (there, here)
        elif there == "kernel" and FLOORS[here] > FLOORS["op"]:
            why = "kernel/ is not included above op/"
        if why:
            bad.append("%s includes \"%s\": %s" % (path, target, why))
    return bad


def twin_key(path):
    """What must be unique: the base name, where per-ISA twins of a kernel count as one."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return stem if not path.startswith("src/kernel/") else path


def base_name_complaints(paths):
    seen, bad = {}, []
    for path in paths:
        folder = os.path.dirname(path)
        key = twin_key(path)
        if seen.setdefault(key, folder) != folder:
            bad.append("%s: the base name '%s' is taken in %s" % (path, key, seen[key]))
    return bad


def spdx_complaints(path, text):
    head = "\n".join(text.split("\n")[:3])
    if text.count("SPDX-License-Identifier:" + " ") != 1:
        return ["%s: exactly one SPDX line is wanted" % path]
    return [] if "SPDX-License-" + "Identifier: Apache-2.0" in head else ["%s: the SPDX line is not at the top" % path]


def size_complaints(path, text):
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    limit = FILE_MAX
    if path.endswith(".h"):
        limit = PUBLIC_HEADER_MAX if path.startswith("include/") else HEADER_MAX
    bad = []
    if len(lines) > limit and not path.startswith("src/kernel/"):
        bad.append("%s has %d lines, at most %d" % (path, len(lines), limit))
    for i, line in enumerate(lines, 1):
        if len(line) > LINE_MAX:
            bad.append("%s:%d has %d columns, at most %d" % (path, i, len(line), LINE_MAX))
        if "\t" in line or line != line.rstrip():
            bad.append("%s:%d has a tab or a blank at its end" % (path, i))
    return bad


def function_complaints(path, text):
    """Functions are recognised by their braces in column 0; kernel bodies may be longer."""
    lines = text.split("\n")
    bad = ["%s:%d: a function's brace has a line of its own" % (path, i)
           for i, line in enumerate(lines, 1) if re.match(r"[A-Za-z][^#=]*\) \{$", line)]
    if path.startswith("src/kernel/"):
        return bad
    start = None
    for i, line in enumerate(lines, 1):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            if i - start - 1 > FUNCTION_MAX:
                bad.append("%s:%d: a function of %d lines, at most %d" % (path, start, i - start - 1, FUNCTION_MAX))
            start = None
    return bad


FORBIDDEN = re.compile(r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|perror|exit|_exit|_Exit|"
                       r"abort|quick_exit)\s*\(")
UNSAFE = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok|rand|srand)\s*\(")


def call_complaints(path, text, pattern, why):
    bad = []
    for i, line in enumerate(strip_c(text).split("\n"), 1):
        found = pattern.search(line)
        if found and "__attribute__" not in line:
            bad.append("%s:%d calls %s: %s" % (path, i, found.group(1), why))
    return bad


def heap_complaints(path, text):
    """All heap of the library goes through base/alloc."""
    if path == "src/base/alloc.c":
        return []
    pattern = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|strdup|strndup)\s*\(")
    return call_complaints(path, text, pattern, "heap comes from base/alloc")


def marker_complaints(path, text):
    found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    return ["%s holds a %s" % (path, found.group(1))] if found else []
