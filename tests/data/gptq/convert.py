#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a set of packing vectors down to what tests/golden/{gptq_pack,layouts}.c read.

    convert.py SOURCE [OUT]

SOURCE holds tensors.tsv (kind, case, tensor, file, offset, dtype, ndim, dims), params.tsv
(kind, case, key, value) and the files they name.  OUT (this folder) gets index.tsv (case,
kind, params, array, dtype, count, offset) and vectors.bin, each array at a multiple of 4
bytes.
"""
import os
import sys

KINDS = ('gptq_pack', 'gptq_planar_pack', 'awq_pack', 'ct_pack')
SIZE = {'u8': 1, 'i8': 1, 'f16': 2, 'i16': 2, 'i32': 4}
KEYS = {'out_features': 'rows', 'in_features': 'cols', 'bits': 'bits', 'group_size': 'group'}


def main():
    source = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    params, blob, lines = {}, bytearray(), []
    for line in open(os.path.join(source, 'params.tsv')):
        kind, case, key, value = line.rstrip('\n').split('\t')
        if kind in KINDS and key in KEYS:
            params.setdefault(case, []).append(KEYS[key] + '=' + value)
    for line in open(os.path.join(source, 'tensors.tsv')):
        kind, case, array, name, offset, dtype, _, dims = line.rstrip('\n').split('\t')
        if kind not in KINDS or array == 'bias':
            continue
        count = 1
        for d in dims.split(','):
            count *= int(d)
        with open(os.path.join(source, name), 'rb') as f:
            f.seek(int(offset))
            raw = f.read(count * SIZE[dtype])
        dtype = 'f16' if dtype == 'i16' else dtype     # two bytes
        blob += bytes(-len(blob) % 4)
        lines.append('\t'.join((case, kind, ';'.join(params[case]), array, dtype, str(count),
                                str(len(blob)))))
        blob += raw
    with open(os.path.join(out, 'vectors.bin'), 'wb') as f:
        f.write(blob)
    with open(os.path.join(out, 'index.tsv'), 'w') as f:
        f.write('#case\tkind\tparams\tarray\tdtype\tcount\toffset\n')
        f.write('\n'.join(lines) + '\n')


main()
