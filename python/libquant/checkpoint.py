# SPDX-License-Identifier: MIT
"""libquant/checkpoint.py - weights of checkpoints: load, convert, verify, importances."""
import ctypes
from ctypes import byref

from . import buffers, native
from .buffers import Address, size
from .core import Handle, Spec, as_spec, default_context, out, shape_of
from .errors import Error, check, lib, new_error
from .file import DIRECTORY, File, file_opts, path_bytes, text_bytes
from .tensor import NONFINITE, Tensor, progress_callback

KEEP, ENCODE = 0, 1
TAIL = {"error": 0, "pad": 1, "fallback": 2, "spec": 3}


class Weight:
    """One logical weight.  'spec' is None for tensors that hold no numbers we decode."""

    def __init__(self, raw):
        self.name = raw.name.decode("utf-8", "surrogateescape")
        self.spec = Spec.copy(raw.spec)
        self.dialect, self.dtype = raw.dialect.decode(), raw.dtype
        self.dims = tuple(raw.dims[:raw.n_dims])
        self.shape = (raw.shape.outer, raw.shape.rows, raw.shape.cols)
        self.bytes = raw.bytes
        self.note = raw.note.decode()

    def __repr__(self):
        return f"<Weight {self.name} {self.dims} {self.spec}>"


def _weight():
    raw = native.lq_weight()
    lib.lq_weight_init(byref(raw))
    return raw


class Checkpoint(Handle):
    """The weights of a file: Checkpoint(path), or Checkpoint.of(File), which it then
    owns."""
    _destroy = "lq_checkpoint_destroy"

    def __init__(self, path, context=None, **options):
        context = context or default_context()
        pointer, error = out(native.lq_checkpoint), new_error()
        check(lib.lq_checkpoint_open(context.ptr, path_bytes(path),
                                     byref(file_opts(**options)), byref(pointer),
                                     byref(error)), error)
        super().__init__(pointer, context)

    @classmethod
    def of(cls, file, context=None):
        context = context or default_context()
        pointer, error = out(native.lq_checkpoint), new_error()
        check(lib.lq_checkpoint_create(context.ptr, file.ptr, byref(pointer),
                                       byref(error)), error)
        file._pointer = None  # the checkpoint closes it
        made = cls.__new__(cls)
        Handle.__init__(made, pointer, context, file._keep)
        return made

    @property
    def file(self):
        """The file underneath, as long as this checkpoint is open."""
        return _Borrowed._borrow(lib.lq_checkpoint_file(self.ptr), self)

    def __len__(self):
        return lib.lq_checkpoint_count(self.ptr)

    def __getitem__(self, key):
        raw = _weight()
        check(lib.lq_checkpoint_weight(self.ptr, self.index(key), byref(raw)))
        return Weight(raw)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def index(self, key):
        if not isinstance(key, str):
            if not 0 <= key < len(self):
                raise IndexError(key)
            return key
        index = ctypes.c_uint64()
        check(lib.lq_checkpoint_find(self.ptr, text_bytes(key), byref(index)))
        return index.value

    def load(self, key):
        """The weight as a Tensor."""
        pointer, error = out(native.lq_tensor), new_error()
        check(lib.lq_checkpoint_load(self.ptr, self.index(key), byref(pointer),
                                     byref(error)), error)
        return Tensor._made(pointer, self)

    def rows(self, key, row0=0, n=None, outer=0):
        """Rows as array('f')."""
        weight = self[key]
        count, row0, outer = weight.shape[1], size(row0, "row0"), size(outer, "outer")
        n = max(count - row0, 0) if n is None else size(n, "n")
        if row0 + n > count or outer >= max(weight.shape[0], 1):
            raise ValueError(f"rows {row0}..{row0 + n} of {count}")
        values, error = buffers.new(n * weight.shape[2]), new_error()
        target = buffers.floats(values, None, "values", writable=True)
        check(lib.lq_checkpoint_rows(self.ptr, self.index(key), outer, row0, n,
                                     target.floats(), byref(error)), error)
        return values


class _Borrowed(File):
    """A file that a checkpoint closes.  Asking for it once the checkpoint is closed
    raises ValueError."""
    def close(self):
        self._pointer = None

    @property
    def ptr(self):
        self._keep[0].ptr
        return super().ptr


class Choice:
    """What becomes of a weight: action (KEEP, ENCODE), spec, tail, reason."""

    def __init__(self, raw):
        self.action, self.tail = raw.action, raw.tail
        self.spec = Spec.copy(ctypes.pointer(raw.spec)) if raw.spec.format else None
        self.reason = raw.reason.decode() if raw.reason else ""


def choose_default(checkpoint, key, spec, container=DIRECTORY):
    """The library's default rule for one weight."""
    raw, choice = _weight(), native.lq_choice()
    check(lib.lq_checkpoint_weight(checkpoint.ptr, checkpoint.index(key), byref(raw)))
    choice.struct_size = ctypes.sizeof(choice)
    check(lib.lq_choose_default(byref(raw), byref(as_spec(spec).raw), container,
                                byref(choice)))
    return Choice(choice)


def dialects(spec=None, shape=(4096, 4096)):
    """Names of the dialects that convert() writes: "gptq", "awq"... With a spec: of those
    that can hold a matrix of it."""
    names, index = [], 0
    while lib.lq_dialect_name(index):
        names.append(lib.lq_dialect_name(index).decode())
        index += 1
    if spec is None:
        return names
    raw, dims = byref(as_spec(spec).raw), byref(shape_of(shape))
    return [n for n in names if lib.lq_dialect_can_hold(n.encode(), raw, dims)]


def mixes():
    """Names of llama-quantize's mixes: "q4_k_m"..."""
    names, index = [], 0
    while lib.lq_mix_name(index):
        names.append(lib.lq_mix_name(index).decode())
        index += 1
    return names


def mix_spec(name):
    """Spec of most tensors of a mix."""
    spec = native.lq_spec()
    check(lib.lq_mix_spec(text_bytes(name), byref(spec)))
    return Spec.copy(ctypes.pointer(spec))


def gguf_name(name):
    """llama.cpp's name for a tensor of a Hugging Face Llama checkpoint, or None."""
    text = ctypes.create_string_buffer(64)
    try:
        check(lib.lq_gguf_name(text_bytes(name), text, len(text)))
    except Error as error:
        if error.name != "LQ_ERR_NOTFOUND":
            raise
        return None
    return text.value.decode()


class Report:
    """What happened to one weight of a conversion."""

    def __init__(self, raw):
        self.index, self.count = raw.index, raw.count
        for field in ("name", "from_", "to", "reason", "xxh3"):
            value = getattr(raw, field) or b""
            setattr(self, field, value.decode("utf-8", "surrogateescape"))
        self.shape = (raw.shape.outer, raw.shape.rows, raw.shape.cols)
        self.bytes_in, self.bytes_out = raw.bytes_in, raw.bytes_out
        self.sum_sq, self.sum_err_sq = raw.sum_sq, raw.sum_err_sq


class _Callbacks:
    """Python functions as C callbacks; the first exception is kept and raised after."""

    def __init__(self):
        self.failure, self.keep = None, []

    def guard(self, kind, function, failed):
        def call(*arguments):
            try:
                return function(*arguments)
            except BaseException as e:
                self.failure = self.failure or e
                return failed
        callback = kind(call)
        self.keep.append(callback)
        return callback

    def done(self, status, error):
        if self.failure is not None:
            raise self.failure
        check(status, error)


def convert(source, target, spec, nonfinite="error", tail="error", tail_spec=None,
            replace=False, dry_run=False, allow_requantize=False, dequantize=False,
            container=0, shard_bytes=0, choose=None, importance=None, report=None,
            progress=None, context=None):
    """Convert a checkpoint; returns the list of Reports.

    choose(weight, choice) may change choice.action, .spec and .tail of the default rule;
    importance(weight) returns floats or None; report(Report) and progress(done, total,
    what) watch; a true result of progress stops, and so does any exception.
    """
    context, opts, calls = context or default_context(), native.lq_convert_opts(), _Callbacks()
    lib.lq_convert_opts_init(byref(opts))
    if nonfinite not in NONFINITE or tail not in TAIL:
        raise ValueError(f"nonfinite '{nonfinite}' or tail '{tail}' is unknown")
    spec, reports = as_spec(spec), []
    opts.spec = ctypes.pointer(spec.raw)
    opts.nonfinite, opts.tail, opts.replace = NONFINITE[nonfinite], TAIL[tail], bool(replace)
    opts.dry_run, opts.allow_requantize = bool(dry_run), bool(allow_requantize)
    opts.dequantize, opts.container = bool(dequantize), container
    opts.shard_bytes = size(shard_bytes)
    if tail_spec is not None:
        tail_spec = as_spec(tail_spec)
        opts.tail_spec = ctypes.pointer(tail_spec.raw)

    def on_report(_user, raw):
        reports.append(Report(raw.contents))
        if report is not None:
            report(reports[-1])

    opts.report = calls.guard(native.REPORT_FN, on_report, None)
    if choose is not None:
        opts.choose = calls.guard(native.CHOOSE_FN, _chooser(choose, calls.keep), -21)
    if importance is not None:
        opts.importance = calls.guard(native.IMPORTANCE_FN,
                                      _importances(importance, calls.keep), None)
    if progress is not None or choose is not None or importance is not None:
        opts.progress.report = calls.guard(
            native.PROGRESS_FN, lambda _user, done, total, what: int(
                calls.failure is not None
                or bool(progress and progress(done, total, what.decode("utf-8", "replace")))),
            1)
    error = new_error()
    calls.done(lib.lq_convert(context.ptr, path_bytes(source), path_bytes(target),
                              byref(opts), byref(error)), error)
    return reports


def _chooser(choose, keep):
    def call(_user, weight, raw):
        choice = Choice(raw.contents)
        choose(Weight(weight.contents), choice)
        raw.contents.action, raw.contents.tail = choice.action, choice.tail
        if choice.spec is not None:
            spec = as_spec(choice.spec)
            keep.append(spec)
            ctypes.memmove(byref(raw.contents.spec), byref(spec.raw),
                           ctypes.sizeof(spec.raw))
        return 0
    return call


def _importances(importance, keep):
    def call(_user, raw):
        weight = Weight(raw.contents)
        values = importance(weight)
        if values is None:
            return None
        if isinstance(values, (list, tuple)):
            values = buffers.array("f", values)
        address = buffers.floats(values, weight.shape[0] * weight.shape[2], "importance")
        keep.append(address)
        return address.ptr.value
    return call


class Imatrix(Handle):
    """Importances by weight: Imatrix(path) or Imatrix.from_memory(bytes)."""
    _destroy = "lq_imatrix_destroy"

    def __init__(self, path, context=None):
        context = context or default_context()
        pointer, error = out(native.lq_imatrix), new_error()
        check(lib.lq_imatrix_open(context.ptr, path_bytes(path), byref(pointer),
                                  byref(error)), error)
        super().__init__(pointer, context)

    @classmethod
    def from_memory(cls, data, context=None):
        context = context or default_context()
        address = Address(buffers.raw(data, None, "data"))
        pointer, error = out(native.lq_imatrix), new_error()
        check(lib.lq_imatrix_open_memory(context.ptr, address.ptr, address.nbytes,
                                         byref(pointer), byref(error)), error)
        made = cls.__new__(cls)
        Handle.__init__(made, pointer, context, address)
        return made

    def __len__(self):
        return lib.lq_imatrix_count(self.ptr)

    def names(self):
        return [self._at(i)[0] for i in range(len(self))]

    def _at(self, index):
        name, values, n = (ctypes.c_char_p(), ctypes.POINTER(ctypes.c_float)(),
                           ctypes.c_uint64())
        check(lib.lq_imatrix_at(self.ptr, index, byref(name), byref(values), byref(n)))
        return name.value.decode("utf-8", "surrogateescape"), values[:n.value]

    def __getitem__(self, name):
        values, n = ctypes.POINTER(ctypes.c_float)(), ctypes.c_uint64()
        check(lib.lq_imatrix_find(self.ptr, text_bytes(name), byref(values), byref(n)))
        return values[:n.value]


def verify(path, context=None, **options):
    """Check every tensor; returns (number of bad ones, [(status, tensor, message)])."""
    context, calls, findings = context or default_context(), _Callbacks(), []

    def found(_user, raw):
        f = raw.contents
        findings.append((f.status, (f.name or b"").decode("utf-8", "replace"),
                         (f.message or b"").decode("utf-8", "replace")))

    bad, error = ctypes.c_uint64(), new_error()
    calls.done(lib.lq_verify(context.ptr, path_bytes(path), byref(file_opts(**options)),
                             calls.guard(native.FOUND_FN, found, None), None, byref(bad),
                             byref(error)), error)
    return bad.value, findings
