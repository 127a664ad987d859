# SPDX-License-Identifier: MIT
"""tests/cli/test_usage.py - the command line itself: L1-L3, L9, L16, L25, help, completion"""
import os
import subprocess

from base import LQ, Case, main

COMMANDS = ["formats", "inspect", "quantize", "convert", "dequantize", "compare", "verify",
            "estimate", "bench", "completions", "manual", "help"]


class Usage(Case):
    def test_no_arguments(self):                                       # L1
        out, err = self.run_lq(code=2)
        self.assertEqual(out, "")
        self.assertIn("usage", err)
        self.json(code=2)

    def test_unknown(self):                                            # L2
        self.fails("quantise", code=2, say="did you mean 'quantize'?")
        self.fails("inspect", "--tensor", "--tenors", self.dir, code=2,
                   say="did you mean '--tensors'?")
        self.fails("quantize", self.dir, self.path("x.gguf"), "-f", "q4k", code=2,
                   say="q4_k")
        self.fails("quantize", self.dir, self.path("x.gguf"), "-f", "q4_k", "--tensor",
                   "down=nf5", code=2, say="nf4")
        self.fails("inspect", "-Z", self.dir, code=2, say="-Z")
        self.fails("quantize", self.dir, "x.gguf", "-f", "q8_0", "--nonfinite", "maybe",
                   code=2, say="clamp")
        self.fails("bench", "everything", code=2, say="gemv")

    def test_values(self):                                             # L3
        self.fails("quantize", self.dir, "x.gguf", "-f", code=2, say="--format needs")
        self.fails("quantize", self.dir, "x.gguf", code=2, say="-f SPEC")
        for junk in ("8x", "", "-1", "0", "99999999999999999999", "1025", " 2", "2 "):
            self.fails("quantize", self.dir, "x.gguf", "-f", "q8_0", "-T", junk, code=2,
                       say="whole number")
        for junk in ("10Q", "G", "1e9", "-5G", "5GG", "5 G", "nan"):
            self.fails("estimate", "--params", "7B", "-M", junk, code=2, say="size")
        for junk in ("x", "1e-3x", "nan", "inf", "-1", ""):
            self.fails("compare", self.dir, self.dir, "--tolerance", junk, code=2)
        self.fails("formats", "--json=1", code=2, say="no value")
        self.fails("inspect", code=2, say="missing")
        self.fails("inspect", self.dir, self.dir, code=2, say="too many")
        self.fails("bench", "--level", "pentium", code=2, say="avx2")

    def test_contradictions(self):                                     # L16
        self.fails("quantize", self.dir, "x.gguf", "-f", "q8_0", "-q", "-v", code=2)
        self.fails("estimate", self.dir, "--params", "7B", code=2)
        self.fails("estimate", code=2)
        self.fails("estimate", "--params", "7B", "--recompute", code=2)
        self.fails("estimate", "--params", "7B", "--targets", "q_proj", code=2)
        self.fails("estimate", "--params", "7B", "-f", "nf4", "--optimizer", "adam", code=2)

    def test_help(self):
        for arguments in (["--help"], ["-h"], ["help"]):
            out, err = self.run_lq(*arguments)
            self.assertEqual(err, "")
            for command in COMMANDS:
                self.assertIn(command, out)
        for command in COMMANDS:
            out, err = self.run_lq(command, "--help")
            self.assertEqual(err, "")
            self.assertTrue(out.startswith(f"usage: lq {command}"))
            self.assertIn("--json", out)
            self.assertLessEqual(max(map(len, out.splitlines())), 90)
            self.assertEqual(self.json(command, "--help")["help"], out)
            self.assertEqual(self.run_lq("help", command)[0], out)
        self.fails("help", "nonsense", code=2)
        self.assertRegex(self.run_lq("--version")[0], r"^lq \d+\.\d+\.\d+\n$")
        self.json("--version")

    def test_completion(self):
        script, _ = self.run_lq("completions", "bash")
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)
        probe = script + """
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lq; echo "${COMPREPLY[@]}"; }
complete_words lq qu
complete_words lq quantize --impor --im
complete_words lq dequantize a b -f b
complete_words lq quantize a b --format nf
"""
        lines = subprocess.run(["bash", "-c", probe], stdout=subprocess.PIPE,
                               check=True).stdout.decode().splitlines()
        self.assertEqual(lines[:3], ["quantize", "--imatrix", "bf16"])
        self.assertIn("nf4", lines[3])
        self.fails("completions", "tcsh", code=2)
        self.json("completions", "bash")

    def test_manual(self):
        manual, _ = self.run_lq("manual")
        docs = os.environ.get("LQ_DOCS")
        if docs:
            with open(os.path.join(docs, "lq.md")) as f:
                self.assertEqual(f.read(), manual, "docs/lq.md is not what lq manual prints")

    def test_output_fails(self):                                       # L9
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w") as full:
                r = subprocess.run([LQ, "formats"], stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(r.returncode, 5)
            self.assertIn(b"standard output", r.stderr)
        quiet = f'"{LQ}" quantize "{self.single}" "{self.path("q.gguf")}" -f q8_0 -q >&-'
        self.assertEqual(subprocess.run(["bash", "-c", quiet]).returncode, 0)
        self.run_lq("verify", self.path("q.gguf"))
        script = f'"{LQ}" formats >&-'
        self.assertEqual(subprocess.run(["bash", "-c", script],
                                        stderr=subprocess.DEVNULL).returncode, 5)
        for arguments in (["manual"], ["formats", "--json"], ["--help"]):
            reader, writer = os.pipe()                                 # L26: | head
            os.close(reader)
            r = subprocess.run([LQ, *arguments], stdout=writer, stderr=subprocess.PIPE)
            os.close(writer)
            self.assertEqual((r.returncode, r.stderr), (141, b""))


if __name__ == "__main__":
    main()
