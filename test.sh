#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test.sh - from a fresh clone: install what is missing (Debian, Ubuntu), build with warnings
# as errors, run every test
#
#     ./test.sh [MESON TEST ARGUMENTS]
#
# Uses build-test/.  About five minutes on two cores.  CC chooses the compiler.
set -eu
cd "$(dirname "$0")"
build=build-test

missing() {
    command -v cc >/dev/null || echo gcc libc6-dev
    command -v c++ >/dev/null || echo g++
    command -v meson >/dev/null || echo meson
    command -v ninja >/dev/null || echo ninja-build
    command -v python3 >/dev/null || echo python3
    command -v cmake >/dev/null || echo cmake
    command -v objdump >/dev/null || echo binutils
    command -v pkg-config >/dev/null || { echo pkg-config libcmocka-dev libjansson-dev libxxhash-dev; return; }
    for package in cmocka jansson libxxhash; do
        pkg-config --exists $package || echo "lib${package#lib}-dev"
    done
}

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    echo "installing $packages"
    command -v apt-get >/dev/null || { echo "test.sh: please install: $packages" >&2; exit 1; }
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages
fi

[ -f $build/build.ninja ] || meson setup $build --buildtype=release -Dwerror=true
ninja -C $build
meson test -C $build --print-errorlogs "$@"
