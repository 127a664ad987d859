# SPDX-License-Identifier: MIT
"""libquant/lora.py - a thin trainable product beside a frozen weight."""
from ctypes import byref

from . import native
from .buffers import BF16, F16, F32, Address, floats, new, numbers, raw, size
from .core import as_spec, default_context, out
from .errors import check, lib, new_error
from .tensor import EncodeOptions, Prepared, Rows, Tensor


def lora_scale(alpha, rank, rank_stabilised=False):
    """alpha / rank, or alpha / sqrt(rank)."""
    return lib.lq_lora_scale(alpha, size(rank, "rank"), int(bool(rank_stabilised)))


class Lora:
    """y = x W^T (+ bias) + scale (x' A^T) B^T, x' being x behind dropout.

    'base' is W: Rows, Tensor or Prepared.  'a' [rank][cols] and 'b' [rows][rank] are the
    caller's buffers and may change from call to call.
    """

    def __init__(self, base, rank, a, b, scale=1.0, dtype=F32, bias=None, context=None):
        if dtype not in (F32, F16, BF16):
            raise ValueError(f"dtype {dtype}: F32, F16 or BF16 is needed")
        if scale == 0:
            raise ValueError("scale: 0 would mean 1")
        self.context, self.rank = context or default_context(), size(rank, "rank")
        self.base = base.rows() if isinstance(base, Tensor) else base
        self.raw = native.lq_lora()
        lib.lq_lora_init(byref(self.raw))
        if isinstance(base, Prepared):
            self.raw.prepared = base.ptr
            self.rows, self.cols = base.rows, base.cols
        elif isinstance(self.base, Rows):
            self.raw.base = native.POINTER(native.lq_rows)(self.base.raw)
            self.rows, self.cols = self.base.shape
        else:
            raise TypeError(f"base: {type(base).__name__}, Rows, Tensor or Prepared is needed")
        self._keep = [Address(numbers(a, dtype, rank * self.cols, "a")),
                      Address(numbers(b, dtype, rank * self.rows, "b"))]
        self.raw.a, self.raw.b = (k.ptr for k in self._keep)
        self.raw.rank, self.raw.scale, self.raw.type = rank, scale, dtype
        if bias is not None:
            self._keep.append(floats(bias, self.rows, "bias"))
            self.raw.bias = self._keep[-1].floats()

    def _args(self, x, n, keep, keep_scale, xa):
        args, held = native.lq_lora_args(), [floats(x, n * self.cols, "x")]
        lib.lq_lora_args_init(byref(args))
        args.n, args.x, args.keep_scale = n, held[0].ptr, keep_scale
        if keep is not None:
            held.append(Address(raw(keep, n * ((self.cols + 7) // 8), "keep")))
            args.keep = held[-1].ptr
        held.append(floats(xa, n * self.rank, "xa", writable=True))
        args.xa = held[-1].floats()
        return args, held

    def forward(self, x, n, keep=None, keep_scale=1.0):
        """n vectors of f32 to y, and to scale x' A^T, which backward() takes."""
        y, xa = new(size(n, "n") * self.rows), new(n * self.rank)
        args, held = self._args(x, n, keep, keep_scale, xa)
        held.append(Address(numbers(y)))
        args.y = held[-1].ptr
        check(lib.lq_lora_forward(self.context.ptr, byref(self.raw), byref(args)))
        return y, xa

    def backward(self, x, n, dy, xa, keep=None, keep_scale=1.0):
        """Gradients dx, dA, dB of n vectors."""
        args, held = self._args(x, size(n, "n"), keep, keep_scale, xa)
        result = new(n * self.cols), new(self.rank * self.cols), new(self.rows * self.rank)
        grads = native.lq_lora_grads()
        lib.lq_lora_grads_init(byref(grads))
        held.append(floats(dy, n * self.rows, "dy"))
        dx, da, db = (floats(r, writable=True) for r in result)
        grads.dy, grads.dx, grads.da, grads.db = held[-1].ptr, dx.ptr, da.floats(), db.floats()
        check(lib.lq_lora_backward(self.context.ptr, byref(self.raw), byref(args),
                                   byref(grads)))
        return result

    def merge(self, spec=None, **options):
        """W + scale B A as a Tensor, and a dict of sums: squares, change, error."""
        opts = EncodeOptions(native.lq_shape(1, self.rows, self.cols), **options)
        report = native.lq_merge_report()
        lib.lq_merge_report_init(byref(report))
        pointer, error = out(native.lq_tensor), new_error()
        spec = as_spec(spec) if spec is not None else None
        check(lib.lq_lora_merge(self.context.ptr, byref(self.raw),
                                byref(spec.raw) if spec else None, byref(opts.raw),
                                byref(pointer), byref(report), byref(error)), error)
        sums = {name: getattr(report, name) for name in ("squares", "change", "error")}
        return Tensor._made(pointer, self.context, spec), sums
