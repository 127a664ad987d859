# SPDX-License-Identifier: MIT
"""tests/python/common.py - the package under test, and what the tests share."""
import random
import sys
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "include" / "libquant"
sys.path.insert(0, str(ROOT / "python"))
sys.dont_write_bytecode = True

import libquant as lq  # noqa: E402
from libquant import errors, native  # noqa: E402

called = set()


def _recorder(name, function):
    def call(*arguments):
        called.add(name)
        return function(*arguments)
    return call


def record():
    """Note in 'called' every C function that is called from now on."""
    for name in native.FUNCTIONS:
        setattr(errors.lib, name, _recorder(name, getattr(errors.lib, name)))


def gaussian(count, seed=1):
    source = random.Random(seed)
    return array("f", (source.gauss(0.0, 1.0) for _ in range(count)))


def relative_rmse(x, reference):
    return (sum((a - b) ** 2 for a, b in zip(x, reference))
            / sum(b * b for b in reference)) ** 0.5


def product(x, w, n, rows, cols):
    """x W^T in double."""
    return [sum(x[i * cols + c] * w[r * cols + c] for c in range(cols))
            for i in range(n) for r in range(rows)]
