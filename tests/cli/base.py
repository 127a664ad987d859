# SPDX-License-Identifier: MIT
"""tests/cli/base.py - runs the binary; models that all test cases share"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import models

LQ = os.environ.get("LQ", "lq")


class Case(unittest.TestCase):
    """A temporary folder with model/ (Llama), model.safetensors and plain.gguf."""

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="lq-cli-")
        cls.dir = os.path.join(cls.top, "model")
        models.directory(cls.dir)
        cls.single = os.path.join(cls.top, "model.safetensors")
        models.safetensors(cls.single, models.tensors())
        cls.gguf = os.path.join(cls.top, "plain.gguf")
        models.gguf(cls.gguf, models.tensors())

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def run_lq(self, *args, code=0, **keywords):
        r = subprocess.run([LQ, *args], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=300, **keywords)
        out, err = r.stdout.decode(), r.stderr.decode()
        if code is not None:
            self.assertEqual(r.returncode, code, f"lq {args}\n{out}\n{err}")
        return out, err

    def json(self, *args, code=0):
        """Exactly one document on standard output, and nothing else."""
        out, _ = self.run_lq(*args[:1], "--json", *args[1:], code=code)
        document = json.loads(out)
        self.assertIsInstance(document, dict)
        self.assertIn("status", document)
        if code is not None and code > 1:
            self.assertNotEqual(document["status"], "LQ_OK")
            self.assertEqual(document["exit"], code)
            self.assertTrue(document["message"])
        return document

    def fails(self, *args, code, say=None):
        """Fails as text and as JSON, with the same exit code and message."""
        out, err = self.run_lq(*args, code=code)
        document = self.json(*args, code=code)
        if say:
            self.assertIn(say, err)
            self.assertIn(say, document["message"])
        return document


def main():
    unittest.main(verbosity=1)
