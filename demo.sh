#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - the main job, from a fresh clone: install what is missing (Debian, Ubuntu),
# build, quantize a model into every format, decode, verify, run it, print what it costs
#
#     ./demo.sh                     with the model in models/kjv
#     ./demo.sh MODEL TOKENS [N]    with a Llama checkpoint, a file of 16-bit token ids, and
#                                   windows of N tokens; the tokenizer is MODEL/tokenizer.bin
#
# Everything is written to build-demo/.  Takes three to five minutes on two cores.
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

# Fewer and fewer bits: 16, 8, 6, 4, 3, 2.
tradeoff() {
    say "fewer bits: size, quality, speed, and what the model says"
    python3 examples/llama/tradeoff.py "$model" "$tokens" -w "$window" -T "$threads" \
        --tokenizer "$model/tokenizer.bin" --lq $lq --llama $llama \
        bf16 fp8_e4m3:ch int8:ch q6_k q4_k nf4:b64:dq q3_k int3:g32:zp q2_k ternary:ch
}

every_format() {
    say "every format: quantize, verify, decode, compare, run"
    python3 examples/llama/table.py "$model" "$tokens" -w "$window" -T "$threads" --all \
        --lq $lq --llama $llama int4:g32:zp fp8_e4m3:128x128
}

mkdir -p $build
: >$log
install_missing
build
lq=$build/tools/lq/lq llama=$build/examples/llama/llama
model=${1:-models/kjv} tokens=${2:-models/kjv/eval.u16} window=${3:-0}

say "the model: $model"
[ $# -gt 0 ] || sed -n '3,5p' models/kjv/README.md
[ ! -e "$model/tokenizer.bin" ] || tradeoff
every_format
cat <<END

file bytes   of the checkpoint, embedding and output included (GGUF quantizes those, too)
bits/weight  codes, scales, zero points of the layers' projections; rel. RMSE is theirs
NLL          of the tokens, nats each
KL           of the quantized model's predictions from the original's, nats per token
flips        tokens whose most probable prediction changed
tokens/s     one sequence, greedy, fast products
checks       lq verify found no fault, and lq dequantize gave the same numbers
END
