#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples/qlora/run.sh - the whole example: text, tokens, fine-tuning over NF4 and over bf16
#
#     examples/qlora/run.sh BUILD WORK [options of qlora]
#
# BUILD: a build folder (meson setup, ninja).  Everything goes to WORK.  Needs Debian's bible-kjv.
set -eu
[ $# -ge 2 ] || { echo "usage: run.sh BUILD WORK [options of qlora]" >&2; exit 2; }
here=$(dirname "$0") build=$1 work=$2
shift 2
model=$here/../../models/kjv

mkdir -p "$work"
if [ ! -e "$work/tokens/train.u16" ]; then
    "$here/modern.py" > "$work/text"
    "$here/../train/make_tokens.py" "$work/tokens" --text "$work/text" \
        --tokenizer "$model/tokenizer.bin"
fi
"$build/examples/qlora/qlora" "$model" "$work/tokens" "$work/out" --against bf16 \
    -T "$(nproc 2>/dev/null || echo 1)" "$@"
"$build/examples/llama/llama" "$work/out/merged" --tokenizer "$model/tokenizer.bin" \
    -p "And Jesus said"
