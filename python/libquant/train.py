# SPDX-License-Identifier: MIT
"""libquant/train.py - optimizers, paged arrays."""
import os
from ctypes import byref, c_double, c_ubyte, c_uint64, c_void_p

from . import native
from .buffers import Address, floats, numbers, size
from .core import Handle, default_context, out
from .errors import check, lib, new_error

RULES = {"adamw": 0, "adam": 1, "lion": 2, "sgd": 3}


class Paged(Handle):
    """Arrays in files, of which 'budget' bytes (0: 256 MiB) are in memory at a time.

    'directory' is where temporary files go; without it every array needs a path.  The arrays
    are gone with the pool: keep it as long as they are used.
    """
    _destroy = "lq_paged_destroy"

    def __init__(self, directory=None, budget=0, context=None):
        self.context = context or default_context()
        opts, pointer, error = native.lq_paged_opts(), out(native.lq_paged), new_error()
        lib.lq_paged_opts_init(byref(opts))
        opts.directory = None if directory is None else os.fsencode(directory)
        opts.budget_bytes = size(budget, "budget")
        check(lib.lq_paged_create(self.context.ptr, byref(opts), byref(pointer), byref(error)),
              error)
        super().__init__(pointer)

    def alloc(self, n, code="B", path=None):
        """A memoryview of n bytes, or with code "f" n f32 numbers: zeros, or what is in the
        file 'path'."""
        nbytes, data, error = size(n, "n") * (4 if code == "f" else 1), c_void_p(), new_error()
        check(lib.lq_paged_alloc(self.ptr, nbytes, None if path is None else os.fsencode(path),
                                 byref(data), byref(error)), error)
        if not nbytes:
            return memoryview(bytearray()).cast(code)
        return memoryview((c_ubyte * nbytes).from_address(data.value)).cast("B").cast(code)

    def free(self, array):
        """Give back an array, which nobody may use any more."""
        check(lib.lq_paged_free(self.ptr, Address(memoryview(array)).ptr))

    def use(self, array, write=False):
        """Read what is missing of an array, or of a slice of one, and give up what was used
        longest ago."""
        a, error = Address(memoryview(array)), new_error()
        check(lib.lq_paged_use(self.ptr, a.ptr, a.nbytes, bool(write), byref(error)), error)

    def trim(self):
        """Give up what is in memory without use()."""
        error = new_error()
        check(lib.lq_paged_trim(self.ptr, byref(error)), error)

    def sync(self):
        """Wait until the arrays that have a path are in their files."""
        error = new_error()
        check(lib.lq_paged_sync(self.ptr, byref(error)), error)

    def info(self):
        """A dictionary: budget, bytes, resident, read, written."""
        info = native.lq_paged_info()
        lib.lq_paged_info_init(byref(info))
        check(lib.lq_paged_get(self.ptr, byref(info)))
        return {name: getattr(info, name) for name, _ in info._fields_[1:]}


class Optimizer:
    """A rule and the state of n parameters, which with 'paged' lies in that pool.

    'state' is a list of bytearrays, or memoryviews of the pool (m, v, their scales; None: the
    rule has none), all that has to be saved and restored besides 'steps'.  'numbers': beta1,
    beta2, eps, weight_decay.
    """

    def __init__(self, n, rule="adamw", state_bits=32, context=None, paged=None, **numbers):
        self.n, self.context, self.steps = size(n, "n"), context or default_context(), 0
        self.paged = paged
        self._rule = native.lq_optimizer()
        lib.lq_optimizer_init(byref(self._rule))
        self._rule.rule, self._rule.state_bits = RULES[rule], state_bits
        for name, value in numbers.items():
            if name not in ("beta1", "beta2", "eps", "weight_decay"):
                raise TypeError(f"Optimizer: no number '{name}'")
            setattr(self._rule, name, value)
        sizes = (c_uint64 * 4)()
        check(lib.lq_optimizer_bytes(byref(self._rule), self.n, sizes))
        make = paged.alloc if paged else bytearray
        self.state = [make(b) if b else None for b in sizes]

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
        if self.paged:
            error = new_error()
            check(lib.lq_paged_step(self.paged.ptr, byref(self._rule), byref(params),
                                    byref(error)), error)
        else:
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
