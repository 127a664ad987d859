# SPDX-License-Identifier: MIT
"""libquant/fake.py - fake quantization: values of a spec, with gradients."""
from ctypes import byref, c_uint64

from . import native
from .buffers import floats, new, size
from .core import as_spec, default_context, out
from .errors import check, lib, new_error
from .tensor import EncodeOptions, Tensor

RULES = {"fitted": 0, "affine": 1, "lsq": 2, "stretched": 3}


class Fake:
    """Fake quantization of matrices of one shape.

    'scales' and 'zeros' are arrays of f32 that may be changed from call to call (None where
    the rule has none); start() fills them.  With 'history', observe() keeps the largest
    magnitudes of that many calls (delayed scaling).  'options': those of Tensor.encode(),
    for the rule "fitted".
    """

    def __init__(self, spec, shape, rule="fitted", history=0, grad_factor=0.0, context=None,
                 **options):
        self.spec, self.context = as_spec(spec), context or default_context()
        self.rows, self.cols = (size(n, "shape") for n in shape)
        self.n, self._rule = self.rows * self.cols, RULES[rule]
        self._opts = EncodeOptions(native.lq_shape(1, self.rows, self.cols), **options)
        self.raw, groups, error = native.lq_fake(), c_uint64(0), new_error()
        lib.lq_fake_init(byref(self.raw))
        self.raw.rule, self.raw.grad_factor = self._rule, grad_factor
        self.raw.spec = native.POINTER(native.lq_spec)(self.spec.raw)
        self.raw.opts = native.POINTER(native.lq_encode_opts)(self._opts.raw)
        check(lib.lq_fake_groups(byref(self.raw), self.rows, self.cols, byref(groups),
                                 byref(error)), error)
        self.groups = groups.value
        self.scales = new(self.groups) if rule != "fitted" else None
        self.zeros = new(self.groups) if rule == "affine" and self.spec.raw.zeros else None
        self.history = new(self.groups * size(history, "history")) if history else None
        self.raw.history_length = history

    def _call(self, function, *args):
        """With the arrays as they are now."""
        error, held = new_error(), []
        for name in ("scales", "zeros", "history"):
            array = getattr(self, name)
            if array is not None:
                count = self.groups * (self.raw.history_length if name == "history" else 1)
                held.append(floats(array, count, name, writable=True))
                setattr(self.raw, name, held[-1].floats())
        check(function(self.context.ptr, byref(self.raw), self.rows, self.cols, *args,
                       byref(error)), error)

    def start(self, x):
        """First scales and zero points, from x."""
        self._call(lib.lq_fake_start, floats(x, self.n, "x").floats())

    def observe(self, x):
        """Scales from the largest magnitudes of this x and those before."""
        self._call(lib.lq_fake_observe, floats(x, self.n, "x").floats())

    def forward(self, x):
        """What x becomes."""
        y = new(self.n)
        self._call(lib.lq_fake_forward, floats(x, self.n, "x").floats(),
                   floats(y, writable=True).floats())
        return y

    def encode(self, x):
        """The same as a Tensor."""
        pointer = out(native.lq_tensor)
        self._call(lib.lq_fake_encode, floats(x, self.n, "x").floats(), byref(pointer))
        return Tensor._made(pointer, self.context, self.spec)

    def backward(self, x, dy):
        """Gradients dx, dscales, dzeros; None for what the rule does not have."""
        grads, result = native.lq_fake_grads(), [new(self.n), None, None]
        lib.lq_fake_grads_init(byref(grads))
        result[1] = new(self.groups) if self.scales is not None else None
        result[2] = new(self.groups) if self.zeros is not None else None
        held = [floats(x, self.n, "x"), floats(dy, self.n, "dy")]
        held += [floats(r, writable=True) if r is not None else None for r in result]
        grads.x, grads.dy, grads.dx, grads.dscales, grads.dzeros = (
            h.floats() if h else None for h in held)
        self._call(lib.lq_fake_backward, byref(grads))
        return tuple(result)
