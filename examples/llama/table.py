#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/llama/table.py - one model in many formats: size, error, quality

    table.py MODEL TOKENS [options] SPEC...

For each spec: lq quantize, lq verify, lq dequantize, lq compare of the two (they must be
equal), then llama --eval against MODEL.  A spec is written into a checkpoint directory,
SPEC@gguf into a GGUF file.  "--all" stands for every format of `lq formats` in its
default spec, nf4 and fp4 also with double quantization, GGUF types also in GGUF.
Exit code 1 if anything failed or was not equal.

bits/weight counts the planes of the layers' projection matrices, relative RMSE is theirs:
sqrt(sum (w - r)^2 / sum r^2).  NLL and KL(MODEL || quantized) are nats per token.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile


def parser(usage):
    p = argparse.ArgumentParser(usage=usage, description="One model in many formats.")
    p.add_argument("model")
    p.add_argument("tokens")
    p.add_argument("spec", nargs="*")
    p.add_argument("--lq", default="lq", help="the lq program")
    p.add_argument("--llama", default="llama", help="the llama example")
    p.add_argument("-w", "--window", type=int, default=0, help="inputs per window")
    p.add_argument("-T", "--threads", type=int, default=1)
    return p


def arguments():
    p = parser("table.py MODEL TOKENS [options] SPEC...")
    p.add_argument("--all", action="store_true", help="every format of `lq formats`")
    p.add_argument("--keep", metavar="FOLDER", help="leave the quantized models here")
    p.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return p.parse_intermixed_args()


class Failure(Exception):
    pass


def run(*command, accept=(0,)):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode not in accept:
        text = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Failure(f"{' '.join(map(str, command))}: exit {done.returncode}: {text[-1]}")
    return done.stdout


def file_bytes(path):
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path)
               if f.endswith(".safetensors"))


def evaluate(o, model, *more):
    config = os.path.join(o.model, "config.json")
    more = list(more) + (["--config", config] if os.path.exists(config) else [])
    window = ["-w", o.window] if o.window else []
    return json.loads(run(o.llama, model, "--eval", o.tokens, "--json", "-T", o.threads,
                          *window, *more))


def all_specs(o):
    """Every format that needs nothing but its name."""
    specs = []
    for f in json.loads(run(o.lq, "formats", "--json"))["formats"]:
        if f["name"] == "codebook" or "activations" in f["text"]:
            continue  # its table is the caller's; not for weights
        specs.append(f["default_spec"])
        if f["name"] in ("nf4", "fp4"):
            specs.append(f["default_spec"] + ":dq")
        if f["gguf_type"] is not None:
            specs.append(f["default_spec"] + "@gguf")
    return specs


def even_imatrix(o, folder):
    """Importances of 1 for every weight, for the formats that insist on some."""
    path = os.path.join(folder, "even.dat")
    if os.path.exists(path):
        return path
    weights = json.loads(run(o.lq, "inspect", "--json", "--tensors", o.model))["weights"]
    entries = [(w["name"].encode(), w["shape"][-1]) for w in weights if len(w["shape"]) == 2]
    with open(path, "wb") as f:
        f.write(struct.pack("<i", len(entries)))
        for name, cols in entries:
            f.write(struct.pack("<i", len(name)) + name + struct.pack("<ii", 1, cols))
            f.write(struct.pack("<f", 1) * cols)
    return path


def quantize(o, name, folder):
    spec, _, container = name.partition("@")
    path = os.path.join(folder, name.replace(":", "-").replace("@", "."))
    more = [] if container == "gguf" else ["--tail", "pad"]
    if spec.startswith(("iq1", "iq2", "iq3")):
        more += ["--imatrix", even_imatrix(o, folder)]
    run(o.lq, "quantize", o.model, path, "-f", spec, "--quiet", "--force", "-T", o.threads,
        *more)
    return path


def check_decoding(o, path):
    """The decoded checkpoint holds the same numbers as the quantized one."""
    decoded = path + ".f32" + (".gguf" if path.endswith(".gguf") else "")
    run(o.lq, "dequantize", path, decoded, "--quiet", "--force")
    run(o.lq, "compare", path, decoded)
    if os.path.isdir(decoded):
        shutil.rmtree(decoded)
    else:
        os.remove(decoded)


COLUMNS = (("spec", "%-16s"), ("file bytes", "%11s"), ("bits/weight", "%11s"),
           ("rel. RMSE", "%9s"), ("NLL", "%8s"), ("mean KL", "%9s"), ("KL 99.9%", "%9s"),
           ("flips", "%7s"), ("checks", "%-6s"))


def print_row(o, cells):
    cells = [form % cell for (_, form), cell in zip(COLUMNS, cells)]
    print("| " + " | ".join(cells) + " |" if o.markdown else "  ".join(cells), flush=True)


def print_head(o):
    print_row(o, [name for name, _ in COLUMNS])
    if o.markdown:
        print("|" + "|".join("---" if "-" in form else "---:" for _, form in COLUMNS) + "|")


def number(x):
    return "0" if x == 0 else f"{x:.3g}" if abs(x) < 0.01 else f"{x:.4f}"


def row(o, name, folder):
    """Cells of a spec's row, or the Failure."""
    try:
        path = quantize(o, name, folder)
        run(o.lq, "verify", path)
        check_decoding(o, path)
        found = evaluate(o, path, "--reference", o.model)
    except Failure as e:
        return e
    return [name, f"{file_bytes(path):,}", f"{found['bits_per_weight']:.3f}",
            number(found["relative_rmse"]), f"{found['nll']:.4f}", number(found["kl"]),
            number(found["kl_p999"]), f"{100 * found['flips']:.2f}%", "ok"]


def rows(o, names, folder):
    """Rows in the order of names: as many at a time as there are threads, with one each."""
    even_imatrix(o, folder)
    with concurrent.futures.ThreadPoolExecutor(o.threads) as pool:
        o.threads = 1
        yield from zip(names, pool.map(lambda name: row(o, name, folder), names))


def main():
    o = arguments()
    if not os.path.exists(o.model):
        raise Failure(f"{o.model}: no such model")
    folder = o.keep or tempfile.mkdtemp(prefix="lq-table-")
    os.makedirs(folder, exist_ok=True)
    failed = 0
    try:
        original = evaluate(o, o.model)
        print_head(o)
        print_row(o, ["(original)", f"{file_bytes(o.model):,}",
                      f"{original['bits_per_weight']:.3f}", "-", f"{original['nll']:.4f}",
                      "-", "-", "-", "-"])
        for name, cells in rows(o, (all_specs(o) if o.all else []) + o.spec, folder):
            if isinstance(cells, Failure):
                failed += 1
                print(f"table.py: {cells}", file=sys.stderr)
                cells = [name] + ["-"] * 7 + ["FAILED"]
            print_row(o, cells)
    finally:
        if not o.keep:
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as e:
        sys.exit(f"table.py: {e}")
