#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a vocabulary and token files from the King James Bible of a Debian package.

    make_tokens.py FOLDER [--vocab 1024] [--text FILE] [--tokenizer FILE]

The text is what `bible` prints, package bible-kjv (program, GPL-2+) with bible-kjv-text
(the translation of 1611, public domain): `apt-get install bible-kjv`.  --text reads other
text instead, documents separated by empty lines; --tokenizer takes the vocabulary of a
tokenizer.bin that was made here, characters that it has not become bytes.

FOLDER gets tokenizer.bin (llama2.c's format), train.u16 and heldout.u16 (16-bit little-endian
token ids).  Each chapter is a document: BOS, its verses, one a line, EOS.  Every 40th
chapter is held out.

The vocabulary is byte-pair encoding: 0 <unk>, 1 BOS, 2 EOS, 3..258 the bytes, then the
characters of the text, then pieces in the order in which they were joined.  Pieces stay
within words; a space belongs to the word behind it.
"""
import argparse
import collections
import os
import re
import struct
import subprocess
import sys

BOS, EOS, FIRST_BYTE, FIRST_PIECE = 1, 2, 3, 259
WORD = re.compile(r' ?[A-Za-z]+| ?[^A-Za-z\s]+|\s')
HELD_OUT = 40


def read_bible():
    """Chapters, each a string of verses, from lines "Ge1:1 In the beginning..."."""
    try:
        text = subprocess.run(['bible', '-f', 'Gen1:1-Rev22:21'], check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    except FileNotFoundError:
        sys.exit('make_tokens.py: no program "bible": apt-get install bible-kjv')
    chapters = collections.OrderedDict()
    for line in text.decode('ascii').splitlines():
        where, verse = line.split(' ', 1)
        chapters.setdefault(where.split(':')[0], []).append(verse.strip())
    return ['\n'.join(verses) for verses in chapters.values()]


def words_of(document):
    """The pieces that are encoded on their own; a space begins the document."""
    return WORD.findall(' ' + document)


# ------------------------------------------------------------------- vocabulary

class Pairs:
    """How often two pieces are neighbours, over all different words."""

    def __init__(self, words):
        self.words = [(list(word), count) for word, count in words.items()]
        self.count = collections.Counter()
        self.where = collections.defaultdict(set)
        for index in range(len(self.words)):
            self._add(index, 1)

    def _add(self, index, sign):
        pieces, count = self.words[index]
        for pair in zip(pieces, pieces[1:]):
            self.count[pair] += sign * count
            if sign > 0:
                self.where[pair].add(index)

    def best(self):
        """The most frequent pair; of equals the first in alphabetical order."""
        return min(self.count.items(), key=lambda item: (-item[1], item[0]))[0]

    def join(self, pair):
        for index in sorted(self.where.pop(pair)):
            self._add(index, -1)
            joined, pieces = [], self.words[index][0]
            while pieces:
                n = 2 if tuple(pieces[:2]) == pair else 1
                joined.append(''.join(pieces[:n]))
                pieces = pieces[n:]
            self.words[index] = (joined, self.words[index][1])
            self._add(index, 1)
        del self.count[pair]


def make_vocabulary(words, size):
    """Pieces by id, from FIRST_PIECE on."""
    pieces = sorted({c for word in words for c in word})
    pairs = Pairs(words)
    while FIRST_PIECE + len(pieces) < size:
        pair = pairs.best()
        if ''.join(pair) not in pieces:
            pieces.append(''.join(pair))
        pairs.join(pair)
    return pieces


def write_tokenizer(path, pieces):
    table = [(b'<unk>', 0.0), (b'\n<s>\n', 0.0), (b'\n</s>\n', 0.0)]
    table += [(b'<0x%02X>' % i, 0.0) for i in range(256)]
    table += [(piece.encode(), -float(i)) for i, piece in enumerate(pieces)]
    with open(path, 'wb') as f:
        f.write(struct.pack('<i', max(len(text) for text, _ in table)))
        for text, score in table:
            f.write(struct.pack('<fi', score, len(text)) + text)


def read_tokenizer(path):
    """Pieces by id, from FIRST_PIECE on."""
    with open(path, 'rb') as f:
        data, at, pieces = f.read(), 4, []
    while at < len(data):
        length = struct.unpack_from('<i', data, at + 4)[0]
        pieces.append(data[at + 8:at + 8 + length].decode())
        at += 8 + length
    return pieces[FIRST_PIECE:]


# --------------------------------------------------------------------- encoding

class Encoder:
    """Words to ids: join the pair whose piece is oldest, until there is none."""

    def __init__(self, pieces):
        self.rank = {piece: i for i, piece in enumerate(pieces)}
        self.known = {}

    def word(self, word):
        if word not in self.known:
            parts = list(word)
            while True:
                ranks = [self.rank.get(a + b, sys.maxsize) for a, b in zip(parts, parts[1:])]
                if not ranks or min(ranks) == sys.maxsize:
                    break
                at = ranks.index(min(ranks))
                parts[at:at + 2] = [parts[at] + parts[at + 1]]
            self.known[word] = [i for part in parts for i in self.piece(part)]
        return self.known[word]

    def piece(self, part):
        """Its id, or those of its bytes."""
        if part in self.rank:
            return [FIRST_PIECE + self.rank[part]]
        return [FIRST_BYTE + byte for byte in part.encode()]

    def document(self, text):
        return [BOS] + [i for word in words_of(text) for i in self.word(word)] + [EOS]


def write_tokens(path, documents, encoder):
    ids = [i for document in documents for i in encoder.document(document)]
    with open(path, 'wb') as f:
        f.write(struct.pack('<%dH' % len(ids), *ids))
    return len(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder')
    parser.add_argument('--vocab', type=int, default=1024)
    parser.add_argument('--text', help='documents separated by empty lines')
    parser.add_argument('--tokenizer', help='tokenizer.bin whose vocabulary is used')
    options = parser.parse_args()
    if options.text:
        with open(options.text, encoding='utf-8') as f:
            documents = [d.strip() for d in re.split(r'\n\s*\n', f.read()) if d.strip()]
    else:
        documents = read_bible()
    if options.tokenizer:
        pieces = read_tokenizer(options.tokenizer)
    else:
        words = collections.Counter(w for d in documents for w in words_of(d))
        pieces = make_vocabulary(words, options.vocab)
    encoder = Encoder(pieces)
    held_out = documents[HELD_OUT - 1::HELD_OUT]
    training = [d for i, d in enumerate(documents) if i % HELD_OUT != HELD_OUT - 1]
    os.makedirs(options.folder, exist_ok=True)
    write_tokenizer(os.path.join(options.folder, 'tokenizer.bin'), pieces)
    for name, part in (('train.u16', training), ('heldout.u16', held_out)):
        count = write_tokens(os.path.join(options.folder, name), part, encoder)
        print('%s: %d documents, %d tokens, %.2f characters each' % (
            name, len(part), count, sum(map(len, part)) / count))


if __name__ == '__main__':
    main()
