"""The gate as a module, and the loss that it weighs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from sllmr import _core
from sllmr.torch import ops, reference
from sllmr.torch.reference import PairLosses

RULES = {rule["name"]: rule for rule in _core.gate_rules()}
OBJECTIVES = {objective["name"]: objective for objective in _core.gate_objectives()}
PENALTIES = {penalty["name"]: penalty for penalty in _core.gate_penalties()}
UNCERTAINTIES = dict(_core.gate_uncertainties())  # name -> whether it needs forward passes of its own
_MOST_PARAMS = 32  # of a rule whose slopes the CPU's kernel, parameter by parameter, has before autograd has them
_DERIVED = ("uncertainty", "logit", "score_gap")  # of logits and scores, where they are not given


class Gate(torch.nn.Module):
    """How far a language model is believed, pair by pair; docs/gating_rule.md, objective.md and penalty.md list the parts.

    rule, objective, penalty: names of registered parts; "auto": what the objective asks for.
    lambda_: weight of the penalty. margin: of the hinge, in logits. price: agreement beyond chance that opens the gate
    (objective agreement). budget_weight, budget_target: of the objective budget. sides: "min" or "mean", how the two sides
    of a pair are taken together. uncertainty: of kernels/gates/uncertainty.h. seed: of the parameters' starting values.
    The numbers are attributes, which may be changed between calls.

    Its parameters `theta`, [n_params], learn from the objective alone, at a rate of their own: the program's is 0.1 with
    Adam, and no weight decay. `signals` names what selective_loss must be given.
    """

    def __init__(
        self,
        rule: str = "auto",
        objective: str = "agreement",
        penalty: str = "auto",
        *,
        lambda_: float = 0.1,
        margin: float = 0.3,
        price: float = 0.1,
        budget_weight: float = 1.0,
        budget_target: float = 0.3,
        sides: str = "auto",
        uncertainty: str = "confidence",
        seed: int = 1,
    ):
        super().__init__()
        if sides not in ("auto", "min", "mean"):
            raise ValueError(f"sides={sides!r}: it is 'auto', 'min' or 'mean'")
        if objective not in OBJECTIVES:
            raise ValueError(f"there is no gate objective {objective!r}: take one of {', '.join(OBJECTIVES)}")
        said = OBJECTIVES[objective]
        self.rule = said["rule"] if rule == "auto" else rule
        self.objective = objective
        self.penalty = said["penalty"] if penalty == "auto" else penalty
        self.uncertainty = uncertainty
        self.least_side = said["least_side"] if sides == "auto" else sides == "min"
        self.lambda_, self.margin, self.price = lambda_, margin, price
        self.budget_weight, self.budget_target = budget_weight, budget_target
        _core.PairGate(*self._settings())  # says what is wrong with a name or a number
        self.theta = torch.nn.Parameter(torch.tensor(_core.initial_gate_params(self.rule, seed)))
        self.register_buffer("running", torch.tensor([1.0, 0.0]))  # means of alpha and of alpha times hinge
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # calls that the means have seen

        reads = RULES[self.rule]["reads"]
        wanted = [s for s in reads if s not in _DERIVED or (s == "uncertainty" and UNCERTAINTIES[uncertainty])]
        self.signals = [n for s in wanted for n in ([s] if s in ops.OF_PAIR else [s + "_a", s + "_b"])]
        if OBJECTIVES[objective]["uses_cosine"]:
            self.signals.append("cosine")
        self._uses_means = OBJECTIVES[objective]["uses_means"]
        # Whatever the rule reads, given or not, and its place among the kernel's columns: of both sides, of a, of b.
        ends = [("_a", 0), ("_b", 1)], [("", 2)]
        self._places = {
            name + end: side * len(ops.SIGNALS) + ops.SIGNALS.index(name)
            for name in reads
            for end, side in ends[name in ops.OF_PAIR]
        }
        self._reads = [*self._places, *(["cosine"] if "cosine" in self.signals else [])]

    def _settings(self) -> tuple:
        """As the operator takes them."""
        return (
            self.rule, self.objective, self.penalty, self.uncertainty, self.least_side, self.lambda_, self.margin,
            self.price, self.budget_weight, self.budget_target,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"rule={self.rule}, objective={self.objective}, penalty={self.penalty}, lambda_={self.lambda_}"

    def forward(
        self,
        logits_a: Tensor,
        logits_b: Tensor,
        scores_a: Tensor,
        scores_b: Tensor,
        signals: Mapping[str, Tensor],
        *,
        probe: Tensor | None = None,
        reduction: str = "none",
        seen: tuple[Tensor, Tensor] | None = None,
        kernel: bool | None = None,
    ) -> PairLosses:
        """Both losses apart, and what the gate says; arguments as of selective_loss."""
        penalty, objective, alpha_and_weight = self.losses(
            logits_a, logits_b, scores_a, scores_b, signals, probe, reduction, seen, kernel
        )
        return PairLosses(penalty, objective, alpha_and_weight[0], alpha_and_weight[1])

    def losses(self, logits_a, logits_b, scores_a, scores_b, signals, probe, reduction, seen, kernel):
        """Penalty and objective; and a tensor whose first rows are alpha and weight."""
        logits_a, logits_b, scores_a, scores_b, signals = self._checked(
            logits_a, logits_b, scores_a, scores_b, signals, probe, reduction
        )
        seen_a, seen_b = (logits_a, logits_b) if seen is None else seen
        theta = self.theta if logits_a.dtype == self.theta.dtype else self.theta.to(logits_a.dtype)
        tensors = (logits_a, logits_b, theta, seen_a, seen_b, scores_a, scores_b, _constant(self.running), probe)
        learns = theta.requires_grad and torch.is_grad_enabled()
        if kernel is None:
            wide = (
                learns and len(theta) > _MOST_PARAMS and logits_a.device.type == "cpu" and self.rule in reference.ALPHA
            )
            kernel = not wide and (ops.has_kernel(logits_a.device) or _say_once(logits_a.device))
        if kernel:
            cosine = signals.pop("cosine", None)
            places, columns = [self._places[name] for name in signals], list(signals.values())
            traced = torch.compiler.is_compiling() or not ops.is_plain(logits_a)
            call = ops.selective_pairs if traced else ops.SelectivePairs.apply
            penalty, objective, parts = call(
                *tensors, cosine, columns, places, learns, ops.REDUCTIONS[reduction], *self._settings()
            )
        else:
            penalty, objective, *parts = reference.pair_losses(*tensors, signals, *self._settings())
            if reduction != "none":
                pairs = max(len(logits_a), 1) if reduction == "mean" else 1
                penalty, objective = penalty.sum() / pairs, objective.sum() / pairs
        if self.training and self._uses_means:
            self._update_means(parts[0], seen_a, seen_b, probe)
        return penalty, objective, parts

    def _checked(self, logits_a, logits_b, scores_a, scores_b, signals, probe, reduction):
        """The arguments in the types that the kernel takes; of the signals those that the gate reads."""
        n, device = logits_a.shape, logits_a.device
        if reduction not in ops.REDUCTIONS:
            raise ValueError(f"reduction={reduction!r}: it is one of {', '.join(ops.REDUCTIONS)}")
        if len(n) != 1:
            raise ValueError(f"logits_a has the shape {tuple(n)}: it is [n], a logit of each pair")
        if not logits_a.is_floating_point() or logits_a.dtype != logits_b.dtype:
            raise TypeError(f"logits of {logits_a.dtype} and {logits_b.dtype}: both are of one floating-point type")
        if probe is not None and probe.dtype != torch.bool:
            raise TypeError(f"probe is of {probe.dtype}: it is a bool tensor")
        if self.theta.device != device:
            raise ValueError(f"the gate is on {self.theta.device}, and logits_a on {device}: move one of them")
        for name in self.signals:
            if name not in signals:
                raise ValueError(f"signals lack {name!r}: the gate reads {', '.join(self.signals)}")
        read = {name: signals[name] for name in self._reads if name in signals}
        given = {"logits_b": logits_b, "scores_a": scores_a, "scores_b": scores_b, "probe": probe, **read}
        for name, tensor in given.items():
            if tensor is None:
                continue
            if tensor.shape != n:
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, and logits_a {tuple(n)}: all are alike")
            if tensor.device != device:
                raise ValueError(f"{name} is on {tensor.device}, and logits_a on {device}: move one of them")
        if logits_a.dtype not in (torch.float32, torch.float64):
            logits_a, logits_b = logits_a.float(), logits_b.float()
        read = {name: _constant(tensor) for name, tensor in read.items()}
        return logits_a, logits_b, _constant(scores_a), _constant(scores_b), read

    def train_alone(self, lr: float = 0.1) -> Gate:
        """For a training loop with one optimiser for all: theta takes an Adam step of its own with each backward pass.

        Its gradient is gone afterwards, so that the loop's optimiser neither moves nor decays it. Returns the gate.
        """
        optimiser = torch.optim.Adam([self.theta], lr=lr)

        def step(_theta):
            optimiser.step()
            optimiser.zero_grad()

        self.theta.register_post_accumulate_grad_hook(step)
        return self

    @torch.no_grad()
    def _update_means(self, alpha: Tensor, seen_a: Tensor, seen_b: Tensor, probe: Tensor | None) -> None:
        """As a step of the program's gate: the first call sets the means, later ones move them slower, to a tenth."""
        guides = torch.ones_like(alpha) if probe is None else (~probe).to(alpha.dtype)
        hinge = (self.margin - (seen_a - seen_b)).clamp(min=0)
        sums = torch.stack([(guides * alpha).sum(), (guides * alpha * hinge).sum()])
        means = (sums / guides.sum()).float()
        self.steps += 1
        keep = (1 - 1 / self.steps.float()).clamp(max=0.9)
        moved = torch.where(guides.sum() > 0, self.running + (1 - keep) * (means - self.running), self.running)
        self.running.copy_(moved)


def selective_loss(
    logits_a: Tensor,
    logits_b: Tensor,
    scores_a: Tensor,
    scores_b: Tensor,
    signals: Mapping[str, Tensor],
    gate: Gate,
    *,
    probe: Tensor | None = None,
    reduction: str = "mean",
    seen: tuple[Tensor, Tensor] | None = None,
    kernel: bool | None = None,
) -> Tensor:
    """What a language model's judgement of pairs adds to the loss of a recommender, and of its gate.

    The sum of two losses: the penalty, lambda times the pairs' pulls, whose gradient reaches the logits, and the gate's
    objective, whose gradient reaches gate.theta. Each takes the other's part for a constant.

    logits_a, logits_b: float or double [n], the model's logits of (user, a) and (user, b); half types are computed in float.
    scores_a, scores_b: [n], the LLM's scores of the same, in [0, 1]. Of a guiding pair scores_a is no less than scores_b.
    signals: name -> [n], those of gate.signals; numbers in [0, 1] that kernels/gates/signals.h explains: of the user
    `cold`, `log_history`, `score_entropy`, `user_entropy`, `judge_variance`; of each item `tail_a`, `tail_b`,
    `log_popularity_a`, ..., `draw_a`, ...; `uncertainty_a`, `uncertainty_b` take the place of those of the logits; `cosine`,
    of the user's gradients, for the objective alignment. Others are not looked at.
    probe: bool [n], pairs of a probe (a) and another candidate, which teach the gate and leave the model alone.
    reduction: "mean" or "sum" over the n pairs (0 of none), or "none": [n].
    seen: the logits as the gate shall see them; without it those of the model, as constants.
    kernel: False: plain PyTorch (sllmr.torch.reference); None: that where this build has no kernel for the device, and on the
    CPU for rules of more than 32 parameters.

    Scores outside [0, 1] and guiding pairs the wrong way round raise ValueError on the CPU; on a GPU they are not looked
    for. NaN logits give a NaN loss. The kernel has no second derivatives.
    """
    penalty, objective, _ = gate.losses(logits_a, logits_b, scores_a, scores_b, signals, probe, reduction, seen, kernel)
    return penalty + objective


def _constant(x: Tensor) -> Tensor:
    x = x.detach() if x.requires_grad else x
    return x if x.dtype == torch.float32 else x.float()


_said = set()


def _say_once(device: torch.device) -> bool:
    """That there is no kernel: False."""
    if device.type not in _said:
        _said.add(device.type)
        warnings.warn(
            f"this build of sllmr has no kernel for {device.type}: the penalty is computed in plain PyTorch, more slowly; "
            "for CUDA install sllmr with nvcc on PATH",
            stacklevel=6,
        )
    return False
