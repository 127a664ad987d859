# SPDX-License-Identifier: MIT
"""libquant/tensor.py - quantized rows and tensors: encode, decode, products."""
import ctypes
from ctypes import byref

from . import buffers, native
from .buffers import F32, Address, numbers, size
from .core import (Context, Handle, Spec, as_spec, default_context, float_array, out,
                   shape_of)
from .errors import check, lib, new_error

PLANES = ("codes", "scales", "zeros", "scale2", "offset", "gidx")
MODE = {"default": 0, "fast": 1, "bf16": 2, "f32": 3, "w8a8": 4}
NONFINITE = {"error": 0, "clamp": 1, "zero": 2, "propagate": 3}


def _float_type(dtype):
    if dtype not in (buffers.F32, buffers.F16, buffers.BF16):
        raise ValueError(f"dtype {dtype}: F32, F16 or BF16 is needed")
    return dtype


def _matrix(x, dtype, n, cols, ld, what, writable=False):
    """Checked address of n rows of 'cols' numbers, 'ld' numbers apart."""
    ld = cols if ld is None else size(ld, "ld")
    if ld < cols:
        raise ValueError(f"{what}: rows of {ld} numbers, {cols} are needed")
    count = (n - 1) * ld + cols if n and cols else 0
    return Address(numbers(x, _float_type(dtype), count, what, writable)), ld


class EncodeOptions:
    """lq_encode_opts with the arrays it points to."""

    def __init__(self, shape, nonfinite="error", importance=None, offset=None,
                 progress=None, best=False):
        self.raw = native.lq_encode_opts()
        lib.lq_encode_opts_init(byref(self.raw))
        if nonfinite not in NONFINITE:
            raise ValueError(f"nonfinite: '{nonfinite}' is none of {sorted(NONFINITE)}")
        self.raw.nonfinite = NONFINITE[nonfinite]
        self.raw.search = int(bool(best))
        self._keep = []
        if importance is not None:
            a = float_array(importance, "importance", shape.outer * shape.cols)
            self._keep.append(a)
            self.raw.importance = a.floats()
        if offset is not None:
            a = float_array(offset, "offset", shape.outer)
            self._keep.append(a)
            self.raw.offset = a.floats()
        if progress is not None:
            self.raw.progress.report = progress_callback(progress)


def progress_callback(function):
    """C callback for function(done, total, what); a true result or an exception stops."""
    def report(_user, done, total, what):
        try:
            return 1 if function(done, total, what.decode("utf-8", "replace")) else 0
        except Exception:
            return 1
    return native.PROGRESS_FN(report)


class Rows:
    """One quantized matrix in the caller's buffers: Rows(spec, rows, cols, codes=...).
    Buffers that are not given are allocated."""

    def __init__(self, spec, rows, cols, stride=0, **planes):
        self.spec = as_spec(spec)
        self.raw = native.lq_rows()
        lib.lq_rows_init(byref(self.raw))
        self.raw.spec = ctypes.pointer(self.spec.raw)
        self.raw.rows, self.raw.cols = size(rows, "rows"), size(cols, "cols")
        self.raw.stride = size(stride, "stride")
        self.planes, self.writable, self._keep = {}, True, []
        unknown = set(planes) - set(PLANES)
        if unknown:
            raise TypeError(f"Rows has no plane '{sorted(unknown)[0]}'")
        for i, name in enumerate(PLANES):
            self._plane(i, name, planes.get(name), rows, cols)

    def _plane(self, index, name, buffer, rows, cols):
        need = self.spec.plane_bytes(index, rows, cols)
        if index == 0 and self.raw.stride:
            width = self.spec.plane_bytes(0, 1, cols)
            if self.raw.stride < width:
                raise ValueError(f"stride: {self.raw.stride} bytes, {width} are needed")
            need = (rows - 1) * self.raw.stride + width if rows else 0
        if need == 0:
            return
        buffer = bytearray(need) if buffer is None else buffer
        v = buffers.raw(buffer, need, name)
        self.writable = self.writable and not v.readonly
        address = Address(v)
        self.planes[name] = buffer
        self._keep.append(address)
        self.raw.plane[index] = address.ptr.value

    @property
    def shape(self):
        return self.raw.rows, self.raw.cols

    def _range(self, row0, n):
        row0 = size(row0, "row0")
        n = max(self.raw.rows - row0, 0) if n is None else size(n, "n")
        if row0 + n > self.raw.rows:
            raise ValueError(f"rows {row0}..{row0 + n} of {self.raw.rows}")
        return row0, n

    def encode(self, x, row0=0, n=None, dtype=F32, ld=None, context=None, **options):
        """Encode n rows of x in place (specs with independent rows)."""
        if not self.writable:
            raise ValueError("encode: a plane is read-only")
        context = context or default_context()
        row0, n = self._range(row0, n)
        source, ld = _matrix(x, dtype, n, self.raw.cols, ld, "x")
        opts = EncodeOptions(native.lq_shape(1, *self.shape), **options)
        check(lib.lq_encode_rows(context.ptr, byref(self.raw), row0, n, dtype, source.ptr,
                                 ld, byref(opts.raw)))

    def decode(self, row0=0, n=None, dtype=F32, out=None, ld=None, context=None):
        """Decode n rows into 'out', or a new array('f') (array('H') of 16-bit types)."""
        context = context or default_context()
        row0, n = self._range(row0, n)
        if out is None:
            out = buffers.new(n * self.raw.cols, _float_type(dtype))
        target, ld = _matrix(out, dtype, n, self.raw.cols, ld, "out", writable=True)
        check(lib.lq_decode_rows(context.ptr, byref(self.raw), row0, n, dtype, target.ptr,
                                 ld))
        return out


class View(Rows):
    """Rows of a Tensor: borrowed, so the tensor is kept alive."""

    def __init__(self, tensor, raw):
        self.tensor, self.raw, self.spec = tensor, raw, Spec.copy(raw.spec)
        self.planes, self.writable = {}, True


class Tensor(Handle):
    """Quantized [outer][rows][cols] with its planes: Tensor.encode(), Tensor.wrap(), or
    Tensor(spec, shape) for zeroed planes."""
    _destroy = "lq_tensor_destroy"

    def __init__(self, spec, shape, context=None):
        spec, context = as_spec(spec), context or default_context()
        pointer, error = out(native.lq_tensor), new_error()
        check(lib.lq_tensor_create(context.ptr, byref(spec.raw), byref(shape_of(shape)),
                                   byref(pointer), byref(error)), error)
        super().__init__(pointer, context, spec)

    @classmethod
    def _made(cls, pointer, *keep):
        tensor = cls.__new__(cls)
        Handle.__init__(tensor, pointer, *keep)
        return tensor

    @classmethod
    def encode(cls, x, spec, shape, dtype=F32, context=None, **options):
        spec, context = as_spec(spec), context or default_context()
        dims = shape_of(shape)
        source, _ = _matrix(x, dtype, dims.outer * dims.rows, dims.cols, None, "x")
        opts = EncodeOptions(dims, **options)
        pointer, error = out(native.lq_tensor), new_error()
        check(lib.lq_tensor_encode(context.ptr, byref(spec.raw), byref(dims), dtype,
                                   source.ptr, byref(opts.raw), byref(pointer),
                                   byref(error)), error)
        return cls._made(pointer, context, spec)

    @classmethod
    def wrap(cls, spec, shape, context=None, **planes):
        """A tensor on the caller's buffers, by plane name."""
        spec, context = as_spec(spec), context or default_context()
        pointers = (ctypes.c_void_p * native.PLANES)()
        sizes = (ctypes.c_uint64 * native.PLANES)()
        keep = []
        for name, buffer in planes.items():
            if name not in PLANES:
                raise TypeError(f"there is no plane '{name}'")
            address = Address(buffers.raw(buffer, None, name))
            keep.append(address)
            pointers[PLANES.index(name)] = address.ptr.value
            sizes[PLANES.index(name)] = address.nbytes
        pointer, error = out(native.lq_tensor), new_error()
        check(lib.lq_tensor_wrap(context.ptr, byref(spec.raw), byref(shape_of(shape)),
                                 pointers, sizes, byref(pointer), byref(error)), error)
        return cls._made(pointer, context, spec, keep)

    @property
    def spec(self):
        return Spec.copy(lib.lq_tensor_spec(self.ptr))

    @property
    def shape(self):
        dims = native.lq_shape()
        check(lib.lq_tensor_shape(self.ptr, byref(dims)))
        return dims.outer, dims.rows, dims.cols

    def plane(self, which):
        """Copy of a plane's bytes, by name or number."""
        index = PLANES.index(which) if isinstance(which, str) else which
        n = ctypes.c_uint64()
        return buffers.copy(lib.lq_tensor_plane(self.ptr, index, byref(n)), n.value)

    def rows(self, outer=0):
        raw = native.lq_rows()
        lib.lq_rows_init(byref(raw))
        check(lib.lq_tensor_rows(self.ptr, size(outer, "outer"), byref(raw)))
        return View(self, raw)

    def decode(self, dtype=F32, out=None):
        outer, rows, cols = self.shape
        if out is None:
            out = buffers.new(outer * rows * cols, _float_type(dtype))
        target, _ = _matrix(out, dtype, outer * rows, cols, None, "out", writable=True)
        check(lib.lq_tensor_decode(self.ptr, dtype, target.ptr))
        return out

    def check(self):
        """Raise Error if the stored bytes are not legal."""
        error = new_error()
        check(lib.lq_tensor_check(self.ptr, byref(error)), error)


class Encoder(Handle):
    """Streaming encoder: scan() every strip if passes is 2, rows() every strip,
    finish().  'sink(plane, offset, data)' receives the bytes; without it they are
    collected in 'planes'."""
    _destroy = "lq_encoder_destroy"

    def __init__(self, spec, shape, sink=None, context=None, **options):
        spec, context = as_spec(spec), context or default_context()
        dims = shape_of(shape)
        self.cols, self.planes, self._failure = dims.cols, {}, None
        self._sink = sink or self._collect
        opts = EncodeOptions(dims, **options)
        callback = native.SINK_FN(self._receive)
        pointer, error = out(native.lq_encoder), new_error()
        check(lib.lq_encoder_begin(context.ptr, byref(spec.raw), byref(dims),
                                   byref(opts.raw), callback, None, byref(pointer),
                                   byref(error)), error)
        super().__init__(pointer, context, spec, opts, callback)

    def _collect(self, plane, _offset, data):
        self.planes.setdefault(PLANES[plane], bytearray()).extend(data)

    def _receive(self, _user, plane, offset, data, n):
        try:
            self._sink(plane, offset, ctypes.string_at(data, n))
            return 0
        except BaseException as e:
            self._failure = e
            return -21

    def _check(self, status, error=None):
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        check(status, error)

    @property
    def passes(self):
        return lib.lq_encoder_passes(self.ptr)

    @property
    def strip_rows(self):
        return lib.lq_encoder_strip_rows(self.ptr)

    def scan(self, x, n, dtype=F32, ld=None):
        source, ld = _matrix(x, dtype, size(n, "n"), self.cols, ld, "x")
        self._check(lib.lq_encoder_scan(self.ptr, dtype, source.ptr, ld, n))

    def rows(self, x, n, dtype=F32, ld=None):
        source, ld = _matrix(x, dtype, size(n, "n"), self.cols, ld, "x")
        self._check(lib.lq_encoder_rows(self.ptr, dtype, source.ptr, ld, n))

    def finish(self):
        error = new_error()
        self._check(lib.lq_encoder_finish(self.ptr, byref(error)), error)
        return self.planes


# ---------------------------------------------------------------------- products

def prepared_bytes(spec, rows, cols, context=None):
    n = ctypes.c_uint64()
    context = context or default_context()
    check(lib.lq_prepared_bytes(context.ptr, byref(as_spec(spec).raw), size(rows),
                                size(cols), byref(n)))
    return n.value


class Prepared(Handle):
    """A weight made ready for products.  'memory': a writable buffer for its panels."""
    _destroy = "lq_prepared_destroy"

    def __init__(self, rows, memory=None, context=None):
        if isinstance(rows, Tensor):
            rows = rows.rows()
        if not isinstance(rows, Rows):
            raise TypeError(f"rows: {type(rows).__name__}, Rows or Tensor is needed")
        context = context or default_context()
        opts = native.lq_prepare_opts()
        lib.lq_prepare_opts_init(byref(opts))
        panel = None
        if memory is not None:
            panel = Address(buffers.raw(memory, None, "memory", writable=True))
            opts.memory, opts.memory_bytes = panel.ptr.value, panel.nbytes
        pointer, error = out(native.lq_prepared), new_error()
        check(lib.lq_prepare(context.ptr, byref(rows.raw), byref(opts), byref(pointer),
                             byref(error)), error)
        super().__init__(pointer, context, rows, panel)
        self.rows, self.cols = rows.raw.rows, rows.raw.cols

    def matmul(self, x, n, **options):
        """y = x W^T on the context's threads; see product()."""
        return product(self, x, n, lambda args: lib.lq_matmul(
            self._keep[0].ptr, self.ptr, byref(args)), **options)

    def matmul_slice(self, x, n, row0=0, row1=0, **options):
        """The same for rows [row0, row1) on the calling thread only."""
        need = lib.lq_matmul_work_bytes(self.ptr, size(n, "n"))
        work = bytearray(need)
        return product(self, x, n, lambda args: lib.lq_matmul_slice(self.ptr, byref(args)),
                       row0=row0, row1=row1, work=work, **options)


class Acts(Handle):
    """Activations converted once, for fast products with several Prepared weights."""
    _destroy = "lq_acts_destroy"

    def __init__(self, prepared, n_max):
        context = prepared._keep[0]
        pointer, error = out(native.lq_acts), new_error()
        check(lib.lq_acts_create(context.ptr, prepared.ptr, size(n_max, "n_max"),
                                 byref(pointer), byref(error)), error)
        super().__init__(pointer, context)
        self.cols, self.n_max, self.n = prepared.cols, n_max, 0

    def fill(self, x, n, dtype=F32, ld=None):
        source, ld = _matrix(x, dtype, size(n, "n"), self.cols, ld, "x")
        check(lib.lq_acts_fill(self.ptr, n, dtype, source.ptr, ld))
        self.n = n
        return self

    def fit(self, prepared):
        return bool(lib.lq_acts_fit(self.ptr, prepared.ptr))


def matmul_rows(rows, x, n, context=None, **options):
    """y = x W^T straight from Rows, or from a Tensor with one outer."""
    rows = rows.rows() if isinstance(rows, Tensor) else rows
    if not isinstance(rows, Rows):
        raise TypeError(f"rows: {type(rows).__name__}, Rows or Tensor is needed")
    context = context or default_context()
    shape = type("Shape", (), {"rows": rows.raw.rows, "cols": rows.raw.cols})
    return product(shape, x, n, lambda args: lib.lq_matmul_rows(
        context.ptr, byref(rows.raw), byref(args)), **options)


def matmul_transposed(rows, x, n, context=None, **options):
    """y = x W, n x cols: the product with the transpose, of all rows."""
    for name in ("row0", "row1", "bias", "work"):
        if name in options:
            raise TypeError(f"{name}: not for the transposed product")
    rows = rows.rows() if isinstance(rows, Tensor) else rows
    if not isinstance(rows, Rows):
        raise TypeError(f"rows: {type(rows).__name__}, Rows or Tensor is needed")
    context = context or default_context()
    shape = type("Shape", (), {"rows": rows.raw.cols, "cols": rows.raw.rows})
    return product(shape, x, n, lambda args: lib.lq_matmul_transposed(
        context.ptr, byref(rows.raw), byref(args)), **options)


def product(w, x, n, call, y=None, x_type=F32, y_type=F32, ldx=None, ldy=None, bias=None,
            accumulate=False, row0=0, row1=0, work=None, mode="default", threshold=0.0):
    """Fill lq_matmul_args from checked buffers, call, and return y (n x rows).

    'x': numbers, or Acts that hold n vectors.  'mode': "fast", "bf16", "f32" or "w8a8",
    which takes a 'threshold'.
    """
    if mode not in MODE:
        raise ValueError(f"mode: '{mode}' is none of {sorted(MODE)}")
    n, row0, row1 = size(n, "n"), size(row0, "row0"), size(row1, "row1")
    last = row1 or w.rows
    if not row0 <= last <= w.rows:
        raise ValueError(f"rows {row0}..{last} of {w.rows}")
    args = native.lq_matmul_args()
    lib.lq_matmul_args_init(byref(args))
    keep = []
    if isinstance(x, Acts):
        args.acts = ctypes.cast(x.ptr, ctypes.c_void_p)
    else:
        source, args.ldx = _matrix(x, x_type, n, w.cols, ldx, "x")
        args.x = source.ptr.value
        keep.append(source)
    if y is None:
        if accumulate:
            raise ValueError("accumulate: needs y")
        y = buffers.new(n * (last - row0), _float_type(y_type))
    target, args.ldy = _matrix(y, y_type, n, last - row0, ldy, "y", writable=True)
    args.n, args.row0, args.row1 = n, row0, row1
    args.y, args.mode, args.threshold = target.ptr.value, MODE[mode], threshold
    args.x_type, args.y_type, args.accumulate = x_type, y_type, bool(accumulate)
    if bias is not None:
        keep.append(float_array(bias, "bias", w.rows))
        args.bias = keep[-1].floats()
    if work:
        keep.append(Address(buffers.raw(work, None, "work", writable=True)))
        args.work, args.work_bytes = keep[-1].ptr.value, keep[-1].nbytes
    check(call(args))
    return y


def gemm(a, b, m, n, k, c=None, context=None, a_type=F32, b_type=F32, c_type=F32, lda=None,
         ldb=None, ldc=None, trans_a=False, trans_b=False, accumulate=False, lower=False,
         alpha=1.0):
    """c = alpha op(a) op(b) (+ c): plain matrices, m x k and k x n; c is returned."""
    m, n, k = size(m, "m"), size(n, "n"), size(k, "k")
    args = native.lq_gemm_args()
    lib.lq_gemm_args_init(byref(args))
    shape = (k, m) if trans_a else (m, k)
    left, args.lda = _matrix(a, a_type, shape[0], shape[1], lda, "a")
    shape = (n, k) if trans_b else (k, n)
    right, args.ldb = _matrix(b, b_type, shape[0], shape[1], ldb, "b")
    if alpha == 0:
        raise ValueError("alpha: 0 would mean 1")
    if c is None:
        if accumulate:
            raise ValueError("accumulate: needs c")
        c = buffers.new(m * n, _float_type(c_type))
    target, args.ldc = _matrix(c, c_type, m, n, ldc, "c", writable=True)
    args.m, args.n, args.k, args.alpha = m, n, k, alpha
    args.a, args.b, args.c = left.ptr.value, right.ptr.value, target.ptr.value
    args.a_type, args.b_type, args.c_type = a_type, b_type, c_type
    args.trans_a, args.trans_b = bool(trans_a), bool(trans_b)
    args.accumulate, args.lower = bool(accumulate), bool(lower)
    context = context or default_context()
    check(lib.lq_gemm(context.ptr, byref(args)))
    return c
