# SPDX-License-Identifier: MIT
"""libquant/calibrate.py - statistics of activations, GPTQ."""
import ctypes
from ctypes import byref

from . import buffers, native
from .buffers import Address, F32, size
from .core import Handle, as_spec, default_context, out, shape_of
from .errors import check, lib, new_error
from .file import File, path_bytes, text_bytes
from .tensor import Tensor


class Stat:
    """One weight's: 'cols', 'count', 'sum_sq', 'sum_abs' (lists), 'gram' (1: X'X is there)."""

    def __init__(self, raw):
        self.cols, self.count, self.gram = raw.cols, raw.count, raw.gram
        self.sum_sq, self.sum_abs = raw.sum_sq[:raw.cols], raw.sum_abs[:raw.cols]


class Stats(Handle):
    """Statistics of activations by weight; 'gram': X'X too, or only rows [row0, row1) of it."""
    _destroy = "lq_stats_destroy"

    def __init__(self, gram=False, rows=(0, 0), context=None):
        context, opts = context or default_context(), native.lq_stats_opts()
        lib.lq_stats_opts_init(byref(opts))
        opts.gram, (opts.gram_row0, opts.gram_row1) = int(gram), rows
        pointer, error = out(native.lq_stats), new_error()
        check(lib.lq_stats_create(context.ptr, byref(opts), byref(pointer), byref(error)),
              error)
        super().__init__(pointer, context)

    @classmethod
    def load(cls, file, name=None, context=None):
        """Of weight 'name' (None: of all) from a path or a File."""
        context = context or default_context()
        file = file if isinstance(file, File) else File(file, context)
        pointer, error = out(native.lq_stats), new_error()
        wanted = None if name is None else text_bytes(name)
        check(lib.lq_stats_load(context.ptr, file.ptr, wanted, byref(pointer), byref(error)),
              error)
        made = cls.__new__(cls)
        Handle.__init__(made, pointer, context)
        return made

    def add(self, name, x, cols, dtype=F32):
        """Vectors of 'cols' activations, dense."""
        view, cols = buffers.numbers(x, dtype, None, "x"), size(cols, "cols")
        if cols == 0 or view.nbytes // view.itemsize % cols:
            raise ValueError("x: not a whole number of vectors")
        address, error = Address(view), new_error()
        check(lib.lq_stats_add(self.ptr, text_bytes(name), cols,
                               view.nbytes // view.itemsize // cols, dtype, address.ptr, cols,
                               byref(error)), error)

    def same(self, name, of):
        """'name' has the inputs of 'of'."""
        error = new_error()
        check(lib.lq_stats_same(self.ptr, text_bytes(name), text_bytes(of), byref(error)),
              error)

    def merge(self, other):
        error = new_error()
        check(lib.lq_stats_merge(self.ptr, other.ptr, byref(error)), error)

    def join(self, other):
        """Take over rows of X'X from statistics of the same inputs."""
        error = new_error()
        check(lib.lq_stats_join(self.ptr, other.ptr, byref(error)), error)

    def save(self, path, replace=False):
        """As safetensors, or '.gguf': an imatrix."""
        error = new_error()
        check(lib.lq_stats_save(self.ptr, path_bytes(path), int(replace), byref(error)), error)

    def __len__(self):
        return lib.lq_stats_count(self.ptr)

    def names(self):
        stat, names = native.lq_stat(), []
        lib.lq_stat_init(byref(stat))
        for i in range(len(self)):
            check(lib.lq_stats_at(self.ptr, i, byref(stat)))
            names.append(stat.name.decode("utf-8", "surrogateescape"))
        return names

    def __getitem__(self, name):
        stat = native.lq_stat()
        lib.lq_stat_init(byref(stat))
        check(lib.lq_stats_find(self.ptr, text_bytes(name), byref(stat)))
        return Stat(stat)

    def gram_row(self, name, row):
        """Columns 0 to 'row' of a row of X'X."""
        values = (ctypes.c_float * (size(row, "row") + 1))()
        check(lib.lq_stats_gram_row(self.ptr, text_bytes(name), row, values))
        return list(values)


ORDER = {"act": 0, "none": 1, "group": 2}
CLIP = {"best": 0, "none": 1, "mse": 2}


class GptqResult:
    """'solved': 0, or the status why the weight was only rounded; 'damp', 'dead', 'loss'."""

    def __init__(self, raw):
        self.solved, self.damp, self.dead, self.loss = raw.solved, raw.damp, raw.dead, raw.loss


def gptq(x, spec, shape, stats=None, name=None, dtype=F32, compat=False, order=None, clip=None,
         context=None, **options):
    """Encode (rows, cols) numbers so that products with the inputs seen change least.

    Options are those of lq_gptq_opts; 'compat' begins with the reference's.  Returns a Tensor
    and a GptqResult.
    """
    spec, context, opts = as_spec(spec), context or default_context(), native.lq_gptq_opts()
    dims, result = shape_of(shape), native.lq_gptq_result()
    (lib.lq_gptq_opts_compat if compat else lib.lq_gptq_opts_init)(byref(opts))
    lib.lq_gptq_result_init(byref(result))
    opts.order = opts.order if order is None else ORDER[order]
    opts.clip = opts.clip if clip is None else CLIP[clip]
    for option, value in options.items():
        if option not in ("running", "sweeps", "damp", "nonfinite", "search"):
            raise TypeError(f"gptq: no option '{option}'")
        setattr(opts, option, value)
    source = Address(buffers.numbers(x, dtype, dims.outer * dims.rows * dims.cols, "x"))
    pointer, error = out(native.lq_tensor), new_error()
    check(lib.lq_tensor_gptq(context.ptr, byref(spec.raw), byref(dims), dtype, source.ptr,
                             stats.ptr if stats else None,
                             None if name is None else text_bytes(name), byref(opts),
                             byref(pointer), byref(result), byref(error)), error)
    return Tensor._made(pointer, context, spec), GptqResult(result)
