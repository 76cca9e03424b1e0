#!/usr/bin/env python3
"""Says what small runs of every backbone and method come to, to the last digit.

usage: record.py PROGRAM [--check FILE]

Trains one epoch of each backbone (exact mode) and of MF in fused mode with one thread, under none, global, hinge,
agreement and alignment, without and with noise in the scores, on data made up here, and prints one JSON object:
{cell: {"loss": .., "guidance": .., "test": ..}}. With --check, compares with an earlier one and names every figure of it
that is another now: a change that should change no figure changes none here. OpenBLAS has kernels of its own for each
kind of processor, so compare what one machine has printed.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

METHODS = ["none", "global", "hinge", "agreement", "alignment"]
TOLD = ["mean_alpha", "pairs", "probes", "active_share", "agreement", "parameters"]
DEEP = ["lightgcn", "deepfm", "xdeepfm", "autoint", "dcnv1", "dcnv2", "din"]
MF = ["model.name=mf", "model.width=32"]
SMALL = ["model.width=16", "model.hidden=[24,12]", "train.mode=exact", "train.optimizer=adam", "train.lr=0.01",
         "train.l2=0.0001", "train.batch_size=128", "train.chunk_rows=512"]
STARTS = {
    "mf fused": [*MF, "train.mode=fused", "train.chunk_rows=512"],
    "mf exact": [*MF, "train.mode=exact", "train.batch_size=64"],
    "mf exact adam": [*MF, "train.mode=exact", "train.batch_size=64", "train.optimizer=adam", "train.lr=0.01"],
} | {name: [f"model.name={name}", *SMALL, "train.loss=bce", "eval.protocol=ctr"] for name in DEEP} | {
    "mf full bce": ["model.name=mf", *SMALL, "train.loss=bce"],
    "deepfm full bpr": ["model.name=deepfm", *SMALL, "train.loss=bpr"],
    "din full clamped": ["model.name=din", *SMALL, "train.loss=clamped_bce", "llm.max_pairs_per_batch=20",
                         "llm.pairs=largest"],
}


def make_data(folder):
    """Users with tastes, items with words for them, so that the LLM's stand-in knows something."""
    draw = random.Random(7)
    words = [f"w{k}" for k in range(12)]
    items = [[words[k % 12], words[(k * 5) % 12]] for k in range(150)]
    rows = []
    for user in range(240):
        taste = [k for k in range(150) if words[user % 12] in items[k]]
        history = [draw.choice(taste) if draw.random() < 0.7 else min(149, int(150 * draw.random() ** 2))
                   for _ in range(3 + int(14 * draw.random() ** 2))]
        rows += [(user, item, time) for time, item in enumerate(dict.fromkeys(history))]
    with open(folder / "small.inter", "w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"u{user}\ti{item}\t{time}\n" for user, item, time in rows)
    with open(folder / "small.item", "w") as file:
        file.write("item_id:token\ttitle:token_seq\tbrand:token\tcategories:token_seq\n")
        file.writelines(f"i{k}\tthe {' '.join(own)}\tb{k % 9}\t{' '.join(own)}\n" for k, own in enumerate(items))


def record(program):
    cells = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        for start, words in STARTS.items():
            for method in METHODS:
                for noise in ["0"] if method == "none" else ["0", "0.5"]:
                    run = folder / f"{len(cells)}"
                    command = [program, "train", f"data.path={folder / 'small'}", f"run_dir={run}", "threads=1",
                               "device=cpu", "train.epochs=1", f"method={method}", f"llm.noise={noise}",
                               "llm.candidates=12", *words]
                    if method == "none":
                        command = [word for word in command if not word.startswith("llm.")]
                    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                    cell = f"{start}, {method}{', noise' if noise != '0' else ''}"
                    if done.returncode != 0:
                        cells[cell] = {"refused": done.stderr.splitlines()[-1]}
                        continue
                    summary = json.loads((run / "summary.json").read_text())
                    told = {} if method == "none" else summary["guidance"]
                    cells[cell] = {"loss": summary["loss"], "guidance": {key: told[key] for key in TOLD if key in told},
                                   "test": summary["test"]}
    return cells


def differences(before, after, path=""):
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:  # a figure that came later is no difference
            yield from differences(before[key], after.get(key), f"{path} {key}")
    elif before != after:
        yield f"{path.strip()}: {before} before, {after} now"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--check", type=Path)
    arguments = parser.parse_args()
    cells = record(arguments.program)
    if arguments.check is None:
        print(json.dumps(cells, indent=0, sort_keys=True))
        return
    found = sorted(differences(json.loads(arguments.check.read_text()), cells))
    print("\n".join(found) or f"{len(cells)} cells, no difference")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
