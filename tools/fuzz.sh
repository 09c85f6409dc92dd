#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh: build every target of test/fuzz with libFuzzer and run each for FUZZ_SECONDS. New inputs that
# reach new code go to $BUILD/fuzz/found/NAME; a crashing input is kept in $BUILD/fuzz/crash: shrink it,
# fix the cause, and add it to test/fuzz/corpus/NAME. With names as arguments, only those targets run.
set -u
seconds=${FUZZ_SECONDS:-60}
build=${BUILD:-build}/fuzz
jobs=${JOBS:-2}

mkdir -p "$build" "$build/crash"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-14 -DBATON_FUZZ=ON \
    >"$build/configure.log" 2>&1 || { cat "$build/configure.log"; exit 1; }
ninja -C "$build" -j "$jobs" --quiet || exit 1

failed=0
for source in test/fuzz/*_fuzz.c; do
    target=$(basename "$source" .c)
    name=${target%_fuzz}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    found="$build/found/$name"
    mkdir -p "$found"
    corpus="test/fuzz/corpus/$name"
    [ -d "$corpus" ] || corpus=""
    echo "fuzzing $name for $seconds s"
    if ! "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/crash/$name-" "$found" $corpus >"$build/$name.log" 2>&1; then
        tail -40 "$build/$name.log"
        echo "fuzz: $name failed; its input is $build/crash/$name-*, the log $build/$name.log"
        failed=1
    else
        grep -E 'number_of_executed_units|new_units_added' "$build/$name.log"
    fi
done
exit $failed
