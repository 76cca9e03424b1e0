#!/usr/bin/env python3
"""Writes tests/kernels/golden/guidance.json: losses of methods of guidance and their gradients, by PyTorch's autograd.

The fixture is the truth for tests/kernels/guidance_golden_test.cpp, in float64: knowledge distillation as two BCELoss
terms, weighted rows, and the pointwise losses. Run it again only when a formula changes:

    python3 -m venv golden && golden/bin/pip install torch numpy
    golden/bin/python tools/golden/make_guidance_golden.py
"""
import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F

OUTPUT = Path(__file__).resolve().parents[2] / "tests/kernels/golden/guidance.json"
DRAW = random.Random(11)
ROWS, PAIRS = 12, 5


def numbers(n, low, high):
    return [round(DRAW.uniform(low, high), 6) for _ in range(n)]


def case(loss, logits):
    s = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    value = loss(s)
    value.backward()
    return {"loss": value.item(), "gradient": s.grad.tolist()}


def main():
    logits = numbers(ROWS, -4, 4) + numbers(2 * PAIRS, -4, 4)
    labels = [float(k % 2) for k in range(ROWS)]
    teacher = numbers(ROWS, 0, 1)
    teacher[3:5] = [0.0, 1.0]
    weights = numbers(ROWS, 0, 2)
    targets = numbers(2 * PAIRS, 0, 1)
    targets[:2] = [0.0, 1.0]
    y, t, w, judged = (torch.tensor(x, dtype=torch.float64) for x in (labels, teacher, weights, targets))
    kd_weight, weight = 0.3, 0.7

    def probability(s):
        return torch.sigmoid(s[:ROWS])

    def judged_rows(s):
        return s[ROWS:]

    cases = {
        # As in LLM-CF's release: the mean of BCELoss with the labels, and w times that with the teacher.
        "kd": case(lambda s: F.binary_cross_entropy(probability(s), y)
                   + kd_weight * F.binary_cross_entropy(probability(s), t), logits),
        "weights": case(lambda s: (w * F.binary_cross_entropy(probability(s), y, reduction="none")).mean(), logits),
        "mse": case(lambda s: weight * F.mse_loss(torch.sigmoid(judged_rows(s)), judged), logits),
        "bce": case(lambda s: weight * F.binary_cross_entropy(torch.sigmoid(judged_rows(s)), judged), logits),
        "logit": case(lambda s: weight * F.mse_loss(judged_rows(s), torch.logit(judged.clamp(0.01, 0.99))), logits),
    }
    fixture = {"made_by": f"PyTorch {torch.__version__}", "rows": ROWS, "logits": logits, "labels": labels,
               "teacher": teacher, "weights": weights, "targets": targets, "kd_weight": kd_weight, "weight": weight,
               "cases": cases}
    OUTPUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
