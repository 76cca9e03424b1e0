"""Methods compared over seeds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, all_words, path_of
from sllmr._work import Progress, listener_of
from sllmr.dataset import Dataset
from sllmr.runs import Run, inputs_of, read_data
from sllmr.scores import ScoreTable


class Comparison:
    """The folder of `compare` (docs/results.md)."""

    def __init__(self, path: str | os.PathLike, markdown: str = "", _kept: object = None):
        self.path = Path(os.path.abspath(path))
        self._kept = _kept
        self.markdown = markdown  # the table that `sllmr compare` prints

    @cached_property
    def results(self) -> dict:
        """results.json."""
        return json.loads((self.path / "results.json").read_text(encoding="utf-8"))

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each figure of each run: row, column, seed, metric, slice, value."""
        return pd.DataFrame(self.results["cells"])

    def table(self, metric: str = "auc") -> pd.DataFrame:
        """Mean and standard deviation of a metric over seeds, by row and slice."""
        cells = self.cells
        chosen = cells[cells.metric == metric]
        if chosen.empty:
            raise _core.Error(f"{self.path}: no metric {metric!r}; there are {', '.join(sorted(cells.metric.unique()))}")
        return chosen.pivot_table("value", "row", "slice", ["mean", "std"], sort=False)

    def runs(self, row: str) -> list[Run]:
        """The runs of a row, by seed."""
        if row not in self.results["rows"]:
            raise _core.Error(f"{self.path}: no row {row!r}; there are {', '.join(self.results['rows'])}")
        return [Run(each["folder"], self._kept) for each in self.results["runs"] if each["row"] == row]

    def __repr__(self) -> str:
        return f"Comparison({str(self.path)!r}: {', '.join(self.results['rows'])})"


def compare(
    recipe: str | os.PathLike | None = None,
    *,
    out: str | os.PathLike,
    methods: str | Iterable[str] = ("none", "global", "hinge", "agreement"),
    seeds: Iterable[int] = (1, 2, 3),
    metrics: str | Iterable[str] = (),
    data: Dataset | str | os.PathLike | None = None,
    scores: ScoreTable | str | os.PathLike | None = None,
    force: bool = False,
    progress: Progress = None,
    settings: dict[str, Setting] | None = None,
    **overrides: Setting,
) -> Comparison:
    """Runs methods x seeds of one recipe. Finished runs in `out` are kept, so the same call goes on after Ctrl-C.

    methods: rows, words that method= takes, each with settings of its own or without: "agreement:llm.lambda=0.5".
    metrics: columns of the printed table; the usual ones where there are none.
    force: replace a results.json of other content.
    The rest as `train` takes it.
    """
    words, keys = inputs_of(data, scores)
    words += all_words(settings, overrides, keys)
    out = os.path.abspath(out)
    methods, metrics = ([each] if isinstance(each, str) else list(each) for each in (methods, metrics))
    markdown = _core.compare(
        path_of(recipe), words, out, methods, _whole(seeds), metrics, force, read_data(data), *listener_of(progress)
    )
    return Comparison(out, markdown, (data, scores))


def _whole(seeds: Iterable[int]) -> list[int]:
    for seed in (seeds := list(seeds)):
        if seed != int(seed) or not 0 <= seed < 2**31:
            raise _core.Error(f"seeds: {seed!r} is not a whole number in [0, {2**31 - 1}]")
    return [int(seed) for seed in seeds]
