# SPDX-License-Identifier: MIT
"""libquant/adapter.py - LoRA adapters in PEFT's files."""
import collections
import ctypes
from ctypes import byref

from . import buffers, native
from .buffers import F32, Address, numbers, size
from .core import Handle, default_context, out
from .errors import check, lib, new_error
from .file import path_bytes, text_bytes

AdapterModule = collections.namedtuple("AdapterModule", "name rows cols rank a b dtype scale",
                                       defaults=(F32, 0.0))


def _text(value):
    return value.decode("utf-8", "surrogateescape") if value is not None else None


class Adapter(Handle):
    """A directory of adapter_config.json and adapter_model.safetensors, read: Adapter(path) or
    Adapter.from_memory(config, weights).  A list of AdapterModules, also by name."""
    _destroy = "lq_adapter_destroy"

    def __init__(self, path, context=None):
        context = context or default_context()
        pointer, error = out(native.lq_adapter), new_error()
        check(lib.lq_adapter_open(context.ptr, path_bytes(path), byref(pointer),
                                  byref(error)), error)
        super().__init__(pointer, context)

    @classmethod
    def from_memory(cls, config, weights, context=None):
        context = context or default_context()
        c, w = (Address(buffers.raw(data, None, name))
                for data, name in ((config, "config"), (weights, "weights")))
        pointer, error = out(native.lq_adapter), new_error()
        check(lib.lq_adapter_open_memory(context.ptr, c.ptr, c.nbytes, w.ptr, w.nbytes,
                                         byref(pointer), byref(error)), error)
        made = cls.__new__(cls)
        Handle.__init__(made, pointer, context)
        return made

    @property
    def config(self):
        """rank, alpha, dropout, rank_stabilised, base_model, task, targets."""
        c = native.lq_adapter_config()
        lib.lq_adapter_config_init(byref(c))
        check(lib.lq_adapter_get_config(self.ptr, byref(c)))
        targets = [_text(t) for t in c.targets[:c.target_count]] if c.targets else None
        return {"rank": c.rank, "alpha": c.alpha, "dropout": c.dropout,
                "rank_stabilised": bool(c.rank_stabilised), "base_model": _text(c.base_model),
                "task": _text(c.task), "targets": targets}

    def __len__(self):
        return lib.lq_adapter_count(self.ptr)

    def __getitem__(self, which):
        """Module by number or name; 'a' and 'b' are arrays of their own."""
        index = ctypes.c_uint64()
        if isinstance(which, str):
            check(lib.lq_adapter_find(self.ptr, text_bytes(which), byref(index)))
        elif which >= len(self):
            raise IndexError(which)
        else:
            index.value = size(which, "which")
        m = native.lq_adapter_module()
        lib.lq_adapter_module_init(byref(m))
        check(lib.lq_adapter_at(self.ptr, index, byref(m)))
        halves = [buffers.new(m.rank * n, m.type) for n in (m.cols, m.rows)]
        for half, address in zip(halves, (m.a, m.b)):
            raw = memoryview(half).cast("B")
            raw[:] = buffers.copy(address, len(raw))
        return AdapterModule(_text(m.name), m.rows, m.cols, m.rank, *halves, m.type, m.scale)


def adapter_write(path, modules, rank, alpha, dropout=0.0, rank_stabilised=False,
                  base_model=None, task=None, targets=None, replace=False, context=None):
    """Write AdapterModules to a new directory."""
    context, config = context or default_context(), native.lq_adapter_config()
    lib.lq_adapter_config_init(byref(config))
    config.rank, config.alpha, config.dropout = size(rank, "rank"), alpha, dropout
    config.rank_stabilised = int(bool(rank_stabilised))
    config.base_model, config.task = (t if t is None else text_bytes(t)
                                      for t in (base_model, task))
    if targets is not None:
        config.targets = (ctypes.c_char_p * len(targets))(*map(text_bytes, targets))
        config.target_count = len(targets)
    array, keep = (native.lq_adapter_module * len(modules))(), []
    for raw, m in zip(array, modules):
        lib.lq_adapter_module_init(byref(raw))
        keep += [Address(numbers(m.a, m.dtype, m.rank * m.cols, "a")),
                 Address(numbers(m.b, m.dtype, m.rank * m.rows, "b"))]
        raw.name, raw.rows, raw.cols, raw.rank = text_bytes(m.name), m.rows, m.cols, m.rank
        raw.a, raw.b, raw.type, raw.scale = keep[-2].ptr, keep[-1].ptr, m.dtype, m.scale
    error = new_error()
    check(lib.lq_adapter_write(context.ptr, path_bytes(path), byref(config), array,
                               len(modules), int(bool(replace)), byref(error)), error)
