#!/bin/sh
# Strangers build main.c against libquant in every way the README offers.
# usage: consumer.sh SOURCE_ROOT BUILD_ROOT CC
set -eu
source=$1 build=$2 cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== bare compiler call with the README's flags, reference level only"
cd "$source"
$cc -O2 -DNDEBUG -ffp-contract=off -Iinclude -I. tests/consumer/main.c lib/base/*.c \
    lib/format/*.c lib/layout/*.c lib/core/*.c lib/train/*.c kernels/*.c -lm -lpthread -o "$work/bare"
"$work/bare"

echo "== pkg-config"
DESTDIR="$work/root" meson install -C "$build" --no-rebuild --quiet >/dev/null
prefix=$work/root$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"]=="prefix"))')
pc=$(dirname "$(find "$prefix" -name libquant.pc)")
export PKG_CONFIG_PATH="$pc"
libdir=$(dirname "$pc")
$cc tests/consumer/main.c -I"$prefix/include" -L"$libdir" $(pkg-config --libs-only-l libquant) -o "$work/pc"
LD_LIBRARY_PATH="$libdir" "$work/pc"

if command -v cmake >/dev/null; then
    echo "== CMake"
    mkdir "$work/cmake"
    cp tests/consumer/main.c "$work/cmake/"
    cat >"$work/cmake/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(consumer C)
find_package(libquant REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE libquant::libquant)
END
    cmake -S "$work/cmake" -B "$work/cmake/b" -DCMAKE_C_COMPILER="$cc" \
        -Dlibquant_DIR="$libdir/cmake/libquant" >/dev/null
    cmake --build "$work/cmake/b" >/dev/null
    LD_LIBRARY_PATH="$libdir" "$work/cmake/b/consumer"
fi

echo "== Meson subproject"
mkdir -p "$work/meson/subprojects"
ln -s "$source" "$work/meson/subprojects/libquant"
cp tests/consumer/main.c "$work/meson/"
cat >"$work/meson/meson.build" <<'END'
project('consumer', 'c')
quant = dependency('libquant', fallback: ['libquant', 'libquant_dep'], default_options: ['tools=disabled'])
executable('consumer', 'main.c', dependencies: quant)
END
unset PKG_CONFIG_PATH
CC=$cc meson setup "$work/meson/b" "$work/meson" --default-library static >/dev/null
meson compile -C "$work/meson/b" -j 2 >/dev/null
"$work/meson/b/consumer"
