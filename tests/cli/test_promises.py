#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/cli/test_promises.py - a killed run leaves the old output; memory has a ceiling"""
import hashlib
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from array import array

import models

LQ = os.environ["LQ"]


def tree(path):
    """Content of a file, or of a folder's visible files, as one hash."""
    if os.path.isfile(path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()
    sums = [name + tree(os.path.join(path, name)) for name in sorted(os.listdir(path))]
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def big_model(path, rows, cols):
    """One f32 matrix, rows repeated, written without holding it."""
    row = array("f", (((i * 7919) % 1009 - 504) / 504 for i in range(cols))).tobytes()
    header = ('{"model.layers.0.mlp.up_proj.weight":{"dtype":"F32","shape":[%d,%d],'
                     '"data_offsets":[0,%d]}}' % (rows, cols, rows * cols * 4)).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        for _ in range(rows):
            f.write(row)


class Promises(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lq-promises-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def kill_sweep(self, out):
        model = self.path("model.safetensors")
        big_model(model, 2048, 2048)
        command = [LQ, "quantize", model, out, "-f", "q4_k", "--force", "--quiet"]
        start = time.monotonic()
        subprocess.run(command, check=True)
        took = time.monotonic() - start
        new = tree(out)
        subprocess.run([LQ, "quantize", model, out, "-f", "q8_0", "--force", "--quiet"], check=True)
        old = tree(out)
        self.assertNotEqual(old, new)
        source = random.Random(7)
        for _ in range(12):
            before = tree(out)
            process = subprocess.Popen(command)
            time.sleep(source.random() * took * 1.2)
            process.send_signal(signal.SIGKILL)
            process.wait()
            after = tree(out)
            self.assertIn(after, (before, new), "neither the old output nor the new one")

    def test_killed_file(self):
        self.kill_sweep(self.path("out.gguf"))

    def test_killed_folder(self):
        self.kill_sweep(self.path("out"))

    def visible(self, prefix):
        files = {}
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(prefix):
                with open(self.path(name), "rb") as f:
                    files[name] = f.read()
        return files

    def test_killed_set(self):
        """Several files: all old, all new, or no first file, which is no model."""
        model, first = self.path("model.safetensors"), "s-00001-of-00005.gguf"
        models.safetensors(model, models.tensors())
        command = [LQ, "quantize", model, self.path("s.gguf"), "--force", "--quiet",
                   "--split-max-tensors", "5", "-f"]
        sets = []
        for spec in ("q4_0", "q8_0"):
            start = time.monotonic()
            subprocess.run(command + [spec], check=True)
            took = time.monotonic() - start
            sets.append(self.visible("s-"))
            self.assertEqual(len(sets[-1]), 5)
        source = random.Random(11)
        for i in range(24):
            process = subprocess.Popen(command + [("q4_0", "q8_0")[i % 2]])
            time.sleep(source.random() * took * 1.1)
            process.send_signal(signal.SIGKILL)
            process.wait()
            after = self.visible("s-")
            if first in after:
                self.assertIn(after, sets, "files of both sets")
                subprocess.run([LQ, "verify", self.path(first)], check=True,
                               stdout=subprocess.DEVNULL)

    def test_fixed_memory(self):
        """256 MiB of weights through 96 MiB of address space."""
        model = self.path("model.safetensors")
        big_model(model, 8192, 8192)

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (96 << 20, 96 << 20))
        for spec, out in (("q4_k", "a.gguf"), ("nf4:b64:dq", "b.safetensors"),
                          ("fp8_e4m3:t", "c.safetensors"), ("int8:ch", "d.safetensors")):
            done = subprocess.run([LQ, "quantize", model, self.path(out), "-f", spec, "--quiet"],
                                  preexec_fn=limit, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{spec}: {done.stderr}")
            os.unlink(self.path(out))

    def test_no_memory(self):
        """Too little: exit 6, and no output."""
        model = self.path("model.safetensors")
        big_model(model, 64, 1 << 20)

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (14 << 20, 14 << 20))
        done = subprocess.run([LQ, "quantize", model, self.path("out.safetensors"), "-f", "nf4:b64"],
                              preexec_fn=limit, capture_output=True, text=True)
        self.assertIn(done.returncode, (6, 127), done.stderr)   # 127: the loader does not fit
        self.assertFalse(os.path.exists(self.path("out.safetensors")))


if __name__ == "__main__":
    unittest.main()
