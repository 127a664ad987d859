#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# tests/data/gguf/make.py - cut the vectors of some GGUF types out of the full set
#
#     make.py SOURCE TARGET TYPE...
#
# SOURCE is a folder with index.json, inputs.f32, quant.bin and random.bin as ggml's
# quantizers filled them.  Written to TARGET: cases.tsv and vectors.bin, described in
# tests/golden/README.md.
import json
import os
import sys

NAMES = {'MXFP4': 'mxfp4_gguf', 'NVFP4': 'nvfp4_gguf'}   # GGUF's type, our format
HASH_ONLY = ('F16', 'BF16')   # their bytes would be half of the set


class Blob:
    """Bytes with every distinct piece stored once."""

    def __init__(self):
        self.data = bytearray()
        self.seen = {}

    def add(self, piece):
        if piece not in self.seen:
            self.seen[piece] = len(self.data)
            self.data += piece
        return self.seen[piece]


def name_of(case):
    return NAMES.get(case['type'], case['type'].lower())


def floats(raw, place, count):
    return raw[4 * place:4 * (place + count)]


def encode_line(case, index, files, blob):
    x = index['inputs'][case['input']]
    where_x = blob.add(floats(files['inputs'], x['off'], x['rows'] * x['cols']))
    where_imp = -1
    if case['imatrix'] != 'none':
        imp = index['imatrix'][case['imatrix']]
        where_imp = blob.add(floats(files['inputs'], imp['off'], imp['len']))
    where_q = -1
    if case['type'] not in HASH_ONLY and not case.get('ub'):
        q = case['q_off']
        where_q = blob.add(files['quant'][q:q + case['q_len']])
    return ['encode', name_of(case), case['input'] + '/' + case['imatrix'],
            case['rows'], case['cols'], where_x, where_imp, where_q,
            '-' if case.get('ub') else case['q_fnv'],
            '-' if case.get('ub') else case.get('deq_fnv', '-')]


def decode_lines(case, index, files, blob):
    kind = index['types'][case['type']]
    group = case['deq_group']
    size = group // kind['block'] * kind['bytes']
    for i, fnv in enumerate(case['deq_group_fnv']):
        at = case['random_off'] + i * size
        where = blob.add(files['random'][at:at + size])
        yield ['decode', name_of(case), 'random%d' % i, 1, group, -1, -1, where, '-', fnv]


def main():
    source, target, types = sys.argv[1], sys.argv[2], sys.argv[3:]
    files = {}
    for name in ('inputs.f32', 'quant.bin', 'random.bin'):
        with open(os.path.join(source, name), 'rb') as f:
            files[name.split('.')[0]] = f.read()
    with open(os.path.join(source, 'index.json')) as f:
        index = json.load(f)
    blob = Blob()
    lines = []
    for case in index['cases']:
        if case['type'] not in types or 'aborts' in case:
            continue
        if case['kind'] == 'quantize_chunk':
            lines.append(encode_line(case, index, files, blob))
        elif case['kind'] == 'random_bytes':
            lines += decode_lines(case, index, files, blob)
    with open(os.path.join(target, 'cases.tsv'), 'w') as f:
        f.write('# kind type name rows cols x imp q q_fnv deq_fnv\n')
        for line in lines:
            f.write('\t'.join(map(str, line)) + '\n')
    with open(os.path.join(target, 'vectors.bin'), 'wb') as f:
        f.write(blob.data)


main()
