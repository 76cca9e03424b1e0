"""The gated penalty in plain PyTorch: what the kernel is tested against, and what runs where there is none.

Each formula stands once more in kernels/gates; autograd derives it here. As there, signals, weights and what an objective
is told are single precision whatever the logits are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sllmr import _core

# As single-precision constants of the kernels are.
_TINY, _FLOOR, _LEAST_MEAN = torch.tensor([1e-14, 1e-6, 0.05]).tolist()
_TAUGHT_BY_PROBES = {objective["name"]: objective["uses_probes"] for objective in _core.gate_objectives()}


class PairLosses(NamedTuple):
    """Of each pair, [n]; penalty and objective may be reduced, []."""

    penalty: Tensor  # the model's loss, lambda included; 0 of probes
    objective: Tensor  # the gate's loss
    alpha: Tensor  # the gate's answer, in [0, 1]; no gradient
    weight: Tensor  # the pair's weight in the penalty over lambda, 0 of probes; no gradient


def _mlp(z, theta):
    x = torch.stack(
        [z.cold, z.tail, z.uncertainty, z.log_history, z.log_popularity, z.score_gap, z.score_entropy], dim=1
    )
    hidden = theta[:-1].view(8, 9)  # of each unit: seven weights, bias, output weight
    units = torch.tanh(x.to(theta.dtype) @ hidden[:, :7].T + hidden[:, 7])
    return torch.sigmoid(units @ hidden[:, 8] + theta[-1])


def _logistic(theta, *x):
    """Of columns and the bias, which is the last."""
    return torch.sigmoid(torch.stack(x, dim=1).to(theta.dtype) @ theta[:-1] + theta[-1])


def _confident(z, theta):
    signals = [z.cold, z.tail, z.uncertainty, z.log_history, z.log_popularity, z.score_gap, z.logit, z.score_entropy]
    return _logistic(theta, *signals, z.user_entropy, z.judge_variance, z.cold * z.score_gap, z.tail * z.score_gap)


ALPHA = {
    "learned": lambda z, t: _logistic(t, z.cold, z.tail, z.uncertainty),
    "always": lambda z, t: torch.ones_like(z.score_gap),
    "never": lambda z, t: torch.zeros_like(z.score_gap),
    "cold-or-tail": lambda z, t: torch.where(z.cold > z.tail, z.cold, z.tail),
    "random": lambda z, t: z.draw,
    "mlp": _mlp,
    "confident": _confident,
    "cold": lambda z, t: z.cold,
    "tail": lambda z, t: z.tail,
    "oracle": lambda z, t: z.draw,
}


class Objective:
    """What an objective may leave out; see kernels/gates/objectives/objective.h."""

    @staticmethod
    def of_pair(a, b, least):
        return _of_sides(a, b, least)

    @staticmethod
    def belief(alpha):
        return alpha

    @staticmethod
    def model_weight(belief, pair):
        return belief


def _of_sides(a, b, least):
    return torch.where((b < a) | b.isnan(), b, a) if least else 0.5 * (a + b)


class Hinge(Objective):
    @staticmethod
    def loss(alpha, pair):
        return alpha * (pair.lambda_ * pair.hinge)


class Agreement(Objective):
    @staticmethod
    def loss(alpha, pair):
        return torch.where(pair.probe, alpha * (pair.price - pair.agreement), alpha * 0)


class Alignment(Objective):
    @staticmethod
    def loss(alpha, pair):
        return alpha * -pair.cosine


class Normalised(Objective):
    @staticmethod
    def loss(alpha, pair):
        mean = pair.mean_alpha.clamp(min=_LEAST_MEAN)
        return alpha * (pair.lambda_ * (pair.hinge - pair.mean_hinge / mean) / mean)

    @staticmethod
    def model_weight(belief, pair):
        return belief / pair.mean_alpha.clamp(min=_LEAST_MEAN)


class Budget(Objective):
    @staticmethod
    def loss(alpha, pair):
        over = 2 * pair.budget_weight * (pair.mean_alpha - pair.budget_target)
        return alpha * (pair.lambda_ * pair.hinge + over)


class Calibrated(Objective):
    @staticmethod
    def loss(alpha, pair):
        counts = pair.agreement * pair.agreement
        wrong = 0.5 * (counts - pair.agreement)
        return -torch.log(alpha * pair.agreement + wrong + _FLOOR) * torch.where(pair.probe, counts, 0.0)

    @staticmethod
    def of_pair(a, b, least):
        right = torch.sqrt(a * b + _TINY)
        wrong = torch.sqrt((1 - a) * (1 - b) + _TINY)
        return right / (right + wrong)

    @staticmethod
    def belief(alpha):
        better = 2 * alpha - 1
        return 0.5 * (better + better.abs())


OBJECTIVES = {
    "hinge": Hinge,
    "agreement": Agreement,
    "alignment": Alignment,
    "normalised": Normalised,
    "budget": Budget,
    "calibrated": Calibrated,
}


def _hinge(s_a, s_b, pair):
    missing = pair.margin - (s_a - s_b)
    return pair.weight.to(s_a.dtype) * torch.where(missing <= 0, 0.0, missing)


def _soft(s_a, s_b, pair):
    sure = 0.5 * (1 + pair.weight.clamp(max=1))
    gap = s_a - s_b
    rests = (torch.sigmoid(gap) >= sure) | (pair.weight == 0)
    return torch.where(rests, 0.0, 2 * (-logsigmoid(-gap) - sure * gap))


def _pointwise(s_a, s_b, pair):
    of_a = -logsigmoid(-s_a) - pair.score_a * s_a
    of_b = -logsigmoid(-s_b) - pair.score_b * s_b
    return pair.weight.to(s_a.dtype) * (of_a + of_b)


PENALTIES = {"hinge": _hinge, "soft": _soft, "pointwise": _pointwise}


def _confidence(logit):
    small = torch.exp(-logit.abs())
    return 2 * small / (1 + small)


def _entropy(logit):
    small = torch.exp(-logit.abs())
    return 1.4426950408889634 * (torch.log1p(small) + small / (1 + small) * logit.abs())


UNCERTAINTIES = {"confidence": _confidence, "entropy": _entropy}


def _side(end: str, logit: Tensor, scores_a: Tensor, scores_b: Tensor, signals: Mapping[str, Tensor], uncertainty: str):
    """The signals of one side by name, each [n]."""
    z = {
        name.removesuffix(end): signal
        for name, signal in signals.items()
        if not name.endswith({"_a": "_b", "_b": "_a"}[end])
    }
    z.setdefault("score_gap", (scores_a - scores_b).abs())
    z.setdefault("logit", logit.float().clamp(-3, 3))
    if "uncertainty" not in z:
        z["uncertainty"] = UNCERTAINTIES[uncertainty](logit.float())
    return SimpleNamespace(**z)


def pair_losses(
    logits_a, logits_b, theta, seen_a, seen_b, scores_a, scores_b, running, probe, signals, rule, objective, penalty,
    uncertainty, least_side, lambda_, margin, price, budget_weight, budget_target,
):  # fmt: skip
    """The arguments of sllmr::selective_pairs, but for its columns, which come by name; see Gate.forward."""
    for part, known in ((rule, ALPHA), (objective, OBJECTIVES), (penalty, PENALTIES)):
        if part not in known:
            raise NotImplementedError(f"{part!r} is not written in PyTorch: it runs where sllmr has a kernel alone")
    probe = torch.zeros_like(logits_a, dtype=torch.bool) if probe is None else probe
    seen_a, seen_b = seen_a.detach(), seen_b.detach()
    alpha_a, alpha_b = (
        ALPHA[rule](_side(end, logit, scores_a, scores_b, signals, uncertainty), theta).to(logits_a.dtype)
        for end, logit in (("_a", seen_a), ("_b", seen_b))
    )
    slack = margin - (seen_a - seen_b)
    pair = SimpleNamespace(
        lambda_=lambda_,
        margin=margin,
        price=price,
        budget_weight=budget_weight,
        budget_target=budget_target,
        hinge=torch.where(probe, 0.0, slack.clamp(min=0).float()),
        cosine=signals.get("cosine", torch.zeros_like(scores_a)),
        probe=probe,
        agreement=(scores_a > scores_b).float() - (scores_a < scores_b).float(),
        mean_alpha=running[0],
        mean_hinge=running[1],
        score_a=scores_a,
        score_b=scores_b,
    )
    formulas = OBJECTIVES[objective]
    alpha = formulas.of_pair(alpha_a, alpha_b, least_side)
    of_gate = formulas.loss(alpha, pair)
    if not _TAUGHT_BY_PROBES[objective]:
        of_gate = torch.where(probe, 0.0, of_gate)
    beliefs = [formulas.belief(side.detach().float()) for side in (alpha_a, alpha_b)]
    weight = formulas.model_weight(_of_sides(*beliefs, least_side), pair)
    pair.weight = torch.where(probe, 0.0, weight)
    of_model = torch.where(probe, 0.0, pair.lambda_ * PENALTIES[penalty](logits_a, logits_b, pair))
    return PairLosses(of_model, of_gate, alpha.detach(), pair.weight.to(logits_a.dtype))
