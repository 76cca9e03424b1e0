"""Pairs of items that a language model has scored, drawn for a batch of users."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sllmr._work import tell

_TRIES = 4  # of a guiding pair, whose scores must differ
_NEAR = 0.7  # |difference of log(1 + interactions)| of items that are about as popular


class Pairs(NamedTuple):
    """Pairs of one user's items. Of a guiding pair the LLM prefers a; of a probe pair a is the probe."""

    users: Tensor  # int64 [n]
    a: Tensor  # int64 [n], items
    b: Tensor  # int64 [n]
    scores_a: Tensor  # float [n], in [0, 1]
    scores_b: Tensor  # float [n]
    probe: Tensor  # bool [n]: for the gate alone


class ScoredPairs(torch.nn.Module):
    """Scores of users' candidates, for drawing pairs on the device that the module is moved to.

    users, items: int64 [entries], rows of the model's tables. scores: float [entries], in [0, 1].
    probes: bool [entries], at most one of a user: an item of training that was scored as if it had not been taken, such
    as the user's last one. From these alone `agreement` and `calibrated` learn what the scores are worth.
    popularity: [items], training interactions. With it a probe is compared with candidates about as popular alone, half
    of them no more and half no less popular; `calibrated` wants that.
    """

    def __init__(self, users: Tensor, items: Tensor, scores: Tensor, probes: Tensor, popularity: Tensor | None = None):
        super().__init__()
        if len({len(users), len(items), len(scores), len(probes)}) != 1:
            raise ValueError("users, items, scores and probes are of different lengths")
        if not bool(((scores >= 0) & (scores <= 1)).all()):
            raise ValueError("a score is NaN or outside [0, 1]")
        order = torch.sort(users, stable=True).indices
        users, items, scores, probes = users[order], items[order], scores[order].float(), probes[order]
        sizes = torch.bincount(users)
        offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        probe_of = torch.full_like(sizes, -1)
        probe_of[users[probes]] = probes.nonzero()[:, 0]
        if int(probes.sum()) != int((probe_of >= 0).sum()):
            raise ValueError("a user has more than one probe")
        others, other_offsets = _others(users, items, probe_of, popularity)
        buffers = {"items": items, "scores": scores, "offsets": offsets, "probe_of": probe_of}
        for name, buffer in {**buffers, "others": others, "other_offsets": other_offsets}.items():
            self.register_buffer(name, buffer, persistent=False)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike,
        user_rows: Mapping[str, int],
        item_rows: Mapping[str, int],
        popularity: Tensor | None = None,
    ) -> ScoredPairs:
        """A table of `sllmr llm score`, tab-separated: user_id, item_id, score, probe.

        user_rows, item_rows: from the table's ids to the model's rows; pairs of others are left out, and a Note counts them.
        """
        table = pd.read_csv(path, sep="\t", dtype=str, quoting=3)
        table.columns = [column.split(":")[0] for column in table.columns]
        lacking = {"user_id", "item_id", "score", "probe"} - set(table.columns)
        if lacking:
            raise ValueError(f"{os.fspath(path)} lacks the columns {', '.join(sorted(lacking))}")
        users, items = table.user_id.map(user_rows.get), table.item_id.map(item_rows.get)
        known = (users.notna() & items.notna()).to_numpy()
        if not known.any():
            raise ValueError(f"{os.fspath(path)} has no pair of the model's users and items")
        if not known.all():
            tell(f"{os.fspath(path)}: {(~known).sum()} of {len(known)} rows are of users or items that the model lacks")

        def tensor(column, dtype):
            return torch.from_numpy(column.to_numpy()[known].astype(dtype))

        probes = tensor(table.probe, np.float32) > 0
        return cls(
            tensor(users, np.int64), tensor(items, np.int64), tensor(table.score, np.float32), probes, popularity
        )

    def sample(self, users: Tensor, generator: torch.Generator | None = None) -> Pairs:
        """A guiding pair and a probe pair for each of `users`, int64 [m], that has one: n <= 2 m pairs.

        Of a guiding pair both items are drawn uniformly from the user's, until their scores differ; users without scores
        are left out, as are those whose scores tie.
        """
        users = users[users < len(self.probe_of)]
        guiding = self._guiding(users, generator)
        probing = self._probing(users, generator)
        entries = [torch.cat(both) for both in zip(guiding, probing)]
        probe = torch.zeros(len(entries[0]), dtype=torch.bool, device=users.device)
        probe[len(guiding[0]) :] = True
        of, a, b = entries
        return Pairs(of, self.items[a], self.items[b], self.scores[a], self.scores[b], probe)

    def entropy(self, users: int) -> Tensor:
        """float [users]: of a user's scores as a distribution over the candidates, as a share of the largest possible."""
        sizes = self.offsets.diff()
        of = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
        sums = torch.zeros(len(sizes), dtype=torch.float64, device=sizes.device).index_add_(0, of, self.scores.double())
        share = self.scores.double() / sums[of]
        terms = torch.where(share > 0, -share * share.log(), 0.0)
        entropy = torch.zeros_like(sums).index_add_(0, of, terms) / sizes.clamp(min=2).log()
        out = torch.zeros(users, device=sizes.device)
        out[: len(sizes)] = torch.where((sizes > 1) & (sums > 0), entropy, 0.0).float()[:users]
        return out

    def _guiding(self, users: Tensor, generator) -> tuple[Tensor, Tensor, Tensor]:
        first, size = self.offsets[users], self.offsets[users + 1] - self.offsets[users]
        users, first, size = users[size > 1], first[size > 1], size[size > 1]
        a, b = first, first
        for _ in range(_TRIES):
            i, j = _draw(size, generator), _draw(size - 1, generator)
            tied = self.scores[a] == self.scores[b]
            a = torch.where(tied, first + i, a)
            b = torch.where(tied, first + j + (j >= i), b)
        above, below = self.scores[a] > self.scores[b], self.scores[a] < self.scores[b]
        a, b = torch.where(above, a, b), torch.where(above, b, a)
        differ = above | below
        return users[differ], a[differ], b[differ]

    def _probing(self, users: Tensor, generator) -> tuple[Tensor, Tensor, Tensor]:
        sizes = self.other_offsets.diff().view(-1, 2)
        users = users[(sizes[users] > 0).all(dim=1)]
        which = 2 * users + _draw(torch.full_like(users, 2), generator)
        other = self.other_offsets[which] + _draw(sizes.view(-1)[which], generator)
        return users, self.probe_of[users], self.others[other]


def _draw(below: Tensor, generator: torch.Generator | None) -> Tensor:
    """int64 [n], uniform in 0 .. below - 1."""
    uniform = torch.rand(below.shape, generator=generator, device=below.device, dtype=torch.float64)
    return (uniform * below).long().clamp_(max=below - 1)


def _others(users: Tensor, items: Tensor, probe_of: Tensor, popularity: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a user's probe may be compared with: two lists of entries a user, and their offsets [2 users + 1].

    The first list's items are no more popular than the probe, the second's no less; without popularity both are all.
    """
    probe = probe_of[users]
    other = (probe >= 0) & (probe != torch.arange(len(users), device=users.device))
    lists = [other, other]
    if popularity is not None:
        logs = torch.log1p(popularity.double())
        more = logs[items] - logs[items[probe.clamp(min=0)]]
        lists = [other & (side * more >= 0) & (more.abs() <= _NEAR) for side in (-1, 1)]
    entries = torch.stack(lists, dim=1).nonzero()  # (entry, list)
    key = 2 * users[entries[:, 0]] + entries[:, 1]
    order = torch.sort(key, stable=True).indices
    counts = torch.bincount(key, minlength=2 * len(probe_of))
    return entries[order, 0], torch.cat([counts.new_zeros(1), counts.cumsum(0)])
