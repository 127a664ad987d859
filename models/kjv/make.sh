#!/bin/sh
# SPDX-License-Identifier: MIT
#
# models/kjv/make.sh - make this model again: text, vocabulary, training, export, samples
#
#     models/kjv/make.sh BUILD WORK     BUILD: a build folder (meson setup, ninja)
#
# Everything goes to WORK; the model will be WORK/model.  Needs Debian's bible-kjv and an hour of
# one processor.  Run again after an interruption, it goes on.
set -eu
[ $# = 2 ] || { echo "usage: make.sh BUILD WORK" >&2; exit 2; }
here=$(dirname "$0") build=$1 work=$2
threads=$(nproc 2>/dev/null || echo 1)
train=$build/examples/train/train llama=$build/examples/llama/llama

mkdir -p "$work"
[ -e "$work/tokens/train.u16" ] || "$here/../../examples/train/make_tokens.py" "$work/tokens"
$train "$work/tokens" "$work/run.safetensors" -n 4500 -r 0.002 --warmup 200 -T "$threads"
$train "$work/tokens" "$work/run.safetensors" --export "$work/model"
$llama "$work/model" --write "$work/model/eval.u16" --sequences 20 -t 1 -s 1 -T "$threads"
$llama "$work/model" --write "$work/model/calib.u16" --sequences 20 -t 1 -s 2 -T "$threads"
