#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a set of FP8 and INT8 reference vectors down to what tests/golden/fp8.c and w8a8.c
read.

    convert.py SOURCE [OUT]

SOURCE holds tensors.tsv (kind, case, tensor, file, offset, dtype, ndim, dims) and the files
it names.  OUT (this folder) gets index.tsv (case, kind, params, array, dtype, count, offset;
params is "dims=RxC") and vectors.bin, each array at a multiple of 4 bytes.
"""
import os
import sys

WANTED = {
    'fp_decode': ('values',),
    'fp_encode': ('input', 'enc_saturate'),
    'fp8_int8_matrix': ('W', 'q_tensor', 'scale_tensor', 'q_channel', 'scale_channel',
                        'q_block128', 'scale_inv_block128', 'i8_w_ct', 'i8_w_scale_ct', 'X',
                        'qx_token', 'scale_x_token', 'i8_x_ct', 'i8_x_scale_ct'),
}
CASES = ('e4m3fn', 'e5m2', 'e8m0', 'pub_e4m3fn', 'pub_e5m2', 'pub_144x168')
SIZE = {'u8': 1, 'i8': 1, 'u16': 2, 'f16': 2, 'f32': 4, 'i32': 4}


def main():
    source = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    blob, lines = bytearray(), []
    for line in list(open(os.path.join(source, 'tensors.tsv')))[1:]:
        kind, case, array, name, offset, dtype, _, dims = line.rstrip('\n').split('\t')
        if case not in CASES or array not in WANTED.get(kind, ()):
            continue
        count = 1
        for d in dims.split(','):
            count *= int(d)
        with open(os.path.join(source, name), 'rb') as f:
            f.seek(int(offset))
            raw = f.read(count * SIZE[dtype])
        blob += bytes(-len(blob) % 4)
        lines.append('\t'.join((case.replace('pub_', ''), kind,
                                'dims=' + dims.replace(',', 'x'), array, dtype, str(count),
                                str(len(blob)))))
        blob += raw
    with open(os.path.join(out, 'vectors.bin'), 'wb') as f:
        f.write(blob)
    with open(os.path.join(out, 'index.tsv'), 'w') as f:
        f.write('#case\tkind\tparams\tarray\tdtype\tcount\toffset\n')
        f.write('\n'.join(lines) + '\n')


main()
