#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/make_quality.py - what the second search wins, and what it costs

    PYTHONPATH=python LIBQUANT_LIBRARY=... docs/make_quality.py [CHECKPOINT] [options]

Prints the table of docs/quality.md: for every spec the relative RMSE of --search exact and
of --search best, and the ratio of their times.  Numbers are drawn with a fixed seed; the
real ones are the two-dimensional weights of CHECKPOINT (without embedding and output), an
equal share of each, cut into rows of --cols.

sqrt(sum w e^2 / sum w x^2): w is 1, except in the column "weighted", whose importances are
drawn, too, and given to the encoder (blocked formats; the others take none).
"""
import argparse
import random
import sys
import time
from array import array

import libquant as lq

# Beside each format's default spec.
MORE = ("int2:g32", "int2:g32:zp", "int3:g32", "int3:g32:zp", "int4:g32", "int4:g32:zp",
        "int4:g64:zp:f16", "int4:ch", "int8:g32", "fp8_e4m3:t", "nf4:b64:dq", "fp4:b64:dq",
        "nvfp4:g16:gd", "ternary:g64", "int8:t", "int4:g64:fz")


def arguments():
    p = argparse.ArgumentParser(description="Errors of the two searches.")
    p.add_argument("checkpoint", nargs="?", help="for the column of real weights")
    p.add_argument("-f", "--format", help="specs, with commas (default: all)")
    p.add_argument("--rows", type=int, default=64)
    p.add_argument("--cols", type=int, default=512)
    p.add_argument("--no-time", action="store_true", help="leave the last column out")
    return p.parse_args()


class Numbers:
    """A matrix to encode, and perhaps importances of its columns."""

    def __init__(self, name, x, cols, importance=None):
        self.name, self.cols, self.importance = name, cols, importance
        self.x = array("f", x)
        del self.x[len(self.x) // cols * cols:]
        self.rows = len(self.x) // cols


def drawn(o):
    r, n = random.Random(1), o.rows * o.cols
    normal = [r.gauss(0, 0.02) for _ in range(n)]
    heavy = [r.gauss(0, 0.02) / (r.gammavariate(2, 1) / 2) ** 0.5 for _ in range(n)]
    importance = array("f", (r.gammavariate(1, 1) + 0.01 for _ in range(o.cols)))
    return [Numbers("Gaussian", normal, o.cols), Numbers("Student t, 4", heavy, o.cols),
            Numbers("Gaussian, weighted", normal, o.cols, importance)]


def real(o):
    x = array("f")
    with lq.Checkpoint(o.checkpoint) as checkpoint:
        weights = [w for w in checkpoint if w.spec and len(w.dims) == 2
                   and not any(word in w.name for word in ("embd", "embed", "lm_head", "output."))]
        share = -(-o.rows * o.cols // len(weights))
        for w in weights:
            x.extend(checkpoint.rows(w.name, 0, min(w.shape[1], -(-share // w.shape[2])))[:share])
    return Numbers("real", x[:o.rows * o.cols], o.cols)


def encode(spec, numbers, best, context):
    needs = spec.startswith(("iq1", "iq2", "iq3"))
    importance = numbers.importance or (array("f", [1]) * numbers.cols if needs else None)
    return lq.Tensor.encode(numbers.x, spec, (numbers.rows, numbers.cols),
                            importance=importance, best=best, context=context)


def error(numbers, tensor):
    w = numbers.importance or array("f", [1]) * numbers.cols
    w = w * numbers.rows
    y = tensor.decode()
    lost = sum(a * (x - z) * (x - z) for a, x, z in zip(w, numbers.x, y))
    return (lost / sum(a * x * x for a, x in zip(w, numbers.x))) ** 0.5


def seconds(spec, numbers, best, context):
    """CPU time of encoding the numbers; where that is short, of as many copies as it takes."""
    copies = 1
    while True:
        many = Numbers("", numbers.x * copies, numbers.cols)
        start = time.process_time()
        encode(spec, many, best, context)
        spent = time.process_time() - start
        if spent > 0.02 or copies == 64:
            return spent / copies
        copies *= 4


def cell(spec, numbers, context):
    if numbers.importance and lq.format(spec.split(":")[0]).storage != 1:
        return "-"
    exact, best = (error(numbers, encode(spec, numbers, b, context)) for b in (False, True))
    change = f"{100 * (best / exact - 1):+.1f} %" if best != exact else "same"
    return f"{exact:.5f} {best:.5f} ({change})"


def all_specs():
    found = []
    for f in lq.formats():
        if f.dtype or "activations" in f.text or f.name == "codebook":
            continue
        found += [f.default_spec]
        found += [s for s in MORE if s.split(":")[0] == f.name]
    return found


def main():
    o = arguments()
    sets = drawn(o)
    if o.checkpoint:
        sets.insert(2, real(o))
    context = lq.Context(threads=1)
    heads = ["spec"] + [s.name for s in sets] + ([] if o.no_time else ["time"])
    print("| " + " | ".join(heads) + " |\n|---" + "|---:" * (len(heads) - 1) + "|")
    for spec in o.format.split(",") if o.format else all_specs():
        cells = [cell(spec, s, context) for s in sets]
        if not o.no_time:
            exact, best = (seconds(spec, sets[0], b, context) for b in (False, True))
            cells.append(f"x {best / exact:.0f}")
        print(f"| `{spec}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
