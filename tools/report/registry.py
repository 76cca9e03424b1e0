"""All figures, in the order of the page: one file in figures/ and one line here."""

from figures import (
    bars,
    cost,
    coverage,
    curves,
    facts,
    forest,
    gate,
    judge,
    learning,
    metrics,
    overview,
    paper,
    provenance,
    ranks,
    reliability,
    scores,
    seeds,
    speed,
    tuning,
)

# By kind of folder (sources.py).
FIGURES = {
    "results": [
        overview,
        scores,
        paper,
        forest,
        bars,
        seeds,
        ranks,
        curves,
        coverage,
        gate,
        reliability,
        cost,
        metrics,
        learning,
        provenance,
    ],
    "run": [facts, learning, gate, reliability, speed, provenance],
    "tuning": [tuning],
    "teacher": [judge],
}
