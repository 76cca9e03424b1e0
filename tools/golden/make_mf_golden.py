#!/usr/bin/env python3
"""Writes tests/kernels/golden/mf_adam.json: ten steps of gated matrix factorisation, taken by PyTorch.

The fixture is the truth for tests/kernels/golden_test.cpp: initial tables, training rows with their LLM pairs, and
what PyTorch's autograd and torch.optim.Adam make of them in float64. Run it again only when the method changes:

    python3 -m venv golden && golden/bin/pip install torch
    golden/bin/python tools/golden/make_mf_golden.py

Needs PyTorch alone (any CPU build). The numbers are drawn with Python's own generator, so that another version of
PyTorch gives the same fixture up to rounding. The committed one names the version that made it.
"""
import json
import random
from pathlib import Path

import torch
from fixture import shorten

USERS, ITEMS, WIDTH = 12, 20, 32
ROWS, STEPS = 16, 10
SETTINGS = {
    "learning_rate": 0.01,
    "l2": 0.001,
    "gate_learning_rate": 0.05,
    "lambda": 0.5,
    "margin": 0.5,
    "price": 0.1,
}
THETA = [0.25, -0.5, 0.75, 0.125]  # w_cold, w_tail, w_uncertainty, bias
CASES = [("hinge", "confidence"), ("agreement", "entropy")]
OUTPUT = Path(__file__).resolve().parents[2] / "tests/kernels/golden/mf_adam.json"


def as_float32(x):
    """The nearest float32, which is what the kernels start from."""
    return torch.tensor(x, dtype=torch.float32).double().item()


def draw_table(rng, rows):
    """[rows + 1][WIDTH]; row 0 is padding."""
    return [[0.0] * WIDTH] + [[as_float32(rng.gauss(0, 0.2)) for _ in range(WIDTH)] for _ in range(rows)]


def draw_row(rng):
    """user, positive, negative, guide (a, b), probe (a, b, agreement); 0 where there is no pair."""
    positive, negative = rng.sample(range(1, ITEMS + 1), 2)
    guide = rng.sample(range(1, ITEMS + 1), 2) if rng.random() < 0.8 else [0, 0]
    if rng.random() < 0.15:
        guide = [positive, negative]
    probe = rng.sample(range(1, ITEMS + 1), 2) + [rng.choice([-1, 0, 1, 1])] if rng.random() < 0.5 else [0, 0, 0]
    return [rng.randint(1, USERS), positive, negative] + guide + probe


def uncertainty(logit, kind):
    """1 at p = 1/2, 0 at certainty; a constant for the gradient."""
    p = torch.sigmoid(logit.detach())
    if kind == "confidence":
        return 2 * (1 - torch.maximum(p, 1 - p))
    return torch.nn.functional.binary_cross_entropy(p, p, reduction="none") / torch.log(torch.tensor(2.0).double())


def train(world, objective, kind):
    users = torch.tensor(world["users"], dtype=torch.float64, requires_grad=True)
    items = torch.tensor(world["items"], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor(THETA, dtype=torch.float64, requires_grad=True)
    cold = torch.tensor(world["cold"], dtype=torch.float64)
    tail = torch.tensor(world["tail"], dtype=torch.float64)
    model_adam = torch.optim.Adam([users, items], lr=SETTINGS["learning_rate"], weight_decay=SETTINGS["l2"])
    gate_adam = torch.optim.Adam([theta], lr=SETTINGS["gate_learning_rate"])

    def score(u, i):
        return (users[u] * items[i]).sum(-1)

    def alpha(u, a, b):
        """Of the pairs (a, b); a function of the gate's parameters alone."""

        def one(i):
            q = uncertainty(score(u, i), kind)
            return torch.sigmoid(theta[0] * cold[u] + theta[1] * tail[i] + theta[2] * q + theta[3])

        return (one(a) + one(b)) / 2

    losses = []
    for step in range(STEPS):
        rows = torch.tensor(world["rows"][step * ROWS : (step + 1) * ROWS])
        u, i, j = rows[:, 0], rows[:, 1], rows[:, 2]
        base = torch.nn.functional.softplus(score(u, j) - score(u, i)).sum()
        u, a, b = rows[rows[:, 3] > 0][:, [0, 3, 4]].T
        hinge = torch.relu(SETTINGS["margin"] - (score(u, a) - score(u, b)))
        weight = alpha(u, a, b)
        loss = (base + SETTINGS["lambda"] * (weight.detach() * hinge).sum()) / ROWS
        if objective == "hinge":
            gate_loss = SETTINGS["lambda"] * (weight * hinge.detach()).sum() / ROWS
        else:
            u, a, b, agreement = rows[rows[:, 5] > 0][:, [0, 5, 6, 7]].T
            gate_loss = -(alpha(u, a, b) * (agreement - SETTINGS["price"])).sum() / ROWS
        model_adam.zero_grad()
        gate_adam.zero_grad()
        (loss + gate_loss).backward()
        model_adam.step()
        gate_adam.step()
        losses.append(loss.item())
    return {
        "objective": objective,
        "uncertainty": kind,
        "losses": losses,
        "users": users.tolist(),
        "items": items.tolist(),
        "theta": theta.tolist(),
    }


def main():
    rng = random.Random(20)
    world = {
        "users": draw_table(rng, USERS),
        "items": draw_table(rng, ITEMS),
        "cold": [0.0] + [float(rng.random() < 0.5) for _ in range(USERS)],
        "tail": [0.0] + [float(rng.random() < 0.3) for _ in range(ITEMS)],
        "rows": [draw_row(rng) for _ in range(ROWS * STEPS)],
    }
    fixture = {
        "made_by": f"tools/golden/make_mf_golden.py with PyTorch {torch.__version__.split('+')[0]}, float64 on the CPU",
        "width": WIDTH,
        "batch": ROWS,
        "settings": SETTINGS,
        "theta": THETA,
        "row_columns": ["user", "positive", "negative", "a", "b", "probe_a", "probe_b", "probe_agreement"],
        **world,
        "cases": [train(world, objective, kind) for objective, kind in CASES],
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # Three digits more than float32 has.
    OUTPUT.write_text(json.dumps(shorten(fixture, digits=10), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
