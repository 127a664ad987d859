#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Independent readers of the dialects, written from their descriptions.

    read_dialects.py EMIT [SPEC...]

runs EMIT for each spec, decodes its checkpoint here with plain Python, and compares
every value's bits with what the library decoded.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile


def f32(x):
    """Round to f32; the arithmetic below is f32 after every operation."""
    return struct.unpack('<f', struct.pack('<f', x))[0]


class Safetensors:
    SIZES = {'F32': 'f', 'F16': 'e', 'I32': 'i', 'I64': 'q', 'I8': 'b', 'U8': 'B'}

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


# -- bitsandbytes ---------------------------------------------------------------------

def read_bnb4(st, name):
    keys = [k for k in st.names() if k.startswith(name + '.quant_state.bitsandbytes__')]
    assert len(keys) == 1
    state = json.loads(bytes(st.raw(keys[0])).decode('utf-8'))
    allowed = {'quant_type', 'blocksize', 'dtype', 'shape', 'nested_blocksize',
               'nested_dtype', 'nested_offset'}
    assert set(state) <= allowed and keys[0].endswith(state['quant_type'])
    table = st.values(name + '.quant_map')
    packed = st.raw(name)
    rows, cols = state['shape']
    n, size = rows * cols, state['blocksize']
    assert st.shape(name) == [(n + 1) // 2, 1]
    if 'nested_blocksize' in state:
        code = st.values(name + '.nested_quant_map')
        outer = st.values(name + '.nested_absmax')
        absmax = [f32(f32(code[q] * outer[i // state['nested_blocksize']])
                      + f32(state['nested_offset']))
                  for i, q in enumerate(st.raw(name + '.absmax'))]
    else:
        absmax = st.values(name + '.absmax')
    out = []
    for i in range(n):
        byte = packed[i // 2]
        out.append(f32(table[byte & 15 if i % 2 else byte >> 4] * absmax[i // size]))
    return out


def read_bnb8(st, name):
    base = name[:-len('.weight')]
    assert st.raw(base + '.weight_format') == b'\0' and st.shape(base + '.weight_format') == []
    rows, cols = st.shape(name)
    codes, scb = st.values(name), st.values(base + '.SCB')
    assert st.dtype(name) == 'I8' and len(scb) == rows
    return codes, scb, cols


# -- GPTQ -----------------------------------------------------------------------------

def fields(words, bits, count):
    """'count' fields of a little-endian stream of 32-bit words."""
    stream = 0
    for i, w in enumerate(words):
        stream |= (w & 0xffffffff) << 32 * i
    return [stream >> bits * k & (1 << bits) - 1 for k in range(count)]


def read_gptq(st, name, config):
    base = name[:-len('.weight')]
    assert config['quant_method'] == 'gptq' and config['checkpoint_format'] == 'gptq_v2'
    bits = config['bits']
    qweight, qzeros = st.values(base + '.qweight'), st.values(base + '.qzeros')
    scales, g_idx = st.values(base + '.scales'), st.values(base + '.g_idx')
    cols = len(g_idx)
    groups, rows = st.shape(base + '.scales')
    size = cols if config['group_size'] == -1 else config['group_size']
    assert st.shape(base + '.qweight') == [cols * bits // 32, rows]
    assert groups == cols // size and g_idx == [i // size for i in range(cols)]
    words = cols * bits // 32
    zero_words = rows * bits // 32
    zeros = [fields(qzeros[g * zero_words:(g + 1) * zero_words], bits, rows)
             for g in range(groups)]
    if config['sym']:
        assert all(z == 1 << bits - 1 for row in zeros for z in row)
    out = []
    for r in range(rows):
        codes = fields([qweight[w * rows + r] for w in range(words)], bits, cols)
        for c in range(cols):
            g = g_idx[c]
            out.append(f32((codes[c] - zeros[g][r]) * scales[g * rows + r]))
    return out


# -- AWQ and packed compressed-tensors ---------------------------------------------------

def read_awq(st, name, config):
    base = name[:-len('.weight')]
    assert config['bits'] == 4 and config['version'] == 'gemm' and config['zero_point'] is True
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    cols, words = st.shape(base + '.qweight')
    groups, rows = st.shape(base + '.scales')
    size = cols if config['group_size'] == -1 else config['group_size']
    assert rows == 8 * words and groups * size == cols
    scales = st.values(base + '.scales')

    def unpack(matrix, lines):
        out = []
        for i in range(lines):
            line = [0] * rows
            for w in range(words):
                word = matrix[i * words + w] & 0xffffffff
                for k in range(8):
                    line[8 * w + order[k]] = word >> 4 * k & 15
            out.append(line)
        return out

    codes, zeros = unpack(st.values(base + '.qweight'), cols), unpack(
        st.values(base + '.qzeros'), groups)
    return [f32((codes[c][r] - zeros[c // size][r]) * scales[c // size * rows + r])
            for r in range(rows) for c in range(cols)]


def read_packed(st, name, config):
    group = config['config_groups']['group_0']['weights']
    if config['format'] != 'pack-quantized':
        return read_fp4(st, name, config['format'], group)
    bits, (rows, cols) = group['num_bits'], st.values(name + '_shape')
    assert config['format'] == 'pack-quantized' and group['type'] == 'int'
    words = -(-cols * bits // 32)
    assert st.shape(name + '_packed') == [rows, words]
    packed, scale = st.values(name + '_packed'), st.values(name + '_scale')
    groups = st.shape(name + '_scale')[1]
    size = group['group_size'] or cols
    half, zeros = 1 << bits - 1, None
    if not group['symmetric']:
        column = st.values(name + '_zero_point')
        lines = st.shape(name + '_zero_point')[0]
        zeros = [fields([column[w * groups + g] for w in range(lines)], bits, rows)
                 for g in range(groups)]
    out = []
    for r in range(rows):
        codes = fields(packed[r * words:(r + 1) * words], bits, cols)
        for c in range(cols):
            g = c // size
            zero = zeros[g][r] if zeros else half
            out.append(f32((codes[c] - zero) * scale[r * groups + g]))
    return out


E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def read_fp4(st, name, form, group):
    packed, (rows, half) = st.raw(name + '_packed'), st.shape(name + '_packed')
    size = group['group_size']
    assert form.endswith('-pack-quantized') and group['type'] == 'float' and size in (16, 32)
    if form == 'nvfp4-pack-quantized':
        divisor = st.values(name + '_global_scale')[0]
        scales = [f32(s / divisor) for s in st.values(name + '_scale')]
    else:
        scales = [2.0 ** (e - 127) for e in st.raw(name + '_scale')]
    out = []
    for r in range(rows):
        for c in range(2 * half):
            code = packed[r * half + c // 2] >> 4 * (c % 2) & 15
            v = -E2M1[code & 7] if code & 8 else E2M1[code]
            out.append(f32(v * scales[(r * 2 * half + c) // size]))
    return out


# -- compressed-tensors and fp8 -------------------------------------------------------

def read_plain(st, name, config):
    rows, cols = st.shape(name)
    codes = st.values(name)
    if config['quant_method'] == 'fp8':
        br, bc = config['weight_block_size']
        scale, shape = st.values(name + '_scale_inv'), st.shape(name + '_scale_inv')
        assert shape == [-(-rows // br), -(-cols // bc)]
        at = lambda r, c: scale[r // br * shape[1] + c // bc]
    else:
        group = config['config_groups']['group_0']['weights']
        scale, shape = st.values(name + '_scale'), st.shape(name + '_scale')
        assert config['format'] == {'int': 'int-quantized', 'float': 'float-quantized'}[
            group['type']] and group['num_bits'] == 8 and group['symmetric']
        if group['strategy'] == 'tensor':
            assert shape == [1]
            at = lambda r, c: scale[0]
        elif group['strategy'] == 'channel':
            assert shape == [rows, 1]
            at = lambda r, c: scale[r]
        else:
            size = group['group_size']
            assert shape == [rows, cols // size]
            at = lambda r, c: scale[r * shape[1] + c // size]
    return [f32(codes[r * cols + c] * at(r, c)) for r in range(rows) for c in range(cols)]


# -- lq -------------------------------------------------------------------------------

def read_lq(st, name):
    spec, dtype, dims = st.meta['lq.spec.' + name].split(' ')
    rows, cols = (int(d) for d in dims.split('x'))
    codes = st.raw(name + '.lq.codes')
    assert dtype == 'f32'
    if spec == 'q8_0':              # blocks of { f16 scale, 32 signed bytes }
        out = []
        for b in range(0, len(codes), 34):
            d = struct.unpack_from('<e', codes, b)[0]
            out += [f32(q * d) for q in struct.unpack_from('<32b', codes, b + 2)]
        return out
    assert spec == 'int8:g32:zp'    # bytes minus 128; groups of 32 in a row
    scale_type = 'e' if len(st.raw(name + '.lq.scales')) == rows * cols // 32 * 2 else 'f'
    scales = struct.unpack('<%d%s' % (rows * cols // 32, scale_type),
                           st.raw(name + '.lq.scales'))
    zeros = struct.unpack('<%db' % (rows * cols // 32), st.raw(name + '.lq.zeros'))
    values = struct.unpack('<%db' % (rows * cols), codes)
    return [f32((v - zeros[i // 32]) * scales[i // 32]) for i, v in enumerate(values)]


# -- check ----------------------------------------------------------------------------

def decode(st, name):
    config = json.loads(st.meta.get('quantization_config', '{}'))
    method = config.get('quant_method')
    if method == 'bitsandbytes':
        assert config['load_in_4bit'] != config['load_in_8bit']
        return read_bnb4(st, name)
    if method == 'gptq':
        return read_gptq(st, name, config)
    if method == 'awq':
        return read_awq(st, name, config)
    if method == 'compressed-tensors' and 'pack' in config['format']:
        return read_packed(st, name, config)
    if method in ('compressed-tensors', 'fp8'):
        return read_plain(st, name, config)
    assert method is None
    return read_lq(st, name)


def bits(values):
    """Bit patterns, the sign of a zero left out."""
    return [b if b != 0x80000000 else 0
            for b in struct.unpack('<%dI' % len(values), struct.pack('<%df' % len(values),
                                                                     *values))]


def check_llm_int8(st, name, want):
    """value = code * SCB / 127, up to the one rounding that the order of the two leaves."""
    codes, scb, cols = read_bnb8(st, name)
    for i, w in enumerate(want):
        v = codes[i] * scb[i // cols] / 127
        if abs(v - w) > abs(v) * 2.0 ** -22:
            sys.exit('%s: value %d is %r, not %r' % (name, i, w, v))


def check(emit, spec):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([emit, folder] + spec.split(' '), check=True)
        st = Safetensors(os.path.join(folder, 'model.safetensors'))
        files = [f for f in os.listdir(folder) if f.endswith('.f32')]
        assert len(files) == 2
        for f in files:
            raw = open(os.path.join(folder, f), 'rb').read()
            want = struct.unpack('<%df' % (len(raw) // 4), raw)
            if spec == 'llm_int8':
                check_llm_int8(st, f[:-4], want)
                continue
            have = decode(st, f[:-4])
            if bits(have) != bits(want):
                bad = [i for i, (a, b) in enumerate(zip(bits(have), bits(want))) if a != b]
                sys.exit('%s %s: %d values differ, the first at %d: %r, not %r'
                         % (spec, f, len(bad), bad[0], want[bad[0]], have[bad[0]]))
    print(spec, 'ok')


SPECS = ['nf4:b64', 'nf4:b64:dq', 'fp4:b128', 'fp4:b32:dq', 'llm_int8', 'int4:g32:zp:f16',
         'int4:ch:f16', 'int8:ch', 'int8:g64', 'fp8_e4m3:ch', 'fp8_e4m3:t',
         'fp8_e4m3:128x128', 'q8_0', 'int8:g32:zp', 'int4:g32:zp:f16 awq', 'int4:g64:f16 awq',
         'int4:g32:zp:f16 compressed-tensors', 'int3:g32:zp:f32 compressed-tensors',
         'int6:ch:f16 compressed-tensors', 'mxfp4 compressed-tensors',
         'nvfp4:gd compressed-tensors']

if __name__ == '__main__':
    for text in sys.argv[2:] or SPECS:
        check(sys.argv[1], text)
