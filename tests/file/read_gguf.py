#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read what our writer wrote with a reader that shares nothing with the library.

    read_gguf.py PROGRAM    PROGRAM OUT ALIGNMENT writes a file, prints its contents
"""
import os
import struct
import subprocess
import sys
import tempfile

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
BLOCKS = {0: (1, 4), 1: (1, 2), 8: (32, 34), 10: (256, 84), 12: (256, 144), 24: (1, 1),
          26: (1, 4), 28: (1, 8), 30: (1, 2)}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), 'the file ends too early'
        self.at += count
        return self.data[self.at - count:self.at]

    def u32(self):
        return struct.unpack('<I', self.take(4))[0]

    def u64(self):
        return struct.unpack('<Q', self.take(8))[0]

    def string(self):
        return self.take(self.u64())


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % (1 << 64)
    return value


def read_key(reader):
    key, kind, count = reader.string().decode(), reader.u32(), 1
    array = kind == 9
    if array:
        kind, count = reader.u32(), reader.u64()
    if kind == 8:
        values = [reader.string() for _ in range(count)]
        text = ''.join(" '" + value.hex() for value in values)
    else:
        values = reader.take(count * SIZES[kind])
        text = ' ' + values.hex() if count else ''
    return key, values, f'K {key} {kind} {int(array)} {count}{text}'


def read_tensor(reader):
    name = reader.string().decode()
    dims = [reader.u64() for _ in range(reader.u32())]
    kind, offset = reader.u32(), reader.u64()
    length, size = BLOCKS[kind]
    assert dims[0] % length == 0
    count = dims[0] // length * size
    for dim in dims[1:]:
        count *= dim
    return name, dims[::-1], kind, offset, count


def check_padding(data, begin, end):
    assert end <= len(data) and not any(data[begin:end]), 'padding is missing or not zero'


def read(data):
    """All lines of a file, in its order; its alignment; its checksums."""
    reader, lines = Reader(data), []
    assert reader.take(4) == b'GGUF' and reader.u32() == 3
    tensors, keys = reader.u64(), reader.u64()
    values = {}
    for _ in range(keys):
        key, value, line = read_key(reader)
        assert key not in values
        values[key] = value
        lines.append(line)
    entries = [read_tensor(reader) for _ in range(tensors)]
    alignment = struct.unpack('<I', values.get('general.alignment', b'\x20\0\0\0'))[0]

    def up(value):
        return -(-value // alignment) * alignment

    start = up(reader.at)
    check_padding(data, reader.at, start)
    end = 0
    for name, dims, kind, offset, count in entries:
        assert offset == end, f'{name} is not where it should be'
        body = data[start + offset:start + offset + count]
        assert len(body) == count
        lines.append(f'T {name} {kind} {count} {fnv(body):016x} ' + ' '.join(map(str, dims)))
        end = up(offset + count)
        check_padding(data, start + offset + count, start + end)
    assert len(data) == start + end
    return lines, alignment, values.get('lq.xxh3', [])


def check(program, alignment):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'out.gguf')
        expected = subprocess.run([program, path, str(alignment)], check=True,
                                  stdout=subprocess.PIPE).stdout.decode().splitlines()
        lines, found, hashes = read(open(path, 'rb').read())
    lines = [x for x in lines if not x.startswith(('K lq.xxh3 ', 'K general.alignment '))]
    for got, wanted in zip(lines, expected):
        assert got == wanted, f'{got!r} instead of {wanted!r}'
    assert len(lines) == len(expected) and found == alignment
    assert len(hashes) == sum(x.startswith('T ') for x in lines)
    assert all(len(x) == 32 and x != b'0' * 32 for x in hashes)


def main():
    for alignment in 8, 32, 64, 4096:
        check(sys.argv[1], alignment)


main()
