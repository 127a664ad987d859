#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/file/read_safetensors.py - an independent reader of safetensors (struct and json)

    read_safetensors.py FILE...           print name, dtype, shape and SHA-256 of each tensor
    read_safetensors.py --check PROGRAM   run safetensors_emit, compare all it wrote with
                                          what tests/file/pattern.h promises
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
         "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
         "F8_E8M0": 1}

# What pattern.h declares, in its order.
EXPECTED = [
    ("model.embed_tokens.weight", "BF16", [7, 3]), ("odd.u8", "U8", [5]),
    ("double", "F64", [2, 1, 3]), ("half", "F16", [9]),
    ("quote\" back\\slash \n\t\x01\x7f", "F32", [3, 3]), ("caf\u00e9 \U0001f600", "I8", [3]),
    ("scalar", "I64", []), ("empty", "F32", [4, 0]), ("../../up", "BOOL", [1]),
    ("e4m3", "F8_E4M3", [3, 5]), ("e5m2", "F8_E5M2", [1]), ("e8m0", "F8_E8M0", [2]),
    ("i16", "I16", [1, 1, 1, 1, 1, 1, 1, 3]), ("u16", "U16", [1]), ("i32", "I32", [1]),
    ("u32", "U32", [11]), ("u64", "U64", [1, 2]), ("large", "F32", [100, 77]),
]


def unique(pairs):
    keys = [k for k, _ in pairs]
    assert len(keys) == len(set(keys)), "a name occurs twice"
    return dict(pairs)


def elements(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def read(path):
    """Metadata and {name: (dtype, shape, bytes)} in the order of the header."""
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    header = data[8:8 + n]
    assert len(header) == n and header[:1] == b"{" and n % 8 == 0
    entries = json.loads(header.decode("utf-8"), object_pairs_hook=unique)
    assert header.rstrip(b" ")[-1:] == b"}"
    metadata = entries.pop("__metadata__", {})
    assert all(isinstance(v, str) for v in metadata.values())
    body, tensors, spans = data[8 + n:], {}, []
    for name, e in entries.items():
        begin, end = e["data_offsets"]
        assert set(e) == {"dtype", "shape", "data_offsets"}
        assert end - begin == elements(e["shape"]) * SIZES[e["dtype"]]
        assert begin % SIZES[e["dtype"]] == 0, "not aligned to its elements"
        spans.append((begin, end))
        tensors[name] = (e["dtype"], e["shape"], body[begin:end])
    at = 0
    for begin, end in sorted(spans):
        assert begin == at, "gap or overlap"
        at = end
    assert at == len(body), "bytes follow the last tensor"
    return metadata, tensors


def read_directory(path):
    index = os.path.join(path, "model.safetensors.index.json")
    if not os.path.exists(index):
        return read(os.path.join(path, "model.safetensors"))
    with open(index, encoding="utf-8") as f:
        index = json.load(f, object_pairs_hook=unique)
    shards = {s: read(os.path.join(path, s)) for s in set(index["weight_map"].values())}
    metadata, tensors = {}, {}
    for name, shard in index["weight_map"].items():
        metadata.update(shards[shard][0])
        tensors[name] = shards[shard][1][name]
    assert sum(len(t) for _, t in shards.values()) == len(tensors)
    assert index["metadata"]["total_size"] == sum(len(t[2]) for t in tensors.values())
    return metadata, tensors


def pattern(name, size):
    state = 0xcbf29ce484222325
    for byte in name.encode("utf-8"):
        state = (state ^ byte) * 0x100000001b3 % 2**64
    out = bytearray()
    while len(out) < size:
        out += struct.pack("<Q", state)
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return bytes(out[:size])


def compare(metadata, tensors):
    assert list(tensors) == [name for name, _, _ in EXPECTED]
    for name, dtype, shape in EXPECTED:
        want = pattern(name, elements(shape) * SIZES[dtype])
        assert tensors[name][:2] == (dtype, shape), name
        assert hashlib.sha256(tensors[name][2]).digest() == hashlib.sha256(want).digest(), name
        checksum = metadata.pop("lq.xxh3." + name)
        assert len(checksum) == 32 and set(checksum) <= set("0123456789abcdef")
        assert set(checksum) != {"0"}, "the placeholder is still there"
    assert metadata == {"format": "pt", "note \"\\\n": "caf\u00e9 \"quoted\"\t\\ \x01"}


def check(program):
    with tempfile.TemporaryDirectory() as folder:
        single = os.path.join(folder, "a.safetensors")
        subprocess.run([program, single], check=True)
        compare(*read(single))
        for shard_bytes in (1, 200, 1 << 20):
            path = os.path.join(folder, "d%d" % shard_bytes)
            subprocess.run([program, path, str(shard_bytes)], check=True)
            compare(*read_directory(path))
            with open(os.path.join(path, "config.json"), "rb") as f:
                assert f.read() == b'{"a": 1}\n'
            assert os.path.getsize(os.path.join(path, "empty.txt")) == 0


def main(args):
    if args[:1] == ["--check"]:
        check(args[1])
        return
    for path in args:
        for name, (dtype, shape, data) in read(path)[1].items():
            print(json.dumps(name), dtype, shape, hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1:])
