#!/usr/bin/env python3
"""What matrix factorisation with row-sharded tables would cost on many GPUs: the table of docs/scale.md.

usage: python3 bench/scale.py [--users N] [--items N] [--width N] [--batch N] [--pair-every N]

Constants are measured here or published; docs/scale.md says where each comes from.
"""
import argparse

COPY = 4.08e12  # bytes/s of a device copy, H200
OF_COPY = {"sgd": 0.77, "lazy_adam": 0.80}  # that the fused step reaches with tables of 2 GB
ROW_STATES = {"sgd": 1, "lazy_adam": 3}  # a row, or a row and two moments
MEMORY = 141e9  # bytes of a GPU
GPUS_OF_NODE = 8
NVLINK = 370e9  # bytes/s that a GPU sends within its node
NETWORK = 48.5e9  # bytes/s that a GPU sends to other nodes, a NIC of 400 Gb/s each
NVLINK_LATENCY = 1e-6  # s for each other GPU of an exchange
NETWORK_LATENCY = 2.6e-6
# Counts and ids, rows; counts and records, users' rows; counts and the gate's sums, what came of them.
EXCHANGES = 8
RECORD = 36  # bytes of a record: a row's number, four places and factors
GATE_SUMS = 55 + 8  # of a row with a pair; a rule with eight parameters


def sent_of_triple(ranks, pair_rate, row_bytes):
    """Bytes that a rank sends for each of its triples where no item comes twice; sharded_step_bytes() in C++."""
    others = (ranks - 1) / ranks
    owners = {m: (ranks - 1) * (1 - (1 - 1 / ranks) ** m) for m in (2, 4)}  # other ranks among those of m items
    asked = (2 + 2 * pair_rate) * others * (4 + row_bytes)
    records = ((1 - pair_rate) * owners[2] + pair_rate * owners[4]) * (RECORD + row_bytes)
    return asked + records + others * 4 * ((1 - pair_rate) * 2 + pair_rate * GATE_SUMS)


def step(optimizer, ranks, batch, pair_rate, row_bytes):
    """Seconds of a step of `batch` triples a GPU: (in memory, on the wire), and the bytes that a GPU sends."""
    rows_of_triple = 2 + 2 * pair_rate  # of items; the user's lies where the triple is taken
    states = ROW_STATES[optimizer]
    # Three rows and those of pairs, read and written with their state, and the triple.
    memory = (2 * (1 + rows_of_triple) * states * row_bytes + 12) * batch / (OF_COPY[optimizer] * COPY)
    if ranks == 1:
        return memory, 0.0, 0
    sent = batch * sent_of_triple(ranks, pair_rate, row_bytes)
    inside = min(ranks, GPUS_OF_NODE)
    near, far = sent * (inside - 1) / (ranks - 1), sent * (ranks - inside) / (ranks - 1)
    latency = EXCHANGES * ((inside - 1) * NVLINK_LATENCY + (ranks - inside) * NETWORK_LATENCY)
    return memory, max(near / NVLINK, far / NETWORK) + latency, near + far


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=float, default=1e9)
    parser.add_argument("--items", type=float, default=1e8)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1 << 18, help="triples of a GPU in a step")
    parser.add_argument("--pair-every", type=int, default=8, help="rows for each of which a pair is drawn")
    options = parser.parse_args()
    row = 4 * options.width
    pair_rate = 1 / options.pair_every
    for optimizer in ROW_STATES:
        table = (options.users + options.items) * (ROW_STATES[optimizer] * row + (4 if optimizer == "lazy_adam" else 0))
        print(f"\n{optimizer}: tables of {table / 1e9:.0f} GB, at least {-(-table // (0.9 * MEMORY)):.0f} GPUs\n")
        print("| GPUs | tables, GB a GPU | sent, MB a GPU and step | in memory, ms | on the wire, ms | G triples/s | a GPU, of one alone |")
        print("|---|---|---|---|---|---|---|")
        alone = options.batch / step(optimizer, 1, options.batch, pair_rate, row)[0]
        for ranks in (8, 16, 32, 64, 128, 256, 512):
            memory, wire, sent = step(optimizer, ranks, options.batch, pair_rate, row)
            rate = ranks * options.batch / (memory + wire)
            print(f"| {ranks} | {table / ranks / 1e9:.1f} | {sent / 1e6:.0f} | {memory * 1e3:.2f} | {wire * 1e3:.2f} "
                  f"| {rate / 1e9:.2f} | {rate / ranks / alone:.3f} |")


if __name__ == "__main__":
    main()
