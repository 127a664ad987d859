#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/train/resume.py - examples/train as a program: threads, interruption, export, losses.

    resume.py TRAIN LLAMA MAKE_TOKENS
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

TRAIN, LLAMA, MAKE_TOKENS = (os.path.abspath(p) for p in sys.argv[1:4])
SIZES = ['--vocab', '300', '--dim', '64', '--hidden', '96', '--layers', '2', '--heads', '4',
         '--kv-heads', '2', '--context', '32', '-b', '4', '--warmup', '5', '--save', '20', '-r', '0.004']
TEXT = '\n\n'.join('The %s of number %d is here, and the %s is not.' % (a, i % 7, b)
                   for i, (a, b) in enumerate([('cat', 'dog'), ('dog', 'cat'), ('sun', 'moon')] * 300))


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='lq-train-')
        with open(cls.path('text'), 'w') as f:
            f.write(TEXT)
        subprocess.run([sys.executable, MAKE_TOKENS, cls.path('tokens'), '--vocab', '300',
                        '--text', cls.path('text')], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def train(self, name, *options):
        run = subprocess.run([TRAIN, self.path('tokens'), self.path(name), *SIZES, *options],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def bytes_of(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()

    def test_whole(self):
        out = self.train('one', '-n', '80')
        losses = [float(x) for x in re.findall(r'held out ([0-9.]+)', out)]
        self.assertEqual(len(losses), 4)
        self.assertLess(losses[-1], 0.7 * losses[0])
        # two threads, and an interruption at a save
        self.train('two', '-n', '80', '-T', '2', '--stop', '40')
        self.assertNotEqual(self.bytes_of('one'), self.bytes_of('two'))
        self.train('two', '-n', '80', '-T', '2')
        self.assertEqual(self.bytes_of('one'), self.bytes_of('two'))
        # nothing left to do
        self.train('two', '-n', '80')
        self.assertEqual(self.bytes_of('one'), self.bytes_of('two'))
        # the exported model is what examples/llama runs
        self.train('one', '--export', self.path('model'))
        out = subprocess.run([LLAMA, self.path('model'), '--eval',
                              self.path('tokens/heldout.u16'), '-w', '32'], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        loss = float(re.search(r'NLL\D*([0-9.]+)', out).group(1))
        self.assertAlmostEqual(loss, losses[-1], delta=0.05)

    def test_other_shape(self):
        self.train('small', '-n', '1')
        run = subprocess.run([TRAIN, self.path('tokens'), self.path('small'), *SIZES, '--dim', '32'],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn('another model', run.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
