#!/bin/sh
# The exported functions are exactly symbols.txt; every global of the static archive begins
# with lq_ or lqi_; nothing in the release library aborts, prints or reads the environment.
# usage: symbols.sh libquant.so libquant.a symbols.txt release?
set -eu
shared=$1 archive=$2 list=$3 ndebug=$4
status=0

nm -D --defined-only "$shared" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >exported.txt
if ! diff -u "$list" exported.txt; then
    echo "exported symbols differ from $list"
    status=1
fi

if nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' |
    grep -v -E '^_*(lq|lqi)_|^__(asan|odr|ubsan|gcov|llvm|covrec|profd)|^DW\.ref' ; then
    echo "global symbols outside lq_ and lqi_ in $archive"
    status=1
fi

if objdump -t "$archive" 2>/dev/null | awk '($4 == ".data" || $4 == ".bss" || $3 == ".data" ||
        $3 == ".bss") && $2 != "d" && $NF !~ /^\.(data|bss)$/ && $NF !~ /asan|ubsan|_odr/ {
        print $NF; n++ } END { exit !n }'; then
    echo "writable data in $archive"
    status=1
fi

if [ "$ndebug" = true ] && nm -u "$archive" 2>/dev/null | awk '{ print $2 }' |
    grep -x -E 'abort|exit|_exit|printf|puts|putchar|fprintf|getenv|setenv|__assert_fail|perror|system' ; then
    echo "the library calls these"
    status=1
fi
exit $status
