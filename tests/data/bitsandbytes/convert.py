#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a set of bitsandbytes reference vectors down to what tests/golden/bitsandbytes.c
and w8a8.c read.

    convert.py SOURCE [OUT]

SOURCE holds index.tsv (case, kind, params, array, dtype, count, offset) and vectors.bin.
OUT (this folder) gets the same two files with the arrays the tests need; identical arrays
are stored once, each at a multiple of 4 bytes.
"""
import os
import sys

WANTED = {
    'q4': ('input', 'packed', 'packed_gpu_rule', 'absmax', 'dequant', 'dequant16'),
    'nested': ('input', 'packed', 'absmax_plain', 'offset', 'qabsmax_gpu_rule',
               'qabsmax_cpu_lut', 'nested_absmax', 'absmax_dequant'),
    'q8_blockwise': ('input', 'absmax', 'q_gpu_rule'),
    'int8_rowwise': ('W_fp16', 'CB', 'SCB', 'W_dequant', 'A_fp16',
                     'out_f32_exact_const', 'out_mixed_f32_reference'),
    'map': ('code',),
    'optim8': ('param0', 'grad1', 'grad2', 'grad3', 'param1', 'param3', 'state1_3', 'absmax1_3',
               'state2_3', 'absmax2_3'),
}
SIZE = {'u8': 1, 'i8': 1, 'u16': 2, 'f32': 4, 'i32': 4}


def wanted(case, kind, params, array, count):
    if 'informational' in case or array not in WANTED.get(kind, ()):
        return False
    if 'quantizer=cpu_lut' in params:          # another quantizer of states than ours
        return False
    if array == 'dequant' and count > 4099:    # large, and says nothing new
        return False
    # NF4 follows the CPU rule, FP4 the CUDA rule; 'packed' of FP4 only to be decoded
    if 'type=fp4' in params:
        return array != 'packed' or (kind == 'q4' and count <= 4099)
    return array != 'packed_gpu_rule'


def main():
    source = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    data = open(os.path.join(source, 'vectors.bin'), 'rb').read()
    kept, blob, lines = {}, bytearray(), []
    for line in open(os.path.join(source, 'index.tsv')):
        if line.startswith('#'):
            continue
        case, kind, params, array, dtype, count, offset = line.rstrip('\n').split('\t')
        if not wanted(case, kind, params, array, int(count)):
            continue
        raw = data[int(offset):int(offset) + int(count) * SIZE[dtype]]
        if raw not in kept:
            blob += bytes(-len(blob) % 4)
            kept[raw] = len(blob)
            blob += raw
        lines.append('\t'.join((case, kind, params, array, dtype, count, str(kept[raw]))))
    with open(os.path.join(out, 'vectors.bin'), 'wb') as f:
        f.write(blob)
    with open(os.path.join(out, 'index.tsv'), 'w') as f:
        f.write('#case\tkind\tparams\tarray\tdtype\tcount\toffset\n')
        f.write('\n'.join(lines) + '\n')


main()
