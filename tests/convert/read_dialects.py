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

from numbers_of_files import E2M1, Safetensors, f32, fields, planes


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

def read_gptq(st, name, config):
    base = name[:-len('.weight')]
    form = config['checkpoint_format']
    assert config['quant_method'] == 'gptq' and form in ('gptq', 'gptq_v2', 'gptq_p')
    bits, unpack = config['bits'], planes if form == 'gptq_p' else fields
    plus = form == 'gptq'
    qweight, qzeros = st.values(base + '.qweight'), st.values(base + '.qzeros')
    scales, g_idx = st.values(base + '.scales'), st.values(base + '.g_idx')
    cols = len(g_idx)
    groups, rows = st.shape(base + '.scales')
    size = cols if config['group_size'] == -1 else config['group_size']
    assert st.shape(base + '.qweight') == [cols * bits // 32, rows]
    assert groups == cols // size and g_idx == [i // size for i in range(cols)]
    words = cols * bits // 32
    zero_words = rows * bits // 32
    zeros = [[z + plus for z in unpack(qzeros[g * zero_words:(g + 1) * zero_words], bits, rows)]
             for g in range(groups)]
    if config['sym']:
        assert all(z == 1 << bits - 1 for row in zeros for z in row)
    out = []
    for r in range(rows):
        codes = unpack([qweight[w * rows + r] for w in range(words)], bits, cols)
        for c in range(cols):
            g = g_idx[c]
            out.append(f32((codes[c] - zeros[g][r]) * scales[g * rows + r]))
    return out


# -- AWQ and packed compressed-tensors ---------------------------------------------------

def awq_words(words, order):
    """Eight nibbles of each 32-bit word; 'order': where each goes."""
    out = [0] * (8 * len(words))
    for w, word in enumerate(words):
        for k in range(8):
            out[8 * w + order[k]] = word >> 4 * k & 15
    return out


def awq_gemm(st, base, rows, cols):
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    codes = awq_words(st.values(base + '.qweight'), order)
    zeros = awq_words(st.values(base + '.qzeros'), order)
    scales = st.values(base + '.scales')
    assert st.shape(base + '.qzeros') == [len(scales) // rows, rows // 8]
    return (lambda r, c: codes[c * rows + r], lambda r, g: zeros[g * rows + r],
            lambda r, g: scales[g * rows + r])


def awq_gemv(st, base, rows, cols):
    codes = awq_words(st.values(base + '.qweight'), range(8))
    zeros = awq_words(st.values(base + '.qzeros'), range(8))
    scales = st.values(base + '.scales')
    wide = st.shape(base + '.scales')[1]
    assert st.shape(base + '.qzeros') == [rows, wide // 8]
    return (lambda r, c: codes[r * cols + c], lambda r, g: zeros[r * wide + g],
            lambda r, g: scales[r * wide + g])


def awq_fast(st, base, rows, cols):
    """Four rows take turns every 64 columns; 16-bit words of every other even, or odd, column."""
    stream = [word >> 4 * k & 15 for word in st.values(base + '.qweight') for k in range(4)]
    scaled, scales = st.values(base + '.qzeros'), st.values(base + '.scales')
    assert st.shape(base + '.qzeros') == st.shape(base + '.scales')

    def code(r, c):
        block = stream[(r // 4 * cols + c // 64 * 64) * 4 + r % 4 * 64 + c % 64 // 32 * 32:][:32]
        pair, odd = c % 32 // 2, c % 2
        return block[pair % 4 * 8 + odd * 4 + pair // 4]

    return (code, lambda r, g: round(-scaled[g * rows + r] / scales[g * rows + r]),
            lambda r, g: scales[g * rows + r])


def read_awq(st, name, config):
    base = name[:-len('.weight')]
    assert config['bits'] == 4 and config['zero_point'] is True
    form, shape = config['version'], st.shape(base + '.qweight')
    rows, cols = {'gemm': (8 * shape[1], shape[0]), 'gemv': (shape[0], 8 * shape[1]),
                  'gemv_fast': (4 * shape[0], shape[1])}[form]
    size = cols if config['group_size'] == -1 else config['group_size']
    read = {'gemm': awq_gemm, 'gemv': awq_gemv, 'gemv_fast': awq_fast}[form]
    code, zero, scale = read(st, base, rows, cols)
    return [f32((code(r, c) - zero(r, c // size)) * scale(r, c // size))
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


def read_gpt_oss(st, name):
    blocks, scales = st.raw(name + '_blocks'), st.raw(name + '_scales')
    assert st.shape(name + '_blocks') == st.shape(name + '_scales') + [16]
    out = []
    for i, scale in enumerate(scales):
        for b in blocks[16 * i:16 * i + 16]:
            for code in (b & 15, b >> 4):
                v = -E2M1[code & 7] if code & 8 else E2M1[code]
                out.append(f32(v * 2.0 ** (scale - 127)))
    return out


# -- compressed-tensors and fp8 -------------------------------------------------------

def read_plain(st, name, config):
    rows, cols = st.shape(name)
    codes = st.values(name)
    if config['quant_method'] == 'fp8':
        br, bc = config['weight_block_size']
        scale, shape = st.values(name + '_scale_inv'), st.shape(name + '_scale_inv')
        assert shape == [-(-rows // br), -(-cols // bc)]
        at = lambda r, c: r // br * shape[1] + c // bc
    else:
        scale, shape, at = plain_scales(st, name, config, rows, cols)
    zeros = st.values(name + '_zero_point') if name + '_zero_point' in st.names() else None
    assert not zeros or config['config_groups']['group_0']['weights']['symmetric'] is False
    return [f32((codes[r * cols + c] - (zeros[at(r, c)] if zeros else 0)) * scale[at(r, c)])
            for r in range(rows) for c in range(cols)]


def plain_scales(st, name, config, rows, cols):
    """Scales, their shape, and the index of the one of a row and a column."""
    group = config['config_groups']['group_0']['weights']
    mx = config['format'] == 'mxfp8-quantized'
    shape = st.shape(name + '_scale')
    assert group['type'] == ('int' if st.dtype(name) == 'I8' else 'float')
    assert mx or config['format'] == group['type'] + '-quantized'
    assert group['num_bits'] == 8
    if mx:
        assert st.dtype(name + '_scale') == 'U8' and group['group_size'] == 32
        scale = [2.0 ** (e - 127) for e in st.raw(name + '_scale')]
    else:
        scale = st.values(name + '_scale')
    if group['strategy'] == 'tensor':
        assert shape == [1]
        return scale, shape, lambda r, c: 0
    if group['strategy'] == 'channel':
        assert shape == [rows, 1]
        return scale, shape, lambda r, c: r
    if group['strategy'] == 'block':
        br, bc = group['block_structure']
        assert shape == [-(-rows // br), -(-cols // bc)]
        return scale, shape, lambda r, c: r // br * shape[1] + c // bc
    size = group['group_size']
    assert group['strategy'] == 'group' and shape == [rows, cols // size]
    return scale, shape, lambda r, c: r * shape[1] + c // size


# -- ModelOpt ---------------------------------------------------------------------------

def read_modelopt(st, name, config):
    assert st.shape(name + '_scale' + ('_2' if config['quant_algo'] == 'NVFP4' else '')) == []
    if config['quant_algo'] == 'FP8':
        scale = st.values(name + '_scale')[0]
        return [f32(v * scale) for v in st.values(name)]
    assert config['quant_algo'] == 'NVFP4' and st.dtype(name) == 'U8'
    by = st.values(name + '_scale_2')[0]
    scales = [f32(s * by) for s in st.values(name + '_scale')]
    raw, out = st.raw(name), []
    for i in range(2 * len(raw)):
        code = raw[i // 2] >> 4 * (i % 2) & 15
        out.append(f32((-1 if code & 8 else 1) * E2M1[code & 7] * scales[i // 16]))
    return out


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
    if method == 'mxfp4':
        return read_gpt_oss(st, name)
    if method == 'modelopt':
        return read_modelopt(st, name, config)
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


SPECS = ['nf4:b64', 'nf4:b64:dq', 'fp4:b128', 'fp4:b32:dq', 'llm_int8', 'q8_0',
         'int8:g32:zp lq', 'int4:g32:zp:f16', 'int4:ch:f16', 'int8:ch', 'int8:g64',
         'int8:g32:zp', 'int8:t:zp:f16', 'fp8_e4m3:ch', 'fp8_e4m3:t', 'fp8_e4m3:128x128',
         'mxfp8_e4m3', 'int4:g32:zp:f16 awq', 'int4:g64:f16 awq',
         'int4:g32:zp:f16 awq_gemv', 'int4:g64:zp:f16 awq_gemv', 'int4:ch:zp:f16 awq_gemv',
         'int4:g32:zp:f16 awq_fast', 'int4:g64:zp:f16 awq_fast', 'int4:ch:zp:f16 awq_fast',
         'fp8_e4m3:128x64 compressed-tensors', 'mxfp4 compressed-tensors', 'mxfp4 gpt-oss',
         'nvfp4:gd compressed-tensors', 'nvfp4:gm modelopt', 'fp8_e4m3:t modelopt']
SPECS += ['int%d:g32:zp:f16 %s' % (b, v) for v in ('gptq', 'gptq_v2') for b in (2, 3, 4, 8)]
SPECS += ['int%d:g64:f16 gptq_v1' % b for b in (2, 3, 4, 8)]
SPECS += ['int%d:g32:%sf16 gptq_p' % (b, 'zp:' * (b % 2)) for b in range(2, 9)]
SPECS += ['int%d:g32:zp:f32 compressed-tensors' % b for b in range(2, 8)]
SPECS += ['int%d:ch:f16 compressed-tensors' % b for b in range(2, 8)]

if __name__ == '__main__':
    for text in sys.argv[2:] or SPECS:
        check(sys.argv[1], text)
