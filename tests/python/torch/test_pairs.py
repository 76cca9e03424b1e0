"""Pairs drawn from score tables, and the signals of their users and items."""

import math

import pytest
import torch

import sllmr
from sllmr.torch import Gate, Pairs, ScoredPairs, SignalTables, selective_loss

USERS = torch.tensor([2, 0, 0, 0, 2, 3, 5, 5])
ITEMS = torch.tensor([4, 1, 2, 3, 5, 1, 2, 6])
SCORES = torch.tensor([0.2, 0.9, 0.5, 0.5, 0.7, 0.3, 0.4, 0.4])
PROBES = torch.tensor([False, False, True, False, True, True, False, False])


def table(popularity=None):
    return ScoredPairs(USERS, ITEMS, SCORES, PROBES, popularity)


def drawn(pairs, users, times=200):
    return pairs.sample(torch.tensor(users).repeat(times), torch.Generator().manual_seed(1))


def sets_of(pairs):
    guiding = {(u, a, b) for u, a, b, probe in zip(*map(torch.Tensor.tolist, (*pairs[:3], pairs.probe))) if not probe}
    probing = {(u, a, b) for u, a, b, probe in zip(*map(torch.Tensor.tolist, (*pairs[:3], pairs.probe))) if probe}
    return guiding, probing


def test_pairs_are_those_of_the_table():
    pairs = drawn(table(), [0, 1, 2, 3, 4, 5, 99])
    guiding, probing = sets_of(pairs)
    assert guiding == {(0, 1, 2), (0, 1, 3), (2, 5, 4)}  # scores differ; the preferred one first
    assert probing == {(0, 2, 1), (0, 2, 3), (2, 5, 4)}  # user 3 has nothing to compare with
    score_of = {(u, i): s for u, i, s in zip(USERS.tolist(), ITEMS.tolist(), SCORES.tolist())}
    for u, a, b, score_a, score_b, _ in zip(*map(torch.Tensor.tolist, pairs)):
        assert score_of[u, a] == score_a and score_of[u, b] == score_b
    assert not bool((pairs.scores_a < pairs.scores_b)[~pairs.probe].any())


def test_probes_meet_items_about_as_popular():
    popularity = torch.tensor([0, 10, 10, 12, 50, 50, 0])  # of user 0: the probe is item 2
    assert sets_of(drawn(table(popularity), [0, 2]))[1] == {(0, 2, 1), (0, 2, 3), (2, 5, 4)}
    popularity[1] = popularity[3] = 9  # none is more popular
    assert not {each for each in sets_of(drawn(table(popularity), [0]))[1]}
    popularity[3] = 1000
    assert not sets_of(drawn(table(popularity), [0]))[1]


def test_draws_follow_the_generator():
    pairs = table()
    same = [pairs.sample(torch.arange(6).repeat(20), torch.Generator().manual_seed(7)) for _ in range(2)]
    assert all(torch.equal(x, y) for x, y in zip(*same))


def test_nobody_with_scores_gives_no_pairs():
    pairs = table().sample(torch.tensor([1, 4]))
    assert all(len(column) == 0 for column in pairs)
    gate = Gate()
    tables = SignalTables.from_counts(torch.ones(6), torch.ones(7))
    loss = selective_loss(
        torch.zeros(0, requires_grad=True), torch.zeros(0), pairs.scores_a, pairs.scores_b, tables.of(pairs), gate,
        probe=pairs.probe, reduction="sum",
    )  # fmt: skip
    assert loss.item() == 0


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"scores": SCORES * 2}, "outside"),
        ({"scores": SCORES * math.nan}, "NaN"),
        ({"items": ITEMS[:3]}, "different lengths"),
        ({"probes": torch.ones(8, dtype=torch.bool)}, "more than one probe"),
    ],
)
def test_wrong_tables(wrong, message):
    with pytest.raises(ValueError, match=message):
        ScoredPairs(**{"users": USERS, "items": ITEMS, "scores": SCORES, "probes": PROBES, **wrong})


def test_a_file_is_read(tmp_path):
    path = tmp_path / "a.scores"
    lines = [
        f"u{u}\ti{i}\t{s}\t{int(p)}" for u, i, s, p in zip(USERS.tolist(), ITEMS.tolist(), SCORES.tolist(), PROBES)
    ]
    path.write_text("\n".join(["user_id:token\titem_id:token\tscore:float\tprobe:float", *lines, "u9\tx\t0.5\t0"]))
    rows = {f"u{u}": u for u in range(6)}, {f"i{i}": i for i in range(7)}
    with pytest.warns(sllmr.Note, match="1 of 9 rows are of users or items that the model lacks"):
        read = ScoredPairs.read(path, *rows)
    assert all(torch.equal(x, y) for x, y in zip(read.buffers(), table().buffers()))
    with pytest.raises(ValueError, match="no pair of the model's"):
        ScoredPairs.read(path, {}, {})
    path.write_text("user_id\tscore\nu1\t0.5\n")
    with pytest.raises(ValueError, match="lacks the columns item_id, probe"):
        ScoredPairs.read(path, *rows)


def test_signals_are_those_of_the_program():
    history, popularity = torch.tensor([0, 3, 4, 9]), torch.tensor([0, 5, 1, 1, 7, 3])
    tables = SignalTables.from_counts(history, popularity, tail_share=0.4, scores=table())
    signals = tables.of(Pairs(torch.tensor([1, 3]), torch.tensor([2, 4]), torch.tensor([3, 1]), *[torch.zeros(2)] * 3))
    assert signals["cold"].tolist() == [1, 0]
    assert signals["log_history"].tolist() == pytest.approx([math.log(4) / math.log(10), 1])
    assert signals["tail_a"].tolist() == [1, 0] and signals["tail_b"].tolist() == [1, 0]  # 2 of 5 items
    assert signals["log_popularity_b"].tolist() == pytest.approx([math.log(2) / math.log(8), math.log(6) / math.log(8)])


def test_every_signal_of_the_widest_rule_can_be_given():
    gate = Gate(objective="calibrated")
    more = {"user_entropy": torch.rand(6), "judge_variance": torch.zeros(6)}
    tables = SignalTables.from_counts(torch.ones(6), torch.ones(7), scores=table(), users=more)
    pairs = drawn(table(), [0, 2])
    signals = tables.of(pairs)
    assert set(gate.signals) <= set(signals)
    logits = torch.zeros(len(pairs.a), requires_grad=True)
    selective_loss(logits, logits.sin(), pairs.scores_a, pairs.scores_b, signals, gate, probe=pairs.probe).backward()
    assert gate.theta.grad.abs().max() > 0


def test_entropy_of_scores():
    entropy = table().entropy(7)
    share = torch.tensor([0.2, 0.7]) / 0.9
    assert entropy[2].item() == pytest.approx(float(-(share * share.log()).sum() / math.log(2)))
    assert entropy[5].item() == pytest.approx(1) and entropy[[1, 3, 4, 6]].abs().max() == 0


def test_a_gate_learns_where_the_judge_is_right():
    """Cold users' scores are right, others' wrong."""
    gate = Gate(lambda_=1.0).train_alone(lr=0.05)
    draws = torch.Generator().manual_seed(1)
    for _ in range(300):
        cold = (torch.rand(64, generator=draws) < 0.5).float()
        right = torch.where(cold == 1, 0.9, 0.1)
        tail = torch.zeros(64)
        logits = torch.zeros(64, requires_grad=True)
        probe = torch.ones(64, dtype=torch.bool)
        signals = {"cold": cold, "tail_a": tail, "tail_b": tail}
        selective_loss(logits, logits, right, 1 - right, signals, gate, probe=probe).backward()
        assert gate.theta.grad is None and logits.grad.abs().max() == 0
    both = {"cold": torch.tensor([1.0, 0.0]), "tail_a": torch.zeros(2), "tail_b": torch.zeros(2)}
    scores = torch.full((2,), 0.9), torch.full((2,), 0.1)
    alpha = gate(torch.zeros(2), torch.zeros(2), *scores, both).alpha
    assert alpha[0] > 0.8 and alpha[1] < 0.2
