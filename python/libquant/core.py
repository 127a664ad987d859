# SPDX-License-Identifier: MIT
"""libquant/core.py - contexts, formats, specs, codebooks and block scales."""
import ctypes
from ctypes import byref

from . import buffers, native
from .buffers import F32, size
from .errors import check, lib, new_error


class Handle:
    """Owner of one C object.  close() frees it; so does the end of a with block."""
    _type = None
    _destroy = None

    def __init__(self, pointer, *keep):
        self._pointer = pointer
        self._keep = keep

    @property
    def ptr(self):
        if not self._pointer:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._pointer

    def close(self):
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer:
            getattr(lib, self._destroy)(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __del__(self):
        try:
            self.close()
        except (AttributeError, TypeError):
            pass  # the interpreter is going down


def out(struct):
    """A null pointer to 'struct' for C to fill."""
    return ctypes.POINTER(struct)()


# ----------------------------------------------------------------------- library

def version():
    """(version as text, as a number)."""
    return lib.lq_version_string().decode(), lib.lq_version()


def dtype_name(dtype):
    name = lib.lq_dtype_name(dtype)
    return None if name is None else name.decode()


def dtype_bytes(dtype):
    return lib.lq_dtype_bytes(dtype)


def level_find(name):
    level = ctypes.c_int32()
    check(lib.lq_level_find(name.encode(), byref(level)))
    return level.value


def level_name(level):
    name = lib.lq_level_name(level)
    return None if name is None else name.decode()


def level_available(level):
    return bool(lib.lq_level_available(level))


class Context(Handle):
    """CPU level (a name or number, None: the best) and threads."""
    _destroy = "lq_ctx_destroy"

    def __init__(self, threads=1, level=None, spin_us=0):
        opts = native.lq_ctx_opts()
        lib.lq_ctx_opts_init(byref(opts))
        threads, spin_us = size(threads, "threads"), size(spin_us, "spin_us")
        opts.threads, opts.spin_us = min(threads, 2**32 - 1), min(spin_us, 2**32 - 1)
        if level is not None:
            opts.level = level_find(level) if isinstance(level, str) else level
        pointer, error = out(native.lq_ctx), new_error()
        check(lib.lq_ctx_create(byref(opts), byref(pointer), byref(error)), error)
        super().__init__(pointer)

    @property
    def level(self):
        return level_name(lib.lq_ctx_level(self.ptr))

    @property
    def threads(self):
        return lib.lq_ctx_threads(self.ptr)

    def prepare(self):
        """Build now what encoding IQ1, IQ2 and IQ3 formats would build on first use."""
        check(lib.lq_ctx_prepare(self.ptr))


_default = []


def default_context():
    """One context with one thread, made on first need."""
    if not _default:
        _default.append(Context())
    return _default[0]


# ----------------------------------------------------------------------- formats

class Format:
    """A line of the registry: name, id, text, bits, block_len, default_spec..."""

    def __init__(self, info):
        for field, _ in info._fields_[1:]:
            value = getattr(info, field)
            setattr(self, field, value.decode() if isinstance(value, bytes) else value)

    def __repr__(self):
        return f"<Format {self.name}>"


def _info():
    info = native.lq_format_info()
    lib.lq_format_info_init(byref(info))
    return info


def formats():
    found = []
    for i in range(lib.lq_format_count()):
        info = _info()
        check(lib.lq_format_at(i, byref(info)))
        found.append(Format(info))
    return found


def format(key):
    """A format by name or id."""
    info = _info()
    if isinstance(key, str):
        check(lib.lq_format_find(key.encode(), byref(info)))
    else:
        check(lib.lq_format_get(key, byref(info)))
    return Format(info)


def shape_of(*dims):
    """lq_shape of (rows, cols) or (outer, rows, cols)."""
    if len(dims) == 1 and hasattr(dims[0], "__len__"):
        dims = tuple(dims[0])
    if len(dims) not in (2, 3):
        raise ValueError("shape: (rows, cols) or (outer, rows, cols) is needed")
    dims = [size(d, "shape") for d in dims]
    return native.lq_shape(*([1] + dims if len(dims) == 2 else dims))


class Spec:
    """A format with its parameters: Spec("nf4:b64:dq"), or with fields by name."""

    def __init__(self, text=None, codebook=None, **fields):
        self.raw = native.lq_spec()
        self.codebook = codebook
        error = new_error()
        lib.lq_spec_init(byref(self.raw))
        if text is not None:
            check(lib.lq_spec_parse(str(text).encode(), byref(self.raw), byref(error)),
                  error)
        for field, value in fields.items():
            if field == "struct_size" or field not in dict(native.lq_spec._fields_):
                raise TypeError(f"Spec has no field '{field}'")
            setattr(self.raw, field, value)
        if codebook is not None:
            self.raw.codebook = codebook.ptr
        if text is None or fields:
            check(lib.lq_spec_complete(byref(self.raw), byref(error)), error)

    @classmethod
    def copy(cls, pointer):
        """Spec from a C pointer; None for NULL.  A codebook in it stays its owner's."""
        if not pointer:
            return None
        spec = cls.__new__(cls)
        spec.raw, spec.codebook = native.lq_spec(), None
        ctypes.memmove(byref(spec.raw), pointer, ctypes.sizeof(spec.raw))
        return spec

    def __str__(self):
        text = ctypes.create_string_buffer(native.SPEC_TEXT)
        check(lib.lq_spec_print(byref(self.raw), text, len(text)))
        return text.value.decode()

    def __repr__(self):
        return f"Spec('{self}')"

    def __eq__(self, other):
        if not isinstance(other, Spec):
            return NotImplemented
        return bool(lib.lq_spec_equal(byref(self.raw), byref(other.raw)))

    __hash__ = None

    @property
    def rows_independent(self):
        return bool(lib.lq_spec_rows_independent(byref(self.raw)))

    def bytes(self, *shape):
        total = ctypes.c_uint64()
        check(lib.lq_spec_bytes(byref(self.raw), byref(shape_of(*shape)), byref(total)))
        return total.value

    def plane_bytes(self, plane, *shape):
        total = ctypes.c_uint64()
        check(lib.lq_plane_bytes(byref(self.raw), plane, byref(shape_of(*shape)),
                                 byref(total)))
        return total.value


def as_spec(spec):
    if isinstance(spec, Spec):
        if spec.codebook is not None:
            spec.codebook.ptr  # refuse a closed codebook
        return spec
    if isinstance(spec, str):
        return Spec(spec)
    raise TypeError(f"spec: {type(spec).__name__}, a Spec or its text is needed")


def plane_name(plane):
    name = lib.lq_plane_name(plane)
    return None if name is None else name.decode()


# --------------------------------------------------------------------- codebooks

class Codebook(Handle):
    """A table of values: a name ("nf4"), or a buffer or sequence of numbers."""
    _destroy = "lq_codebook_destroy"

    def __init__(self, source, context=None):
        context = context or default_context()
        pointer, error = out(native.lq_codebook), new_error()
        if isinstance(source, str):
            status = lib.lq_codebook_named(context.ptr, source.encode(), byref(pointer),
                                           byref(error))
        else:
            values = float_array(source, "values")
            status = lib.lq_codebook_create(context.ptr, values.floats(),
                                            values.nbytes // 4, byref(pointer),
                                            byref(error))
        check(status, error)
        super().__init__(pointer, context)

    @classmethod
    def _made(cls, pointer, context):
        book = cls.__new__(cls)
        Handle.__init__(book, pointer, context)
        return book

    @classmethod
    def normal(cls, count, context=None):
        context = context or default_context()
        pointer, error = out(native.lq_codebook), new_error()
        check(lib.lq_codebook_normal(context.ptr, size(count), byref(pointer),
                                     byref(error)), error)
        return cls._made(pointer, context)

    @classmethod
    def fit(cls, samples, count, importance=None, context=None):
        context = context or default_context()
        x = float_array(samples, "samples")
        n = x.nbytes // 4
        weight = None if importance is None else float_array(importance, "importance", n)
        pointer, error = out(native.lq_codebook), new_error()
        check(lib.lq_codebook_fit(context.ptr, x.floats(), weight and weight.floats(), n,
                                  size(count), byref(pointer), byref(error)), error)
        return cls._made(pointer, context)

    def __len__(self):
        return lib.lq_codebook_count(self.ptr)

    @property
    def values(self):
        return lib.lq_codebook_values(self.ptr)[:len(self)]

    def nearest(self, x):
        """Code of the value nearest to each number."""
        x = float_array(x, "x")
        n = x.nbytes // 4
        codes = (ctypes.c_uint8 * max(n, 1))()
        check(lib.lq_codebook_nearest(self.ptr, x.floats(), n, codes))
        return bytes(codes[:n])


def float_array(source, what, count=None):
    """Address of f32 from a buffer, or from a list or tuple of Python numbers."""
    if isinstance(source, (list, tuple)):
        source = buffers.array("f", source)
    return buffers.floats(source, count, what)


# ------------------------------------------------------------------------ scales

class Scales(Handle):
    """Stored block scales, one level (type) or two (scale2_block)."""
    _destroy = "lq_scales_destroy"

    def __init__(self, values, type=F32, scale2_block=0, offset=None, context=None):
        context = context or default_context()
        x = float_array(values, "values")
        opts = self._opts(type, scale2_block, offset)
        pointer, error = out(native.lq_scales), new_error()
        check(lib.lq_scales_create(context.ptr, x.floats(), x.nbytes // 4, byref(opts),
                                   byref(pointer), byref(error)), error)
        super().__init__(pointer, context)

    @staticmethod
    def _opts(type, scale2_block, offset):
        opts = native.lq_scales_opts()
        lib.lq_scales_opts_init(byref(opts))
        opts.type = 0 if scale2_block else type
        opts.scale2_block = min(size(scale2_block), 2**32 - 1)
        if offset is not None:
            opts.offset = ctypes.pointer(ctypes.c_float(offset))
        return opts

    @classmethod
    def from_stored(cls, codes, count, type=F32, scale2=None, scale2_block=0, offset=None,
                    context=None):
        """Scales from bytes stored earlier: codes, scale2 and offset of another object."""
        context = context or default_context()
        count = size(count, "count")
        width = 1 if scale2_block else dtype_bytes(type)
        if not width:
            raise ValueError(f"type: {type} is no element type")
        data = buffers.Address(buffers.raw(codes, count * width, "codes"))
        second = None
        if scale2_block:
            blocks = -(-count // size(scale2_block))
            second = float_array(scale2, "scale2", blocks).floats()
        opts = cls._opts(type, scale2_block, offset)
        pointer, error = out(native.lq_scales), new_error()
        check(lib.lq_scales_from_stored(context.ptr, data.ptr, second, count, byref(opts),
                                        byref(pointer), byref(error)), error)
        scales = cls.__new__(cls)
        Handle.__init__(scales, pointer, context)
        return scales

    def __len__(self):
        return lib.lq_scales_count(self.ptr)

    @property
    def codes(self):
        n = ctypes.c_uint64()
        address = lib.lq_scales_codes(self.ptr, byref(n))
        return buffers.copy(address, n.value)

    @property
    def scale2(self):
        n = ctypes.c_uint64()
        pointer = lib.lq_scales_scale2(self.ptr, byref(n))
        return pointer[:n.value] if pointer else []

    @property
    def offset(self):
        return lib.lq_scales_offset(self.ptr)

    def decode(self, first=0, count=None):
        first = size(first, "first")
        count = max(len(self) - first, 0) if count is None else size(count, "count")
        if first + count > len(self):
            raise ValueError("decode: past the last scale")
        values = buffers.new(count)
        target = buffers.floats(values, count, "values", writable=True)
        check(lib.lq_scales_decode(self.ptr, first, count, target.floats()))
        return values
