# SPDX-License-Identifier: MIT
"""libquant/file.py - containers: read and write GGUF, safetensors, directories."""
import ctypes
import os
import struct
from ctypes import byref

from . import buffers, native
from .buffers import Address, size
from .core import Handle, default_context, out
from .errors import check, lib, new_error

GGUF, SAFETENSORS, DIRECTORY = 1, 2, 3
META = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7,
        "string": 8, "u64": 10, "i64": 11, "f64": 12}
_PACK = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
         12: "d"}


def path_bytes(path):
    """A path for C.  Zero bytes would cut it short."""
    path = os.fsencode(path)
    if b"\0" in path:
        raise ValueError("path: contains a zero byte")
    return path


def text_bytes(text, what="name"):
    if not isinstance(text, str):
        raise TypeError(f"{what}: {type(text).__name__}, str is needed")
    data = text.encode()
    if b"\0" in data:
        raise ValueError(f"{what}: contains a zero byte")
    return data


def container_name(container):
    name = lib.lq_container_name(container)
    return None if name is None else name.decode()


def file_opts(strict=False, map=False, max_header=0, max_tensors=0):
    opts = native.lq_file_opts()
    lib.lq_file_opts_init(byref(opts))
    opts.strict, opts.map = bool(strict), bool(map)
    opts.max_header, opts.max_tensors = size(max_header), size(max_tensors)
    return opts


class FileTensor:
    """A tensor as the container announces it."""

    def __init__(self, raw):
        self.name = raw.name.decode("utf-8", "surrogateescape")
        self.dtype, self.format = raw.dtype, raw.format
        self.dims = tuple(raw.dims[:raw.n_dims])
        self.offset, self.bytes = raw.offset, raw.bytes
        self.file = os.fsdecode(raw.file) if raw.file else ""

    def __repr__(self):
        return f"<FileTensor {self.name} {self.dims}>"


class File(Handle):
    """A container: File(path), or File.from_memory(bytes)."""
    _destroy = "lq_file_close"

    def __init__(self, path, context=None, **options):
        context = context or default_context()
        pointer, error = out(native.lq_file), new_error()
        check(lib.lq_file_open(context.ptr, path_bytes(path), byref(file_opts(**options)),
                               byref(pointer), byref(error)), error)
        super().__init__(pointer, context)

    @classmethod
    def from_memory(cls, data, context=None, **options):
        context = context or default_context()
        address = Address(buffers.raw(data, None, "data"))
        pointer, error = out(native.lq_file), new_error()
        check(lib.lq_file_open_memory(context.ptr, address.ptr, address.nbytes,
                                      byref(file_opts(**options)), byref(pointer),
                                      byref(error)), error)
        return cls._borrow(pointer, context, address)

    @classmethod
    def _borrow(cls, pointer, *keep):
        file = cls.__new__(cls)
        Handle.__init__(file, pointer, *keep)
        return file

    @property
    def container(self):
        return container_name(lib.lq_file_container(self.ptr))

    @property
    def path(self):
        return os.fsdecode(lib.lq_file_path(self.ptr))

    @property
    def config(self):
        """Text of config.json, or None."""
        n = ctypes.c_uint64()
        text = lib.lq_file_config(self.ptr, byref(n))
        return ctypes.string_at(text, n.value).decode() if text else None

    def __len__(self):
        return lib.lq_file_tensor_count(self.ptr)

    def __getitem__(self, key):
        """Tensor by number or name."""
        raw = native.lq_file_tensor()
        lib.lq_file_tensor_init(byref(raw))
        check(lib.lq_file_tensor_at(self.ptr, self.index(key), byref(raw)))
        return FileTensor(raw)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def index(self, key):
        if not isinstance(key, str):
            if not 0 <= key < len(self):
                raise IndexError(key)
            return key
        index = ctypes.c_uint64()
        check(lib.lq_file_tensor_find(self.ptr, text_bytes(key), byref(index)))
        return index.value

    def read(self, key, offset=0, count=None):
        """Bytes of a tensor."""
        tensor, offset = self[key], size(offset, "offset")
        count = max(tensor.bytes - offset, 0) if count is None else size(count, "count")
        if offset + count > tensor.bytes:
            raise ValueError(f"read: past the end of '{tensor.name}'")
        data, error = bytearray(count), new_error()
        target = Address(memoryview(data))
        check(lib.lq_file_read(self.ptr, self.index(key), offset, target.ptr, count,
                               byref(error)), error)
        return data

    def data(self, key):
        """Copy of the bytes in place (mapped or memory files); None otherwise."""
        address = lib.lq_file_tensor_data(self.ptr, self.index(key))
        return buffers.copy(address, self[key].bytes) if address else None

    def _meta(self, find, key):
        raw = native.lq_meta()
        lib.lq_meta_init(byref(raw))
        check(find(self.ptr, key, byref(raw)))
        return raw

    def _value(self, raw):
        if raw.data is None:
            values = [self._string(raw, i) for i in range(raw.count)]
        else:
            code = "<%d%s" % (raw.count, _PACK[raw.type])
            values = list(struct.unpack(code, buffers.copy(raw.data,
                                                           struct.calcsize(code))))
        return values if raw.is_array else values[0]

    def _string(self, raw, element):
        text, n = ctypes.c_char_p(), ctypes.c_uint64()
        check(lib.lq_file_meta_string(self.ptr, byref(raw), element, byref(text), byref(n)))
        return ctypes.string_at(text, n.value).decode("utf-8", "surrogateescape")

    def meta(self, key):
        """Value of one metadata key."""
        return self._value(self._meta(lib.lq_file_meta_find, text_bytes(key, "key")))

    def metadata(self):
        """All metadata as a dict."""
        found = {}
        for i in range(lib.lq_file_meta_count(self.ptr)):
            raw = self._meta(lib.lq_file_meta_at, i)
            found[raw.key.decode("utf-8", "surrogateescape")] = self._value(raw)
        return found


class Writer(Handle):
    """Writes one container: meta(), tensor(), begin(), write(), finish()."""
    _destroy = "lq_writer_destroy"

    def __init__(self, path, container, context=None, replace=False, checksums=True,
                 shard_bytes=0, alignment=0):
        context = context or default_context()
        opts = native.lq_writer_opts()
        lib.lq_writer_opts_init(byref(opts))
        opts.replace, opts.checksums = bool(replace), 0 if checksums else -1
        opts.shard_bytes, opts.alignment = size(shard_bytes), size(alignment)
        pointer, error = out(native.lq_writer), new_error()
        check(lib.lq_writer_create(context.ptr, path_bytes(path), container, byref(opts),
                                   byref(pointer), byref(error)), error)
        super().__init__(pointer, context)

    def meta(self, key, value, type=None):
        """Set a key: a str, or a number or list with its type's name ("u32", "f32"...)."""
        name = text_bytes(key, "key")
        if isinstance(value, str):
            check(lib.lq_writer_meta_string(self.ptr, name, text_bytes(value, "value")))
            return
        is_array = isinstance(value, (list, tuple))
        values = list(value) if is_array else [value]
        if type not in META:
            raise ValueError(f"type: '{type}' is none of {sorted(META)}")
        if type == "string":
            data = (ctypes.c_char_p * max(len(values), 1))(
                *[text_bytes(v, "value") for v in values])
        else:
            try:
                packed = struct.pack("=%d%s" % (len(values), _PACK[META[type]]), *values)
            except struct.error as e:
                raise ValueError(f"{key}: {e}") from None
            data = ctypes.create_string_buffer(packed, max(len(packed), 1))
        check(lib.lq_writer_meta(self.ptr, name, META[type], is_array,
                                 ctypes.cast(data, ctypes.c_void_p), len(values)))

    def meta_copy(self, file, key):
        raw = file._meta(lib.lq_file_meta_find, text_bytes(key, "key"))
        check(lib.lq_writer_meta_copy(self.ptr, file.ptr, byref(raw)))

    def attach(self, name, data):
        address = Address(buffers.raw(data, None, "data"))
        check(lib.lq_writer_attach(self.ptr, text_bytes(name), address.ptr, address.nbytes))

    def tensor(self, name, dims, dtype=0, format=0):
        """Declare a tensor and return its number."""
        dims = [size(d, "dims") for d in dims]
        index = ctypes.c_uint64()
        check(lib.lq_writer_tensor(self.ptr, text_bytes(name), dtype, format, len(dims),
                                   (ctypes.c_uint64 * max(len(dims), 1))(*dims),
                                   byref(index)))
        return index.value

    def begin(self):
        error = new_error()
        check(lib.lq_writer_begin(self.ptr, byref(error)), error)

    def write(self, index, data, offset=0):
        address, error = Address(buffers.raw(data, None, "data")), new_error()
        check(lib.lq_writer_write(self.ptr, size(index), size(offset), address.ptr,
                                  address.nbytes, byref(error)), error)

    def finish(self):
        error = new_error()
        check(lib.lq_writer_finish(self.ptr, byref(error)), error)
