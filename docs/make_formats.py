#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/make_formats.py - writes docs/formats.md: the registry, and each unit's own essay

    docs/make_formats.py LQ SOURCE_ROOT > docs/formats.md

The table comes from `lq formats --json`; the bit layouts, rules and sources are the
comments at the heads of lib/format/<name>.c, so they cannot drift from the code.  Speeds
are those of docs/speed.json: of eight runs of `lq bench quantize --json` and `lq bench
dequantize --json` (--rows 16 --cols 4096 -T 1 --rotate 0 --repeat 5, default specs), for each
spec the line with the middle time.
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
Dialects are those of other programs that can hold the format; libquant's own, `lq`, holds all of them.
{speed}
| format | id | storage | block or group | bits/weight | GGUF type | dialects | encode | decode | default spec | |
|---|---:|---|---|---:|---:|---|---:|---:|---|---|
"""

SPEED = """Speeds are 10^9 weights per second of the default spec, from and to f32, {rows} x {cols}, {threads} thread{s}, level {level}
(`lq bench`, docs/speed.json; medians of eight runs; single ones differ by up to a factor of two and more).
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


def measured(root):
    """A line of docs/speed.json, and {(operation, spec): 10^9 weights per second}."""
    with open(os.path.join(root, "docs", "speed.json"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    return lines[0], {(r["op"], r["format"]): r["gweights"] for r in lines}


def speed_cells(speeds, spec):
    found = [speeds.get((op, spec)) for op in ("quantize", "dequantize")]
    return " | ".join(f"{x:.3g}" if x else "" for x in found)


def dialects(f):
    """Of other programs; a family's versions behind its first name."""
    names = ["gguf"] if f["gguf_type"] is not None else []
    for name in f["dialects"]:
        if name != "lq" and not any(name.startswith(n + "_v") for n in names):
            names.append(name)
    return ", ".join(names)


def main():
    lq, root = sys.argv[1:3]
    formats = json.loads(subprocess.check_output([lq, "formats", "--json"]))["formats"]
    bench, speeds = measured(root)
    out = HEAD.format(speed=SPEED.format(s="s"[:bench["threads"] > 1], **bench))
    for f in formats:
        geometry = f"{f['block_len']} in {f['block_bytes']} B" if f["storage"] == "blocked" else "any"
        if f["row_bytes"]:
            geometry += f", {f['row_bytes']} B per row"
        bits = f"{f['bits_per_weight']:.4g}" if f["bits_per_weight"] else "by codebook"
        gguf = f["gguf_type"] if f["gguf_type"] is not None and f["gguf_type"] >= 0 else ""
        out += (f"| [{f['name']}](#{f['name']}) | {f['id']} | {f['storage']} | {geometry} | "
                f"{bits} | {gguf} | {dialects(f)} | {speed_cells(speeds, f['default_spec'])} | "
                f"`{f['default_spec']}` | {f['text']} |\n")
    for f in formats:
        title, body = essay(root, f["name"])
        out += f"\n## {f['name']}\n\n{title}\n\n```\n{body}\n```\n"
    sys.stdout.write(out)


if __name__ == "__main__":
    main()
