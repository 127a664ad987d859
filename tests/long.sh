#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/long.sh - what is too long for every commit: other compilers, sanitizers, emulated
# machines, minutes of fuzzing
#
#     tests/long.sh [clang] [sanitizers] [threads] [plain] [aarch64] [fuzz [SECONDS]]
#
# Without arguments: all.  Needs clang, libclang-rt-14-dev.  aarch64 needs
# gcc-aarch64-linux-gnu and qemu-user, and after 'dpkg --add-architecture arm64' the packages
# libcmocka-dev:arm64, libjansson-dev:arm64 and libxxhash-dev:arm64.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- clang sanitizers threads plain aarch64 fuzz 300

build_and_test() {   # NAME, COMPILER, meson options...
    name=$1 compiler=$2
    shift 2
    echo "== $name"
    [ -f "build-$name/build.ninja" ] || CC=$compiler meson setup "build-$name" -Dwerror=true "$@"
    ninja -C "build-$name"
    meson test -C "build-$name" --print-errorlogs --timeout-multiplier 5
}

while [ $# -gt 0 ]; do
    what=$1
    shift
    case $what in
    clang) build_and_test clang clang --buildtype=release ;;
    sanitizers)
        for compiler in gcc clang; do
            build_and_test "san-$compiler" $compiler --buildtype=debugoptimized \
                -Db_sanitize=address,undefined -Db_lundef=false
        done ;;
    threads)
        echo "== threads"
        [ -f build-tsan/build.ninja ] || CC=gcc meson setup build-tsan --buildtype=debugoptimized \
            -Db_sanitize=thread -Db_lundef=false
        ninja -C build-tsan
        meson test -C build-tsan --print-errorlogs --timeout-multiplier 5 ctx tensor matmul ;;
    plain) build_and_test plain gcc --buildtype=release -Dsimd=false -Djson=disabled ;;
    aarch64)
        # The programs of C under qemu, whose CPU has dotprod and i8mm: all levels of ARM.
        build_and_test aarch64 aarch64-linux-gnu-gcc --buildtype=release \
            --cross-file tests/aarch64.cross ;;
    fuzz)
        seconds=300
        case ${1:-} in [0-9]*) seconds=$1; shift ;; esac
        [ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true \
            --buildtype=debugoptimized -Dtools=disabled -Dexamples=disabled
        ninja -C build-fuzz
        for target in build-fuzz/tests/fuzz/fuzz_*; do
            [ -x "$target" ] && [ -f "$target" ] || continue
            name=${target##*/fuzz_}
            echo "== fuzz $name, $seconds s"
            mkdir -p "build-fuzz/corpus/$name"
            "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -max_len=65536 \
                "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" 2>&1 | tail -n 3
        done ;;
    *) echo "unknown: $what" >&2; exit 2 ;;
    esac
done
