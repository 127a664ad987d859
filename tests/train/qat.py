#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/train/qat.py - examples/qat as a program, a few steps of each kind.

    qat.py QAT MODEL      MODEL: models/kjv, whose sampled tokens are the text
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

QAT, MODEL = (os.path.abspath(p) for p in sys.argv[1:3])


class Qat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='lq-qat-')
        shutil.copy(os.path.join(MODEL, 'calib.u16'), os.path.join(cls.folder.name, 'train.u16'))
        with open(os.path.join(MODEL, 'eval.u16'), 'rb') as f:
            text = f.read(2 * 2049)
        with open(os.path.join(cls.folder.name, 'heldout.u16'), 'wb') as f:
            f.write(text)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def qat(self, *options, code=0):
        run = subprocess.run([QAT, MODEL, self.folder.name, '-b', '4', '--length', '128', *options],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, code, run.stderr)
        return run.stdout if code == 0 else run.stderr

    def losses(self, out):
        return [float(x) for x in re.findall(r'(?:held out \w+|loss) ([0-9.]+)', out)]

    def test_trained_for_ternary(self):
        rounded, = self.losses(self.qat('-n', '0', '-w', 'ternary:g32'))
        options = ['-n', '16', '-w', 'ternary:g32:f16', '--rule', 'stretched', '--warmup', '2',
                   '-r', '0.0003']
        out = self.qat(*options)
        before, _, after = self.losses(out)
        self.assertLess(after, before - 0.05)
        self.assertLess(after, rounded - 0.3)
        self.assertIn('2.500 bits each', out)
        numbers = re.compile(r'[0-9.]+ tokens/s|\d+ seconds')
        self.assertEqual(numbers.sub('', out), numbers.sub('', self.qat('-T', '2', *options)))

    def test_eight_bit_floats(self):
        plain = self.losses(self.qat('-n', '4'))
        fp8 = ['-n', '4', '-w', 'fp8_e4m3:t', '--activations', 'fp8_e4m3:t', '--gradients',
               'fp8_e5m2:t']
        for options in fp8, fp8 + ['--history', '4']:
            losses = self.losses(self.qat(*options))
            self.assertEqual(len(losses), len(plain))
            for a, b in zip(losses, plain):
                self.assertLess(abs(a / b - 1), 0.02)

    def test_refused(self):
        self.assertIn('no rule', self.qat('--rule', 'none', code=1))
        self.assertIn('did you mean', self.qat('-w', 'int9', code=1))
        self.assertIn('float zero points', self.qat('-w', 'int2:g32:fz', '--rule', 'affine', code=1))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
