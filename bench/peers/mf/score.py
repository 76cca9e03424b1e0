"""AUC and NDCG@10 of factors on each user's held-out validation item, as docs/metrics.md defines them for the protocol
`full`: against the whole catalogue without the user's training items, ties as if broken at random."""

from dataclasses import dataclass

import numpy as np
from data import Split

_TILE_SCORES = 1 << 23  # 32 MB


@dataclass
class Factors:
    """Scores are users @ items.T + bias."""

    users: np.ndarray  # [users, width]
    items: np.ndarray  # [items, width]
    bias: np.ndarray | None = None  # [items]


@dataclass
class Scores:
    auc: float
    ndcg: float
    n: int  # users


def _excluded(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(begin [users + 1], user, item): each training item of a user once, without the validation item."""
    pairs = np.unique(split.user.astype(np.int64) * split.items + split.item)
    user, item = pairs // split.items, pairs % split.items
    kept = item != split.validation[user]
    user, item = user[kept], item[kept]
    return np.searchsorted(user, np.arange(split.users + 1)), user, item


def expected_ndcg(above: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """Mean of 1 / log2(rank + 1), 0 beyond rank k, over the ranks above + 1 .. above + 1 + ties."""
    gains = np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(1, k + 1) + 1))))
    return (gains[np.minimum(above + 1 + ties, k)] - gains[np.minimum(above, k)]) / (ties + 1)


def score(split: Split, factors: Factors, k: int = 10) -> Scores:
    """Throws ValueError for factors of other shapes or that are not finite."""
    users, items = (np.ascontiguousarray(f, dtype=np.float32) for f in (factors.users, factors.items))
    bias = np.zeros(len(items), np.float32) if factors.bias is None else factors.bias.astype(np.float32)
    if (
        users.shape[:1] != (split.users,)
        or bias.shape != (split.items,)
        or users.shape[1:] != items.shape[1:]
    ):
        raise ValueError(f"factors {users.shape}, {items.shape} of {split.users} users, {split.items} items")
    if not all(np.isfinite(values).all() for values in (users, items, bias)):
        raise ValueError("factors are not finite: a lower learning rate may help")
    begin, excluded_user, excluded_item = _excluded(split)
    negatives = split.items - 1 - np.diff(begin)
    ranked = np.flatnonzero((split.validation >= 0) & (negatives > 0))
    if not len(ranked):
        raise ValueError("no user has a validation item")
    auc = ndcg = 0.0
    tile = max(1, _TILE_SCORES // split.items)
    for first in range(0, len(ranked), tile):
        some = ranked[first : first + tile]
        scores = users[some] @ items.T
        scores += bias
        rows = np.arange(len(some))
        own = scores[rows, split.validation[some]]
        above = np.count_nonzero(scores > own[:, None], axis=1)
        ties = np.count_nonzero(scores == own[:, None], axis=1) - 1
        counts = (begin[some + 1] - begin[some]).astype(np.int64)
        at = np.repeat(begin[some] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        row, at = np.repeat(rows, counts), at + np.arange(counts.sum())
        seen = scores[row, excluded_item[at]]
        above -= np.bincount(row[seen > own[row]], minlength=len(some))
        ties -= np.bincount(row[seen == own[row]], minlength=len(some))
        auc += (1 - (above + 0.5 * ties) / negatives[some]).sum()
        ndcg += expected_ndcg(above, ties, k).sum()
    return Scores(float(auc) / len(ranked), float(ndcg) / len(ranked), len(ranked))
