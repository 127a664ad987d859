#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/llama/tradeoff.py - what fewer bits cost and give: size, quality, speed, a sample

    tradeoff.py MODEL TOKENS --tokenizer FILE [options] SPEC...

For each spec: quantize, measure against MODEL as table.py does, and let the quantized model
go on from --prompt, greedily, with fast products.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import table


def arguments():
    p = table.parser("tradeoff.py MODEL TOKENS --tokenizer FILE [options] SPEC...")
    p.add_argument("--tokenizer", required=True)
    p.add_argument("-p", "--prompt", default="And it came to pass")
    p.add_argument("-n", "--count", type=int, default=200, help="tokens to generate")
    return p.parse_intermixed_args()


def generate(o, model):
    """Text, and tokens per second."""
    done = subprocess.run([o.llama, model, "--config", os.path.join(o.model, "config.json"),
                           "--tokenizer", o.tokenizer, "-p", o.prompt, "-n", str(o.count),
                           "-T", str(o.threads), "--speed"], capture_output=True, text=True)
    if done.returncode:
        raise table.Failure(f"{model}: {done.stderr.strip()}")
    return done.stdout.strip(), float(re.search(r"([0-9.]+) tokens/s", done.stderr).group(1))


def main():
    o = arguments()
    folder = tempfile.mkdtemp(prefix="lq-tradeoff-")
    samples = []
    print("%-14s %11s %11s %8s %9s %7s %9s" % ("spec", "bits/weight", "file bytes", "NLL",
                                              "mean KL", "flips", "tokens/s"))
    try:
        for name in o.spec:
            path = table.quantize(o, name, folder)
            found = table.evaluate(o, path, "--reference", o.model)
            text, speed = generate(o, path)
            samples.append((name, text))
            print("%-14s %11.3f %11s %8.4f %9s %6.2f%% %9.0f" % (
                name, found["bits_per_weight"], f"{table.file_bytes(path):,}", found["nll"],
                table.number(found["kl"]), 100 * found["flips"], speed), flush=True)
    finally:
        shutil.rmtree(folder)
    for name, text in samples:
        print(f"\n{name}:\n    " + text[:230].replace("\n", "\n    "))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except table.Failure as e:
        sys.exit(f"tradeoff.py: {e}")
