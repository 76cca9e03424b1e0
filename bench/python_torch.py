#!/usr/bin/env python3
"""Times sllmr.torch.selective_loss against its twin in plain PyTorch, forward and backward, on the CPU.

usage: python bench/python_torch.py [PAIRS] [THREADS]        (4096 pairs, 1 thread)

Both take turns; seconds are those of the core, as machines are shared. A figure is the median of a round's, a ratio that of the rounds' ratios.
"""

import os
import statistics
import sys
import time

import torch

from sllmr.torch import Gate, selective_loss

GATES = {
    "learned, agreement, hinge": {},
    "learned, hinge, hinge": {"objective": "hinge"},
    "confident, calibrated, soft": {"objective": "calibrated"},
    "mlp, agreement, hinge": {"rule": "mlp"},  # which is left to the twin, as the kernel would be slower
}
ROUNDS, CALLS = 30, 20


def call_of(gate, n, kernel):
    draws = torch.Generator().manual_seed(1)

    def numbers(low=0.0, high=1.0):
        return low + (high - low) * torch.rand(n, generator=draws)

    a, b = numbers(-2, 2).requires_grad_(), numbers(-2, 2).requires_grad_()
    scores_a, scores_b = numbers(0.5, 1), numbers(0, 0.5)
    signals = {name: numbers() for name in gate.signals}
    probe = numbers() < 0.5

    def call():
        a.grad = b.grad = gate.theta.grad = None
        selective_loss(a, b, scores_a, scores_b, signals, gate, probe=probe, kernel=kernel).backward()

    return call


def microseconds(call):
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS * 1e6


def main(n=4096, threads=1):
    torch.set_num_threads(threads)
    print(
        f"{n} pairs, {threads} thread(s), PyTorch {torch.__version__}, load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"
    )
    print(f"{'gate':30} {'kernel':>10} {'twin':>10} {'ratio':>7}")
    for name, settings in GATES.items():
        gate = Gate(**settings)
        calls = [call_of(gate, n, kernel) for kernel in (None, False)]
        for call in calls:
            microseconds(call)
        rounds = [[microseconds(call) for call in calls] for _ in range(ROUNDS)]
        kernel, twin = (statistics.median(each[k] for each in rounds) for k in (0, 1))
        ratio = statistics.median(twin / kernel for kernel, twin in rounds)
        print(f"{name:30} {kernel:7.0f} us {twin:7.0f} us {ratio:7.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
