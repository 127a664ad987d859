#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a set of vectors of fake quantization down to what tests/golden/fake.c reads.

    convert.py SOURCE [OUT]

SOURCE holds tensors.tsv (kind, case, tensor, file, offset, dtype, ndim, dims) and the files it
names.  OUT (this folder) gets index.tsv (case, kind, params, array, dtype, count, offset) and
vectors.bin.
"""
import os
import sys

KINDS = ('qat_paretoq', 'qat_affine')


def main():
    source = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    blob, lines = bytearray(), []
    for line in open(os.path.join(source, 'tensors.tsv')):
        kind, case, array, name, offset, dtype, _, dims = line.rstrip('\n').split('\t')
        if kind not in KINDS:
            continue
        count = 1
        for d in dims.split(','):
            count *= int(d)
        with open(os.path.join(source, name), 'rb') as f:
            f.seek(int(offset))
            raw = f.read(4 * count)
        lines.append('\t'.join((case, kind, 'dims=' + dims.replace(',', 'x'), array, dtype,
                                str(count), str(len(blob)))))
        blob += raw
    with open(os.path.join(out, 'vectors.bin'), 'wb') as f:
        f.write(blob)
    with open(os.path.join(out, 'index.tsv'), 'w') as f:
        f.write('#case\tkind\tparams\tarray\tdtype\tcount\toffset\n')
        f.write('\n'.join(lines) + '\n')


main()
