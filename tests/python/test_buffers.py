# SPDX-License-Identifier: MIT
"""tests/python/test_buffers.py - wrong buffers raise TypeError or ValueError."""
import ctypes
import unittest
from array import array

from common import gaussian, lq

try:
    import numpy
except ImportError:
    numpy = None


def encode(x, shape=(4, 64), spec="nf4:b64", **options):
    return lq.Tensor.encode(x, spec, shape, **options)


class Buffers(unittest.TestCase):
    def setUp(self):
        self.x = gaussian(256)
        self.tensor = encode(self.x)

    def refused(self, kind, call, *arguments, **options):
        with self.assertRaises(kind):
            call(*arguments, **options)

    def test_kinds_that_work(self):
        expected = self.tensor.plane("codes")
        same = (ctypes.c_float * 256)(*self.x)
        for x in (memoryview(self.x), memoryview(self.x.tobytes()).cast("f"), same,
                  memoryview(self.x.tobytes()).cast("f", (4, 64))):
            self.assertEqual(encode(x).plane("codes"), expected)

    def test_wrong_type(self):
        for x in (array("d", self.x), array("i", [0] * 256), self.x.tobytes(), "text", None,
                  7, [1.0] * 256, object(), memoryview(bytearray(2048))[::2]):
            self.refused((TypeError, ValueError), encode, x)

    def test_wrong_size(self):
        self.refused(ValueError, encode, self.x, (5, 64))
        self.refused(ValueError, encode, self.x, (2**32, 2**31))
        self.refused(ValueError, encode, self.x, (-1, 64))
        self.refused(TypeError, encode, self.x, (4.0, 64))
        self.refused(ValueError, encode, self.x, (256,))
        self.refused(ValueError, encode, self.x, importance=[1.0])

    def test_not_contiguous(self):
        self.refused(ValueError, encode, memoryview(self.x)[::2], (2, 64))
        self.refused(ValueError, encode, memoryview(self.x)[::-1])

    def test_foreign_order(self):
        swapped = (ctypes.c_float.__ctype_be__ * 256)()
        self.refused(TypeError, encode, swapped)

    def test_scalar(self):
        self.refused(ValueError, encode, ctypes.c_float(1.0), (1, 1))

    def test_outputs(self):
        self.refused(ValueError, self.tensor.decode, out=self.x.tobytes())
        self.refused(ValueError, self.tensor.decode, out=memoryview(self.x).toreadonly())
        self.refused(ValueError, self.tensor.decode, out=array("f", [0.0] * 255))
        self.refused(TypeError, self.tensor.decode, out=array("d", [0.0] * 256))
        self.refused(ValueError, self.tensor.decode, dtype=lq.I32)
        out = array("f", bytes(1024))
        self.assertIs(self.tensor.decode(out=out), out)

    def test_planes(self):
        codes = self.tensor.plane("codes")
        self.refused(ValueError, lq.Rows, "nf4:b64", 4, 64, codes=codes[:-1])
        self.refused(TypeError, lq.Rows, "nf4:b64", 4, 64, colour=codes)
        rows = lq.Rows("q8_0", 4, 64, codes=bytes(4 * 68))
        self.refused(ValueError, rows.encode, self.x)
        rows = lq.Rows("q8_0", 4, 64)
        self.refused(ValueError, rows.decode, 3, 2)
        self.refused(ValueError, rows.encode, self.x, 1, 4)
        self.refused(ValueError, lq.Rows, "q8_0", 4, 64, stride=10)

    def test_products(self):
        w, y = lq.Prepared(self.tensor), array("f", [0.0] * 4)
        self.refused(ValueError, w.matmul, self.x, 5)
        self.refused(ValueError, w.matmul, self.x, 1, y=array("f", [0.0] * 3))
        self.refused(ValueError, w.matmul, self.x, 1, y=y, ldx=63)
        self.refused(ValueError, w.matmul, self.x, 1, bias=[1.0])
        self.refused(ValueError, w.matmul, self.x, 1, accumulate=True)
        self.refused(ValueError, w.matmul_slice, self.x, 1, 3, 9)
        self.refused(TypeError, lq.Prepared, self.x)
        self.refused(TypeError, lq.matmul_rows, self.x, self.x, 1)
        with self.assertRaises(lq.Error) as caught:
            w.matmul(self.x, 1, y=self.x)
        self.assertEqual(caught.exception.name, "LQ_ERR_OVERLAP")

    def test_closed(self):
        self.tensor.close()
        self.tensor.close()
        for call in (self.tensor.decode, self.tensor.check, self.tensor.rows):
            self.refused(ValueError, call)
        book = lq.Codebook("nf4")
        spec = lq.Spec("codebook", codebook=book)
        book.close()
        self.refused(ValueError, encode, self.x, spec=spec)

    def test_kept_alive(self):
        """What a handle borrows lives as long as the handle."""
        wrapped = lq.Tensor.wrap("nf4:b64", (4, 64), codes=bytearray(self.tensor.plane(0)),
                                 scales=bytearray(self.tensor.plane(1)))
        expected = self.tensor.decode()
        rows = wrapped.rows()
        del wrapped
        junk = [bytearray(128) for _ in range(100)]
        self.assertEqual(rows.decode(), expected)
        del junk

    def test_a_resize_is_refused(self):
        data = bytearray(4 * 68)
        rows = lq.Rows("q8_0", 4, 64, codes=data)
        self.refused(BufferError, data.extend, b"more")
        del rows

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_numpy(self):
        x = numpy.array(self.x, dtype="f4").reshape(4, 64)
        self.assertEqual(encode(x).plane("codes"), self.tensor.plane("codes"))
        for wrong, kind in ((x.astype("f8"), TypeError), (x.astype(">f4"), TypeError),
                            (x[:, ::2], ValueError), (x.T, ValueError),
                            (numpy.float32(1), ValueError)):
            self.refused(kind, encode, wrong)
        x.flags.writeable = False
        self.refused(ValueError, self.tensor.decode, out=x)


if __name__ == "__main__":
    unittest.main()
