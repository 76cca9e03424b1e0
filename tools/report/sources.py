"""What the page is about: folders of `compare` and `experiment run`, of one run, of `./run tune`, of `llm report`."""

import os
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "statistics"))
from analysis import Comparison, Method, Part, Statistics
from chart import MOST
from directions import direction
from model import Missing
from run_files import (
    ANY,
    GUIDANCE,
    INTEGER,
    METRICS,
    NUMBER,
    TEXT,
    Several,
    read_events,
    read_json,
    read_results,
    read_summary,
    read_text,
    run_folder,
)
from runs import Evaluator, NoPredictions, Table, is_named, metrics_of, tables_of
from shared import Progress, ToolError

SLICES = ["all", "cold", "tail"]
BUCKETS = {
    "cold_tail": "cold user, tail item",
    "cold_head": "cold user, head item",
    "warm_tail": "warm user, tail item",
    "warm_head": "warm user, head item",
}


_LONGEST = 160  # of a name


def labels(names: list[str]) -> dict[str, str]:
    """What the page calls them: on one line, not too long, each another."""
    found: dict[str, str] = {}
    for name in names:
        label = " ".join(name.split()) or "(no name)"
        if len(label) > _LONGEST:
            label = label[: _LONGEST - 1] + "…"
        k, first = 1, label
        while label in found.values():
            k += 1
            label = f"{first} ({k})"
        found[name] = label
    return found


def flattened(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train.lr": 0.1, ...}; keys that nobody set are among them."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if not prefix and key == "defaults":
            continue
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


@dataclass(frozen=True)
class Log:
    """What a run has told while it trained."""

    row: str
    column: str
    seed: int | None
    guidance: list[dict[str, Any]]  # of the epochs
    metrics: list[dict[str, Any]]  # epochs and validations


class RunInfo:
    """A run of a results.json, or of a folder."""

    def __init__(self, told: dict[str, Any], folder: Path):
        self.told, self.folder = told, folder
        self.seed = told.get("seed")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every key, by its full name."""
        try:
            table = tomllib.loads(self.told.get("config") or "")
            defaults = table.get("defaults")
            return flattened(defaults if isinstance(defaults, dict) else {}) | flattened(table)
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    @cached_property
    def summary(self) -> dict[str, Any]:
        path = self.folder / "summary.json"
        return read_summary(path) if os.path.exists(path) else {}

    def log(self, row: str, column: str) -> Log:
        return Log(
            row,
            column,
            self.seed,
            read_events(self.folder / "guidance.jsonl", GUIDANCE),
            read_events(self.folder / "metrics.jsonl", METRICS),
        )


class Results:
    """A results.json, its runs and what statistics make of them."""

    kind = "results"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "results.json"
        told = read_results(folder)
        rows, columns = labels(told["rows"]), labels(told["columns"])
        for each in [*told["runs"], *told["cells"], *(told.get("published") or [])]:
            each["row"] = rows.get(each["row"], each["row"])
            each["column"] = columns.get(each["column"], each["column"])
        told["rows"], told["columns"] = self.rows, self.columns = [*rows.values()], [*columns.values()]
        self.tables = tables_of(told, folder)
        self.title = told.get("title") or folder.name
        self.complete = told["complete"]
        self.runs = {
            (run["row"], run["column"], run["seed"]): RunInfo(run, run_folder(run["folder"], folder))
            for run in told["runs"]
        }
        self.values: dict[tuple[str, str, str, str], dict[int, float]] = {}
        for cell in told["cells"]:
            key = cell["row"], cell["column"], cell["metric"], cell["slice"]
            value = cell.get("value")
            if (cell["row"], cell["column"], cell["seed"]) in self.runs and value is not None:
                self.values.setdefault(key, {})[cell["seed"]] = float(value)
        known = {cell["metric"] for cell in told["cells"]}

        def split(name: str) -> tuple[str, str]:
            """METRIC.SLICE, or a metric alone, which may have a dot."""
            name = name.removeprefix("test.")
            metric, _, part = name.rpartition(".")
            return (metric, part) if metric in known or metric and name not in known else (name, "all")

        self.told_metric = split(told.get("metric") or "auc.all")[0]
        self.published: dict[tuple[str, str, str, str], float] = {}
        for each in told.get("published") or []:
            if each.get("value") is not None:
                self.published[each["row"], each["column"], *split(each["metric"])] = float(each["value"])
        self.metric = self.told_metric
        self.baseline: str | None = None
        self.parts: dict[tuple[str, str], Part] = {}  # by column and slice
        self.statistics: Statistics | None = None
        self.without_users = ""  # why intervals are not over users too
        self.warning = ""  # the same, with the remedy, for the terminal
        self.without_statistics = ""

    def at(self, row: str, column: str, metric: str, part: str = "all") -> dict[int, float]:
        """By seed; seeds without a value are left out."""
        return self.values.get((row, column, metric, part), {})

    def has_run(self, row: str, column: str) -> bool:
        return any(key[:2] == (row, column) for key in self.runs)

    def seeds(self) -> list[int]:
        return sorted({seed for _, _, seed in self.runs})

    @cached_property
    def slices(self) -> list[str]:
        """Those of the metric that some run has a figure of."""
        return [
            part
            for part in SLICES
            if any(metric == self.metric and of == part for _, _, metric, of in self.values)
        ]

    def first_slice(self) -> str:
        """Throws Missing where there is none."""
        if not self.slices:
            raise Missing(f"no run tells {self.metric}; --metric names another")
        return self.slices[0]

    def direction(self) -> int | None:
        return direction(self.metric)

    @cached_property
    def usual_seeds(self) -> int:
        """How many seeds most cells have."""
        counts = [len(at) for (_, _, metric, _), at in self.values.items() if metric == self.metric]
        return max(sorted(set(counts)), key=counts.count, default=0)

    def seeds_note(self, count: int) -> str:
        """Of a cell that has not as many as most."""
        return "" if count == self.usual_seeds else f"n = {count}"

    @cached_property
    def protocol(self) -> str:
        found = {run.config.get("eval.protocol", "") for run in self.runs.values()}
        return found.pop() if len(found) == 1 else ""

    def table(self, column: str) -> Table | None:
        return next((table for table in self.tables if table.column == column), None)

    def baseline_of(self, row: str, column: str) -> str | None:
        table = self.table(column)
        return table.baselines(self.baseline).get(row) if table and self.baseline else None

    def prefixes(self) -> dict[str, tuple[str, str]]:
        """By row its backbone and its method, where rows of several backbones end with the baseline's name."""
        if self.baseline is None:
            return {}
        ends = [row for row in self.rows if is_named(row, self.baseline)]
        prefixes = sorted((row[: -len(self.baseline)] for row in ends), key=len, reverse=True)
        found = {}
        for row in self.rows:
            if of := next((prefix for prefix in prefixes if prefix and row.startswith(prefix)), None):
                found[row] = (of.strip(), row[len(of) :])
        return found

    def groups(self) -> dict[str, list[str]]:
        """Rows of which no more stand in one group than a drawing tells apart: all of them, else by backbone, or by their
        first word. Throws Missing where that does not do."""
        if len(self.rows) <= MOST:
            return {"": self.rows}
        prefixes = self.prefixes()
        found: dict[str, list[str]] = {}
        for row in self.rows:
            found.setdefault(prefixes[row][0] if row in prefixes else row.split()[0], []).append(row)
        if any(len(rows) > MOST for rows in found.values()) or len(found) == len(self.rows):
            raise Missing(
                f"more than {MOST} rows, which no drawing tells apart, and no backbones to group them by"
            )
        return found

    def logs(self) -> list[Log]:
        return [run.log(row, column) for (row, column, _), run in self.runs.items()]

    def _own_baseline(self) -> str | None:
        """ "none", or the row that nothing guides."""
        if any(is_named(row, "none") for row in self.rows):
            return "none"
        plain = {row for (row, _, _), run in self.runs.items() if run.config.get("method") == "none"}
        guided = {row for (row, _, _), run in self.runs.items() if run.config.get("method") != "none"}
        return next((row for row in self.rows if row in plain - guided), None)

    def analyse(self, arguments: Any, progress: Progress) -> None:
        """Throws ToolError for what the command line asks and the table does not have."""
        self.baseline = arguments.baseline or self._own_baseline()
        if arguments.baseline and not any(is_named(row, arguments.baseline) for row in self.rows):
            raise ToolError(
                f"{self.path}: no row is --baseline '{arguments.baseline}'; it has {', '.join(self.rows)}"
            )
        if arguments.metric and not any(metric == arguments.metric for _, _, metric, _ in self.values):
            known = sorted({metric for _, _, metric, _ in self.values})
            raise ToolError(
                f"{self.path}: no figure of --metric '{arguments.metric}'; it has {', '.join(known)}"
            )
        self.metric = arguments.metric or self.told_metric
        if metrics_of(self.protocol or "ctr", self.metric) is None:
            self.without_statistics = f"no interval is known of {self.metric}: --metric takes one that has"
            return
        slices = self.slices
        if not slices:
            self.without_statistics = f"no run tells {self.metric}"
            return

        def statistics() -> Statistics:
            return Statistics(self.tables, self.baseline, self.metric, slices, progress, "two-sided")

        if arguments.seeds_alone:
            self.without_users = "--seeds-alone asks for it"
        else:
            try:
                self.statistics = statistics()
                parts = self.statistics.over_users(Evaluator(arguments.program, arguments.predictions))
            except (ToolError, OSError) as error:
                progress.clear()
                told = (
                    f"{error.filename}: {error.strerror}"
                    if isinstance(error, OSError) and error.filename
                    else str(error)
                )
                self.without_users = told
                self.warning = f"no intervals over users: {told}"
                if isinstance(error, NoPredictions):
                    self.warning = f"{self.folder}: no intervals over users: run it from where the runs were made (the page says more)"
        if self.without_users:
            self.statistics = statistics()
            parts = self.statistics.over_seeds(self.protocol or "ctr")
        self.parts = {(part.table.column, part.slice): part for part in parts}

    def method(self, row: str, column: str, part: str) -> Method | None:
        found = self.parts.get((column, part))
        return next((each for each in found.methods if each.row == row), None) if found else None

    def over(self, of: list[Method | Comparison]) -> str:
        """What the intervals of these are over, in words."""
        single = [len(each.seeds) < 2 for each in of]
        if self.without_users:
            return "seeds alone" + ("; one seed has none" if any(single) else "")
        if single and all(single):
            return "users alone, of one seed: they say nothing of other seeds"
        return "seeds and users" + (
            "; of one seed over users alone, and marked so: these say nothing of other seeds"
            if any(single)
            else ""
        )

    def comparisons(self):
        """(column, slice, method) of every one, in the order of the table."""
        for (column, part), found in self.parts.items():
            for method in found.methods:
                if method.comparison:
                    yield column, part, method


class Run:
    """A folder of `sllmr train`."""

    kind = "run"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "summary.json"
        self.summary = read_summary(self.path)
        if not isinstance(self.summary.get("test"), dict):
            raise ToolError(f"{self.path}: not what `sllmr train` writes (test is missing); train again")
        self.title = f"{self.summary.get('method', '')} · {self.summary.get('model', '')} · seed {self.summary.get('seed')}"
        self.run = RunInfo(self.summary, folder)
        self.run.summary = self.summary
        self.rows, self.columns = [str(self.summary.get("method", folder.name))], [folder.name]
        self.runs = {(self.rows[0], self.columns[0], self.summary.get("seed")): self.run}
        self._log = self.run.log(self.rows[0], self.columns[0])

    def groups(self) -> dict[str, list[str]]:
        return {"": self.rows}

    def logs(self) -> list[Log]:
        return [self._log]


_TUNING = {
    "monitor!": TEXT,
    "methods!": {
        ...: {"trials": {...: INTEGER}, "validation": NUMBER, "seconds": NUMBER, "params": {...: ANY}}
    },
}


class Tuning:
    """A folder of `./run tune`."""

    kind = "tuning"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "tuning.json"
        told = read_json(self.path, "`./run tune`", _TUNING)
        self.title, self.monitor = f"Tuning, {folder.name}", told["monitor"]
        path = folder / "curve.tsv"
        try:
            lines = read_text(path).splitlines()
            names = lines[0].split("\t")[1:]
            of = labels([*dict.fromkeys([*told["methods"], *names])])
            columns = [*zip(*(line.split("\t")[1:] for line in lines[1:]), strict=True)] or [()] * len(names)
            self.curves = {
                of[name]: [_figure(value) for value in values]
                for name, values in zip(names, columns, strict=True)
            }
        except (ValueError, IndexError) as error:
            raise ToolError(f"{path}: not what ./run tune writes; run that again") from error
        self.methods: dict[str, dict[str, Any]] = {of[name]: each for name, each in told["methods"].items()}


def _figure(text: str) -> float | None:
    if text and not abs(float(text)) < 1e100:
        raise ValueError
    return float(text) if text else None


_SHARE = {"value": NUMBER, "low": NUMBER, "high": NUMBER, "n": INTEGER}
_TEACHER = {
    "table!": TEXT,
    "calibration!": {
        "bins!": Several({"low!": NUMBER, "high!": NUMBER, "mean_score": NUMBER, "probes": _SHARE})
    },
    "reliability!": {
        "all": _SHARE | {"popularity": NUMBER},
        "history": Several(TEXT),
        "popularity": Several(TEXT),
        "cells": Several(Several(ANY)),
    },
}


class Teacher:
    """A folder of `sllmr llm report`."""

    kind = "teacher"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "report.json"
        told = read_json(self.path, "`sllmr llm report`", _TEACHER)
        self.title = f"Judge, {told['table']}"
        self.bins, self.reliability = told["calibration"]["bins"], told["reliability"]


Source = Results | Run | Tuning | Teacher
_KINDS = {"results.json": Results, "summary.json": Run, "tuning.json": Tuning, "report.json": Teacher}


def unexpected(path: Path, what: str, error: Exception) -> ToolError:
    """Of what no reader foresaw."""
    said = " ".join(str(error).split())[:200]
    return ToolError(
        f"{path}: {what} cannot be made of it ({type(error).__name__}: {said}); make the folder again"
    )


def read_source(folder: Path) -> Source:
    for name, kind in _KINDS.items():
        if (folder / name).exists():
            try:
                return kind(folder)
            except (ToolError, OSError):
                raise
            except Exception as error:
                raise unexpected(folder / name, "the page", error) from error
    if not folder.is_dir():
        raise ToolError(
            f"{folder}: there is no such folder: name the --out folder of compare or experiment run"
        )
    raise ToolError(
        f"{folder}: no {', '.join(_KINDS)} in it: name the folder of compare, experiment run, train, ./run tune or "
        "llm report, after it has finished something"
    )
