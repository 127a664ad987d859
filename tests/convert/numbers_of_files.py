# SPDX-License-Identifier: MIT
"""tests/convert/numbers_of_files.py - safetensors, small floats and packed fields in plain
Python, for the independent readers and writers of dialects"""
import json
import struct

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def f32(x):
    """Round to f32; the arithmetic below is f32 after every operation."""
    return struct.unpack('<f', struct.pack('<f', x))[0]


class Safetensors:
    SIZES = {'F32': 'f', 'F16': 'e', 'I16': 'h', 'I32': 'i', 'I64': 'q', 'I8': 'b', 'U8': 'B'}

    def __init__(self, path):
        data = open(path, 'rb').read()
        n = struct.unpack_from('<Q', data)[0]
        self.header = json.loads(data[8:8 + n])
        self.meta = self.header.pop('__metadata__', {})
        self.body = data[8 + n:]

    def names(self):
        return self.header.keys()

    def shape(self, name):
        return self.header[name]['shape']

    def dtype(self, name):
        return self.header[name]['dtype']

    def raw(self, name):
        a, b = self.header[name]['data_offsets']
        return self.body[a:b]

    def values(self, name):
        raw, dtype = self.raw(name), self.dtype(name)
        if dtype == 'BF16':
            return [struct.unpack('<f', b'\0\0' + raw[i:i + 2])[0]
                    for i in range(0, len(raw), 2)]
        if dtype == 'F8_E4M3':
            return [e4m3(b) for b in raw]
        code = self.SIZES[dtype]
        return list(struct.unpack('<%d%s' % (len(raw) // struct.calcsize(code), code), raw))


def e4m3(b):
    sign = -1.0 if b & 128 else 1.0
    exp, man = b >> 3 & 15, b & 7
    if exp == 15 and man == 7:
        return float('nan')
    if exp == 0:
        return sign * man * 2.0 ** -9
    return sign * (1 + man / 8) * 2.0 ** (exp - 7)


def write_safetensors(path, tensors, meta=None):
    """tensors: { name: (dtype, shape, bytes) }."""
    header, at = {'__metadata__': meta} if meta else {}, 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text)
        for _, _, raw in tensors.values():
            f.write(raw)


def fields(words, bits, count):
    """'count' fields of a little-endian stream of 32-bit words."""
    stream = 0
    for i, w in enumerate(words):
        stream |= (w & 0xffffffff) << 32 * i
    return [stream >> bits * k & (1 << bits) - 1 for k in range(count)]


def planes(words, bits, count):
    """The same for gptq_p: each 32 fields as planes of 4, 2 and 1 bits, low ones first."""
    widths = {2: [2], 3: [2, 1], 4: [4], 5: [4, 1], 6: [4, 2], 7: [4, 2, 1], 8: [8]}[bits]
    out = []
    for k in range(count):
        at, done, code = k // 32 * bits, 0, 0
        for w in widths:
            per_word = 32 // w
            word = words[at + k % 32 // per_word] & 0xffffffff
            code |= (word >> k % 32 % per_word * w & (1 << w) - 1) << done
            at, done = at + w, done + w
        out.append(code)
    return out
