# SPDX-License-Identifier: MIT
"""tests/python/test_examples.py - the examples run, and agree with themselves.

$LQ_LLAMA, $LQ_MAKE_MODEL and $LQ_EMBED are the programs.  The model is tiny and random.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

from common import ROOT, lq


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, check=True)


def llama(*arguments):
    return run(os.environ["LQ_LLAMA"], *arguments).stdout


def evaluate(model, *arguments):
    return json.loads(llama(model, "--json", *arguments))


class Llama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model, cls.tokens = cls.path("model"), cls.path("tokens.u16")
        run(os.environ["LQ_MAKE_MODEL"], cls.model, 5, "tiny")
        llama(cls.model, "--write", cls.tokens, "--sequences", 6, "-t", 1, "-s", 3)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def evaluate(self, model, *arguments):
        return evaluate(model, "--eval", self.tokens, *arguments)

    def convert(self, name, spec, **options):
        lq.convert(self.model, self.path(name), spec, **options)
        return self.path(name)

    def test_windows(self):
        self.assertEqual(os.path.getsize(self.tokens), 2 * (6 * 64 + 1))
        found = self.evaluate(self.model)
        self.assertEqual((found["tokens"], found["windows"]), (384, 6))
        self.assertEqual(self.evaluate(self.model, "-w", 50)["tokens"], 350)
        # Its own samples: NLL is its entropy, well below log 64 = 4.16.
        self.assertTrue(0.5 < found["nll"] < 4.0, found)

    def test_threads(self):
        one = self.evaluate(self.model, "-T", 1)
        self.assertEqual(one, self.evaluate(self.model, "-T", 3))

    def test_batches(self):
        """Token by token (the sampler) and window by window give the same choices."""
        greedy = llama(self.model, "--tokens", 1, "-n", 20)
        self.assertEqual(greedy, llama(self.model, "--tokens", 1, "-n", 20, "-T", 2))
        tokens = greedy.split()
        self.assertGreater(len(tokens), 3)
        head = b",".join(tokens[:3]).decode()
        self.assertEqual(llama(self.model, "--tokens", head, "-n", 18), greedy)

    def test_seeds(self):
        draw = [llama(self.model, "-t", 1, "--top-p", 0.9, "-n", 40, "-s", s)
                for s in (1, 1, 2)]
        self.assertEqual(draw[0], draw[1])
        self.assertNotEqual(draw[0], draw[2])

    def test_gguf_is_the_same_model(self):
        gguf = self.convert("model.gguf", "f32")
        a, b = self.evaluate(self.model), self.evaluate(gguf, "-r", self.model)
        self.assertAlmostEqual(a["nll"], b["nll"], delta=1e-6)
        self.assertEqual(b["relative_rmse"], 0.0)  # q and k rows found in their new order
        self.assertLess(b["kl"], 1e-9)

    def test_quantized(self):
        last = 0.0
        for name, spec, bits in (("a", "int8:ch", 9.0), ("b", "nf4:b64:dq", 4.2)):
            found = self.evaluate(self.convert(name, spec), "-r", self.model)
            self.assertEqual(found["spec"], spec)
            self.assertLess(found["bits_per_weight"], bits)
            self.assertGreater(found["kl"], last)
            self.assertGreaterEqual(found["kl_p999"], found["kl"])
            last = found["kl"]
        self.assertLess(last, 0.5)

    def test_a_file_needs_its_config(self):
        single = self.convert("alone.safetensors", "bf16")
        found = self.evaluate(single, "--config", os.path.join(self.model, "config.json"))
        self.assertEqual(found["spec"], "bf16")

    def test_mistakes(self):
        for arguments in ((self.path("nothing"),), (self.model, "--tokens", "99999"),
                          (self.model, "--prompt", "no tokenizer"), (self.model, "-n", "x"),
                          (self.model, "--eval", self.model), (), (self.model, "--what")):
            done = subprocess.run([os.environ["LQ_LLAMA"], *arguments], capture_output=True)
            self.assertIn(done.returncode, (1, 2), arguments)
            self.assertTrue(done.stderr)


class Embed(unittest.TestCase):
    def test_both_languages(self):
        c = run(os.environ["LQ_EMBED"]).stdout.decode()
        python = subprocess.run(
            [sys.executable, ROOT / "examples" / "embed" / "embed.py"], check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
            capture_output=True).stdout.decode()
        for text in (c, python):
            self.assertIn("nf4:b64:dq of 64 x 256 numbers: relative RMSE 0.09", text)


if __name__ == "__main__":
    unittest.main()
