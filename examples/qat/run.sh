#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples/qat/run.sh - the table of README.md: what training for a format is worth
#
#     examples/qat/run.sh BUILD TOKENS [THREADS] [STEPS] [BATCH]
#
# TOKENS is a folder of make_tokens.py (examples/train); the model is models/kjv.
set -eu
[ $# -ge 2 ] || { echo "usage: run.sh BUILD TOKENS [THREADS] [STEPS] [BATCH]" >&2; exit 2; }
model=$(dirname "$0")/../../models/kjv
qat="$1/examples/qat/qat $model $2 -T ${3:-2} -b ${5:-4}" n=${4:-100}

run() {
    title=$1
    shift
    echo "== $title: $*"
    $qat "$@"
}
run "bf16, as it is" -n 0
run "2 bits, rounded" -n 0 -w int2:g32:zp
run "2 bits, HQQ" -n 0 -w int2:g32:fz
run "ternary, rounded" -n 0 -w ternary:g32
run "2 bits, trained" -n "$n" -w int2:g32:fz --rule stretched
run "ternary, trained" -n "$n" -w ternary:g32:f16 --rule stretched
run "fine-tuned in f32" -n "$n"
run "fine-tuned in FP8, dynamic scales" -n "$n" -w fp8_e4m3:t --activations fp8_e4m3:t \
    --gradients fp8_e5m2:t
run "fine-tuned in FP8, delayed scales" -n "$n" -w fp8_e4m3:t --activations fp8_e4m3:t \
    --gradients fp8_e5m2:t --history 16
