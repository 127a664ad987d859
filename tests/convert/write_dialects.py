#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Independent writers of the dialects that libquant reads, from their descriptions.

    write_dialects.py DECODE [CASE...]

makes small checkpoints with plain Python, has DECODE read them, and compares every value's
bits with the numbers they were made from; also the spec and the note that DECODE prints.
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

from numbers_of_files import E2M1, e4m3, f32, write_safetensors

ROWS, COLS = 32, 128


def pack(form, values):
    return struct.pack('<%d%s' % (len(values), form), *values)


def half(x):
    return struct.unpack('<e', struct.pack('<e', x))[0]


def halves(n):
    return [half(random.uniform(0.001, 0.02)) for _ in range(n)]


def integers(bits, group, zero=None):
    """codes [row][col], zeros and f16 scales [row][group], and the values."""
    groups = COLS // group
    codes = [[random.randrange(1 << bits) for _ in range(COLS)] for _ in range(ROWS)]
    zeros = [[random.randrange(1, 1 << bits) if zero is None else zero
              for _ in range(groups)] for _ in range(ROWS)]
    scales = [halves(groups) for _ in range(ROWS)]
    values = [f32((codes[r][c] - zeros[r][c // group]) * scales[r][c // group])
              for r in range(ROWS) for c in range(COLS)]
    return codes, zeros, scales, values


def flat(matrix):
    return [v for row in matrix for v in row]


def turn(matrix):
    return [list(row) for row in zip(*matrix)]


# -- AWQ ------------------------------------------------------------------------------

def nibbles(values):
    """Eight to a word, the first in the low bits; signed words."""
    words = [sum(v << 4 * i for i, v in enumerate(values[k:k + 8]))
             for k in range(0, len(values), 8)]
    return pack('I', words)


def awq(version, group, tensors):
    return {'quant_method': 'awq', 'bits': 4, 'group_size': group, 'zero_point': True,
            'version': version}, tensors


def zero_words(group):
    groups, multiple = COLS // group, {32: 4, 64: 2}.get(group, 1)
    return -(-(-(-groups // 8)) // multiple) * multiple


def awq_gemv(group):
    codes, zeros, scales, values = integers(4, group)
    width = 8 * zero_words(group)
    pad = [0] * (width - COLS // group)
    return awq('gemv', group, {
        'a.qweight': ('I32', [ROWS, COLS // 8], nibbles(flat(codes))),
        'a.qzeros': ('I32', [ROWS, width // 8], nibbles(flat([z + pad for z in zeros]))),
        'a.scales': ('F16', [ROWS, width], pack('e', flat([s + pad for s in scales])))}), values


def awq_fast(group, version, zeros_name):
    codes, zeros, scales, values = integers(4, group)
    width = 8 * zero_words(group)
    order = [8 * k + 2 * j + i for j in range(4) for k in range(4) for i in range(2)]
    lines = []
    for row in codes:
        line = []
        for at in range(0, COLS, 32):
            mixed = [row[at + k] for k in order]
            for eight in range(0, 32, 8):
                line += mixed[eight:eight + 8:2] + mixed[eight + 1:eight + 8:2]
        lines.append(line)
    stream = []
    for r in range(0, ROWS, 4):
        for at in range(0, COLS, 64):
            for k in range(4):
                stream += lines[r + k][at:at + 64]
    shorts = [sum(stream[k + i] << 4 * i for i in range(4)) for k in range(0, len(stream), 4)]
    scaled = [[-(half(z * s)) for z, s in zip(zs, ss)] for zs, ss in zip(zeros, scales)]
    pad = [0] * (width - COLS // group)
    return awq(version, group, {
        'a.qweight': ('I16', [ROWS // 4, COLS], pack('H', shorts)),
        'a.' + zeros_name: ('F16', [width, ROWS],
                            pack('e', flat(turn([z + pad for z in scaled])))),
        'a.scales': ('F16', [width, ROWS], pack('e', flat(turn([s + pad for s in scales]))))
    }), values


# -- GPTQ -------------------------------------------------------------------------------

def stream(values, bits):
    """A little-endian stream of bits as 32-bit words."""
    n = sum(v << bits * i for i, v in enumerate(values))
    return [n >> 32 * i & 0xffffffff for i in range(-(-len(values) * bits // 32))]


def plane_stream(values, bits):
    widths = {5: [4, 1], 6: [4, 2], 7: [4, 2, 1], 3: [2, 1]}.get(bits, [bits])
    words = []
    for k in range(0, len(values), 32):
        done = 0
        for w in widths:
            words += stream([v >> done & (1 << w) - 1 for v in values[k:k + 32]], w)
            done += w
    return words


def gptq(bits, group, label, minus=None, sym=False, planar=False, key='checkpoint_format'):
    pack_words = plane_stream if planar else stream
    codes, zeros, scales, values = integers(bits, group, 1 << bits - 1 if sym else None)
    minus = label == 'gptq' if minus is None else minus
    config = {'quant_method': 'gptq', 'bits': bits, 'group_size': group, 'desc_act': False,
              'sym': sym, key: label}
    return (config, {
        'a.qweight': ('I32', [COLS * bits // 32, ROWS],
                      pack('I', flat(turn([pack_words(row, bits) for row in codes])))),
        'a.qzeros': ('I32', [COLS // group, ROWS * bits // 32],
                     pack('I', flat([pack_words([z - minus for z in zs], bits)
                                     for zs in turn(zeros)]))),
        'a.scales': ('F16', [COLS // group, ROWS], pack('e', flat(turn(scales)))),
        'a.g_idx': ('I32', [COLS], pack('i', [c // group for c in range(COLS)]))}), values


# -- compressed-tensors -----------------------------------------------------------------

def ct(form, weights, tensors):
    return {'quant_method': 'compressed-tensors', 'format': form, 'config_groups': {
        'group_0': {'targets': ['Linear'], 'weights': weights}}}, tensors


def loose(values, bits):
    """floor(32 / bits) fields to a word: compressed-tensors until 0.16."""
    per = 32 // bits
    return [sum(v << bits * i for i, v in enumerate(values[k:k + per]))
            for k in range(0, len(values), per)]


def ct_packed(bits, group, words, order=False):
    codes, zeros, scales, values = integers(bits, group)
    groups = COLS // group
    index = [c // group for c in range(COLS)]
    if order:
        random.shuffle(index)
        values = [f32((codes[r][c] - zeros[r][index[c]]) * scales[r][index[c]])
                  for r in range(ROWS) for c in range(COLS)]
    rows = [words(row, bits) for row in codes]
    columns = [words([zeros[r][g] for r in range(ROWS)], bits) for g in range(groups)]
    tensors = {
        'a.weight_packed': ('I32', [ROWS, len(rows[0])], pack('I', flat(rows))),
        'a.weight_scale': ('F16', [ROWS, groups], pack('e', flat(scales))),
        'a.weight_shape': ('I64', [2], pack('q', [ROWS, COLS])),
        'a.weight_zero_point': ('I32', [len(columns[0]), groups], pack('I', flat(turn(columns))))}
    if order:
        tensors['a.weight_g_idx'] = ('I32', [COLS], pack('i', index))
    return ct('pack-quantized', {'num_bits': bits, 'type': 'int', 'symmetric': False,
                                 'strategy': 'group', 'group_size': group}, tensors), values


def ct_int8(order=False):
    group = 32
    codes, zeros, scales, values = integers(8, group)
    index = [c // group for c in range(COLS)]
    if order:
        random.shuffle(index)
        values = [f32((codes[r][c] - zeros[r][index[c]]) * scales[r][index[c]])
                  for r in range(ROWS) for c in range(COLS)]
    tensors = {
        'a.weight': ('I8', [ROWS, COLS], pack('b', [q - 128 for q in flat(codes)])),
        'a.weight_scale': ('F16', [ROWS, COLS // group], pack('e', flat(scales))),
        'a.weight_zero_point': ('I8', [ROWS, COLS // group],
                                pack('b', [z - 128 for z in flat(zeros)]))}
    if order:
        tensors['a.weight_g_idx'] = ('I32', [COLS], pack('i', index))
    return ct('int-quantized', {'num_bits': 8, 'type': 'int', 'symmetric': False,
                                'strategy': 'group', 'group_size': group}, tensors), values


def fp8_codes():
    return [random.choice([c for c in range(256) if c & 127 != 127]) for _ in range(ROWS * COLS)]


def mxfp8():
    codes = fp8_codes()
    scales = [random.randrange(110, 130) for _ in range(ROWS * COLS // 32)]
    values = [f32(e4m3(c) * 2.0 ** (scales[i // 32] - 127)) for i, c in enumerate(codes)]
    return ct('mxfp8-quantized', {'num_bits': 8, 'type': 'float', 'symmetric': True,
                                  'strategy': 'group', 'group_size': 32}, {
        'a.weight': ('F8_E4M3', [ROWS, COLS], bytes(codes)),
        'a.weight_scale': ('U8', [ROWS, COLS // 32], bytes(scales))}), values


def fp4(global_name):
    """NVFP4 of compressed-tensors (the global scale divides) or ModelOpt; MXFP4 without."""
    group = 16 if global_name else 32
    raw = bytes(random.randrange(256) for _ in range(ROWS * COLS // 2))
    by = f32(2100.5) if global_name == '_global_scale' else f32(0.00048)
    if global_name:
        scales = [random.randrange(8, 127) for _ in range(ROWS * COLS // group)]
        real = [f32(e4m3(s) / by if global_name == '_global_scale' else e4m3(s) * by)
                for s in scales]
    else:
        scales = [random.randrange(115, 125) for _ in range(ROWS * COLS // group)]
        real = [2.0 ** (e - 127) for e in scales]
    values = []
    for i in range(ROWS * COLS):
        code = raw[i // 2] >> 4 * (i % 2) & 15
        values.append(f32((-1 if code & 8 else 1) * E2M1[code & 7] * real[i // group]))
    return raw, bytes(scales), pack('f', [by]), values


def ct_fp4(global_name, form):
    raw, scales, by, values = fp4(global_name)
    group = 16 if global_name else 32
    tensors = {'a.weight_packed': ('U8', [ROWS, COLS // 2], raw),
               'a.weight_scale': ('F8_E4M3' if global_name else 'U8', [ROWS, COLS // group],
                                  scales)}
    if global_name:
        tensors['a.weight_global_scale'] = ('F32', [1], by)
    return ct(form, {'num_bits': 4, 'type': 'float', 'symmetric': True, 'strategy': 'group',
                     'group_size': group}, tensors), values


def gpt_oss():
    """Two experts of half the rows."""
    raw, scales, _, values = fp4('')
    half = ROWS // 2
    return ({'quant_method': 'mxfp4', 'modules_to_not_convert': ['lm_head']},
            {'a.weight_blocks': ('U8', [2, half, COLS // 32, 16], raw),
             'a.weight_scales': ('U8', [2, half, COLS // 32], scales)}), values


# -- FP8 and ModelOpt -------------------------------------------------------------------

def reciprocal(shape):
    codes = fp8_codes()
    n = shape[0] * shape[1]
    scales = [f32(random.uniform(100, 2000)) for _ in range(n)]
    br, bc = ROWS // shape[0], COLS // shape[1]
    values = [f32(e4m3(codes[r * COLS + c]) * f32(1 / scales[r // br * shape[1] + c // bc]))
              for r in range(ROWS) for c in range(COLS)]
    dims = [1] if n == 1 else [ROWS] if shape == [ROWS, 1] else shape
    return ({'quant_method': 'fp8', 'weight_scale_semantics': 'inverse',
             'weight_block_size': [br, bc]}, {
        'a.weight': ('F8_E4M3', [ROWS, COLS], bytes(codes)),
        'a.weight_scale_inv': ('F32', dims, pack('f', scales))}), values


def modelopt(algorithm):
    if algorithm == 'NVFP4':
        raw, scales, by, values = fp4('_scale_2')
        tensors = {'a.weight': ('U8', [ROWS, COLS // 2], raw),
                   'a.weight_scale': ('F8_E4M3', [ROWS, COLS // 16], scales),
                   'a.weight_scale_2': ('F32', [], by)}
    else:
        codes, by = fp8_codes(), pack('f', [0.00371])
        values = [f32(e4m3(c) * struct.unpack('<f', by)[0]) for c in codes]
        tensors = {'a.weight': ('F8_E4M3', [ROWS, COLS], bytes(codes)),
                   'a.weight_scale': ('F32', [], by)}
    tensors['a.input_scale'] = ('F32', [], pack('f', [0.5]))
    return ({'quant_method': 'modelopt', 'quant_algo': algorithm, 'ignore': ['lm_head']},
            tensors), values


def nested(made):
    """As hf_quant_config.json says it."""
    (config, tensors), values = made
    return ({'producer': {'name': 'modelopt', 'version': '0.29.0'}, 'quantization': {
        'quant_algo': config['quant_algo'], 'exclude_modules': ['lm_head']}}, tensors), values


# -- check ------------------------------------------------------------------------------

V2_AS_V1 = 'labelled gptq, with the zero points of gptq_v2'
V1_AS_V2 = 'labelled gptq_v2, with the zero points of gptq'

def width(b, group):
    return 'int%d:g%d:zp%s' % (b, group, ':f16' if b == 8 else '')      # f32 without, for int8


# name: (made, dialect, spec, note, name of the config file in a directory or None)
CASES = {
    'awq_gemv_32': (lambda: awq_gemv(32), 'awq', 'int4:g32:zp', '', None),
    'awq_gemv_64': (lambda: awq_gemv(64), 'awq', 'int4:g64:zp', '', None),
    'awq_gemv_128': (lambda: awq_gemv(128), 'awq', 'int4:ch:zp', '', 'quant_config.json'),
    'awq_fast': (lambda: awq_fast(64, 'gemv_fast', 'qzeros'), 'awq', 'int4:g64:zp', '', None),
    'llm_awq': (lambda: awq_fast(32, 'llm-awq', 'scaled_zeros'), 'awq', 'int4:g32:zp', '',
                None),
    'gptq_label_1': (lambda: gptq(4, 32, 'gptq', 0, True), 'gptq', 'int4:g32', V2_AS_V1,
                     None),
    'gptq_label_2': (lambda: gptq(8, 32, 'gptq_v2', 1, True), 'gptq', 'int8:g32:f16', V1_AS_V2,
                     None),
    'gptq_label_right': (lambda: gptq(4, 64, 'gptq', 1, True), 'gptq', 'int4:g64', '', None),
    'gptq_file': (lambda: gptq(3, 32, 'gptq'), 'gptq', 'int3:g32:zp', '',
                  'quantize_config.json'),
    'gptq_format': (lambda: gptq(4, 32, 'gptq_v2', key='format'), 'gptq', 'int4:g32:zp', '',
                    'quantize_config.json'),
    'gptq_symmetric_planes': (lambda: gptq(7, 32, 'gptq_p', 0, True, True), 'gptq_p',
                              'int7:g32', '', None),
    'ct_int8': (ct_int8, 'compressed-tensors', 'int8:g32:zp:f16', '', None),
    'ct_int8_order': (lambda: ct_int8(True), 'compressed-tensors', 'int8:g32:zp:gidx:f16', '',
                      None),
    'ct_order': (lambda: ct_packed(4, 32, stream, True), 'compressed-tensors',
                 'int4:g32:zp:gidx', '', None),
    'mxfp8': (mxfp8, 'compressed-tensors', 'mxfp8_e4m3:g32', '', None),
    'mxfp4': (lambda: ct_fp4('', 'mxfp4-pack-quantized'), 'compressed-tensors', 'mxfp4:g32', '',
              None),
    'nvfp4': (lambda: ct_fp4('_global_scale', 'nvfp4-pack-quantized'), 'compressed-tensors',
              'nvfp4:g16:gd', '', None),
    'gpt_oss': (gpt_oss, 'gpt-oss', 'mxfp4:g32', '', None),
    'fp8_tensor': (lambda: reciprocal([1, 1]), 'fp8', 'fp8_e4m3:t', '', None),
    'fp8_rows': (lambda: reciprocal([ROWS, 1]), 'fp8', 'fp8_e4m3:ch', '', None),
    'fp8_blocks': (lambda: reciprocal([2, 2]), 'fp8', 'fp8_e4m3:16x64', '', None),
    'modelopt_nvfp4': (lambda: modelopt('NVFP4'), 'modelopt', 'nvfp4:g16:gm', '', None),
    'modelopt_fp8': (lambda: modelopt('FP8'), 'modelopt', 'fp8_e4m3:t', '', None),
    'modelopt_file': (lambda: nested(modelopt('FP8')), 'modelopt', 'fp8_e4m3:t', '',
                      'hf_quant_config.json'),
}
for b in (2, 3, 4, 8):
    CASES['gptq_v1_%d' % b] = (lambda b=b: gptq(b, 32, 'gptq'), 'gptq',
                               width(b, 32), '', None)
for b in range(2, 9):
    CASES['gptq_p_%d' % b] = (lambda b=b: gptq(b, 64, 'gptq_p', 0, False, True), 'gptq_p',
                              width(b, 64), '', None)
    CASES['ct_words_%d' % b] = (lambda b=b: ct_packed(b, 64, loose), 'compressed-tensors',
                                width(b, 64), '', None)
    CASES['ct_dense_%d' % b] = (lambda b=b: ct_packed(b, 64, stream), 'compressed-tensors',
                                width(b, 64), '', None)


def check(decode, name):
    make, dialect, spec, note, file = CASES[name]
    random.seed(name)
    (config, tensors), values = make()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'model.safetensors')
        if file:
            path = os.path.join(folder, 'model')
            os.mkdir(path)
            write_safetensors(os.path.join(path, 'model.safetensors'), tensors)
            with open(os.path.join(path, file), 'w') as f:
                json.dump(config, f)
        else:
            write_safetensors(path, tensors, {'quantization_config': json.dumps(config)})
        r = subprocess.run([decode, path, folder], stdout=subprocess.PIPE)
        if r.returncode:
            sys.exit(name + ': not read')
        want = '\t'.join(['a.weight', dialect, spec, note])
        if r.stdout.decode().strip('\n') != want:
            sys.exit('%s: %r, not %r' % (name, r.stdout.decode(), want))
        have = open(os.path.join(folder, 'a.weight.f32'), 'rb').read()
    have = struct.unpack('<%df' % (len(have) // 4), have)
    bad = [i for i, (a, b) in enumerate(zip(have, values)) if a != b]
    if bad or len(have) != len(values):
        sys.exit('%s: %d values differ, the first at %d: %r, not %r'
                 % (name, len(bad), bad[0], have[bad[0]], values[bad[0]]))
    print(name, 'ok')


if __name__ == '__main__':
    for case in sys.argv[2:] or CASES:
        check(sys.argv[1], case)
