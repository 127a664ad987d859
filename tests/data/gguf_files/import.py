#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bring GGUF files of an independent writer, and what they contain, into this folder.

    import.py SOURCE

SOURCE holds files/, files.json, malformed/ and malformed.json.  The expected statuses in
malformed.tsv were reviewed by hand and are kept; files that are new get '?', which fails
the test until somebody decides.

malformed.tsv   file, verdict of the source, status, status when strict, reason
files.tsv       F file size alignment endian
                K key type array count values   little-endian hex; strings: hex, space-separated
                T name type offset bytes fnv dims...   outermost first
                I entry calls count sum         of the legacy imatrix
"""
import json
import os
import shutil
import struct
import sys

TYPES = {'u8': (0, 'B'), 'i8': (1, 'b'), 'u16': (2, 'H'), 'i16': (3, 'h'), 'u32': (4, 'I'),
         'i32': (5, 'i'), 'f32': (6, 'f'), 'bool': (7, 'B'), 'str': (8, None),
         'u64': (10, 'Q'), 'i64': (11, 'q'), 'f64': (12, 'd')}


def values_text(kind, values):
    if kind == 'str':
        return ' '.join(v.encode().hex() or '-' for v in values)
    code = TYPES[kind][1]
    parse = float.fromhex if code in 'fd' else int
    return b''.join(struct.pack('<' + code, parse(v)) for v in values).hex()


def key_line(kv):
    array = kv['type'] == 'arr'
    kind = kv['elem'] if array else kv['type']
    values = kv['value'] if array else [kv['value']]
    return '\t'.join(['K', kv['key'], str(TYPES[kind][0]), str(int(array)),
                      str(len(values)), values_text(kind, values)])


def tensor_line(tensor, start):
    return '\t'.join(['T', tensor['name'], str(tensor['type']),
                      str(start + tensor['offset']), str(tensor['nbytes']), tensor.get('fnv', '-')] +
                     [str(d) for d in reversed(tensor['dims'])])


def describe(source):
    data = json.load(open(os.path.join(source, 'files.json'), encoding='utf-8'))
    lines = []
    for file in data['files']:
        alignment = file['alignment']
        start = -(-file['data_offset'] // alignment) * alignment
        lines.append(f"F\t{file['file']}\t{file['size']}\t{alignment}\t{file['endian']}")
        lines += [key_line(kv) for kv in file['kv']]
        lines += [tensor_line(t, start) for t in file['tensors']]
    for entry in data['legacy_imatrix']['entries']:
        lines.append(f"I\t{entry['name']}\t{entry['ncall']}\t{entry['n']}\t{entry['sum']!r}")
    return lines


def known_statuses():
    known = {}
    if os.path.exists('malformed.tsv'):
        for line in open('malformed.tsv', encoding='utf-8'):
            fields = line.rstrip('\n').split('\t')
            known[fields[0]] = fields[2:4]
    return known


def main():
    source = os.path.abspath(sys.argv[1])
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    for folder in 'files', 'malformed':
        os.makedirs(folder, exist_ok=True)
        for name in sorted(os.listdir(os.path.join(source, folder))):
            shutil.copyfile(os.path.join(source, folder, name), os.path.join(folder, name))
    known = known_statuses()
    with open('malformed.tsv', 'w', encoding='utf-8') as out:
        for case in json.load(open(os.path.join(source, 'malformed.json'), encoding='utf-8')):
            statuses = known.get(case['file'], ['?', '?'])
            out.write('\t'.join([case['file'], case['verdict'], *statuses,
                                 case['reason']]) + '\n')
    with open('files.tsv', 'w', encoding='utf-8') as out:
        out.write('\n'.join(describe(source)) + '\n')


main()
