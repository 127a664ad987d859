#!/bin/sh
# docs/formats.md is up to date.
# usage: docs.sh LQ SOURCE_ROOT
set -eu
"$2/docs/make_formats.py" "$1" "$2" | diff -u "$2/docs/formats.md" - || {
    echo "run docs/make_formats.py LQ . > docs/formats.md"
    exit 1
}
