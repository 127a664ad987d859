#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - the main job, from a fresh clone: install what is missing (Debian, Ubuntu),
# build, quantize a model into every format, decode, verify, run it, print one table
#
#     ./demo.sh                     with a small generated model
#     ./demo.sh MODEL TOKENS [N]    with a Llama checkpoint, a file of 16-bit token ids, and
#                                   windows of N tokens
#
# Everything is written to build-demo/.  Takes one to three minutes on two cores.
set -eu
cd "$(dirname "$0")"
build=build-demo
log=$build/demo.log
threads=$(nproc 2>/dev/null || echo 2)

say() { printf '\n== %s\n' "$*"; }

# Run a step quietly; show its log if it fails.
step() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "demo.sh: failed: $*" >&2
        exit 1
    fi
}

missing() {
    command -v cc >/dev/null || echo gcc libc6-dev
    command -v meson >/dev/null || echo meson
    command -v ninja >/dev/null || echo ninja-build
    command -v python3 >/dev/null || echo python3
    command -v pkg-config >/dev/null || { echo pkg-config libjansson-dev libxxhash-dev; return; }
    pkg-config --exists jansson || echo libjansson-dev
    pkg-config --exists libxxhash || echo libxxhash-dev
}

install_missing() {
    packages=$(missing | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    say "installing $packages"
    command -v apt-get >/dev/null || { echo "demo.sh: please install: $packages" >&2; exit 1; }
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    step $root apt-get update
    # Word splitting is wanted: a list of packages.
    # shellcheck disable=SC2086
    step $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        $packages
}

build() {
    say "building (release) in $build/"
    [ -f $build/build.ninja ] ||
        step meson setup $build --buildtype=release -Dtests=disabled
    step ninja -C $build
}

generate() {
    model=$build/model tokens=$build/tokens.u16 window=256
    say "a model: $model"
    echo "The repository has no trained model yet, so the weights are RANDOM: drawn to look like"
    echo "weights (heavy tails, channels of different size), but without any language.  Quality is"
    echo "therefore the error of the weights and the divergence (KL) from the original model, on"
    echo "tokens that the original drew itself.  NLL is not a measure of language here."
    step $build/examples/llama/make_model $model 1
    step $build/examples/llama/llama $model --write $tokens --sequences 12 -t 1 -T "$threads"
}

mkdir -p $build
: >$log
install_missing
build
if [ $# -ge 2 ]; then
    model=$1 tokens=$2 window=${3:-0}
else
    generate
fi

say "every format: quantize, verify, decode, compare, run"
python3 examples/llama/table.py "$model" "$tokens" -w "$window" -T "$threads" --all \
    --lq $build/tools/lq/lq --llama $build/examples/llama/llama \
    int4:g32:zp fp8_e4m3:128x128
cat <<END

file bytes   of the checkpoint, embedding and output included (GGUF quantizes those, too)
bits/weight  codes, scales, zero points of the layers' projections; rel. RMSE is theirs
KL           of the quantized model's predictions from the original's, nats per token
flips        tokens whose most probable prediction changed
checks       lq verify found no fault, and lq dequantize gave the same numbers
END
