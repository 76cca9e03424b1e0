"""Pairs for the tests of sllmr.torch."""

import torch

from sllmr.torch import Gate
from sllmr.torch.gate import OBJECTIVES, PENALTIES, RULES

EVERY_GATE = [(rule, objective, penalty) for rule in RULES for objective in OBJECTIVES for penalty in PENALTIES]


class PairsWorld:
    """n pairs with every signal that a gate may read; logits that want gradients."""

    def __init__(self, n=70, dtype=torch.float32, seed=1, device="cpu"):
        self._draws = torch.Generator().manual_seed(seed)
        self.n, self.dtype, self.device = n, dtype, device
        self.logits_a, self.logits_b = (self.numbers(-2, 2).to(dtype).requires_grad_() for _ in range(2))
        self.scores_a, self.scores_b = self.numbers(0.5, 1), self.numbers(0, 0.5)
        self.probe = self.numbers() < 0.4
        turned = self.probe & (self.numbers() < 0.5)
        self.scores_a, self.scores_b = (
            torch.where(turned, self.scores_b, self.scores_a),
            torch.where(turned, self.scores_a, self.scores_b),
        )

    def numbers(self, low=0.0, high=1.0):
        return (low + (high - low) * torch.rand(self.n, generator=self._draws)).to(self.device)

    def gate(self, rule="auto", objective="agreement", penalty="auto", **settings):
        # In single precision as in double.
        settings = {"lambda_": 0.75, "margin": 0.875, "price": 0.25, "budget_target": 0.375, **settings}
        gate = Gate(rule, objective, penalty, **settings).to(self.device)
        with torch.no_grad():
            gate.theta.copy_(torch.rand(gate.theta.shape, generator=self._draws) * 2 - 1)
            gate.running.copy_(torch.tensor([0.6, 0.3]))
        return gate.eval()

    def signals(self, gate, derived=True):
        """What the gate must be given, and with `derived` what it else makes of logits and scores."""
        names = [name for name in gate._reads if derived or name in gate.signals]
        return {
            name: (self.numbers() < 0.5).float() if name in ("cold", "tail_a") else self.numbers() for name in names
        }

    def pairs(self):
        return self.logits_a, self.logits_b, self.scores_a, self.scores_b


def gradients(loss, tensors):
    grads = torch.autograd.grad(loss, tensors, allow_unused=True)
    return [torch.zeros_like(x) if grad is None else grad for grad, x in zip(grads, tensors)]


def assert_near(x, y, tolerance):
    """|x - y| <= tolerance * max(1, |y|) everywhere; NaN is near nothing."""
    assert x.shape == y.shape and x.dtype == y.dtype
    off = (x - y).abs() / y.abs().clamp(min=1)
    assert bool((off <= tolerance).all()), f"off by {off.max().item()}"
