# SPDX-License-Identifier: MIT
"""libquant/layout.py - GPTQ's, AWQ's and compressed-tensors' arrays to our planes and back."""
from ctypes import byref

from . import buffers, native
from .core import as_spec
from .buffers import Address, size
from .errors import check, lib
from .tensor import Rows

_ARRAYS = ("qweight", "qzeros", "scales", "g_idx")


def _new():
    raw = native.lq_gptq()
    lib.lq_gptq_init(byref(raw))
    return raw


class Gptq:
    """Arrays of one GPTQ weight.  Arrays that are not given are allocated."""

    def __init__(self, spec, rows, cols, version=1, **arrays):
        self.spec, self.raw, self._keep = as_spec(spec), _new(), []
        need = _new()
        check(lib.lq_gptq_bytes(byref(self.spec.raw), size(rows), size(cols), byref(need)))
        unknown = set(arrays) - set(_ARRAYS)
        if unknown:
            raise TypeError(f"GPTQ has no array '{sorted(unknown)[0]}'")
        self.raw.version, self.writable = version, True
        self.shape = (rows, cols)
        for name in _ARRAYS:
            bytes_needed = getattr(need, name + "_bytes")
            self._array(name, arrays.get(name), bytes_needed, bool(arrays))

    def _array(self, name, buffer, need, given):
        if buffer is None:
            if given and name == "g_idx":
                return  # column / group size
            buffer = bytearray(need)
        v = buffers.raw(buffer, need, name)
        address = Address(v)
        self.writable = self.writable and not v.readonly
        self._keep.append(address)
        setattr(self, name, buffer)
        setattr(self.raw, name, address.ptr.value)
        setattr(self.raw, name + "_bytes", address.nbytes)


def gptq_bytes(spec, rows, cols):
    """Bytes of each array, by name."""
    raw = _new()
    check(lib.lq_gptq_bytes(byref(as_spec(spec).raw), size(rows), size(cols), byref(raw)))
    return {name: getattr(raw, name + "_bytes") for name in _ARRAYS}


def gptq_import(gptq, rows=None):
    """Our planes of GPTQ's arrays."""
    rows = rows or Rows(gptq.spec, *gptq.shape)
    if not rows.writable:
        raise ValueError("rows: a plane is read-only")
    check(lib.lq_gptq_import(byref(gptq.raw), byref(rows.raw)))
    return rows


def gptq_export(rows, version=1, gptq=None):
    """GPTQ's arrays of our planes."""
    gptq = gptq or Gptq(rows.spec, *rows.shape, version=version)
    if not gptq.writable:
        raise ValueError("gptq: an array is read-only")
    check(lib.lq_gptq_export(byref(rows.raw), byref(gptq.raw)))
    return gptq


def gptq_detect(qzeros, bits):
    """Version that wrote 'qzeros' of a symmetric model: 1, 2, or 0 if it cannot be told."""
    v = buffers.raw(qzeros, None, "qzeros")
    return lib.lq_gptq_detect(Address(v).ptr, v.nbytes, size(bits, "bits"))


def _arrays(raw, names, given):
    """Room for the arrays of a struct, or the caller's; kept alive by the result."""
    keep = {}
    for name in names:
        need = getattr(raw, name + "_bytes")
        buffer = given.get(name) if given else bytearray(need)
        if buffer is None:
            continue
        address = Address(buffers.raw(buffer, need, name))
        keep[name] = (buffer, address)
        setattr(raw, name, address.ptr.value)
        setattr(raw, name + "_bytes", address.nbytes)
    return keep


def _export(rows, raw, init, need, export, names, **members):
    init(byref(raw))
    for name, value in members.items():
        setattr(raw, name, value)
    check(need(byref(rows.spec.raw), size(rows.shape[0]), size(rows.shape[1]), byref(raw)))
    keep = _arrays(raw, names, None)
    check(export(byref(rows.raw), byref(raw)))
    return {name: bytes(buffer) for name, (buffer, _) in keep.items()}


def _import(spec, shape, given, raw, init, need, take, names, **members):
    rows = Rows(as_spec(spec), *shape)
    init(byref(raw))
    for name, value in members.items():
        setattr(raw, name, value)
    check(need(byref(rows.spec.raw), size(shape[0]), size(shape[1]), byref(raw)))
    keep = _arrays(raw, names, given)
    check(take(byref(raw), byref(rows.raw)))
    del keep
    return rows


_AWQ = ("qweight", "qzeros", "scales")
_COMPRESSED = ("packed", "zero_point")


def awq_export(rows, version=1):
    """AWQ's arrays of our planes, by name; version 1 GEMM, 2 GEMV, 3 GEMV-fast."""
    return _export(rows, native.lq_awq(), lib.lq_awq_init, lib.lq_awq_bytes,
                   lib.lq_awq_export, _AWQ, version=version)


def awq_import(spec, rows, cols, arrays, version=1):
    """Our planes of AWQ's arrays."""
    return _import(spec, (rows, cols), arrays, native.lq_awq(), lib.lq_awq_init,
                   lib.lq_awq_bytes, lib.lq_awq_import, _AWQ, version=version)


def compressed_export(rows, form=1):
    """Packed codes and zero points of compressed-tensors; form 1 dense, 2 by words."""
    return _export(rows, native.lq_compressed(), lib.lq_compressed_init,
                   lib.lq_compressed_bytes, lib.lq_compressed_export, _COMPRESSED, form=form)


def compressed_import(spec, rows, cols, arrays, form=1):
    """Rows with codes and zero points of compressed-tensors; scales are left 0."""
    return _import(spec, (rows, cols), arrays, native.lq_compressed(), lib.lq_compressed_init,
                   lib.lq_compressed_bytes, lib.lq_compressed_import, _COMPRESSED, form=form)


def compressed_detect(bits, n, words):
    """Form of rows with n codes in so many words: 1 dense, 2 by words, 0 neither."""
    return lib.lq_compressed_detect(size(bits, "bits"), size(n), size(words))
