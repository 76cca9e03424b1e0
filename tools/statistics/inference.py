"""What runs of several seeds on one sample of users say of a figure or a difference: docs/statistics.md.

Shapes: values [seeds], deviations [seeds, users] (of estimates.Estimate).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special, stats

LEVEL = 0.95  # of intervals
ALPHA = 0.05  # of tests
POWER = 0.8
_ROUNDING = 1e-12  # of differences of figures near 1


@dataclass(frozen=True)
class Interval:
    """Of a mean, symmetric."""

    low: float
    high: float
    error: float  # standard error
    df: float  # of Student's t; infinite: normal

    def is_empty(self) -> bool:
        """Runs that are all alike say nothing of others."""
        return self.high - self.low <= _ROUNDING


def _interval(mean: float, variance: float, df: float) -> Interval:
    error = float(np.sqrt(variance))
    half = error * _quantile(df)
    return Interval(mean - half, mean + half, error, df)


@cache
def _quantile(df: float) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, df))


def over_users(values: np.ndarray, deviations: np.ndarray) -> Interval:
    """Of the mean of these very runs, over draws of users."""
    return _interval(float(values.mean()), float((deviations.mean(axis=0) ** 2).sum()), np.inf)


def over_seeds_and_users(values: np.ndarray, deviations: np.ndarray) -> Interval:
    """Of the mean over all seeds and users, of which these were drawn: a two-way analysis of variance
    without replication, both factors random, as studies of several readers on the same cases have it.

    The seeds' variance and the users' both hold that of the interaction, which is counted once; where the
    users' is estimated below it, their part is 0. Degrees of freedom by Hillis (2007): seeds - 1, and more
    where the seeds' part of the variance is small. Never narrower than over users alone, which few seeds that
    happen to be near each other would make it. Two seeds at least.
    """
    n_seeds = values.size
    common = deviations.mean(axis=0)
    users = float((common**2).sum())
    seeds = float(values.var(ddof=1)) / n_seeds
    both = float(((deviations - common) ** 2).sum()) / (n_seeds * (n_seeds - 1))
    variance = seeds + max(users - both, 0.0)
    df = (n_seeds - 1) * (variance / seeds) ** 2 if seeds > 0 else np.inf
    found, least = _interval(float(values.mean()), variance, df), over_users(values, deviations)
    return max(found, least, key=lambda interval: interval.high - interval.low)


def hierarchical_bootstrap(
    values: np.ndarray, deviations: np.ndarray, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """[draws] means over drawn seeds, and one draw of users for all of them (Owen, 2007), to first order in the
    users' weights."""
    n_seeds, n_users = deviations.shape
    means = np.empty(draws)
    for k in range(draws):
        seeds = generator.integers(n_seeds, size=n_seeds)
        weights = np.bincount(generator.integers(n_users, size=n_users), minlength=n_users)
        means[k] = (values + deviations @ weights)[seeds].mean()
    return means


def _is_constant(differences: np.ndarray) -> bool:
    return bool(np.ptp(differences) <= _ROUNDING)


def paired_t(differences: np.ndarray, alternative: str = "larger") -> float | None:
    """p of the t test on the seeds' differences, against "is not better" (`larger`) or "is the same" (`two-sided`);
    None below two seeds, 1 without deviation."""
    if differences.size < 2:
        return None
    if _is_constant(differences):
        return 1.0
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(differences.size))
    if alternative == "two-sided":
        return float(2 * special.stdtr(differences.size - 1, -abs(t)))
    return float(special.stdtr(differences.size - 1, -t))


def smallest_detectable(
    differences: np.ndarray, comparisons: int, alternative: str = "larger"
) -> float | None:
    """The difference that as many seeds of this deviation would show in 80 of 100 repetitions of the test, at the level
    of Holm's first step among `comparisons`; None below two seeds or without deviation."""
    if differences.size < 2 or _is_constant(differences):
        return None
    effect = _detectable_effect(differences.size, ALPHA / comparisons, alternative)
    return effect * float(differences.std(ddof=1))


@cache
def _detectable_effect(n: int, alpha: float, alternative: str) -> float:
    """In standard deviations."""
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().solve_power(nobs=n, alpha=alpha, power=POWER, alternative=alternative))


def adjusted(p_values: list[float], method: str) -> list[float]:
    """By Holm (1979; method "holm") or Benjamini and Hochberg (1995; "fdr_bh")."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, ALPHA, method)[1]] if p_values else []


def critical_difference(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(mean ranks [methods], difference, p) of figures [blocks, methods], higher is better: Friedman's test, and the
    difference of mean ranks that Nemenyi's finds at ALPHA (Demsar, JMLR 7, 2006). Three methods at least."""
    blocks, methods = values.shape
    ranks = stats.rankdata(-values, axis=1).mean(axis=0)
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf))
    difference = quantile / np.sqrt(2) * np.sqrt(methods * (methods + 1) / (6 * blocks))
    p = 1.0 if np.ptp(ranks) == 0 else float(stats.friedmanchisquare(*values.T).pvalue)
    return ranks, float(difference), p
