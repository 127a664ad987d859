# SPDX-License-Identifier: MIT
"""libquant/errors.py - the loaded library, and statuses as exceptions."""
from ctypes import byref

from . import native

lib = native.load()

STATUS = {
    "OK": 0, "ARG": -1, "SHAPE": -2, "OVERFLOW": -3, "NOMEM": -4, "IO": -5, "NOSPACE": -6,
    "TRUNCATED": -7, "FORMAT": -8, "CORRUPT": -9, "LIMIT": -10, "UNSUPPORTED": -11,
    "NONFINITE": -12, "NUMERIC": -13, "BUFFER": -14, "OVERLAP": -15, "ALIGN": -16,
    "DUPLICATE": -17, "NOTFOUND": -18, "EXISTS": -19, "MISMATCH": -20, "CANCELLED": -21,
}


class Error(Exception):
    """A call failed: 'status' is the number, 'name' its constant, and where the library
    says so 'file', 'tensor' and 'offset' (None if unknown)."""

    def __init__(self, status, message="", file="", tensor="", offset=None, system=0):
        self.status = status
        self.name = lib.lq_status_name(status).decode()
        self.file, self.tensor, self.offset, self.system = file, tensor, offset, system
        text = message or lib.lq_status_text(status).decode()
        super().__init__(f"{text} [{self.name}]")


class Cancelled(Error):
    """A progress callback asked to stop."""


def new_error():
    error = native.lq_error()
    lib.lq_error_init(byref(error))
    return error


def check(status, error=None):
    """Raise unless 'status' is 0.  'error' is the lq_error the call was given."""
    if status == 0:
        return
    if status == STATUS["NOMEM"]:
        raise MemoryError("libquant: out of memory")
    kind = Cancelled if status == STATUS["CANCELLED"] else Error
    if error is None or error.status == 0:
        raise kind(status)
    offset = None if error.offset == native.NO_OFFSET else error.offset
    raise kind(status, error.message.decode("utf-8", "replace"),
               error.file.decode("utf-8", "replace"), error.name.decode("utf-8", "replace"),
               offset, error.system)
