"""Methods beside their baseline, column by column, with intervals and one family of tests: docs/statistics.md."""

from dataclasses import dataclass

import numpy as np

import inference
from inference import Interval
from runs import (
    Evaluator,
    Metric,
    Predictions,
    Table,
    Users,
    estimate,
    is_named,
    metrics_of,
    read_predictions,
)
from shared import Progress, ToolError


def _interval(values: np.ndarray, deviations: np.ndarray) -> Interval | None:
    """Over seeds and users; of one seed over users alone; without users over seeds alone, of one seed None."""
    if values.size > 1:
        return inference.over_seeds_and_users(values, deviations)
    return inference.over_users(values, deviations) if deviations.shape[1] else None


@dataclass
class Comparison:
    """A method over the baseline, on the seeds that both have."""

    seeds: list[int]
    differences: np.ndarray  # [seeds]
    deviations: np.ndarray  # [seeds, users]: of the method less those of the baseline
    p: float | None
    holm: float | None = None
    benjamini_hochberg: float | None = None
    smallest_detectable: float | None = None

    def interval(self) -> Interval | None:
        return _interval(self.differences, self.deviations)

    def verdict(self) -> str:
        """Of two seeds or more: "above" or "below" 0 where the interval is, and the test after Holm; else ""."""
        interval = self.interval()
        if interval is None or interval.is_empty() or self.holm is None or not self.holm < inference.ALPHA:
            return ""
        return "above" if interval.low > 0 else "below" if interval.high < 0 else ""


@dataclass
class Method:
    row: str
    seeds: list[int]
    values: np.ndarray  # [seeds]
    deviations: np.ndarray  # [seeds, users]; no users: over seeds alone
    comparison: Comparison | None = None  # with the baseline; None for itself, and without a seed in common

    def interval(self) -> Interval | None:
        """Of the mean."""
        return _interval(self.values, self.deviations)


@dataclass
class Part:
    """A slice of a table."""

    table: Table
    slice: str
    users: int | None  # of the run that has the fewest; None: over seeds alone
    methods: list[Method]


def _comparison(method: Method, baseline: Method, alternative: str) -> Comparison | None:
    seeds = [seed for seed in method.seeds if seed in baseline.seeds]
    if not seeds:
        return None
    own, others = ([of.seeds.index(seed) for seed in seeds] for of in (method, baseline))
    differences = method.values[own] - baseline.values[others]
    deviations = method.deviations[own] - baseline.deviations[others]
    return Comparison(seeds, differences, deviations, inference.paired_t(differences, alternative))


def chosen(tables: list[Table], baseline: str, rows: list[str] | None) -> list[Table]:
    """With the rows that are named, and their baselines, alone; all of them for None."""
    for table in tables:
        if not any(is_named(row, baseline) for row in table.rows):
            raise ToolError(
                f"{table.source}: no run of the baseline '{baseline}' is finished in column "
                f"'{table.column}'; --baseline takes one of: {', '.join(table.rows)}"
            )
    if rows is None:
        return tables
    for name in rows:
        if not any(is_named(row, name) for table in tables for row in table.rows):
            raise ToolError(f"--rows {name}: no finished run is of such a row")
    found = []
    for table in tables:
        baselines = table.baselines(baseline)
        named = {row for row in baselines if any(is_named(row, each) for each in rows)}
        found.append(table.only(named | {baselines[row] for row in named}))
    if not any(table.rows for table in found):
        raise ToolError("--rows names baselines alone: nothing to compare")
    return [table for table in found if table.rows]


class Statistics:
    """Of tables whose comparisons make one family."""

    def __init__(
        self,
        tables: list[Table],
        baseline: str | None,
        metric: str,
        slices: list[str],
        progress: Progress,
        alternative: str = "larger",
    ):
        """A baseline of None compares nothing. The alternative is that of inference.paired_t."""
        self.tables, self.baseline, self.metric_name, self.slices = tables, baseline, metric, slices
        self.alternative = alternative
        self.progress = progress
        self.metric: Metric | None = None
        self.comparisons = 0

    def over_users(self, evaluator: Evaluator) -> list[Part]:
        """From predictions of every run, which are written where they are missing."""
        total, done = sum(len(table.runs) for table in self.tables), 0
        parts = []
        for table in self.tables:
            users, predictions = Users(), {}
            for key, run in table.runs.items():
                done += 1
                self.progress.show(f"{table.column}: {run.row}, seed {run.seed} ({done} of {total})")
                path = evaluator.predictions_of(run, self.slices)
                predictions[key] = read_predictions(path, users)
            self._require_same_rows(table, predictions)
            self._choose_metric(next(iter(predictions.values())))
            parts += [self._part(table, predictions, name, len(users)) for name in self.slices]
        self._test(parts)
        self.progress.clear()
        return parts

    def over_seeds(self, protocol: str) -> list[Part]:
        """From what the runs have told: nothing is known of other users. Runs without a figure are left out."""
        self.metric = self._metric_of(protocol)
        parts = []
        for table in self.tables:
            for name in self.slices:
                methods = []
                for row in table.rows:
                    told = {
                        seed: table.runs[row, seed].figures.get((self.metric.name, name))
                        for seed in table.seeds(row)
                    }
                    if values := {seed: value for seed, value in told.items() if value is not None}:
                        methods.append(
                            Method(row, [*values], np.array([*values.values()]), np.zeros((len(values), 0)))
                        )
                parts.append(self._compared(Part(table, name, None, methods)))
        self._test(parts)
        return parts

    def _require_same_rows(self, table: Table, predictions: dict[tuple[str, int], Predictions]) -> None:
        """Of the same seed: differences are paired row by row."""
        first: dict[int, Predictions] = {}
        for (_, seed), found in predictions.items():
            if first.setdefault(seed, found).rows_hash != found.rows_hash:
                raise ToolError(
                    f"{found.path} and {first[seed].path}: other users, items or labels, so the runs are not paired; "
                    f"give {table.source} runs of one data set and protocol"
                )

    def _metric_of(self, protocol: str) -> Metric:
        if found := metrics_of(protocol, self.metric_name):
            return found
        known = "auc, gauc" if protocol == "ctr" else "auc, recall@K, ndcg@K"
        raise ToolError(f"--metric {self.metric_name}: predictions of eval.protocol={protocol} give {known}")

    def _choose_metric(self, predictions: Predictions) -> None:
        protocol = "ctr" if predictions.is_of("ctr") else "full"
        if self.metric is None:
            self.metric = self._metric_of(protocol)
        if self.metric.protocol != protocol:
            raise ToolError(
                f"{predictions.path}: of eval.protocol={protocol}, the folders before it of {self.metric.protocol}: "
                "give folders of one protocol"
            )
        for part in self.slices:
            if part not in predictions.slices():
                raise ToolError(
                    f"--family {part}: the predictions mark rows of {', '.join(predictions.slices())} "
                    f"({predictions.path})"
                )

    def _part(self, table: Table, predictions: dict, name: str, n_users: int) -> Part:
        methods, users = [], []
        for row in table.rows:
            seeds = table.seeds(row)
            self.progress.show(f"{table.column}: {name} rows of {row}")
            found = [
                estimate(table.runs[row, seed], predictions[row, seed], self.metric, name, n_users)
                for seed in seeds
            ]
            methods.append(
                Method(
                    row,
                    seeds,
                    np.array([each.value for each in found]),
                    np.array([each.deviations for each in found]),
                )
            )
            users += [each.users for each in found]
        return self._compared(Part(table, name, min(users), methods))

    def _compared(self, part: Part) -> Part:
        by_row = {method.row: method for method in part.methods}
        baselines = part.table.baselines(self.baseline) if self.baseline is not None else {}
        for row, baseline in baselines.items():
            if row in by_row and baseline in by_row:
                by_row[row].comparison = _comparison(by_row[row], by_row[baseline], self.alternative)
        return part

    def _test(self, parts: list[Part]) -> None:
        """All comparisons are one family."""
        tested = [
            method.comparison
            for part in parts
            for method in part.methods
            if method.comparison and method.comparison.p is not None
        ]
        p_values = [comparison.p for comparison in tested]
        for comparison, holm, rate in zip(
            tested, inference.adjusted(p_values, "holm"), inference.adjusted(p_values, "fdr_bh"), strict=True
        ):
            comparison.holm, comparison.benjamini_hochberg = holm, rate
            comparison.smallest_detectable = inference.smallest_detectable(
                comparison.differences, len(tested), self.alternative
            )
        self.comparisons = len(tested)
