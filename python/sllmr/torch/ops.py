"""torch.ops.sllmr.selective_pairs: the kernel kernels/selective_pairs.cu as an operator of PyTorch.

    selective_pairs(logits_a, logits_b, theta, seen_a, seen_b, scores_a, scores_b, running, probe, cosine, columns, places,
                    slopes, reduction, *Gate.settings()) -> (penalty, objective, parts)

penalty and objective are [n], or of reduction 1 and 2 their sums and means: [], 0 of no pairs. Gradients of the penalty go to the logits,
those of the objective to theta. columns: tensors [n] of signals; places: of each what it is, side * number of signals + place
in SIGNALS, of side 2 for both. slopes: whether theta needs a gradient. parts: alpha, weight and the slopes that the backward
pass multiplies, [4 + n_params or 4, n].
"""

from __future__ import annotations

import atexit
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from sllmr import _core

SIGNALS = [name for name, _ in _core.gate_signals()]
OF_PAIR = {name for name, shared in _core.gate_signals() if shared}
REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}

_PAIRS_A_THREAD = 8192  # fewer are done before a second thread has begun

_library = torch.library.Library("sllmr", "DEF")
_library.define(
    "selective_pairs(Tensor logits_a, Tensor logits_b, Tensor theta, Tensor seen_a, Tensor seen_b, Tensor scores_a, "
    "Tensor scores_b, Tensor running, Tensor? probe, Tensor? cosine, Tensor[] columns, int[] places, bool slopes, "
    "int reduction, str rule, str objective, str penalty, str uncertainty, bool least_side, float lambda_, float margin, "
    "float price, float budget_weight, float budget_target) -> (Tensor, Tensor, Tensor)"
)
_gate = lru_cache(maxsize=256)(_core.PairGate)
atexit.register(_gate.cache_clear)  # nanobind takes what outlives the interpreter for leaked


def has_kernel(device: torch.device) -> bool:
    """Whether this build of sllmr has a kernel for tensors of `device`."""
    return device.type == "cpu" or (device.type == "cuda" and _core.WITH_CUDA)


def _run(
    logits_a, logits_b, theta, seen_a, seen_b, scores_a, scores_b, running, probe, cosine, columns, places, slopes,
    reduction, *gate,
):  # fmt: skip
    n = logits_a.shape[0]
    tensors = [logits_a, logits_b, seen_a, seen_b, theta, scores_a, scores_b, running, probe, cosine]
    tensors = [x if x is None or x.is_contiguous() else x.contiguous() for x in tensors]  # until the kernel has run
    penalty, objective = torch.empty_like(tensors[0]), torch.empty_like(tensors[0])
    parts = penalty.new_empty((4 + len(theta) if slopes else 4, n))
    given = []
    for place, column in zip(places, columns):
        side, signal = divmod(place, len(SIGNALS))
        address, stride = column.data_ptr(), column.stride(0)
        given += [(0, signal, address, stride)] if side != 1 else []
        given += [(1, signal, address, stride)] if side != 0 else []
    call = (
        n,
        [0 if x is None else x.data_ptr() for x in tensors],
        given,
        slopes,
        1 / max(n, 1) if reduction == 2 else 1.0,
        (penalty.data_ptr(), objective.data_ptr(), parts.data_ptr()),
    )
    where, is_double = logits_a.device, logits_a.dtype == torch.float64
    if where.type == "cuda":
        with torch.cuda.device(where):
            _gate(*gate).run(is_double, True, torch.cuda.current_stream(where).cuda_stream, 1, *call)
    else:
        _gate(*gate).run(is_double, False, 0, max(1, min(torch.get_num_threads(), n // _PAIRS_A_THREAD)), *call)
    if reduction == 0:
        return penalty, objective, parts
    if reduction == 1 or n == 0:
        return penalty.sum(), objective.sum(), parts
    return penalty.mean(), objective.mean(), parts


class SelectivePairs(torch.autograd.Function):
    """The operator and its gradients, without PyTorch's dispatcher, which takes longer than the kernel."""

    @staticmethod
    def forward(ctx, logits_a, logits_b, theta, *others):
        ctx.set_materialize_grads(False)
        ctx.slopes, ctx.reduction = others[9], others[10]
        if is_plain(logits_a):
            penalty, objective, parts = _run(logits_a, logits_b, theta, *others)
        else:
            with torch._C._AutoDispatchBelowAutograd():
                penalty, objective, parts = selective_pairs(logits_a, logits_b, theta, *others)
        ctx.mark_non_differentiable(parts)
        ctx.save_for_backward(parts, logits_a, logits_b, theta)
        ctx.constants = [None] * len(others)
        return penalty, objective, parts

    @staticmethod
    def backward(ctx, of_penalty, of_objective, _):
        parts, *of = ctx.saved_tensors
        by = [None] * 3
        if of_penalty is not None:
            by[:2] = (parts[2:4] * of_penalty).unbind()
        if of_objective is not None and ctx.slopes:
            slopes = parts[4:]
            by[2] = slopes.mv(of_objective) if ctx.reduction == 0 else slopes.sum(1) * of_objective
        if torch.is_grad_enabled():  # somebody may differentiate again
            by = [x if x is None else _LastDerivative.apply(x, y) for x, y in zip(by, of)]
        return *by, *ctx.constants


class _LastDerivative(torch.autograd.Function):
    """An error to who differentiates it: a constant would be wrong."""

    @staticmethod
    def forward(ctx, x, of):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, _):
        raise RuntimeError("the kernel of selective_loss has no second derivatives: take kernel=False")


def is_plain(tensor: Tensor) -> bool:
    """Whether nobody traces: the kernel may read the memory of `tensor` at once."""
    return type(tensor) in (Tensor, torch.nn.Parameter) and not is_in_torch_dispatch_mode()


def _autograd(*args):
    return SelectivePairs.apply(*args)


@torch.library.register_fake("sllmr::selective_pairs", lib=_library)
def _fake(logits_a, logits_b, theta, *others):
    slopes, reduction = others[9], others[10]
    n = logits_a.shape[0]
    losses = [logits_a.new_empty((n,) if reduction == 0 else ()) for _ in range(2)]
    return *losses, logits_a.new_empty((4 + theta.shape[0] if slopes else 4, n))


_library.impl("selective_pairs", _run, "CPU")
_library.impl("selective_pairs", _run, "CUDA")
_library.impl("selective_pairs", _autograd, "Autograd")
selective_pairs = torch.ops.sllmr.selective_pairs.default
