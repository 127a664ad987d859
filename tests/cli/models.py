# SPDX-License-Identifier: MIT
"""tests/cli/models.py - writes small models, byte by byte, for the tests of lq"""
import array
import json
import os
import random
import struct

HIDDEN, FFN, KV, VOCAB, LAYERS = 256, 288, 128, 40, 2

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
    "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": VOCAB, "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32", "hidden_act": "silu",
}


def weights():
    """Names and shapes of a Llama checkpoint, in order."""
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (HIDDEN,)
        yield p + "self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield p + "self_attn.k_proj.weight", (KV, HIDDEN)
        yield p + "self_attn.v_proj.weight", (KV, HIDDEN)
        yield p + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield p + "post_attention_layernorm.weight", (HIDDEN,)
        yield p + "mlp.gate_proj.weight", (FFN, HIDDEN)
        yield p + "mlp.up_proj.weight", (FFN, HIDDEN)
        yield p + "mlp.down_proj.weight", (HIDDEN, FFN)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def numbers(seed, count):
    """Little-endian f32, roughly normal; a short sequence is repeated with a twist."""
    source = random.Random(seed)
    base = [source.gauss(0, 0.02) for _ in range(min(count, 1021))]
    out = array.array("f", (base[i % len(base)] for i in range(count)))
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        out.byteswap()
    return out.tobytes()


def product(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def tensors():
    for seed, (name, shape) in enumerate(weights()):
        yield name, shape, numbers(seed, product(shape))


def safetensors(path, entries, metadata=None):
    """entries: (name, shape, f32 bytes)."""
    header, at, data = {}, 0, []
    if metadata:
        header["__metadata__"] = metadata
    for name, shape, raw in entries:
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def directory(path):
    os.mkdir(path)
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump(CONFIG, f)
    safetensors(os.path.join(path, "model.safetensors"), tensors())


def gguf(path, entries, architecture="none"):
    def string(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    entries = list(entries)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(entries), 2)
    head += string("general.architecture") + struct.pack("<I", 8) + string(architecture)
    head += string("general.alignment") + struct.pack("<II", 4, 32)
    at, data = 0, b""
    for name, shape, raw in entries:
        head += string(name) + struct.pack("<I", len(shape))
        for d in reversed(shape):
            head += struct.pack("<Q", d)
        head += struct.pack("<IQ", 0, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32) + data)


def imatrix(path, entries):
    """entries: (name, list of floats); one call each."""
    with open(path, "wb") as f:
        f.write(struct.pack("<i", len(entries)))
        for name, values in entries:
            raw = name.encode()
            f.write(struct.pack("<i", len(raw)) + raw)
            f.write(struct.pack("<ii", 1, len(values)))
            f.write(struct.pack(f"<{len(values)}f", *values))


def sparse(path, rows, cols):
    """One large weight of zeros that takes no room on the disk."""
    text = json.dumps({"model.layers.0.mlp.up_proj.weight": {
        "dtype": "F32", "shape": [rows, cols], "data_offsets": [0, 4 * rows * cols]}}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + 4 * rows * cols)
