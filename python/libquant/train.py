# SPDX-License-Identifier: MIT
"""libquant/train.py - optimizers."""
from ctypes import byref, c_double, c_uint64, c_void_p

from . import native
from .buffers import Address, floats, numbers, size
from .core import default_context
from .errors import check, lib

RULES = {"adamw": 0, "adam": 1, "lion": 2, "sgd": 3}


class Optimizer:
    """A rule and the state of n parameters.

    'state' is a list of bytearrays (m, v, their scales; None: the rule has none), all that
    has to be saved and restored besides 'steps'.  'numbers': beta1, beta2, eps, weight_decay.
    """

    def __init__(self, n, rule="adamw", state_bits=32, context=None, **numbers):
        self.n, self.context, self.steps = size(n, "n"), context or default_context(), 0
        self._rule = native.lq_optimizer()
        lib.lq_optimizer_init(byref(self._rule))
        self._rule.rule, self._rule.state_bits = RULES[rule], state_bits
        for name, value in numbers.items():
            if name not in ("beta1", "beta2", "eps", "weight_decay"):
                raise TypeError(f"Optimizer: no number '{name}'")
            setattr(self._rule, name, value)
        sizes = (c_uint64 * 4)()
        check(lib.lq_optimizer_bytes(byref(self._rule), self.n, sizes))
        self.state = [bytearray(b) if b else None for b in sizes]

    def step(self, values, grads, lr, grad_scale=1.0):
        """Change 'values' (n f32, in place) by one step along 'grads'."""
        if grad_scale == 0:
            raise ValueError("grad_scale: 0 would mean 1")
        params, keep = native.lq_params(), [Address(memoryview(s)) if s else None
                                            for s in self.state]
        lib.lq_params_init(byref(params))
        p, g = floats(values, self.n, "values", writable=True), floats(grads, self.n, "grads")
        params.n, params.values, params.grads = self.n, p.floats(), g.floats()
        params.m, params.v, params.m_scales, params.v_scales = (
            a.ptr.value if a else None for a in keep)
        self._rule.step, self._rule.lr, self._rule.grad_scale = self.steps + 1, lr, grad_scale
        check(lib.lq_optimizer_step(self.context.ptr, byref(self._rule), byref(params)))
        self.steps += 1


def sum_squares(x, context=None):
    """Sum of the squares of f32 numbers."""
    v, total = Address(numbers(x, what="x")), c_double(0)
    context = context or default_context()
    check(lib.lq_sum_squares(context.ptr, v.floats(), v.nbytes // 4, byref(total)))
    return total.value


def parallel(task, count, context=None):
    """Call task(i) for i in range(count) on the context's threads."""
    context = context or default_context()
    call = native.TASK_FN(lambda _, index: task(index))
    check(lib.lq_parallel(context.ptr, size(count, "count"), call, c_void_p()))
