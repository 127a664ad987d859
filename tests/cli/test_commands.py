# SPDX-License-Identifier: MIT
"""tests/cli/test_commands.py - what the commands do when all is well"""
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time

import models
from base import LQ, Case, main

LINEAR = sorted(n for n, s in models.weights() if n.endswith("proj.weight"))


class Commands(Case):
    def convert(self, command, source, out, *args):
        path = self.path(out)
        return path, self.json(command, source, path, *args)

    def test_formats(self):
        d = self.json("formats")
        names = [f["name"] for f in d["formats"]]
        for name in ("f32", "bf16", "q8_0", "q4_k", "nf4", "int4", "int8", "fp8_e4m3"):
            self.assertIn(name, names)
            self.assertIn(name, self.run_lq("formats")[0])
        bits = {f["name"]: f["bits_per_weight"] for f in d["formats"]}
        self.assertEqual(bits["q8_0"], 8.5)
        self.assertEqual(bits["q4_k"], 4.5)
        self.assertIsNone(bits["codebook"])

    def test_inspect(self):
        for source in (self.dir, self.single, self.gguf):
            d = self.json("inspect", source, "--tensors")
            shapes = {w["name"]: tuple(w["shape"]) for w in d["weights"]}
            self.assertEqual(shapes, dict(models.weights()))
            self.assertEqual({w["spec"] for w in d["weights"]}, {"f32"})
            self.assertEqual(len(d["tensors"]), len(shapes))
            self.assertEqual(d["bits_per_weight"], 32)
            self.assertIn("q_proj", self.run_lq("inspect", source)[0])
            self.assertIn("offset", self.run_lq("inspect", source, "-t")[0])

    def test_inspect_escapes(self):
        evil = "a\x1b[31m\n\u202e<b>\\.weight"
        path = self.path("evil.safetensors")
        models.safetensors(path, [(evil, (2, 32), models.numbers(1, 64))],
                           {"no\x07te": "x\x1b]0;title\x07"})
        out, _ = self.run_lq("inspect", path)
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\x07", out)
        self.assertNotIn("\u202e", out)
        self.assertIn("\\x1b[31m\\n\\u{202e}<b>\\\\.weight", out)
        d = self.json("inspect", path)
        self.assertEqual(d["weights"][0]["name"], evil)
        self.assertEqual(d["metadata"]["no\x07te"], "x\x1b]0;title\x07")

    def test_quantize_default(self):
        path, d = self.convert("quantize", self.single, "nf4.safetensors", "-f", "nf4:b64")
        encoded = sorted(w["name"] for w in d["weights"] if w["action"] == "encode")
        self.assertEqual(encoded, LINEAR)
        kept = [w for w in d["weights"] if w["action"] == "keep"]
        self.assertTrue(all(w["reason"] for w in kept))
        self.assertEqual(d["kept"], len(kept))
        self.assertAlmostEqual(d["relative_rmse"], 0.09, delta=0.02)
        self.assertTrue(all(len(w["xxh3"]) == 32 for w in d["weights"]))
        self.json("verify", path)
        specs = {w["name"]: w["spec"] for w in self.json("inspect", path)["weights"]}
        self.assertEqual({specs[n] for n in LINEAR}, {"nf4"} if "nf4" in specs.values()
                         else {"nf4:b64"})
        self.assertEqual(specs["model.norm.weight"], "f32")

    def test_quantize_rules(self):
        _, d = self.convert("quantize", self.single, "rules.safetensors", "-f", "int8:ch",
                            "--tensor", "down_proj=nf4:b128", "--exclude", r"layers\.1\.",
                            "-v")
        to = {w["name"]: w["to"] for w in d["weights"]}
        self.assertEqual(to["model.layers.0.mlp.down_proj.weight"], "nf4:b128")
        self.assertEqual(to["model.layers.0.mlp.up_proj.weight"], "int8:ch")
        self.assertEqual(to["model.layers.1.mlp.up_proj.weight"], "f32")
        self.assertEqual(to["model.layers.1.mlp.down_proj.weight"], "f32")

    def test_include_everything(self):
        _, d = self.convert("quantize", self.single, "all.safetensors", "-f", "int8:ch",
                            "--include", ".*")
        encoded = sorted(w["name"] for w in d["weights"] if w["action"] == "encode")
        self.assertEqual(encoded, sorted(n for n, s in models.weights() if len(s) > 1))
        _, d = self.convert("quantize", self.single, "some.safetensors", "-f", "int8:ch",
                            "--include", "q_proj|lm_head")
        encoded = sorted(w["name"] for w in d["weights"] if w["action"] == "encode")
        self.assertEqual(encoded, sorted(n for n, s in models.weights()
                                         if "q_proj" in n or "lm_head" in n))

    def test_tails(self):
        _, d = self.convert("quantize", self.dir, "tail.gguf", "-f", "q4_k")
        tails = [w for w in d["weights"] if w["rows"] > 1 and w["cols"] == models.FFN]
        self.assertEqual(len(tails), models.LAYERS)
        for w in tails:
            self.assertNotEqual(w["to"], "q4_k")
            self.assertIn("288", w["reason"])
        out, _ = self.run_lq("quantize", self.dir, self.path("tail2.gguf"), "-f", "q4_k")
        self.assertEqual(out.count("not a multiple of"), models.LAYERS)
        self.fails("quantize", self.single, self.path("x.safetensors"), "-f", "q4_k", code=3)
        for tail, spec in (("q8_0", "q8_0"), ("pad", "q4_k:pad")):
            _, d = self.convert("quantize", self.single, f"tail-{tail}.safetensors", "-f",
                                "q4_k", "--tail", tail)
            self.assertEqual({w["to"] for w in d["weights"] if w["rows"] > 1
                              and w["cols"] == models.FFN}, {spec})

    def test_dry_run_and_quiet(self):
        path, d = self.convert("quantize", self.single, "dry.safetensors", "-f", "int8:ch",
                               "--dry-run")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(d["encoded"], len(LINEAR))
        out, err = self.run_lq("quantize", self.single, path, "-f", "int8:ch", "--quiet")
        self.assertEqual((out, err), ("", ""))
        self.assertTrue(os.path.exists(path))

    def test_containers(self):
        """The same numbers through every container, and back."""
        for out in ("q.gguf", "q.safetensors", "q_dir"):
            path, _ = self.convert("quantize", self.dir, out, "-f", "q8_0", "-T", "2")
            self.json("verify", path)
            self.json("compare", self.dir, path, code=1)
            d = self.json("compare", self.dir, path, "--tolerance", "0.02")
            self.assertEqual((d["different"], d["missing"]), (0, 0))
            self.assertGreater(d["cosine"], 0.999)
            back, _ = self.convert("dequantize", path, "back-" + out)
            d = self.json("compare", path, back)
            self.assertEqual(d["relative_rmse"], 0)

    def test_dequantize_types(self):
        path, _ = self.convert("quantize", self.single, "i8.safetensors", "-f", "int8:ch")
        for name in ("f32", "f16", "bf16"):
            back, _ = self.convert("dequantize", path, f"i8-{name}.safetensors", "-f", name)
            specs = {w["name"]: w["spec"] for w in self.json("inspect", back)["weights"]}
            self.assertEqual({specs[n] for n in LINEAR}, {name})
        self.fails("dequantize", path, self.path("x.safetensors"), "-f", "q8_0", code=2)

    def test_compare(self):
        out, _ = self.run_lq("compare", self.single, self.dir)
        self.assertIn("0 different", out)
        self.json("compare", self.single, self.gguf)
        llama, _ = self.convert("quantize", self.dir, "f32.gguf", "-f", "f32")
        for pair in ((llama, self.dir), (self.dir, llama)):     # rows of q and k permuted
            d = self.json("compare", *pair)
            self.assertEqual(d["equal"], len(list(models.weights())))
        entries = [(n, s, raw) for n, s, raw in models.tensors() if "norm" not in n]
        n, s, raw = entries[0]
        entries[0] = (n, s, b"\0\0\x80\x3f" + raw[4:])          # one number is 1 now
        n, s, raw = entries[1]
        entries[1] = (n, (s[0] // 2, s[1] * 2), raw)
        models.safetensors(self.path("changed.safetensors"), entries)
        d = self.json("compare", self.single, self.path("changed.safetensors"), code=1)
        verdicts = {w["name"]: w["verdict"] for w in d["weights"]}
        self.assertEqual(verdicts[entries[0][0]], "differs")
        self.assertEqual(verdicts[entries[1][0]], "shape")
        self.assertEqual(verdicts["model.norm.weight"], "missing in B")
        self.assertEqual(verdicts[entries[2][0]], "equal")
        self.run_lq("compare", self.single, self.path("changed.safetensors"), code=1)

    def test_estimate(self):
        d = self.json("estimate", self.single, "-f", "int8:ch", "-c", "100", "-b", "3",
                      "--kv", "f16", "--memory", "1G")
        path, made = self.convert("quantize", self.single, "size.safetensors", "-f", "int8:ch")
        self.assertEqual(d["bytes"]["weights"], made["bytes_out"])
        self.assertEqual(d["bytes"]["kv_cache"], 2 * models.LAYERS * models.KV * 2 * 300)
        self.assertTrue(d["fits"])
        b = d["bytes"]
        self.assertEqual(b["total"], sum(v for k, v in b.items() if k != "total"))
        d = self.json("estimate", self.single, "-f", "nf4", "--lora", "8", "--targets",
                      "q_proj", "--optimizer", "adam8bit", "-M", "1K")
        numbers = models.LAYERS * 8 * 2 * models.HIDDEN
        self.assertEqual(d["bytes"]["adapters"], 4 * numbers)
        self.assertEqual(d["bytes"]["optimizer_state"], numbers * (2 + 8 / 256))
        self.assertFalse(d["fits"])
        self.fails("estimate", self.single, "--lora", "8", "--targets", "zzz", code=2)
        d = self.json("estimate", "--params", "7B", "-f", "nf4:b64:dq", "-M", "48G")
        self.assertAlmostEqual(d["model"]["parameters"], 7e9, delta=0.7e9)
        self.assertTrue(d["fits"])
        self.assertIn("fits in 48.0 GiB: yes",
                      self.run_lq("estimate", "--params", "7B", "-f", "nf4", "-M", "48G")[0])
        self.fails("estimate", "--params", "1Z", code=2)

    def test_estimate_config(self):
        path = os.path.join(self.dir, "config.json")
        out, _ = self.run_lq("estimate", path, "-f", "int8:ch", "--json", code=None)
        if "LQ_ERR_UNSUPPORTED" in out:
            self.skipTest("built without JSON")
        a = self.json("estimate", path, "-f", "int8:ch")
        b = self.json("estimate", self.dir, "-f", "int8:ch")
        self.assertEqual(a["bytes"], b["bytes"])
        with open(self.path("bad.json"), "w") as f:
            f.write("[1, 2")
        self.fails("estimate", self.path("bad.json"), code=3, say="bad.json")
        with open(self.path("empty.json"), "w") as f:
            f.write("{}")
        self.fails("estimate", self.path("empty.json"), code=3, say="hidden_size")

    def bench(self, *args):
        """The lines of a small benchmark."""
        small = ("--rows", "80", "--cols", "256", "--repeat", "1", "-T", "1", "--rotate", "64K")
        out, _ = self.run_lq("bench", "--json", *args, *small)
        return [json.loads(line) for line in out.splitlines()]

    def test_bench(self):
        keys = ("op format rows cols n threads mode level seconds gbps gflops roof_gbps "
                "peak_gops fraction nmse prepared_bytes source_bytes").split()
        lines = self.bench("-f", "nf4:b64:dq,iq2_xxs", "-n", "1,3")
        for line in lines:
            self.assertEqual(list(line)[:18], ["status"] + keys)
            self.assertGreater(line["roof_gbps"], 0)
        self.assertEqual([line["op"] for line in lines[:3]], ["roof"] * 3)
        self.assertEqual([line["mode"] for line in lines[:3]], ["fast", "bf16", "f32"])
        self.assertEqual([(line["op"], line["n"]) for line in lines[3:]],
                         [("gemv", 1), ("gemv", 3), ("gemm", 1), ("gemm", 3),
                          ("quantize", None), ("dequantize", None)] * 2)
        for line in lines[3:]:
            self.assertAlmostEqual(line["fraction"] * line["seconds"], 1e-9 * (
                2 * 80 * 256 * line["n"] / line["peak_gops"] if line["op"] == "gemm" else
                line["gbps"] * line["seconds"] * 1e9 / line["roof_gbps"]))
        self.assertLess(lines[3]["nmse"], 1e-3)

    def test_bench_products(self):
        for mode, error in ("fast", 1e-4), ("bf16", 1e-5), ("f32", 1e-12):
            line, = self.bench("gemv", "-f", "q4_0", "--mode", mode)
            self.assertEqual(line["mode"], mode)
            self.assertLess(line["nmse"], error)
            self.assertGreater(line["prepared_bytes"], 0)
            self.assertEqual(line["source_bytes"], 80 * 256 // 32 * 18)
        line, = self.bench("gemv", "-f", "q4_0", "--unprepared")
        self.assertIsNone(line["prepared_bytes"])
        for plain in ("f32", "bf16"):        # lq_gemm
            line, = self.bench("gemm", "-f", plain, "-n", "5")
            self.assertEqual(line["mode"], "f32")
            self.assertLess(line["nmse"], 1e-5)

    def test_bench_weighted(self):
        """Importances move the error, of formats that use them."""
        for spec, moves in (("q4_k", True), ("q8_0", False)):
            plain, = self.bench("quantize", "-f", spec)
            weighted, = self.bench("quantize", "-f", spec, "--weighted")
            self.assertEqual(plain["nmse"] != weighted["nmse"], moves)

    def test_bench_optimizer(self):
        lines = self.bench("optimizer", "--rule", "lion")
        self.assertEqual([(line["mode"], line["bits"], line["n"]) for line in lines],
                         [("lion", bits, n) for bits in (8, 32) for n in (16384, 80 * 256)])
        for line in lines:
            self.assertEqual(line["op"], "optimizer")
            self.assertGreater(line["gweights"], 0)
            self.assertAlmostEqual(line["gbps"] / line["gweights"],
                                   12 + 2 * (1 + 4 / 256 if line["bits"] == 8 else 4))
        lines = self.bench("optimizer", "--bits", "8")
        self.assertEqual([line["mode"] for line in lines[::2]], ["adamw", "adam", "lion", "sgd"])

    def test_bench_usage(self):
        small = ("--rows", "1", "--cols", "256", "--repeat", "1", "-T", "1", "--rotate", "0")
        self.assertIn("GF/s", self.run_lq("bench", "gemv", "-f", "q4_0", *small)[0])
        self.fails("bench", "-f", "q4_k,zzz", *small, code=2)
        self.fails("bench", "-n", "1,0", code=2, say="--n 1,0")
        self.fails("bench", "-f", "q4_k", "--cols", "100", "--rows", "1", "--repeat", "1",
                   code=3)

    def terminal(self, columns, *args, **environment):
        """What a command draws on a terminal of this width."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        r = subprocess.run([LQ, *args], stdout=subprocess.DEVNULL, stderr=slave, timeout=300,
                           env={**os.environ, **environment})
        os.close(slave)
        drawn = b""
        try:
            while chunk := os.read(master, 65536):
                drawn += chunk
        except OSError:
            pass
        os.close(master)
        self.assertEqual(r.returncode, 0, drawn)
        return drawn.decode()

    def test_progress(self):                                           # L23
        args = ("quantize", self.single, self.path("p.safetensors"), "-f", "int8:ch",
                "--force")
        for columns in (20, 80):
            drawn = self.terminal(columns, *args, TERM="xterm", NO_COLOR="1")
            self.assertIn("%", drawn)
            self.assertNotIn("\x1b", drawn)
            self.assertLess(max(map(len, drawn.replace("\n", "\r").split("\r"))), columns)
            self.assertRegex(drawn, r"\r *\r$")
        self.assertEqual(self.terminal(80, *args, TERM="dumb"), "")
        self.assertEqual(self.terminal(80, *args, "--quiet", TERM="xterm"), "")

    def interrupt(self, number, *args):
        """Send a signal a little after the program has begun to catch it."""
        p = subprocess.Popen([LQ, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while p.poll() is None:
                with open(f"/proc/{p.pid}/status") as f:
                    caught = [int(x.split()[1], 16) for x in f if x.startswith("SigCgt")]
                if caught and caught[0] >> (number - 1) & 1:
                    break
                time.sleep(0.01)
        except OSError:
            time.sleep(1)
        time.sleep(0.1)
        p.send_signal(number)
        out, err = p.communicate(timeout=120)
        return p.returncode, out, err

    def test_signals(self):                                            # L11
        code, out, _ = self.interrupt(signal.SIGINT, "bench", "--repeat", "1000", "-T", "1",
                                      "--json")
        self.assertEqual(code, 7)
        self.assertIn(b"LQ_ERR_CANCELLED", out)
        source, folder = self.path("large.safetensors"), self.path("cancelled")
        models.sparse(source, 32768, 4096)
        os.mkdir(folder)
        code, _, err = self.interrupt(signal.SIGTERM, "quantize", source,
                                      os.path.join(folder, "x.gguf"), "-f", "q4_k", "-T", "1")
        os.remove(source)
        if code == 0:
            self.skipTest("too fast to be interrupted")
        self.assertEqual(code, 7, err)
        self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    main()
