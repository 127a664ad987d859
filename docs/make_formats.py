#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/make_formats.py - writes docs/formats.md: the registry, and each unit's own essay

    docs/make_formats.py LQ SOURCE_ROOT > docs/formats.md

The table comes from `lq formats --json`; the bit layouts, rules and sources are the
comments at the heads of lib/format/<name>.c, so they cannot drift from the code.
"""
import json
import os
import re
import subprocess
import sys

HEAD = """# Formats

Made by `docs/make_formats.py` from the registry and the units in `lib/format`; do not edit.

A spec is a format with its parameters (`nf4:b64:dq`); [format.h](../include/libquant/format.h) has the grammar.
Bits per weight count codes, scales, zero points and offsets of the default spec on 4096 x 4096 weights.

| format | id | storage | block or group | bits/weight | GGUF type | default spec | |
|---|---:|---|---|---:|---:|---|---|
"""


def essay(root, name):
    """The head comment of a unit, without its path line."""
    path = os.path.join(root, "lib", "format", name + ".c")
    if not os.path.exists(path):
        path = os.path.join(root, "lib", "format", re.sub("^(mxfp4|nvfp4)_gguf$", r"gguf_\1", name) + ".c")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    comment = re.search(r"/\*\n(.*?)\*/", text, re.S).group(1)
    lines = [re.sub(r"^ \* ?", "", line).rstrip() for line in comment.splitlines()]
    while lines and not lines[-1].strip():
        lines.pop()
    title = lines[0].split(" - ", 1)[-1]
    return title, "\n".join(lines[1:]).strip("\n")


def main():
    lq, root = sys.argv[1:3]
    formats = json.loads(subprocess.check_output([lq, "formats", "--json"]))["formats"]
    out = HEAD
    for f in formats:
        geometry = f"{f['block_len']} in {f['block_bytes']} B" if f["storage"] == "blocked" else "any"
        if f["row_bytes"]:
            geometry += f", {f['row_bytes']} B per row"
        bits = f"{f['bits_per_weight']:.4g}" if f["bits_per_weight"] else "by codebook"
        gguf = f["gguf_type"] if f["gguf_type"] is not None and f["gguf_type"] >= 0 else ""
        out += (f"| [{f['name']}](#{f['name']}) | {f['id']} | {f['storage']} | {geometry} | "
                f"{bits} | {gguf} | `{f['default_spec']}` | {f['text']} |\n")
    for f in formats:
        title, body = essay(root, f["name"])
        out += f"\n## {f['name']}\n\n{title}\n\n```\n{body}\n```\n"
    sys.stdout.write(out)


if __name__ == "__main__":
    main()
