# SPDX-License-Identifier: MIT
"""tests/python/test_declarations.py - native.py says what the headers say."""
import ctypes
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from common import HEADERS, errors, native


def header_text():
    text = "\n".join(p.read_text() for p in sorted(HEADERS.glob("*.h")))
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"^\s*#.*?(?<!\\)$", " ", text, flags=re.S | re.M)


def split_arguments(text):
    depth, parts, part = 0, [], ""
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    parts.append(part)
    return [] if text.strip() in ("", "void") else [p.strip() for p in parts]


def prototypes():
    """{name: (result text, [argument texts])} of every LQ_API function."""
    found = {}
    for m in re.finditer(r"LQ_API\s+([^;{}]*?)(\blq_\w+)\s*\(", header_text()):
        depth, end = 1, m.end()
        text = m.string
        while depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        found[m.group(2)] = (m.group(1).strip(), split_arguments(text[m.end():end - 1]))
    return found


def struct_members():
    """{struct: [member names]} of every public struct that is not opaque."""
    found = {}
    for m in re.finditer(r"typedef struct (lq_\w+) \{(.*?)\}\s*\1;", header_text(), re.S):
        names = []
        for text in m.group(2).split(";"):
            if "(*" in text:
                names.append(re.search(r"\(\*\s*(\w+)\)", text).group(1))
                continue
            for part in text.split(","):
                last = re.search(r"(\w+)\s*(\[\w+\])?\s*$", part)
                names += [last.group(1)] if last else []
        found[m.group(1)] = names
    return found


SCALARS = {"lq_status": ctypes.c_int32, "lq_dtype": ctypes.c_int32,
           "lq_level": ctypes.c_int32, "lq_format": ctypes.c_int32,
           "lq_container": ctypes.c_int32, "lq_meta_type": ctypes.c_int32,
           "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "int": ctypes.c_int,
           "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t, "float": ctypes.c_float,
           "uint8_t": ctypes.c_uint8, "double": ctypes.c_double}


def expected(text):
    """Types that ctypes may use for a C declaration."""
    text = re.sub(r"\bconst\b|\bstruct\b", " ", text)
    if "(*" in text:
        return None  # a callback written in place
    if text.strip().startswith("lq_plane_sink"):
        return [native.SINK_FN]
    stars = text.count("*") + text.count("[")
    base = re.match(r"\s*(\w+)", text).group(1)
    if base == "void" and stars == 0:
        return [None]
    if base == "void":
        kind = ctypes.c_void_p
        return [kind] if stars == 1 else [ctypes.POINTER(kind)]
    if base == "char":
        # A text that ends with NUL; or bytes with a length, written or returned.
        kinds = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_char)]
        return kinds if stars == 1 else [ctypes.POINTER(k) for k in kinds]
    kind = SCALARS.get(base) or getattr(native, base)
    for _ in range(stars):
        kind = ctypes.POINTER(kind)
    return [kind]


class Declarations(unittest.TestCase):
    def test_functions_are_the_headers(self):
        self.assertGreater(len(prototypes()), 100)
        self.assertEqual(sorted(prototypes()), sorted(native.FUNCTIONS))

    def test_types_are_the_headers(self):
        for name, (result, arguments) in prototypes().items():
            declared = native.FUNCTIONS[name]
            with self.subTest(name):
                self.assertIn(declared[0], expected(result))
                self.assertEqual(len(declared[1]), len(arguments))
                for text, kind in zip(arguments, declared[1]):
                    wanted = expected(text)
                    if wanted is None:
                        self.assertTrue(issubclass(kind, ctypes._CFuncPtr), text)
                    else:
                        self.assertIn(kind, wanted, text)

    def test_statuses(self):
        numbers = re.search(r"LQ_OK\s*=\s*0(.*?)\}", header_text(), re.S).group(1)
        found = {"OK": 0, **{m.group(1): int(m.group(2)) for m in
                             re.finditer(r"LQ_ERR_(\w+)\s*=\s*(-\d+)", numbers)}}
        self.assertEqual(found, errors.STATUS)

    def test_struct_sizes(self):
        for name, (_, arguments) in native.FUNCTIONS.items():
            if not name.endswith("_init"):
                continue
            kind = arguments[0]._type_
            room = ctypes.create_string_buffer(4096)
            getattr(errors.lib, name)(ctypes.cast(room, ctypes.POINTER(kind)))
            self.assertEqual(kind.from_buffer(room).struct_size, ctypes.sizeof(kind), name)

    def test_members(self):
        found = struct_members()
        self.assertGreater(len(found), 18)
        for name, members in found.items():
            declared = [f.rstrip("_") for f, _ in getattr(native, name)._fields_]
            self.assertEqual(declared, members, name)

    @unittest.skipUnless(shutil.which("cc"), "no C compiler")
    def test_layouts(self):
        """Offset of every member, by the compiler."""
        structs = [v for k, v in vars(native).items() if k.startswith("lq_")
                   and isinstance(v, type) and hasattr(v, "_fields_")]
        self.assertGreater(len(structs), 18)
        lines, values = [], []
        for s in structs:
            lines.append(f"sizeof({s.__name__})")
            values.append(ctypes.sizeof(s))
            for field, _ in s._fields_:
                lines.append(f"offsetof({s.__name__}, {field.rstrip('_')})")
                values.append(getattr(s, field).offset)
        checks = "\n".join(f"_Static_assert({a} == {b}, \"{a}\");"
                           for a, b in zip(lines, values))
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "layout.c"
            source.write_text(f"#include <libquant/libquant.h>\n{checks}\n")
            done = subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-I",
                                   str(HEADERS.parent), str(source)],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
