# SPDX-License-Identifier: MIT
"""tests/cli/test_files.py - bad inputs and outputs: L4-L7, L15, L18, L20, and verify"""
import os
import shutil

import models
from base import Case, main


class Files(Case):
    def quantize(self, *args, out="out.safetensors", **keywords):
        return self.run_lq("quantize", self.single, self.path(out), "-f", "int8:ch", *args,
                           **keywords)

    def refused(self, *args, code=2, say=None, out="never.safetensors"):
        d = self.fails("quantize", self.single, self.path(out), "-f", "int8:ch", *args,
                       code=code, say=say)
        self.assertFalse(os.path.exists(self.path(out)))
        return d

    def test_missing_input(self):                                      # L4
        for command in ("inspect", "verify"):
            d = self.fails(command, self.path("nowhere"), code=5, say="nowhere")
            self.assertIn(d["status"], ("LQ_ERR_NOTFOUND", "LQ_ERR_IO"))
        self.fails("quantize", self.path("nowhere"), self.path("x.gguf"), "-f", "q8_0",
                   code=5, say="nowhere")
        self.fails("compare", self.single, self.path("nowhere"), code=5)
        self.fails("estimate", self.path("nowhere"), code=5)
        os.makedirs(self.path("empty"), exist_ok=True)
        d = self.json("inspect", self.path("empty"), code=None)
        self.assertIn(d["exit"], (3, 5))
        with open(self.path("junk.bin"), "wb") as f:
            f.write(b"this is no model at all, really")
        self.fails("inspect", self.path("junk.bin"), code=3, say="junk.bin")
        with open(self.path("short.gguf"), "wb") as f:
            f.write(b"GGUF\x03\0\0\0")
        self.fails("verify", self.path("short.gguf"), code=3)
        if os.geteuid():
            shutil.copy(self.single, self.path("locked"))
            os.chmod(self.path("locked"), 0)
            self.fails("inspect", self.path("locked"), code=5)

    def test_strange_paths(self):                                      # L10
        odd = os.fsencode(self.top) + b"/odd \xff\n.safetensors"
        shutil.copy(self.single, odd)
        out, _ = self.run_lq("inspect", os.fsdecode(odd))
        self.assertIn("odd \\xff\\n.safetensors", out)
        self.assertIn("odd \ufffd\n", self.json("inspect", os.fsdecode(odd))["file"])
        self.fails("inspect", os.fsdecode(odd) + "x", code=5)
        self.fails("inspect", self.path("x" * 300), code=5)

    def test_existing_output(self):                                    # L5
        out = self.path("exists.safetensors")
        with open(out, "w") as f:
            f.write("precious")
        d = self.fails("quantize", self.single, out, "-f", "int8:ch", code=2, say="--force")
        self.assertEqual(d["status"], "LQ_ERR_EXISTS")
        self.fails("dequantize", self.single, out, code=2, say="--force")
        with open(out) as f:
            self.assertEqual(f.read(), "precious")
        self.quantize("--force", out="exists.safetensors")
        self.run_lq("verify", out)

    def test_output_is_input(self):                                    # L6
        model = self.path("same.safetensors")
        shutil.copy(self.single, model)
        os.symlink(model, self.path("link.safetensors"))
        os.link(model, self.path("hard.safetensors"))
        with open(model, "rb") as f:
            before = f.read()
        for out in ("same.safetensors", "./same.safetensors", "link.safetensors",
                    "hard.safetensors"):
            self.fails("quantize", model, self.path(out), "-f", "int8:ch", "--force", code=2,
                       say="is the input")
        copy = self.path("copy")
        shutil.copytree(self.dir, copy)
        inner = os.path.join(copy, "model.safetensors")
        self.fails("quantize", copy, inner, "-f", "int8:ch", "--force", code=2)
        self.fails("quantize", copy, copy, "-f", "int8:ch", "--force", code=2)
        self.fails("quantize", inner, copy, "-f", "int8:ch", "--force", code=2)
        self.fails("dequantize", inner, copy, "--force", code=2)
        with open(model, "rb") as f:
            self.assertEqual(before, f.read())
        self.assertTrue(os.path.exists(inner))

    def test_output_folder(self):                                      # L7
        self.refused(code=5, say="does not exist", out="no/such/folder.safetensors")

    def test_rules(self):                                              # L15
        self.refused("--tensor", "nothing_like_it=nf4", say="matches no weight")
        self.refused("--include", "nothing_like_it", say="matches no weight")
        self.refused("--exclude", "nothing_like_it", say="matches no weight")
        self.refused("--exclude", "a(b", say="bad regular expression")
        self.refused("--tensor", "a[=nf4", say="bad regular expression")
        self.refused("--tensor", "nf4", say="REGEX=SPEC")
        self.refused("--tensor", "norm=nf4", say="decides about no weight")
        self.refused("--tensor", "q_proj=nf4", "--tensor", "attn.q=int8:ch", say="disagree")
        self.refused("--tensor", "down_proj=q4_k", code=3, say="--tail")
        self.quantize("--tensor", "q_proj=nf4", "--tensor", "attn.q=nf4", "--dry-run")

    def test_requantize(self):                                         # L18
        self.quantize(out="once.safetensors")
        once, out = self.path("once.safetensors"), self.path("twice.safetensors")
        self.fails("quantize", once, out, "-f", "nf4", code=2, say="--allow-requantize")
        self.assertFalse(os.path.exists(out))
        self.run_lq("quantize", once, out, "-f", "nf4", "--allow-requantize")
        self.run_lq("quantize", once, self.path("plain.safetensors"), "-f", "bf16")

    def test_imatrix(self):                                            # L20
        names = [n for n, s in models.weights() if n.endswith("proj.weight")]
        cols = {n: s[-1] for n, s in models.weights()}
        good = self.path("good.dat")
        models.imatrix(good, [(n, [1.0 + i % 7 for i in range(cols[n])]) for n in names])
        self.run_lq("quantize", self.dir, self.path("imatrix.gguf"), "-f", "q4_k",
                    "--imatrix", good)
        self.run_lq("verify", self.path("imatrix.gguf"))
        models.imatrix(self.path("short.dat"), [(n, [1.0] * 8) for n in names])
        self.refused("--imatrix", self.path("short.dat"), code=3, say="another model")
        models.imatrix(self.path("other.dat"), [("blk.0.unheard_of", [1.0] * 8)])
        self.refused("--imatrix", self.path("other.dat"), code=3, say="another model")
        self.refused("--imatrix", self.path("nowhere.dat"), code=5)

    def test_container_refuses(self):
        d = self.fails("quantize", self.single, self.path("x.gguf"), "-f", "nf4", code=4,
                       say="gguf")
        self.assertEqual(d["status"], "LQ_ERR_UNSUPPORTED")
        self.fails("quantize", self.single, self.path("x.safetensors"), "-f", "codebook",
                   code=4)

    def test_verify_finds_damage(self):
        out = self.path("damaged.safetensors")
        self.run_lq("quantize", self.single, out, "-f", "int8:ch")
        good = self.json("verify", out)
        self.assertEqual(good["bad"], 0)
        with open(out, "r+b") as f:
            f.seek(-1000, 2)
            byte = f.read(1)[0]
            f.seek(-1000, 2)
            f.write(bytes([byte ^ 0x55]))
        bad = self.json("verify", out, code=1)
        self.assertGreater(bad["bad"], 0)
        self.assertTrue([f for f in bad["findings"] if f["status"] != "LQ_OK" and f["name"]])
        self.assertIn("BAD", self.run_lq("verify", out, code=1)[0])


if __name__ == "__main__":
    main()
