# SPDX-License-Identifier: MIT
"""libquant/buffers.py - Python's buffers checked before C sees an address.

Anything with the buffer protocol will do: array.array, bytearray, memoryview, numpy.
Whatever is not exactly what C expects raises TypeError (wrong kind) or ValueError
(wrong size, not contiguous, read-only); no pointer leaves this module unchecked.
"""
import ctypes
import sys
from array import array

F32, F16, BF16, F64, F8_E4M3, F8_E5M2, E8M0 = 1, 2, 3, 4, 5, 6, 7
I8, U8, I16, U16, I32, U32, I64, U64, BOOL = 16, 17, 18, 19, 20, 21, 22, 23, 24

# Struct codes that may carry an element type.  BF16 has no code of its own in Python.
_CODES = {F32: "f", F16: "eH", BF16: "H"}
_NATIVE = {"<": sys.byteorder == "little", ">": sys.byteorder == "big",
           "!": sys.byteorder == "big", "=": True, "@": True}


def view(obj, what="buffer", writable=False):
    """A contiguous, native-order memoryview of 'obj' with its own item type."""
    try:
        v = obj if isinstance(obj, memoryview) else memoryview(obj)
    except TypeError:
        raise TypeError(f"{what}: {type(obj).__name__} has no buffer (a CPU array of "
                        "numbers is needed)") from None
    except (ValueError, BufferError) as e:
        raise ValueError(f"{what}: {e}") from None
    try:
        if v.ndim == 0:
            raise ValueError(f"{what}: a scalar, an array is needed")
        if not v.c_contiguous:
            raise ValueError(f"{what}: not contiguous")
        if writable and v.readonly:
            raise ValueError(f"{what}: read-only")
    except ValueError as e:
        if str(e).startswith(what):
            raise
        raise ValueError(f"{what}: {e}") from None
    code = v.format
    if code[:1] in _NATIVE and len(code) > 1:
        if not _NATIVE[code[0]]:
            raise TypeError(f"{what}: foreign byte order '{code}'")
    return v


def numbers(obj, dtype=F32, count=None, what="buffer", writable=False):
    """Checked view of numbers of 'dtype' (F32, F16, BF16); 'count' is the least number."""
    v = view(obj, what, writable)
    if v.format.lstrip("<>=!@") not in tuple(_CODES[dtype]):
        raise TypeError(f"{what}: items of type '{v.format}', '{_CODES[dtype]}' is needed")
    n = v.nbytes // v.itemsize
    if count is not None and n < count:
        raise ValueError(f"{what}: {n} numbers, {count} are needed")
    return v


def raw(obj, count=None, what="buffer", writable=False):
    """Checked view of bytes, whatever their type."""
    v = view(obj, what, writable)
    if count is not None and v.nbytes < count:
        raise ValueError(f"{what}: {v.nbytes} bytes, {count} are needed")
    return v


class Address:
    """Address of a checked view, and what keeps it alive.  'ptr' is a c_void_p."""

    def __init__(self, v):
        self.nbytes = v.nbytes
        if v.nbytes == 0:
            self._keep = (ctypes.c_char * 1)()
        elif v.readonly:
            self._keep = v if isinstance(v, _ReadOnly) else _ReadOnly(v)
            self.ptr = ctypes.c_void_p(self._keep.address)
            return
        else:
            # A further export pins a bytearray's or an array's memory while we live.
            self._keep = (ctypes.c_char * v.nbytes).from_buffer(v)
        self.ptr = ctypes.c_void_p(ctypes.addressof(self._keep))

    def floats(self):
        pointer = ctypes.cast(self.ptr, ctypes.POINTER(ctypes.c_float))
        pointer.owner = self  # the memory lives as long as the pointer
        return pointer


class _Buffer(ctypes.Structure):
    """CPython's Py_buffer, the only way to the address of read-only memory."""
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object),
                ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
                ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p),
                ("internal", ctypes.c_void_p)]


class _ReadOnly:
    def __init__(self, v):
        self._buffer = _Buffer()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(v),
                                            ctypes.byref(self._buffer), 0)
        self.address = self._buffer.buf

    def __del__(self):
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self._buffer))


ctypes.pythonapi.PyObject_GetBuffer.argtypes = [ctypes.py_object,
                                                ctypes.POINTER(_Buffer), ctypes.c_int]
ctypes.pythonapi.PyObject_GetBuffer.restype = ctypes.c_int
ctypes.pythonapi.PyBuffer_Release.argtypes = [ctypes.POINTER(_Buffer)]
ctypes.pythonapi.PyBuffer_Release.restype = None


def floats(obj, count=None, what="buffer", writable=False):
    """Address of 'count' or more f32."""
    return Address(numbers(obj, F32, count, what, writable))


def new(count, dtype=F32):
    """A zeroed array for 'count' numbers: array('f') for F32, array('H') for 16 bits."""
    return array("f" if dtype == F32 else "H", bytes((4 if dtype == F32 else 2) * count))


def copy(address, nbytes):
    """Bytes at an address that C returned."""
    return ctypes.string_at(address, nbytes) if address and nbytes else b""


def size(value, what="size"):
    """An integer that fits 64 bits without a sign: ctypes would wrap it silently."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what}: {type(value).__name__}, an integer is needed")
    value = value.__index__()
    if not 0 <= value < 2**64:
        raise ValueError(f"{what}: {value} is out of range")
    return value
