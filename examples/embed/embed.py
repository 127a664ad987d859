#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/embed/embed.py - first use from Python: quantize, decode, look at the error.

    LIBQUANT_LIBRARY=build/libquant.so PYTHONPATH=python examples/embed/embed.py
"""
from array import array
from math import cos, sin, sqrt

import libquant

ROWS, COLS = 64, 256
w = array("f", (sin(0.7 * i) + 0.1 * cos(0.013 * i * i) for i in range(ROWS * COLS)))

q = libquant.Tensor.encode(w, "nf4:b64:dq", (ROWS, COLS))
w2 = q.decode()

error = sum((a - b) ** 2 for a, b in zip(w2, w)) / sum(a * a for a in w)
print(f"{q.spec} of {ROWS} x {COLS} numbers: relative RMSE {sqrt(error):.4f}, "
      f"{8 * q.spec.bytes(ROWS, COLS) / (ROWS * COLS):.3f} bits per weight")
