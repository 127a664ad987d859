#!/bin/sh
# Includes go one way: include <- base <- kernels <- format <- layout <- core <- calib, train <- file.
# Tools and examples see the public headers only; nobody but kernels/x86 and kernels/arm
# sees intrinsics; formats are named in lib/format only.
# usage: layers.sh SOURCE_ROOT
set -eu
cd "$1"
status=0

# folder, and the folders it may include from
check() {
    folder=$1
    shift
    allowed=$(echo "$@" | tr ' ' '|')
    if grep -rn '#include "' "$folder" --include='*.[ch]' | grep -v -E "#include \"($allowed)/" |
        grep -v -E '#include "[a-z0-9_]+\.h"'; then
        echo "$folder includes from above its floor"
        status=1
    fi
}
check lib/base libquant lib/base
check kernels libquant lib/base kernels
check lib/format libquant lib/base kernels lib/format
check lib/layout libquant lib/base kernels lib/format lib/layout lib/core
check lib/core libquant lib/base kernels lib/format lib/core
check lib/calib libquant lib/base kernels lib/format lib/core lib/calib
check lib/train libquant lib/base kernels lib/format lib/core lib/train
check lib/file libquant lib

if grep -rn -E '#include "(lib|kernels)/' tools examples --include='*.[ch]'; then
    echo "tools and examples include internals"
    status=1
fi
if grep -rln -E 'immintrin\.h|arm_neon\.h' lib kernels --include='*.[ch]' | grep -v -E '^kernels/(x86|arm)/'; then
    echo "intrinsics outside kernels/x86 and kernels/arm"
    status=1
fi
if grep -rn -E 'case LQ_FORMAT_' lib/core lib/file kernels tools --include='*.[ch]'; then
    echo "a switch over formats outside lib/format"
    status=1
fi
exit $status
