#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build baton three ways, run every test, count the cases.

Phases: lint, release (all C tests), address (the same under ASan + UBSan), thread (the tests of the
engine and of the thread-bearing base modules under TSan), e2e (pytest through the program); on request
also e2e-address (the same through the program built with ASan + UBSan). A C test
program prints cmocka's lines, one for each case; those are what is counted, not the programs. A
program that dies, or runs no case, is a failure of its own. The last line printed is always
"N passed, N failed, N skipped", and the exit status is 0 only when nothing failed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PHASES = ["lint", "release", "address", "thread", "e2e"]
EXTRA_PHASES = ["e2e-address"]
# The engine's own tests, one that runs whole models, the dispatcher's, and the base modules that threads meet in.
THREAD_TESTS = re.compile(r"^engine/(engine_|model_golden)|^unit/(team|queue|log|alloc|membw|trace)"
                          r"|^graph/(graph|race|capture|fault|nodecache|plan_cache|law_dispatch)")
TIMEOUT_S = 300

Result = collections.namedtuple("Result", "phase name outcome detail")  # outcome: passed failed skipped


class BuildFailed(Exception):
    """A phase could not be built; str() is the end of the build's output."""


# ---- what a C test program said ----

CASE = re.compile(r"\[ +(OK|FAILED|ERROR|SKIPPED) +\] (.*)")
GROUP_BEGIN = re.compile(r"\[=+\] .*Running \d+ test")
GROUP_END = re.compile(r"\[=+\] .*\d+ test\(s\) run")


def parse_cmocka(phase, program, output, status):
    """Turn a program's output into results; `status` is its exit status (negative: a signal)."""
    has_group = GROUP_BEGIN.search(output) is not None
    in_group, reason, since, results = not has_group, None, [], []
    for line in output.splitlines():
        if GROUP_BEGIN.search(line):
            in_group = True
            continue
        if GROUP_END.search(line):
            in_group = False  # what follows repeats the failures
            continue
        case = CASE.search(line) if in_group else None
        if case and case.group(1) == "ERROR" and case.group(2).startswith("---"):
            case = None  # where an assertion failed; the FAILED line follows
        if "SKIP-REASON:" in line:
            reason = line.split("SKIP-REASON:", 1)[1].strip()
        if not case:
            since.append(line)
            continue
        name = "%s: %s" % (program, case.group(2).strip())
        if case.group(1) == "OK":
            results.append(Result(phase, name, "passed", ""))
        elif case.group(1) == "SKIPPED":
            results.append(Result(phase, name, "skipped", reason or "no reason was printed"))
        else:
            results.append(Result(phase, name, "failed", "\n".join(since[-60:])))
        reason, since = None, []
    if status != 0 and not any(r.outcome == "failed" for r in results):
        how = "signal %d" % -status if status < 0 else "exit status %d" % status
        results.append(Result(phase, "%s: ended with %s" % (program, how), "failed", output[-6000:]))
    elif not results:
        results.append(Result(phase, "%s: ran no test" % program, "failed", output[-2000:]))
    return results


# ---- building and running ----

def run_quiet(command, what):
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise BuildFailed("%s failed\n%s" % (what, done.stdout[-8000:]))
    return done.stdout


def configure(build, sanitizer):
    flags = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBATON_TESTS=ON", "-DBATON_SAN=" + sanitizer]
    if shutil.which("ccache"):
        flags.append("-DCMAKE_C_COMPILER_LAUNCHER=ccache")
    os.makedirs(build, exist_ok=True)
    run_quiet(["cmake", "-S", ROOT, "-B", build] + flags, "configuring " + build)


def list_tests(build):
    """Every test ctest knows: [(name, command, working directory)]."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    found = []
    for test in json.loads(listing.stdout)["tests"]:
        where = [p["value"] for p in test.get("properties", []) if p["name"] == "WORKING_DIRECTORY"]
        # A program that is not built yet has no command in the listing; running "" then fails.
        found.append((test["name"], test.get("command", [""]), where[0] if where else ROOT))
    return found


def run_program(phase, name, command, where):
    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=where, env=environment, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        output, status = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode("utf-8", "replace") + "\nno end after %d s" % TIMEOUT_S
        status = 1
    except OSError as missing:
        output, status = "cannot run %s: %s" % (command, missing), 1
    return name, time.monotonic() - start, parse_cmocka(phase, name, output, status)


def run_c_tests(phase, build, sanitizer, jobs, wanted):
    configure(build, sanitizer)
    names = [t[0] for t in list_tests(build) if wanted(t[0])]
    if not names:
        return []
    targets = []
    if sanitizer == "thread":  # the rest need not be built
        targets = [n.split("/")[1] for n in names]
    built = time.monotonic()
    run_quiet(["ninja", "-C", build, "-j", str(jobs)] + targets, "building " + build)
    print("  built in %.0f s" % (time.monotonic() - built), flush=True)
    results, slow = [], []
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(2, jobs))) as pool:
        waiting = [pool.submit(run_program, phase, *t) for t in list_tests(build) if wanted(t[0])]
        for one in waiting:
            name, seconds, found = one.result()
            results += found
            slow.append((seconds, name))
    slowest = ", ".join("%s %.1f s" % (n, s) for s, n in sorted(slow, reverse=True)[:3] if s >= 1)
    if slowest:
        print("  slowest: " + slowest, flush=True)
    return results


# ---- pytest ----

def python_with_pytest():
    for python in [sys.executable, "python3", "/usr/bin/python3"]:
        probe = [python, "-c", "import pytest"]
        try:
            if subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return python
        except OSError:
            continue
    raise BuildFailed("no python3 here has pytest; 'sh tools/setup.sh test' installs it")


def parse_junit(phase, path):
    results = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "%s::%s" % (case.get("classname", ""), case.get("name", ""))
        bad = [e for e in case if e.tag in ("failure", "error")]
        skip = [e for e in case if e.tag == "skipped"]
        if bad:
            results.append(Result(phase, name, "failed", (bad[0].text or bad[0].get("message") or "")[-6000:]))
        elif skip:
            results.append(Result(phase, name, "skipped", skip[0].get("message") or ""))
        else:
            results.append(Result(phase, name, "passed", ""))
    return results


def run_pytest(phase, folder, build):
    if not any(f.startswith("test_") for f in os.listdir(os.path.join(ROOT, folder))):
        return []
    report = os.path.join(build, "pytest-%s.xml" % phase)
    if os.path.exists(report):
        os.remove(report)
    environment = dict(os.environ, BATON_BUILD=build, PYTHONDONTWRITEBYTECODE="1")
    environment.pop("BATON_MODEL", None)
    command = [python_with_pytest(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=" + report, folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if not os.path.exists(report):
        return [Result(phase, "pytest %s" % folder, "failed", done.stdout[-6000:])]
    results = parse_junit(phase, report)
    if not results or (done.returncode != 0 and not any(r.outcome == "failed" for r in results)):
        results.append(Result(phase, "pytest %s" % folder, "failed", done.stdout[-6000:]))
    return results


# ---- the run ----

def run_phase(phase, build, jobs):
    if phase == "lint":
        os.makedirs(build, exist_ok=True)
        return run_pytest("lint", "test/lint", build)
    if phase == "release":
        return run_c_tests("release", build, "none", jobs, lambda name: True)
    if phase == "address":
        return run_c_tests("address", os.path.join(build, "address"), "address", jobs, lambda name: True)
    if phase == "thread":
        return run_c_tests("thread", os.path.join(build, "thread"), "thread", jobs, THREAD_TESTS.search)
    if phase == "e2e-address":
        build = os.path.join(build, "address")
    configure(build, "address" if phase == "e2e-address" else "none")  # nothing to do after the C tests
    run_quiet(["ninja", "-C", build, "-j", str(jobs)], "building " + build)
    return run_pytest(phase, "test/e2e", build)


def report(results):
    for r in results:
        if r.outcome == "failed":
            print("\n==== FAILED (%s) %s" % (r.phase, r.name))
            print(r.detail.rstrip())
    skips = collections.OrderedDict()
    for r in results:
        if r.outcome == "skipped":
            skips.setdefault((r.phase, r.detail), []).append(r.name)
    if skips:
        print("\nskipped:")
    for (phase, why), names in skips.items():
        more = " and %d more" % (len(names) - 1) if len(names) > 1 else ""
        print("  (%s) %s%s: %s" % (phase, names[0], more, why))


def main():
    parser = argparse.ArgumentParser(description="build baton, run every test, count the cases")
    parser.add_argument("--build", default="build", help="build folder (default: build)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("phases", nargs="*", metavar="PHASE", help="of %s (default: all), %s" % (
        ", ".join(PHASES), ", ".join(EXTRA_PHASES)))
    options = parser.parse_args()
    unknown = [p for p in options.phases if p not in PHASES + EXTRA_PHASES]
    if unknown:
        parser.error("'%s' is not a phase; one of %s" % (unknown[0], ", ".join(PHASES + EXTRA_PHASES)))
    build = os.path.join(ROOT, options.build) if not os.path.isabs(options.build) else options.build
    results, begin = [], time.monotonic()
    for phase in options.phases or PHASES:
        start = time.monotonic()
        print("%s ..." % phase, flush=True)
        try:
            found = run_phase(phase, build, options.jobs)
        except BuildFailed as failure:
            found = [Result(phase, "the build", "failed", str(failure))]
        results += found
        count = collections.Counter(r.outcome for r in found)
        print("  %s: %d passed, %d failed, %d skipped in %.0f s" % (
            phase, count["passed"], count["failed"], count["skipped"], time.monotonic() - start), flush=True)
        for r in found:
            if r.outcome == "failed":
                print("  FAILED " + r.name, flush=True)
    report(results)
    count = collections.Counter(r.outcome for r in results)
    print("\ntook %.0f s" % (time.monotonic() - begin))
    print("%d passed, %d failed, %d skipped" % (count["passed"], count["failed"], count["skipped"]), flush=True)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
