# SPDX-License-Identifier: MIT
"""tests/cli/test_convert.py - lq convert: dialects, same codes, errors told"""
import json
import os

from base import Case, main


class Convert(Case):
    def quantize(self, out, spec, *args):
        self.run_lq("quantize", self.single, self.path(out), "-f", spec, "--exclude",
                    "embed|lm_head", "--force", *args)

    def convert(self, source, out, to):
        d = self.json("convert", self.path(source), self.path(out), "--to", to, "--force")
        return [w for w in d["weights"] if "lossless" in w]

    def equal(self, a, b):
        """Not a number differs."""
        self.run_lq("compare", self.path(a), self.path(b), "--tolerance", "0")

    def test_circle(self):
        self.quantize("0.gguf", "q4_0")
        steps = [("1.safetensors", "int4:g32:f16"), ("2.safetensors", "gptq_v1"),
                 ("3.safetensors", "gptq_v2"), ("4.safetensors", "gptq_p"),
                 ("5.safetensors", "awq"), ("6", "compressed-tensors"), ("7.gguf", "q4_0")]
        before = "0.gguf"
        for out, to in steps:
            weights = self.convert(before, out, to)
            self.assertEqual(len(weights), 14, to)
            for w in weights:
                self.assertTrue(w["lossless"], f"{to}: {w}")
            self.equal("0.gguf", out)
            self.run_lq("verify", self.path(out))
            before = out
        with open(self.path("0.gguf"), "rb") as a, open(self.path("7.gguf"), "rb") as b:
            self.assertEqual(a.read()[-4096:], b.read()[-4096:])

    def test_errors_are_told(self):
        self.quantize("k.gguf", "q4_k", "--tail", "fallback")
        weights = self.convert("k.gguf", "k.safetensors", "int4:g32:f16")
        self.assertEqual(len(weights), 14)
        for w in weights:
            self.assertFalse(w["lossless"])
            self.assertTrue(0 < w["relative_rmse"] < 0.2)
            self.assertEqual(w["reason"], "decoded and encoded again")
        out, _ = self.run_lq("convert", self.path("k.gguf"), self.path("k2.safetensors"),
                             "--to", "int4:g32:f16")
        self.assertEqual(out.count("recoded "), 14)
        self.assertIn("rel. RMSE", out)

    def test_mixed(self):
        """Some by the same codes, some not."""
        self.quantize("m.gguf", "q4_0", "--tensor", "down_proj=q8_0")
        weights = self.convert("m.gguf", "m.safetensors", "int4:g32:f16")
        self.assertEqual(sorted({w["from"] for w in weights if w["lossless"]}), ["q4_0"])
        self.assertEqual(sorted({w["from"] for w in weights if not w["lossless"]}), ["q8_0"])
        out, _ = self.run_lq("convert", self.path("m.gguf"), self.path("m2.safetensors"),
                             "--to", "int4:g32:f16")
        self.assertEqual((out.count("lossless "), out.count("recoded ")), (12, 2))

    def test_modelopt(self):
        self.quantize("n", "nvfp4")
        self.assertEqual(len(self.convert("n", "o", "modelopt")), 14)
        with open(self.path("o", "hf_quant_config.json")) as f:
            self.assertEqual(json.load(f)["quantization"]["quant_algo"], "NVFP4")
        self.equal("n", "o")
        self.convert("o", "p", "lq")
        self.assertFalse(os.path.exists(self.path("p", "hf_quant_config.json")))
        self.equal("n", "p")

    def test_note(self):
        """A file with the wrong label of GPTQ is read right, and says so."""
        self.quantize("g.safetensors", "int4:g32:f16")
        self.convert("g.safetensors", "v2.safetensors", "gptq_v2")
        with open(self.path("v2.safetensors"), "rb") as f:
            data = f.read()
        wrong = data.replace(b'\\"checkpoint_format\\":\\"gptq_v2\\"',
                             b'\\"checkpoint_format\\":\\"gptq\\"   ')
        self.assertNotEqual(data, wrong)
        with open(self.path("wrong.safetensors"), "wb") as f:
            f.write(wrong)
        note = "labelled gptq, with the zero points of gptq_v2"
        notes = [w.get("note") for w in self.json("inspect", self.path("wrong.safetensors"))
                 ["weights"] if w["dialect"] == "gptq"]
        self.assertEqual(notes, [note] * 14)
        self.assertIn(note, self.run_lq("inspect", self.path("wrong.safetensors"))[0])
        self.assertIn(note, self.run_lq("verify", "-v", self.path("wrong.safetensors"))[0])
        self.assertIn(note, self.run_lq("convert", self.path("wrong.safetensors"),
                                        self.path("r.safetensors"), "--to", "awq")[0])
        self.equal("g.safetensors", "wrong.safetensors")

    def test_splits(self):
        self.quantize("s.gguf", "q4_0", "--split-max-tensors", "8")
        parts = sorted(n for n in os.listdir(self.top) if n.startswith("s-"))
        self.assertEqual(parts, ["s-0000%d-of-00003.gguf" % i for i in (1, 2, 3)])
        self.quantize("whole.gguf", "q4_0")
        self.equal("whole.gguf", parts[0])
        self.run_lq("verify", self.path(parts[0]))
        self.convert(parts[0], "t.gguf", "q4_1")
        self.quantize("u", "int8:ch", "--split-max-size", "200K")
        self.assertGreater(len([n for n in os.listdir(self.path("u")) if "-of-" in n]), 2)
        self.fails("quantize", self.single, self.path("n.safetensors"), "-f", "int8:ch",
                   "--split-max-size", "1M", code=2, say="one file")

    def test_refused(self):
        self.quantize("r.gguf", "q4_k", "--tail", "fallback")
        self.fails("convert", self.path("r.gguf"), self.path("x.safetensors"), "--to", "gptq",
                   code=4, say="gptq")
        self.fails("convert", self.path("r.gguf"), self.path("x.gguf"), "--to", "awq", code=4,
                   say="no dialects")
        self.fails("convert", self.path("r.gguf"), self.path("x.safetensors"), "--to", "marlin",
                   code=2)
        self.fails("convert", self.path("r.gguf"), self.path("x.safetensors"), code=2, say="--to")
        self.assertFalse(os.path.exists(self.path("x.safetensors")))


if __name__ == "__main__":
    main()
