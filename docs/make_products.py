#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/make_products.py - the tables of products in docs/performance.md

    docs/make_products.py LQ [--threads T] [--mode M] [--runs R] [--prefix CMD] [SPEC...]

Prints one table: for every spec what `lq bench gemm` says of a 4096 x 4096 weight with 1, 4,
8, 16, 32, 128 and 512 vectors, the median of R runs (one process each, so that a disturbance
spoils one).  One vector as a fraction of the roof, the reading of memory; many as a fraction
of the peak; in between Gop/s.  CMD is put before every command.
"""
import argparse
import json
import shlex
import statistics
import subprocess

SPECS = ("q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs iq1_s iq2_xxs iq2_xs "
         "iq2_s iq3_xxs iq3_s tq2_0 nf4:g64 nf4:b64:dq int2:g64 int3:g64 int4:g128 int4:g128:zp "
         "int8:ch int8:g128 mxfp4 nvfp4 mxint8 fp8_e4m3:ch fp8_e4m3:128x128 mxfp8_e4m3").split()
COUNTS = (1, 4, 8, 16, 32, 128, 512)


def run(o, spec):
    """The lines of one process, by number of vectors."""
    command = shlex.split(o.prefix) + [
        o.lq, "bench", "gemm", "--json", "--format", spec, "--mode", o.mode, "--threads",
        str(o.threads), "--repeat", "5", "--n", ",".join(map(str, COUNTS))]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return {r["n"]: r for r in map(json.loads, lines.splitlines())}


def cells(runs):
    def median(n, value):
        return statistics.median(value(r[n]) for r in runs)

    first = runs[0][1]
    yield f"{first['prepared_bytes'] / first['source_bytes']:.2f}"
    yield f"{median(1, lambda r: r['gbps'] / r['roof_gbps']):.2f}"
    for n in COUNTS[1:4]:
        yield f"{median(n, lambda r: r['gflops']):.0f}"
    for n in COUNTS[4:]:
        yield f"{median(n, lambda r: r['gflops']):.0f} ({median(n, lambda r: r['fraction']):.2f})"
    yield f"{median(512, lambda r: r['nmse']):.1e}"


def main():
    p = argparse.ArgumentParser(description="Tables of products.")
    p.add_argument("lq")
    p.add_argument("spec", nargs="*", default=SPECS)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--mode", default="fast")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--prefix", default="")
    o = p.parse_args()
    print("| spec | prepared / source | n = 1, of roof | n = 4 | 8 | 16 "
          "| 32 (of peak) | 128 (of peak) | 512 (of peak) | NMSE |")
    print("|---|" + "---:|" * 9)
    for spec in o.spec:
        print(f"| {spec} | " + " | ".join(cells([run(o, spec) for _ in range(o.runs)])) + " |",
              flush=True)


if __name__ == "__main__":
    main()
