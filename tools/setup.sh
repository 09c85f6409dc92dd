#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh build|test|fuzz: see that what baton needs is there, and install what is not (Debian 12).
#
# It asks for the things themselves (a tool on PATH, a library pkg-config knows), not for packages, so
# it is instant and silent where nothing is missing, and content with tools that came another way.
# Missing: root installs the packages; anyone else gets the exact line to run, and exit status 1.
set -u

level=${1:-build}
missing=""

need_tool() { # tool package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need_lib() { # pkg-config name, package
    command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1" 2>/dev/null || missing="$missing $2"
}

has_module() { # Python module, in any python3 that the tests would use
    for python in python3 /usr/bin/python3; do
        "$python" -c "import $1" >/dev/null 2>&1 && return 0
    done
    return 1
}

need_build() {
    need_tool gcc gcc
    [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
    need_tool cmake cmake
    need_tool ninja ninja-build
    need_tool pkg-config pkg-config
    need_lib jansson libjansson-dev
    need_lib libpcre2-8 libpcre2-dev
    need_lib libutf8proc libutf8proc-dev
    need_lib libxxhash libxxhash-dev
    need_lib libedit libedit-dev
}

need_test() {
    need_tool g++ g++
    need_lib cmocka libcmocka-dev
    need_tool clang-format clang-format
    need_tool python3 python3
    has_module pytest || missing="$missing python3-pytest"
}

need_fuzz() {
    need_tool clang-14 clang-14
    ls /usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 ||
        missing="$missing libclang-rt-14-dev"
}

case $level in
build) need_build ;;
test) need_build; need_test ;;
fuzz) need_build; need_fuzz ;;
*) echo "setup.sh: '$level' is not a level; one of build, test, fuzz" >&2; exit 2 ;;
esac

[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup.sh: missing:$missing (Debian's names); install them with this system's package manager" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "setup.sh: some packages are missing; run this as root, then try again:" >&2
    echo "apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

echo "installing:$missing" >&2
log=$(mktemp) || exit 1
export DEBIAN_FRONTEND=noninteractive
# A failed update matters only when the install then fails too.
apt-get -q update </dev/null >"$log" 2>&1
# shellcheck disable=SC2086  # the list is words on purpose
if ! apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends $missing </dev/null >>"$log" 2>&1; then
    cat "$log" >&2
    echo "setup.sh: installing$missing failed; the log is above" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
