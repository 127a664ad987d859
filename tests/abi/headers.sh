#!/bin/sh
# Each public header compiles alone, as C99 and as C++.
# usage: headers.sh INCLUDE_DIR CC [CXX]
set -eu
include=$1 cc=$2
for header in "$include"/libquant/*.h; do
    "$cc" -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$include" -fsyntax-only -x c "$header"
    if command -v c++ >/dev/null; then
        c++ -std=c++11 -Wall -Wextra -Werror -I"$include" -fsyntax-only -x c++ "$header"
    fi
done
