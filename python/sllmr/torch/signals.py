"""What a gate is told of users and items."""

from __future__ import annotations

import torch
from torch import Tensor

from sllmr.torch.pairs import Pairs, ScoredPairs


class SignalTables(torch.nn.Module):
    """Signals of every user and item, which training does not change (kernels/gates/signals.h).

    users: name -> float [users], of cold, log_history, score_entropy, user_entropy, judge_variance.
    items: name -> float [items], of tail, log_popularity. All are in [0, 1]. A gate asks for those that its rule reads.
    """

    def __init__(self, users: dict[str, Tensor], items: dict[str, Tensor]):
        super().__init__()
        self.of_user, self.of_item = list(users), list(items)
        self.register_buffer("users", _stacked(users), persistent=False)
        self.register_buffer("items", _stacked(items), persistent=False)

    @classmethod
    def from_counts(
        cls,
        history: Tensor,
        popularity: Tensor,
        *,
        cold_history: int = 4,
        tail_share: float = 0.2,
        padding: int = 1,
        scores: ScoredPairs | None = None,
        users: dict[str, Tensor] | None = None,
    ) -> SignalTables:
        """cold, log_history, tail and log_popularity, of counts of training interactions.

        history: [users], of each user. popularity: [items], of each item.
        cold_history: a user with fewer is cold. tail_share: this share of the items, the least popular first (ties: the
        lower row first), is the tail. padding: so many rows at the start are no items.
        scores: then score_entropy is among them, of each user's scores as a distribution, 1 where all are the same.
        users: further signals of users, [users] each: the rule `confident` reads user_entropy and judge_variance, too, which
        are 0 where nothing is known.
        """
        of_user = {"cold": (history < cold_history).float(), "log_history": _scaled_logs(history), **(users or {})}
        if scores is not None:
            of_user["score_entropy"] = scores.entropy(history.shape[0])
        return cls(
            of_user, {"tail": _tail(popularity, tail_share, padding), "log_popularity": _scaled_logs(popularity)}
        )

    def of(self, pairs: Pairs) -> dict[str, Tensor]:
        """The `signals` of selective_loss, of drawn pairs."""
        of_user, of_a, of_b = self.users[pairs.users], self.items[pairs.a], self.items[pairs.b]
        signals = {name: of_user[:, k] for k, name in enumerate(self.of_user)}
        for k, name in enumerate(self.of_item):
            signals[name + "_a"], signals[name + "_b"] = of_a[:, k], of_b[:, k]
        return signals


def _stacked(columns: dict[str, Tensor]) -> Tensor:
    return torch.stack([column.float() for column in columns.values()], dim=1)


def _scaled_logs(counts: Tensor) -> Tensor:
    """log(1 + n), 1 at the largest."""
    logs = torch.log1p(counts.double())
    most = logs.max() if len(logs) else logs.sum()
    return (logs / most if most > 0 else logs).float()


def _tail(popularity: Tensor, share: float, padding: int) -> Tensor:
    order = torch.sort(popularity[padding:], stable=True).indices + padding
    tail = torch.zeros(len(popularity), device=popularity.device)
    tail[order[: int(share * len(order) + 1e-9)]] = 1  # 0.29 * 100 is 28.999... in binary
    return tail
