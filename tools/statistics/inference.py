"""What runs of several seeds on one sample of users say of a figure or a difference: docs/statistics.md.

Shapes: values [seeds], deviations [seeds, users] (of estimates.Estimate).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95  # of intervals
ALPHA = 0.05  # of tests
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """Of a mean, symmetric."""

    low: float
    high: float
    error: float  # standard error
    df: float  # of Student's t; infinite: normal


def _interval(mean: float, variance: float, df: float) -> Interval:
    error = float(np.sqrt(variance))
    half = error * float(stats.t.ppf((1 + LEVEL) / 2, df))
    return Interval(mean - half, mean + half, error, df)


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


def paired_t(differences: np.ndarray) -> float | None:
    """p of the one-sided t test on the seeds' differences, against "is not better"; None below two seeds, 1
    without deviation."""
    if differences.size < 2:
        return None
    if np.ptp(differences) == 0:
        return 1.0
    return float(stats.ttest_1samp(differences, 0, alternative="greater").pvalue)


def smallest_detectable(differences: np.ndarray, comparisons: int) -> float | None:
    """The difference that as many seeds of this deviation would show in 80 of 100 repetitions, at the level of
    Holm's first step among `comparisons`; None below two seeds or without deviation."""
    from statsmodels.stats.power import TTestPower

    if differences.size < 2 or np.ptp(differences) == 0:
        return None
    effect = TTestPower().solve_power(
        nobs=differences.size, alpha=ALPHA / comparisons, power=POWER, alternative="larger"
    )
    return float(effect * differences.std(ddof=1))


def adjusted(p_values: list[float], method: str) -> list[float]:
    """By Holm (1979; method "holm") or Benjamini and Hochberg (1995; "fdr_bh")."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, ALPHA, method)[1]] if p_values else []
