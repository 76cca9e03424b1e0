"""A figure of one run with the part that each user has in its sampling error: docs/statistics.md.

Users are drawn, not rows: a user's rows depend on each other.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


class NoEstimate(Exception):
    """Why the rows have no figure, or no error."""


@dataclass(frozen=True)
class Estimate:
    """A figure, and the deviation that each user brings to it.

    Deviations add up to 0. The sum of their squares is the figure's variance over draws of users; the sum of
    the products of two figures' deviations is their covariance.
    """

    value: float
    deviations: np.ndarray  # float64 [users]
    users: int  # that have a part in it


def _by_user(values: np.ndarray, users: np.ndarray, n_users: int, what: str) -> np.ndarray:
    """Sums by user [n_users] of values that add up to 0, for a variance with n - 1 users."""
    n = np.unique(users).size
    if n < 2:
        raise NoEstimate(f"fewer than two users have {what}")
    return np.bincount(users, values, n_users) * np.sqrt(n / (n - 1))


def pooled_auc(scores: np.ndarray, labels: np.ndarray, users: np.ndarray, n_users: int) -> Estimate:
    """The chance that a positive row outscores a negative one, of the same user or another; ties half.

    scores, labels (bool), users (0 .. n_users - 1): [rows]. The structural components of DeLong, DeLong and
    Clarke-Pearson (1988), by mid-ranks (Sun and Xu, 2014), are added up by user (Obuchowski, 1997); with one
    row a user it is DeLong's variance. Throws NoEstimate below two users with positive, or with negative,
    rows.
    """
    positives, negatives = scores[labels], scores[~labels]
    if positives.size == 0 or negatives.size == 0:
        raise NoEstimate(f"no row is {'negative' if positives.size else 'positive'}")
    ranks = rankdata(scores)
    above = (ranks[labels] - rankdata(positives)) / negatives.size  # of each positive: negatives below it
    below = (
        1 - (ranks[~labels] - rankdata(negatives)) / positives.size
    )  # of each negative: positives above it
    auc = float(above.mean())
    deviations = _by_user((above - auc) / positives.size, users[labels], n_users, "positive rows")
    deviations += _by_user((below - auc) / negatives.size, users[~labels], n_users, "negative rows")
    return Estimate(auc, deviations, np.unique(users).size)


def weighted_mean(values: np.ndarray, weights: np.ndarray, users: np.ndarray, n_users: int) -> Estimate:
    """sum(weights values) / sum(weights) over rows [rows]; the error is that of a ratio, linearised.

    Throws NoEstimate below two users.
    """
    if values.size == 0:
        raise NoEstimate("no row counts")
    total = weights.sum()
    mean = float((weights * values).sum() / total)
    deviations = _by_user(weights * (values - mean) / total, users, n_users, "rows that count")
    return Estimate(mean, deviations, np.unique(users).size)


def _aucs_by_user(scores: np.ndarray, labels: np.ndarray, users: np.ndarray, n_users: int) -> tuple:
    """(AUC [n], rows [n], user [n]) of the users with both classes."""
    order = np.lexsort((scores, users))
    scores, labels, users = scores[order], labels[order], users[order]
    is_new = np.r_[True, (users[1:] != users[:-1]) | (scores[1:] != scores[:-1])]
    group = np.cumsum(is_new) - 1
    ends = np.r_[np.flatnonzero(is_new)[1:], users.size]
    ranks = ((np.flatnonzero(is_new) + ends - 1) / 2)[group]  # mid-ranks from 0, over all rows
    rows = np.bincount(users, minlength=n_users)
    ranks = ranks - (np.cumsum(rows) - rows)[users]
    positives = np.bincount(users, labels, n_users)
    negatives = rows - positives
    above = np.bincount(users, ranks * labels, n_users) - positives * (positives - 1) / 2
    both = np.flatnonzero((positives > 0) & (negatives > 0))
    return above[both] / (positives * negatives)[both], rows[both], both


def within_user_auc(scores: np.ndarray, labels: np.ndarray, users: np.ndarray, n_users: int) -> Estimate:
    """Mean of the users' AUC, weighted by their rows; users with both classes (gauc of `sllmr metrics`)."""
    aucs, rows, of = _aucs_by_user(scores, labels, users, n_users)
    return weighted_mean(aucs, rows.astype(float), of, n_users)
