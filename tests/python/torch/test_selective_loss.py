"""The operator against its twin, finite differences, and what PyTorch asks of operators."""

import subprocess
import sys
import warnings

import pytest
import torch
from pairs_world import EVERY_GATE, PairsWorld, assert_near, gradients

from sllmr.torch import Gate, selective_loss
from sllmr.torch import ops, reference
from sllmr.torch.gate import OBJECTIVES, RULES

KERNELS = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not (torch.cuda.is_available() and ops.has_kernel(torch.device("cuda"))), reason="no CUDA, or a build without it"))]  # fmt: skip


def written(rule, objective, penalty):
    return rule in reference.ALPHA and objective in reference.OBJECTIVES and penalty in reference.PENALTIES


def tolerance_of(rule, objective, dtype):
    if objective == "calibrated" and not RULES[rule]["n_params"]:
        return 4e-3 if dtype == torch.float32 else 1e-11  # 1 - alpha has few digits where alpha is 1
    if dtype == torch.float64 and objective == "budget":
        return 2e-7  # what it is told is single precision, and the kernel rounds once where PyTorch does twice
    return 1e-6 if dtype == torch.float32 else 1e-12


@pytest.mark.parametrize("device", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float", "double"])
@pytest.mark.parametrize("gate_parts", EVERY_GATE, ids="-".join)
def test_equals_its_twin(gate_parts, dtype, device):
    tolerance = tolerance_of(*gate_parts[:2], dtype)
    if not written(*gate_parts):
        pytest.skip("not written in PyTorch")
    for sides in ("mean", "min"):
        world = PairsWorld(dtype=dtype, device=device)
        gate = world.gate(*gate_parts, sides=sides)
        # Signals of the logits are single precision, and of another exp: where digits count they are given.
        signals = world.signals(gate, derived=dtype == torch.float64)
        kernel, twin = (gate(*world.pairs(), signals, probe=world.probe, kernel=which) for which in (True, False))
        for x, y in zip(kernel, twin):
            assert_near(x.detach(), y.detach(), tolerance)
        of = [world.logits_a, world.logits_b, gate.theta]
        for loss in ("sum", "mean"):
            of_kernel, of_twin = (
                gradients(
                    selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction=loss, kernel=which), of
                )
                for which in (True, False)
            )
            for x, y in zip(of_kernel, of_twin):
                assert_near(x, y, max(tolerance, 2e-6 if x.dtype == torch.float32 else 0))


@pytest.mark.parametrize("gate_parts", EVERY_GATE, ids="-".join)
def test_gradients_are_those_of_finite_differences(gate_parts):
    world = PairsWorld(n=12, dtype=torch.float64)
    gate = world.gate(*gate_parts).double()
    signals = world.signals(gate)
    a, b, scores_a, scores_b = world.pairs()
    seen = (a.detach().clone(), b.detach().clone())

    def penalty(x, y):
        return gate(x, y, scores_a, scores_b, signals, probe=world.probe, seen=seen).penalty

    def objective(theta):
        call = torch.func.functional_call
        return call(
            gate, {"theta": theta}, (a, b, scores_a, scores_b, signals), {"probe": world.probe, "seen": seen}
        ).objective

    assert torch.autograd.gradcheck(penalty, (a, b), eps=1e-6, atol=1e-7)
    if len(gate.theta):
        assert torch.autograd.gradcheck(objective, (gate.theta.detach().clone().requires_grad_(),), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("device", KERNELS)
@pytest.mark.parametrize("reduction", ops.REDUCTIONS.values())
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_is_an_operator(objective, reduction, device):
    world = PairsWorld(n=9, device=device)
    gate = world.gate(objective=objective)
    signals = world.signals(gate)
    cosine = signals.pop("cosine", None)
    a, b, scores_a, scores_b = world.pairs()
    places = [gate._places[name] for name in signals]
    args = (
        a,
        b,
        gate.theta,
        a.detach().clone(),
        b.detach().clone(),
        scores_a,
        scores_b,
        gate.running,
        world.probe,
        cosine,
    )
    torch.library.opcheck(
        ops.selective_pairs, (*args, list(signals.values()), places, True, reduction, *gate._settings())
    )


@pytest.mark.parametrize("rule, objective", [("auto", "calibrated"), ("mlp", "agreement"), ("learned", "normalised")])
def test_compiles_without_a_break(rule, objective):
    world = PairsWorld()
    gate = world.gate(rule, objective).train()
    signals = world.signals(gate, derived=False)

    def loss(a, b):
        return selective_loss(2 * a, b.sin(), world.scores_a, world.scores_b, signals, gate, probe=world.probe)

    of = [world.logits_a, world.logits_b, gate.theta]
    running = gate.running.clone()
    expected = loss(*of[:2])
    expected_gradients = gradients(expected, of)
    moved = gate.running.clone()
    gate.running.copy_(running)
    gate.steps.zero_()
    compiled = torch.compile(loss, fullgraph=True)(*of[:2])
    assert_near(compiled.detach(), expected.detach(), 1e-6)
    for x, y in zip(gradients(compiled, of), expected_gradients):
        assert_near(x, y, 1e-6)
    assert_near(gate.running, moved, 1e-6)


def test_compiles_once_for_all_numbers_of_pairs():
    gate = PairsWorld().gate()
    compiles = []

    def counting(graph, inputs):
        compiles.append(graph)
        return graph

    loss = torch.compile(selective_loss, fullgraph=True, dynamic=True, backend=counting)
    for n in (70, 50, 31):
        world = PairsWorld(n=n)
        signals = world.signals(gate)
        compiled = loss(*world.pairs(), signals, gate, probe=world.probe)
        assert_near(compiled.detach(), selective_loss(*world.pairs(), signals, gate, probe=world.probe).detach(), 1e-6)
    assert len(compiles) == 1


def test_reductions_and_columns_apart():
    world = PairsWorld()
    gate = world.gate()
    signals = world.signals(gate)
    each = selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction="none")
    assert each.shape == (world.n,)
    assert_near(selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction="sum"), each.sum(), 1e-6)
    assert_near(selective_loss(*world.pairs(), signals, gate, probe=world.probe), each.mean(), 1e-6)
    wide = {name: torch.stack([column, -column], dim=1)[:, 0] for name, column in signals.items()}
    strided = torch.stack(world.pairs()[:2], dim=1)
    apart = selective_loss(
        strided[:, 0], strided[:, 1], *world.pairs()[2:], wide, gate, probe=world.probe, reduction="none"
    )
    assert torch.equal(apart, each)


def test_through_the_dispatcher_it_is_the_same():
    world = PairsWorld()
    gate = world.gate(objective="calibrated")
    signals = world.signals(gate)
    of = [world.logits_a, world.logits_b, gate.theta]
    direct = selective_loss(*world.pairs(), signals, gate, probe=world.probe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "is_plain", lambda tensor: False)
        dispatched = selective_loss(*world.pairs(), signals, gate, probe=world.probe)
    assert torch.equal(direct, dispatched)
    assert all(torch.equal(x, y) for x, y in zip(gradients(direct, of), gradients(dispatched, of)))


def test_many_pairs_share_threads():
    world = PairsWorld(n=40_000)
    gate = world.gate()
    signals = world.signals(gate)
    losses = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            losses.append(selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction="none"))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*losses)


def test_half_types_are_computed_in_float():
    world = PairsWorld()
    gate = world.gate()
    signals = world.signals(gate)
    half = [x.detach().bfloat16().requires_grad_() for x in world.pairs()[:2]]
    full = [x.detach().float().requires_grad_() for x in half]
    of_half, of_full = (
        selective_loss(*logits, world.scores_a, world.scores_b, signals, gate, probe=world.probe)
        for logits in (half, full)
    )
    assert of_half.dtype == torch.float32 and torch.equal(of_half, of_full)
    (gradient,) = gradients(of_half, half[:1])
    assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_no_pairs_cost_nothing(reduction, kernel):
    world = PairsWorld(n=0)
    gate = world.gate()
    signals = world.signals(gate)
    loss = selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction=reduction, kernel=kernel)
    loss.backward()
    assert loss.item() == 0 and gate.theta.grad.abs().max() == 0


def test_lambda_may_change():
    world = PairsWorld()
    gate = world.gate()
    signals = world.signals(gate)
    before = gate(*world.pairs(), signals, probe=world.probe).penalty
    gate.lambda_ *= 2
    assert torch.equal(gate(*world.pairs(), signals, probe=world.probe).penalty, 2 * before)


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_nan_is_not_swallowed(objective, kernel):
    world = PairsWorld()
    gate = world.gate(objective=objective)
    signals = world.signals(gate, derived=False)
    for guides in (True, False):
        at = int(((~world.probe) if guides else world.probe).nonzero()[0])
        a = world.logits_a.detach().clone()
        a[at] = float("nan")
        a.requires_grad_()
        losses = gate(a, *world.pairs()[1:], signals, probe=world.probe, kernel=kernel)
        if guides:
            assert losses.penalty[at].isnan() and gradients(losses.penalty.sum(), [a])[0][at].isnan()
            assert not losses.penalty[at + 1 :].isnan().any()
        elif OBJECTIVES[objective]["uses_probes"]:
            assert losses.objective[at].isnan() and gradients(losses.objective.sum(), [gate.theta])[0].isnan().any()


def test_running_means_follow_the_pairs():
    world = PairsWorld()
    gate = world.gate(objective="budget")
    signals = world.signals(gate)
    gate(*world.pairs(), signals, probe=world.probe)
    assert_near(gate.running, torch.tensor([0.6, 0.3]), 0)  # eval() holds them
    gate.train()
    losses = gate(*world.pairs(), signals, probe=world.probe)
    guides = ~world.probe
    hinge = (0.875 - (world.logits_a - world.logits_b)).clamp(min=0).detach()
    means = torch.stack([losses.alpha[guides].mean(), (losses.alpha * hinge)[guides].mean()])
    assert_near(gate.running, means, 1e-6)  # the first call sets them
    gate(*world.pairs(), signals, probe=world.probe)
    gate(*world.pairs(), signals, probe=torch.ones_like(world.probe))  # no guiding pair: they stay
    assert bool(gate.running.isfinite().all())


def test_second_derivatives_are_those_of_plain_pytorch():
    world = PairsWorld(dtype=torch.float64)
    gate = world.gate(penalty="soft")
    signals = world.signals(gate)

    def second(kernel):
        loss = selective_loss(*world.pairs(), signals, gate, probe=world.probe, reduction="sum", kernel=kernel)
        (first,) = torch.autograd.grad(loss, world.logits_a, create_graph=True)
        return torch.autograd.grad(first.sum(), world.logits_a)[0]

    assert second(kernel=False).abs().max() > 0
    with pytest.raises(RuntimeError, match="no second derivatives"):
        second(kernel=True)


def test_a_gate_keeps_its_state():
    gate = Gate(rule="mlp", seed=3)
    again = Gate(rule="mlp", seed=4)
    assert not torch.equal(gate.theta, again.theta)
    again.load_state_dict(gate.state_dict())
    assert torch.equal(gate.theta, again.theta)
    assert Gate(objective="calibrated").rule == "confident" and Gate(objective="calibrated").penalty == "soft"


WRONG = {
    "no gating rule 'lerned'": lambda: Gate(rule="lerned"),
    "no gate objective 'x'": lambda: Gate(objective="x"),
    "no penalty 'x'": lambda: Gate(penalty="x"),
    "no uncertainty 'x'": lambda: Gate(uncertainty="x"),
    "sides='x'": lambda: Gate(sides="x"),
    "lambda_ is -1": lambda: Gate(lambda_=-1),
    "margin is nan": lambda: Gate(margin=float("nan")),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_names(message):
    with pytest.raises(ValueError, match=message):
        WRONG[message]()


def test_wrong_arguments():
    world = PairsWorld(n=5)
    gate = world.gate()
    signals = world.signals(gate, derived=False)
    a, b, scores_a, scores_b = world.pairs()

    def call(a=a, b=b, scores_a=scores_a, scores_b=scores_b, signals=signals, **others):
        return selective_loss(a, b, scores_a, scores_b, signals, gate, **others)

    for message, wrong in {
        r"logits_b has the shape \(4,\)": {"b": b[:4]},
        r"logits_a has the shape \(5, 1\)": {"a": a[:, None]},
        r"cold has the shape \(1,\)": {"signals": {**signals, "cold": signals["cold"][:1]}},
        "signals lack 'tail_b': the gate reads cold, tail_a, tail_b": {"signals": {"cold": a, "tail_a": a}},
        "scores_a is on meta": {"scores_a": scores_a.to("meta")},
        "reduction='x': it is one of none, sum, mean": {"reduction": "x"},
        "of 5 pairs have a score that is NaN or outside": {"scores_a": scores_a + 1},
        "of 5 pairs guide, and the LLM scores their b above": {"scores_a": scores_b * 0, "scores_b": scores_a},
    }.items():
        with pytest.raises(ValueError, match=message):
            call(**wrong)
    for message, wrong in {
        "logits of torch.float32 and torch.float64": {"b": b.double()},
        "logits of torch.int64": {"a": a.long(), "b": b.long()},
        "probe is of torch.float32": {"probe": a.detach()},
    }.items():
        with pytest.raises(TypeError, match=message):
            call(**wrong)


def test_without_a_kernel_the_twin_runs_and_says_so_once(monkeypatch):
    world = PairsWorld()
    gate = world.gate()
    signals = world.signals(gate)
    expected = selective_loss(*world.pairs(), signals, gate, probe=world.probe)
    monkeypatch.setattr(ops, "has_kernel", lambda device: False)
    with pytest.warns(UserWarning, match="no kernel for cpu"):
        loss = selective_loss(*world.pairs(), signals, gate, probe=world.probe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selective_loss(*world.pairs(), signals, gate, probe=world.probe)
    assert_near(loss.detach(), expected.detach(), 1e-6)


def test_every_rule_says_what_it_reads():
    assert Gate(rule="learned").signals == ["cold", "tail_a", "tail_b"]
    assert Gate(rule="learned", uncertainty="mc_dropout").signals[-2:] == ["uncertainty_a", "uncertainty_b"]
    assert "cosine" in Gate(objective="alignment").signals
    assert all(set(Gate(rule=rule).signals) >= set() for rule in RULES)


def said_by(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_torch_is_imported_by_who_asks_for_it():
    assert said_by("import sys, sllmr; print('torch' in sys.modules)") == "False\n"
    without = (
        "import sys; sys.modules['torch'] = None\ntry: import sllmr.torch\nexcept ImportError as error: print(error)"
    )
    assert "pip install 'sllmr[torch]'" in said_by(without)
