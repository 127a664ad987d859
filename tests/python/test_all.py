# SPDX-License-Identifier: MIT
"""tests/python/test_all.py - every public function called from Python, through ctypes.

The program fails if a function of the headers was never called.
"""
import json
import os
import struct
import sys
import tempfile
import unittest
from array import array
from ctypes import byref

from common import (called, errors, gaussian, lq, native, product, record, relative_rmse)
from test_declarations import Declarations, prototypes  # noqa: F401  (runs here as well)
from test_buffers import Buffers  # noqa: F401

record()


class Base(unittest.TestCase):
    def test_status(self):
        lib = errors.lib
        for name, status in errors.STATUS.items():
            self.assertEqual(lib.lq_status_name(status).decode(),
                             "LQ_OK" if status == 0 else "LQ_ERR_" + name)
            self.assertTrue(lib.lq_status_text(status))
        self.assertEqual(lib.lq_status_name(77), b"unknown status")

    def test_version(self):
        text, number = lq.version()
        major, minor, patch = map(int, text.split("."))
        self.assertEqual(number, major << 16 | minor << 8 | patch)
        self.assertEqual(text, lq.__version__)

    def test_dtypes(self):
        self.assertEqual([lq.dtype_bytes(t) for t in (lq.F32, lq.BF16, lq.I64, 99)],
                         [4, 2, 8, 0])
        self.assertEqual(lq.dtype_name(lq.BF16), "bf16")
        self.assertIsNone(lq.dtype_name(99))

    def test_levels(self):
        self.assertEqual(lq.level_find("ref"), 1)
        self.assertEqual(lq.level_name(1), "ref")
        self.assertTrue(lq.level_available(1))
        with self.assertRaises(lq.Error) as caught:
            lq.level_find("sse9")
        self.assertEqual(caught.exception.name, "LQ_ERR_NOTFOUND")

    def test_context(self):
        with lq.Context(threads=2, level="ref") as context:
            self.assertEqual((context.level, context.threads), ("ref", 2))
            context.prepare()
        with self.assertRaises(ValueError):
            context.level
        with self.assertRaises(lq.Error) as caught:
            lq.Context(threads=5000)
        self.assertEqual(caught.exception.status, errors.STATUS["ARG"])


class Formats(unittest.TestCase):
    def test_registry(self):
        names = [f.name for f in lq.formats()]
        self.assertIn("nf4", names)
        for f in lq.formats():
            self.assertEqual(lq.format(f.name).id, f.id)
            self.assertEqual(lq.format(f.id).name, f.name)
            self.assertEqual(str(lq.Spec(f.default_spec)).split(":")[0], f.name)

    def test_spec(self):
        spec = lq.Spec("nf4:b64:dq")
        self.assertEqual(str(spec), "nf4:b64:dq")
        self.assertEqual(spec, lq.Spec(format=200, group_cols=64, scale2_block=256, flags=1))
        self.assertNotEqual(spec, lq.Spec("nf4:b64"))
        self.assertFalse(spec.rows_independent)
        self.assertTrue(lq.Spec("q8_0").rows_independent)
        with self.assertRaises(lq.Error) as caught:
            lq.Spec("nf5")
        self.assertIn("nf5", str(caught.exception))
        with self.assertRaises(TypeError):
            lq.Spec(colour=3)

    def test_sizes(self):
        spec = lq.Spec("nf4:b64:dq")
        planes = [spec.plane_bytes(p, 64, 256) for p in range(6)]
        self.assertEqual(planes, [64 * 128, 256, 0, 4, 4, 0])
        self.assertEqual(spec.bytes(64, 256), sum(planes))
        self.assertEqual(lq.plane_name(0), "codes")
        self.assertIsNone(lq.plane_name(99))
        with self.assertRaises(lq.Error) as caught:
            spec.bytes(2**40, 2**40)
        self.assertEqual(caught.exception.name, "LQ_ERR_OVERFLOW")


class Codebooks(unittest.TestCase):
    def test_named(self):
        with lq.Codebook("nf4") as book:
            self.assertEqual(len(book), 16)
            self.assertEqual((book.values[0], book.values[7], book.values[15]), (-1, 0, 1))
            self.assertEqual(book.nearest([-2.0, 0.01, 0.9]), bytes([0, 7, 15]))

    def test_made(self):
        self.assertEqual(lq.Codebook([1.0, -1.0, 0.5]).values, [1.0, -1.0, 0.5])
        self.assertEqual(lq.Codebook.normal(5).values[2], 0.0)
        with self.assertRaises(lq.Error):
            lq.Codebook([1.0])

    def test_fit(self):
        samples = array("f", (max(-1.0, min(1.0, v / 4)) for v in gaussian(2000)))
        fitted = lq.Codebook.fit(samples, 8)
        weighted = lq.Codebook.fit(samples, 8, importance=array("f", [1.0] * 2000))
        self.assertEqual(fitted.values, weighted.values)
        spec = lq.Spec("codebook", codebook=fitted)
        tensor = lq.Tensor.encode(samples, spec, (20, 100))
        self.assertLess(relative_rmse(tensor.decode(), samples), 0.3)


class ScalesTest(unittest.TestCase):
    values = array("f", (0.5 + i / 600 for i in range(600)))

    def test_one_level(self):
        with lq.Scales(self.values, type=lq.F16) as scales:
            self.assertEqual(len(scales), 600)
            self.assertEqual(len(scales.codes), 1200)
            self.assertEqual(scales.scale2, [])
            again = lq.Scales.from_stored(scales.codes, 600, type=lq.F16)
            self.assertEqual(again.decode(), scales.decode())
            self.assertEqual(scales.decode(10, 5), scales.decode()[10:15])

    def test_two_levels(self):
        scales = lq.Scales(self.values, scale2_block=256)
        self.assertEqual((len(scales.codes), len(scales.scale2)), (600, 3))
        self.assertAlmostEqual(scales.offset, sum(self.values) / 600, places=6)
        self.assertLess(relative_rmse(scales.decode(), self.values), 0.01)
        again = lq.Scales.from_stored(scales.codes, 600, scale2=scales.scale2,
                                      scale2_block=256, offset=scales.offset)
        self.assertEqual(again.decode(), scales.decode())
        with self.assertRaises(ValueError):
            scales.decode(599, 2)


class Tensors(unittest.TestCase):
    rows, cols = 24, 128

    def setUp(self):
        self.x = gaussian(self.rows * self.cols)

    def test_every_format(self):
        for f in lq.formats():
            if f.name == "codebook":
                continue  # needs a table: see Codebooks
            cols = max(f.block_len, self.cols)
            x = gaussian(self.rows * cols)
            with self.subTest(f.name):
                tensor = lq.Tensor.encode(x, f.default_spec, (self.rows, cols),
                                          importance=array("f", [1.0]) * cols)
                tensor.check()
                self.assertEqual(tensor.shape, (1, self.rows, cols))
                self.assertLess(relative_rmse(tensor.decode(), x), 0.15 if f.bits / f.unit > 3.5 else 0.8)
                self.assertEqual(str(tensor.spec), str(lq.Spec(f.default_spec)))

    def test_rows(self):
        rows = lq.Rows("q8_0", self.rows, self.cols)
        rows.encode(self.x)
        tensor = lq.Tensor.encode(self.x, "q8_0", (self.rows, self.cols))
        self.assertEqual(bytes(rows.planes["codes"]), tensor.plane("codes"))
        self.assertEqual(rows.decode(3, 2), tensor.decode()[3 * 128:5 * 128])
        self.assertEqual(tensor.rows().decode(), tensor.decode())
        half = rows.decode(dtype=lq.BF16)
        self.assertEqual(len(half), self.rows * self.cols)

    def test_wrap(self):
        tensor = lq.Tensor.encode(self.x, "int8:ch", (self.rows, self.cols))
        planes = {"codes": tensor.plane("codes"), "scales": tensor.plane(1)}
        wrapped = lq.Tensor.wrap("int8:ch", (self.rows, self.cols), **planes)
        self.assertEqual(wrapped.decode(), tensor.decode())
        with self.assertRaises(lq.Error) as caught:
            lq.Tensor.wrap("int8:ch", (self.rows + 1, self.cols), **planes)
        self.assertEqual(caught.exception.name, "LQ_ERR_BUFFER")
        self.assertEqual(set(lq.Tensor("int8:ch", (2, 4)).plane("codes")), {0})

    def test_experts(self):
        tensor = lq.Tensor.encode(self.x, "fp8_e4m3:t", (3, 8, self.cols))
        self.assertEqual(tensor.rows(2).decode(), tensor.decode()[2 * 8 * 128:])

    def test_encoder(self):
        for text in ("nf4:b64:dq", "q4_0", "fp8_e4m3:t"):
            with lq.Encoder(text, (self.rows, self.cols)) as encoder:
                strips = [memoryview(self.x)[i * 128:(i + 8) * 128]
                          for i in range(0, self.rows, 8)]
                self.assertEqual(8 % encoder.strip_rows, 0)
                if encoder.passes == 2:
                    for strip in strips:
                        encoder.scan(strip, 8)
                for strip in strips:
                    encoder.rows(strip, 8)
                planes = encoder.finish()
            whole = lq.Tensor.encode(self.x, text, (self.rows, self.cols))
            for name, data in planes.items():
                self.assertEqual(bytes(data), whole.plane(name), (text, name))

    def test_sink_may_fail(self):
        def sink(plane, offset, data):
            raise KeyError("full")
        encoder = lq.Encoder("q8_0", (self.rows, self.cols), sink=sink)
        with self.assertRaises(KeyError):
            encoder.rows(self.x, self.rows)
            encoder.finish()

    def test_nonfinite(self):
        self.x[5] = float("nan")
        with self.assertRaises(lq.Error) as caught:
            lq.Tensor.encode(self.x, "q8_0", (self.rows, self.cols))
        self.assertEqual(caught.exception.name, "LQ_ERR_NONFINITE")
        zero = lq.Tensor.encode(self.x, "q8_0", (self.rows, self.cols), nonfinite="zero")
        self.assertEqual(zero.decode()[5], 0.0)

    def test_progress(self):
        seen = []
        lq.Tensor.encode(self.x, "q8_0", (self.rows, self.cols),
                         progress=lambda done, total, what: seen.append((done, total)))
        self.assertTrue(all(done <= total for done, total in seen))


class Products(unittest.TestCase):
    n, rows, cols = 3, 20, 64

    def setUp(self):
        self.x = gaussian(self.n * self.cols, 2)
        self.w = lq.Tensor.encode(gaussian(self.rows * self.cols), "nf4:b64",
                                  (self.rows, self.cols))
        self.exact = product(self.x, self.w.decode(), self.n, self.rows, self.cols)

    def assertNear(self, y, exact):
        for a, b in zip(y, exact):
            self.assertAlmostEqual(a, b, delta=1e-4)
        self.assertEqual(len(y), len(exact))

    def test_matmul(self):
        with lq.Prepared(self.w) as w:
            y = w.matmul(self.x, self.n, mode="f32")
            self.assertNear(y, self.exact)
            self.assertEqual(lq.matmul_rows(self.w, self.x, self.n), y)
            bias = array("f", range(self.rows))
            twice = w.matmul(self.x, self.n, y=array("f", y), accumulate=True, bias=bias,
                             mode="f32")
            self.assertNear(twice, [2 * v + i % self.rows for i, v in enumerate(self.exact)])

    def test_fast(self):
        with lq.Prepared(self.w) as w:
            y = w.matmul(self.x, self.n)
            self.assertLess(relative_rmse(self.exact, y), 0.02)
            self.assertEqual(w.matmul(self.x, self.n, mode="fast"), y)
            with lq.Acts(w, self.n) as acts:
                self.assertTrue(acts.fit(w))
                self.assertEqual(w.matmul(acts.fill(self.x, self.n), self.n), y)

    def test_slice(self):
        w = lq.Prepared(self.w)
        y, part = w.matmul(self.x, self.n), w.matmul_slice(self.x, self.n, 5, 12)
        for i in range(self.n):
            self.assertEqual(part[i * 7:(i + 1) * 7],
                             y[i * self.rows + 5:i * self.rows + 12])

    def test_memory(self):
        need = lq.prepared_bytes("nf4:b64", self.rows, self.cols)
        w = lq.Prepared(self.w, memory=bytearray(need))
        self.assertNear(w.matmul(self.x, self.n, mode="f32"), self.exact)

    def test_transposed(self):
        x, w = gaussian(self.n * self.rows, 3), self.w.decode()
        y = lq.matmul_transposed(self.w, x, self.n)
        self.assertEqual(y, lq.gemm(x, w, self.n, self.cols, self.rows))
        with self.assertRaises(TypeError):
            lq.matmul_transposed(self.w, x, self.n, row0=3)

    def test_gemm(self):
        w = self.w.decode()
        y = lq.gemm(self.x, w, self.n, self.rows, self.cols, trans_b=True)
        self.assertNear(y, self.exact)
        twice = lq.gemm(self.x, w, self.n, self.rows, self.cols, trans_b=True, alpha=-2.0,
                        c=array("f", y), accumulate=True)
        self.assertNear(twice, [-v for v in self.exact])
        with self.assertRaises(ValueError):
            lq.gemm(self.x, w, self.n, self.rows, self.cols, ldb=3)
        with self.assertRaises(lq.Error) as caught:
            lq.gemm(self.x, w, self.n, self.rows, self.cols, trans_b=True, c=w)
        self.assertEqual(caught.exception.name, "LQ_ERR_OVERLAP")


class Calibration(unittest.TestCase):
    def test_stats(self):
        x = array("f", [1, 2, 3, 4, -5, 6])
        a, b = lq.Stats(gram=True), lq.Stats(gram=True)
        a.add("w", x, 3)
        b.add("w", x[:3], 3)
        b.merge(lq.Stats())
        other = lq.Stats(gram=True)
        other.add("w", x[3:], 3)
        b.merge(other)
        b.same("v", "w")
        self.assertEqual(b.names(), ["w", "v"])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats.safetensors")
            b.save(path)
            for read in b, lq.Stats.load(path), lq.Stats.load(path, "v"):
                stat = read["v"]
                self.assertEqual((stat.count, stat.cols, stat.gram), (2, 3, 1))
                self.assertEqual(stat.sum_sq, [17, 29, 45])
                self.assertEqual(stat.sum_abs, a["w"].sum_abs)
                self.assertEqual(read.gram_row("v", 1), [-18, 29])
        with self.assertRaises(lq.Error) as caught:
            a.join(other)
        self.assertEqual(caught.exception.name, "LQ_ERR_MISMATCH")
        with self.assertRaises(ValueError):
            a.add("w", x[:4], 3)

    def test_gptq(self):
        rows, cols, n = 8, 64, 40
        w, x, stats = gaussian(rows * cols), gaussian(n * cols), lq.Stats(gram=True)
        for i in range(n):                  # correlated inputs
            for c in range(1, cols):
                x[i * cols + c] += 0.8 * x[i * cols + c - 1]
        stats.add("w", x, cols)
        plain, result = lq.gptq(w, "int3:g32:zp", (rows, cols))
        self.assertEqual(result.solved, lq.STATUS["NOTFOUND"])
        exact = product(x, w, n, rows, cols)
        errors_of = [relative_rmse(product(x, t.decode(), n, rows, cols), exact) for t in (
            plain, lq.gptq(w, "int3:g32:zp", (rows, cols), stats, "w", sweeps=1)[0])]
        self.assertLess(errors_of[1], 0.6 * errors_of[0])
        self.assertEqual(lq.gptq(w, "int3:g32:zp", (rows, cols), stats, "w", compat=True)[1].dead,
                         0)
        with self.assertRaises(lq.Error) as caught:
            lq.gptq(w, "int3:g32:zp", (rows, cols), stats, "v")
        self.assertEqual(caught.exception.name, "LQ_ERR_NOTFOUND")


class Training(unittest.TestCase):
    n = 600

    def test_optimizers(self):
        for rule in "adamw", "adam", "lion", "sgd":
            for bits in 32, 8:
                o = lq.Optimizer(self.n, rule, bits, weight_decay=0.01)
                values, grads = array("f", [1.0] * self.n), array("f", [0.5] * self.n)
                for _ in range(3):
                    o.step(values, grads, lr=0.01, grad_scale=2.0)
                self.assertTrue(all(v < 1 for v in values))
                again = lq.Optimizer(self.n, rule, bits, weight_decay=0.01)
                again.state, again.steps = [s and bytearray(s) for s in o.state], o.steps
                copy = array("f", values)
                o.step(values, grads, lr=0.01)
                again.step(copy, grads, lr=0.01)
                self.assertEqual(values, copy)
        with self.assertRaises(lq.Error):
            lq.Optimizer(self.n, state_bits=7)
        with self.assertRaises(ValueError):
            o.step(values[:5], grads, lr=0.01)

    def test_paged(self):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            path = os.path.join(folder, "x")
            with lq.Paged(folder, 1 << 21) as pool:
                try:
                    x = pool.alloc(1 << 20, "f")
                except lq.Error as e:
                    self.skipTest(str(e))
                o = lq.Optimizer(1 << 20, "lion", 8, paged=pool)
                same = lq.Optimizer(1 << 20, "lion", 8)
                values, grads = array("f", bytes(4 << 20)), array("f", [1.0]) * (1 << 20)
                o.step(x, grads, lr=0.01)
                same.step(values, grads, lr=0.01)
                self.assertEqual(x[:9], memoryview(values)[:9])
                self.assertEqual(o.state[0][-9:], same.state[0][-9:])
                self.assertEqual(pool.alloc(0).nbytes, 0)
                named = pool.alloc(10, path=path)
                pool.use(named, write=True)
                named[9] = 7
                pool.sync()
                pool.trim()
                self.assertLess(pool.info()["resident"], 3 << 20)
                pool.free(named)
                self.assertEqual(pool.alloc(10, path=path)[9], 7)
                with self.assertRaises(lq.Error):
                    pool.alloc(11, path=path)
                del x, o, named

    def test_sum_squares(self):
        self.assertEqual(lq.sum_squares(array("f", [3, 4])), 25)

    def test_lora(self):
        n, rows, cols, rank = 5, 24, 64, 4
        tensor = lq.Tensor.encode(gaussian(rows * cols), "nf4:b64:dq", (rows, cols))
        a, b = gaussian(rank * cols), array("f", bytes(4 * rows * rank))
        x, dy, keep = gaussian(n * cols), gaussian(n * rows), b"\xff" * (n * cols // 8)
        bias = array("f", [0.5] * rows)
        layer = lq.Lora(tensor, rank, a, b, lq.lora_scale(8, rank), bias=bias)
        y, xa = layer.forward(x, n, keep)
        self.assertLess(relative_rmse(y, [v + 0.5 for v in product(x, tensor.decode(), n, rows,
                                                                   cols)]), 1e-6)
        dx, da, db = layer.backward(x, n, dy, xa, keep)
        self.assertTrue(any(db) and not any(da) and any(dx))
        b[:] = gaussian(rows * rank)
        merged, sums = layer.merge("f32")
        y, _ = layer.forward(x, n)
        plain, _ = lq.Lora(merged, rank, a, array("f", bytes(4 * rows * rank)),
                           bias=bias).forward(x, n)
        self.assertLess(relative_rmse(plain, y), 1e-6)
        self.assertEqual(sums["error"], 0)
        self.assertGreater(sums["change"], 0)
        self.assertEqual(str(layer.merge()[0].spec), str(tensor.spec))
        with lq.Prepared(tensor) as prepared:
            fast, _ = lq.Lora(prepared, rank, a, b, 2, bias=bias).forward(x, n)
            self.assertLess(relative_rmse(fast, y), 0.02)
        with self.assertRaises(ValueError):
            lq.Lora(tensor, rank + 1, a, b)
        with self.assertRaises(lq.Error):
            lq.Lora(tensor, 0, a, b).forward(x, n)

    def test_fake(self):
        rows, cols = 8, 64
        x, dy = gaussian(rows * cols), gaussian(rows * cols)
        fitted = lq.Fake("ternary:t", (rows, cols))
        self.assertEqual(fitted.forward(x), lq.Tensor.encode(x, "ternary:t", (rows, cols)).decode())
        self.assertEqual(fitted.backward(x, dy), (dy, None, None))
        affine = lq.Fake("int4:g32:zp", (rows, cols), "affine")
        affine.start(x)
        self.assertEqual(affine.forward(x),
                         lq.Tensor.encode(x, "int4:g32:zp", (rows, cols)).decode())
        dx, dscales, dzeros = affine.backward(x, dy)
        self.assertEqual((len(dx), len(dscales), len(dzeros)), (rows * cols, 16, 16))
        lsq = lq.Fake("int2:ch:f32", (rows, cols), "lsq", grad_factor=1)
        lsq.start(x)
        y = lsq.forward(x)
        self.assertEqual(lsq.encode(x).decode(), y)
        dx, dscales, _ = lsq.backward(x, dy)
        self.assertTrue(any(dscales) and 0 < dx.count(0) < len(dx))
        delayed = lq.Fake("fp8_e4m3:t", (rows, cols), "lsq", history=4)
        delayed.observe(x)
        self.assertAlmostEqual(delayed.scales[0] * 448, max(map(abs, x)), places=5)
        self.assertLess(relative_rmse(delayed.forward(x), x), 0.04)
        with self.assertRaises(lq.Error):
            lq.Fake("nf4:b64:dq", (rows, cols), "lsq")
        with self.assertRaises(lq.Error):
            lsq.forward(array("f", [float("nan")] * (rows * cols)))

    def test_adapter(self):
        m = lq.AdapterModule("layers.0.q", 6, 10, 2, gaussian(20), gaussian(12))
        other = lq.AdapterModule("layers.0.up", 3, 2, 1, array("H", [0x3f80] * 2),
                                 array("H", [0x4000] * 3), lq.BF16)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "adapter")
            lq.adapter_write(path, [m, other], 2, 8, base_model="some/model", targets=["q", "up"])
            with open(os.path.join(path, "adapter_config.json"), encoding="utf-8") as f:
                text = f.read()
            config = json.loads(text)
            self.assertEqual((config["r"], config["lora_alpha"], config["peft_type"]),
                             (2, 8, "LORA"))
            self.assertEqual(config["rank_pattern"], {"layers.0.up": 1})
            self.assertEqual(config["target_modules"], ["q", "up"])
            with lq.File(os.path.join(path, "adapter_model.safetensors")) as f:
                self.assertEqual({t.name for t in f}, {
                    f"base_model.model.{n}.lora_{half}.weight"
                    for n in (m.name, other.name) for half in "AB"})
            with open(os.path.join(path, "adapter_model.safetensors"), "rb") as f:
                again = lq.Adapter.from_memory(text.encode(), f.read())
            adapter = lq.Adapter(path)
            self.assertEqual(adapter.config, again.config)
            self.assertEqual((adapter.config["rank"], adapter.config["targets"], len(adapter)),
                             (2, ["q", "up"], 2))
            self.assertEqual(adapter["layers.0.q"], m._replace(scale=4.0))
            self.assertEqual(adapter[1], other._replace(scale=8.0))
            with self.assertRaises(lq.Error) as caught:
                lq.adapter_write(path, [m], 2, 8)
            self.assertEqual(caught.exception.name, "LQ_ERR_EXISTS")

    def test_parallel(self):
        done = set()
        lq.parallel(done.add, 10, lq.Context(threads=2))
        self.assertEqual(done, set(range(10)))


class Layout(unittest.TestCase):
    def test_gptq(self):
        rows, cols, spec = 32, 64, lq.Spec("int4:g32:zp:f16")
        ours = lq.Rows(spec, rows, cols)
        tensor = lq.Tensor.encode(gaussian(rows * cols), spec, (rows, cols))
        for name in ours.planes:
            ours.planes[name][:] = tensor.plane(name)
        self.assertEqual(lq.gptq_bytes(spec, rows, cols)["qweight"], rows * cols // 2)
        theirs = lq.gptq_export(ours, version=2)
        again = lq.gptq_import(theirs)
        self.assertEqual(again.decode(), tensor.decode())

    def test_awq_and_compressed(self):
        rows, cols, spec = 16, 64, lq.Spec("int4:g64:zp:f16")
        ours = lq.Rows(spec, rows, cols)
        tensor = lq.Tensor.encode(gaussian(rows * cols), spec, (rows, cols))
        for name in ours.planes:
            ours.planes[name][:] = tensor.plane(name)
        for version in (1, 2, 3):
            again = lq.awq_import(spec, rows, cols, lq.awq_export(ours, version), version)
            self.assertEqual(again.decode(), tensor.decode())
        for form in (1, 2):
            again = lq.compressed_import(spec, rows, cols, lq.compressed_export(ours, form), form)
            self.assertEqual(bytes(again.planes["codes"]), bytes(ours.planes["codes"]))
            self.assertEqual(bytes(again.planes["zeros"]), bytes(ours.planes["zeros"]))
        self.assertEqual(lq.compressed_detect(3, 128, 13), 2)

    def test_detect(self):
        self.assertEqual(lq.gptq_detect(bytes([0x88] * 16), 4), 2)
        self.assertEqual(lq.gptq_detect(bytes([0x77] * 16), 4), 1)
        self.assertEqual(lq.gptq_detect(bytes(16), 4), 0)


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = gaussian(32 * 64)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, container, tensor="model.layers.0.mlp.up_proj.weight", **options):
        path = self.path(name)
        with lq.Writer(path, container, **options) as w:
            if container == lq.GGUF:
                w.meta("general.architecture", "test")
                w.meta("test.count", 7, "u32")
                w.meta("test.names", ["a", "bc"], "string")
                w.meta("test.numbers", [1.5, -2.0], "f32")
            elif container == lq.SAFETENSORS:
                w.meta("note", "hello")
            else:
                w.attach("config.json", json.dumps({"model_type": "test"}).encode())
            index = w.tensor(tensor, (32, 64), dtype=lq.F32)
            w.begin()
            w.write(index, memoryview(self.data)[:1000])
            w.write(index, memoryview(self.data)[1000:], offset=4000)
            w.finish()
        return path

    def test_containers(self):
        for container in (lq.GGUF, lq.SAFETENSORS, lq.DIRECTORY):
            path = self.write(f"m{container}", container)
            with self.subTest(lq.container_name(container)), lq.File(path) as f:
                self.assertEqual(f.container, lq.container_name(container))
                self.assertEqual(f.path, path)
                self.assertEqual((len(f), f[0].dims, f[0].bytes), (1, (32, 64), 8192))
                self.assertEqual(f.index(f[0].name), 0)
                self.assertEqual(bytes(f.read(0)), self.data.tobytes())
                self.assertEqual(bytes(f.read(0, 8, 16)), self.data.tobytes()[8:24])
                self.assertIsNone(f.data(0))
                with self.assertRaises(lq.Error):
                    f.index("nothing")
                with self.assertRaises(ValueError):
                    f.read(0, 8190, 3)
        self.assertIsNone(lq.container_name(9))

    def test_metadata(self):
        path = self.write("m.gguf", lq.GGUF)
        with lq.File(path) as f:
            self.assertEqual(f.meta("test.count"), 7)
            self.assertEqual(f.meta("test.names"), ["a", "bc"])
            found = f.metadata()
            self.assertEqual(found["test.numbers"], [1.5, -2.0])
            self.assertEqual(found["general.architecture"], "test")
            with lq.Writer(self.path("copy.gguf"), lq.GGUF) as w:
                w.meta_copy(f, "test.names")
                w.begin()
                w.finish()
        with lq.File(self.path("copy.gguf")) as f:
            self.assertEqual(f.meta("test.names"), ["a", "bc"])
        with lq.File(self.write("d", lq.DIRECTORY)) as f:
            self.assertEqual(json.loads(f.config)["model_type"], "test")

    def test_memory(self):
        with open(self.write("m.safetensors", lq.SAFETENSORS), "rb") as f:
            data = f.read()
        with lq.File.from_memory(data) as f:
            self.assertEqual(f.data(0), self.data.tobytes())
            self.assertEqual(f.path, "")
        with self.assertRaises(lq.Error) as caught:
            lq.File.from_memory(data[:20])
        self.assertLess(caught.exception.status, 0)

    def test_atomic(self):
        path = self.write("m.gguf", lq.GGUF)
        with self.assertRaises(lq.Error) as caught:
            self.write("m.gguf", lq.GGUF)
        self.assertEqual(caught.exception.name, "LQ_ERR_EXISTS")
        self.write("m.gguf", lq.GGUF, replace=True, checksums=False)
        with lq.Writer(self.path("never.gguf"), lq.GGUF) as w:
            w.tensor("t", (4,), dtype=lq.F32)
            w.begin()
        self.assertEqual(os.listdir(self.folder.name), [os.path.basename(path)])

    def test_checkpoint(self):
        path = self.write("d", lq.DIRECTORY)
        with lq.Checkpoint(path) as c:
            weight = c["model.layers.0.mlp.up_proj.weight"]
            self.assertEqual((len(c), weight.dims, str(weight.spec)), (1, (32, 64), "f32"))
            self.assertEqual([w.dialect for w in c], ["plain"])
            self.assertEqual(c.rows(0, 2, 3), self.data[128:320])
            self.assertEqual(c.load(0).decode(), self.data)
            self.assertEqual(c.file.path, path)
            choice = lq.choose_default(c, 0, "nf4:b64")
            self.assertEqual((choice.action, str(choice.spec)), (lq.ENCODE, "nf4:b64"))
            file = c.file
        with self.assertRaises(ValueError):
            file.path
        with lq.Checkpoint.of(lq.File(path)) as c:
            self.assertEqual(c.index("model.layers.0.mlp.up_proj.weight"), 0)

    def test_convert_and_verify(self):
        source, target = self.write("in", lq.DIRECTORY), self.path("out")
        seen = []
        reports = lq.convert(source, target, "nf4:b64:dq", report=seen.append,
                             progress=lambda *p: False)
        self.assertEqual([r.to for r in reports], ["nf4:b64:dq"])
        self.assertEqual(len(seen), 1)
        whole = lq.Tensor.encode(self.data, "nf4:b64:dq", (32, 64))
        with lq.Checkpoint(target) as c:
            self.assertEqual(c.load(0).decode(), whole.decode())
        bad, findings = lq.verify(target)
        self.assertEqual(bad, 0, findings)
        self.assertTrue(findings)

    def test_convert_chooses(self):
        source = self.write("in", lq.DIRECTORY)

        def choose(weight, choice):
            choice.spec = lq.Spec("int8:ch")

        reports = lq.convert(source, self.path("out"), "nf4:b64", choose=choose,
                             importance=lambda weight: [1.0] * 64)
        self.assertEqual([r.to for r in reports], ["int8:ch"])
        with self.assertRaises(ZeroDivisionError):
            lq.convert(source, self.path("no"), "nf4:b64", choose=lambda w, c: 1 / 0)
        with self.assertRaises(lq.Cancelled):
            lq.convert(source, self.path("no"), "nf4:b64", progress=lambda *p: True)
        self.assertFalse(os.path.exists(self.path("no")))

    def test_imatrix(self):
        name = b"blk.0.ffn_up.weight"
        data = struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii4f", 2, 4, 2, 4, 6, 8)
        with open(self.path("i.dat"), "wb") as f:
            f.write(data)
        for imatrix in (lq.Imatrix(self.path("i.dat")), lq.Imatrix.from_memory(data)):
            with imatrix:
                self.assertEqual(imatrix.names(), [name.decode()])
                self.assertEqual(imatrix[name.decode()], [1.0, 2.0, 3.0, 4.0])
        with self.assertRaises(lq.Error):
            lq.Imatrix.from_memory(data[:-1])

    def test_gguf_name(self):
        self.assertEqual(lq.gguf_name("model.layers.7.self_attn.k_proj.weight"),
                         "blk.7.attn_k.weight")
        self.assertIsNone(lq.gguf_name("blk.7.attn_k.weight"))

    def test_dialects(self):
        self.assertIn("gptq_p", lq.dialects())
        self.assertEqual(len(set(lq.dialects())), len(lq.dialects()))
        self.assertEqual(lq.dialects("nf4:b64:dq"), ["bitsandbytes", "lq"])
        self.assertIn("awq", lq.dialects("int4:g128:zp:f16"))
        self.assertNotIn("awq", lq.dialects("int3:g128:zp:f16"))
        self.assertEqual(lq.dialects("f32"), [])
        self.assertEqual(lq.dialects("q4_k", (1, 100)), [])   # 256 does not divide 100

    def test_mixes(self):
        self.assertIn("q4_k_m", lq.mixes())
        self.assertEqual(str(lq.mix_spec("Q4_K_M")), "q4_k")

    def test_errors_name_the_place(self):
        with self.assertRaises(lq.Error) as caught:
            lq.File(self.path("nothing.gguf"))
        self.assertEqual(caught.exception.name, "LQ_ERR_NOTFOUND")
        self.assertIn("nothing.gguf", caught.exception.file)
        with self.assertRaises(ValueError):
            lq.File("a\0b")


class Inits(unittest.TestCase):
    def test_zero_and_size(self):
        """Every lq_..._init() sets struct_size and nothing else of note."""
        for name, (_, arguments) in native.FUNCTIONS.items():
            if name.endswith("_init"):
                struct_ = arguments[0]._type_()
                getattr(errors.lib, name)(byref(struct_))
                self.assertGreater(struct_.struct_size, 0, name)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    missing = sorted(set(prototypes()) - called)
    if missing and len(sys.argv) == 1:
        print(f"never called: {', '.join(missing)}", file=sys.stderr)
    sys.exit(bool(missing and len(sys.argv) == 1) or not result.wasSuccessful())
