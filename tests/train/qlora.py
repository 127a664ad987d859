#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/train/qlora.py - examples/qlora as a program, on a tiny model of examples/train.

    qlora.py TRAIN QLORA LLAMA MAKE_TOKENS
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

TRAIN, QLORA, LLAMA, MAKE_TOKENS = (os.path.abspath(p) for p in sys.argv[1:5])
SIZES = ['--vocab', '300', '--dim', '64', '--hidden', '96', '--layers', '2', '--heads', '4',
         '--kv-heads', '2', '--context', '32']


def text(form, nouns):
    return '\n\n'.join(form % (a, i % 7, b) for i, (a, b) in enumerate(nouns * 200))


class Qlora(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix='lq-qlora-')
        nouns = [('cat', 'dog'), ('dog', 'cat'), ('sun', 'moon')]
        cls.tokens('one', text('The %s of number %d is here, and the %s is not.', nouns),
                   '--vocab', '300')
        cls.run_program(TRAIN, cls.path('one'), cls.path('run'), *SIZES, '-n', '60', '-b', '4',
                        '--warmup', '5', '-r', '0.004')
        cls.run_program(TRAIN, cls.path('one'), cls.path('run'), *SIZES, '--export',
                        cls.path('model'))
        cls.tokens('two', text('Is the %s %d? There is not the %s.', nouns), '--tokenizer',
                   cls.path('model/tokenizer.bin'))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @classmethod
    def tokens(cls, name, words, *options):
        with open(cls.path(name + '.txt'), 'w') as f:
            f.write(words)
        cls.run_program(sys.executable, MAKE_TOKENS, cls.path(name), '--text',
                        cls.path(name + '.txt'), *options)

    @staticmethod
    def run_program(*command):
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if run.returncode:
            raise AssertionError(run.stderr)
        return run.stdout

    def qlora(self, out, *options):
        return self.run_program(QLORA, self.path('model'), self.path('two'), self.path(out), '-b',
                                '4', '-r', '4', '--alpha', '8', '--rate', '0.01', '--warmup', '5',
                                '--clip', '1', '-n', '40', *options)

    def bytes_of(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()

    def test_whole(self):
        out = self.qlora('out', '--against', 'bf16')
        number = {what: float(value) for what, value in re.findall(
            r'held out,? (.*?) ([0-9.]+)(?: \(|$)', out.split('\nbf16: ')[0], re.M)}
        self.assertLess(number['after'], 0.8 * number['before'])
        self.assertIn('(the same)', out)
        self.assertAlmostEqual(number['merged into bf16'], number['after'], delta=0.02)
        self.assertRegex(out, r'nf4:b64:dq [0-9.]+, bf16 [0-9.]+: [+-][0-9.]+ %')
        config = json.loads(self.bytes_of('out/adapter/adapter_config.json'))
        self.assertEqual((config['r'], config['lora_alpha'], config['lora_dropout']),
                         (4, 8, 0.05))
        # the same bytes for any threads
        self.qlora('again', '-T', '2')
        for name in 'adapter_config.json', 'adapter_model.safetensors':
            self.assertEqual(self.bytes_of('out/adapter/' + name),
                             self.bytes_of('again/adapter/' + name))
        # the merged model is what examples/llama runs
        out = self.run_program(LLAMA, self.path('out/merged'), '--eval',
                               self.path('two/heldout.u16'), '-w', '32')
        loss = float(re.search(r'NLL\D*([0-9.]+)', out).group(1))
        self.assertAlmostEqual(loss, number['after'], delta=0.05)

    def test_other_ways(self):
        out = self.qlora('ways', '--fast', '--rslora', '--dropout', '0', '-w', 'int4:g32')
        self.assertIn('prepared for fast products', out)
        before, after = (float(re.search(r'held out %s ([0-9.]+)' % when, out).group(1))
                         for when in ('before', 'after'))
        self.assertLess(after, 0.8 * before)
        run = subprocess.run([QLORA, self.path('model'), self.path('two'), self.path('x'), '-w',
                              'nf5'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn('nf5', run.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
