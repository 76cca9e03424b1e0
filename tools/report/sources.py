"""What the page is about: folders of `compare` and `experiment run`, of one run, of `./run tune`, of `llm report`."""

import math
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "statistics"))
from analysis import Part, Statistics
from run_files import read_events, read_json, run_folder
from runs import Evaluator, Table, is_named, metrics_of, not_ours, read_results, tables_of
from shared import Progress, ToolError

SLICES = ["all", "cold", "tail"]
BUCKETS = {
    "cold_tail": "cold user, tail item",
    "cold_head": "cold user, head item",
    "warm_tail": "warm user, tail item",
    "warm_head": "warm user, head item",
}


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
        except tomllib.TOMLDecodeError:
            return {}
        return flattened(table.get("defaults", {})) | flattened(table)

    @cached_property
    def summary(self) -> dict[str, Any]:
        path = self.folder / "summary.json"
        return read_json(path, "`sllmr train`") if path.is_file() else {}

    def log(self, row: str, column: str) -> Log:
        return Log(
            row,
            column,
            self.seed,
            read_events(self.folder / "guidance.jsonl"),
            read_events(self.folder / "metrics.jsonl"),
        )


class Results:
    """A results.json, its runs and what statistics make of them."""

    kind = "results"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "results.json"
        told = read_results(folder)
        self.tables = tables_of(told, folder)
        try:
            self.title = str(told.get("title") or folder.name)
            metric, _, part = str(told.get("metric") or "auc.all").removeprefix("test.").rpartition(".")
            self.told_metric = metric or part
            self.complete = bool(told["complete"])
            self.rows, self.columns = (
                [str(row) for row in told["rows"]],
                [str(each) for each in told["columns"]],
            )
            self.runs = {
                (run["row"], run["column"], run["seed"]): RunInfo(run, run_folder(run["folder"], folder))
                for run in told["runs"]
            }
            self.values: dict[tuple[str, str, str, str], dict[int, float]] = {}
            for cell in told["cells"]:
                key = cell["row"], cell["column"], cell["metric"], cell["slice"]
                if (cell["row"], cell["column"], cell["seed"]) in self.runs and cell["value"] is not None:
                    self.values.setdefault(key, {})[cell["seed"]] = float(cell["value"])
            self.published: dict[tuple[str, str, str, str], float] = {}
            for each in told.get("published") or []:
                name, _, part = each["metric"].removeprefix("test.").rpartition(".")
                if each["value"] is not None:
                    self.published[each["row"], each["column"], name, part] = float(each["value"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise not_ours(self.path) from error
        if any(not math.isfinite(value) for seeds in self.values.values() for value in seeds.values()):
            raise not_ours(self.path)
        self.metric = self.told_metric
        self.baseline: str | None = None
        self.parts: dict[tuple[str, str], Part] = {}  # by column and slice
        self.statistics: Statistics | None = None
        self.without_users = ""  # why intervals are not over users too
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

        def statistics() -> Statistics:
            return Statistics(self.tables, self.baseline, self.metric, slices, progress)

        if arguments.seeds_alone:
            self.without_users = "--seeds-alone asks for it"
        else:
            try:
                self.statistics = statistics()
                parts = self.statistics.over_users(Evaluator(arguments.program, arguments.predictions))
            except (ToolError, OSError) as error:
                progress.clear()
                self.without_users = str(error)
        if self.without_users:
            self.statistics = statistics()
            parts = self.statistics.over_seeds(self.protocol or "ctr")
        self.parts = {(part.table.column, part.slice): part for part in parts}

    def over(self) -> str:
        return "seeds alone" if self.without_users else "seeds and users"

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
        self.summary = read_json(self.path, "`sllmr train`")
        if not isinstance(self.summary.get("test"), dict):
            raise ToolError(f"{self.path}: not what `sllmr train` writes; train again")
        self.title = f"{self.summary.get('method', '')} · {self.summary.get('model', '')} · seed {self.summary.get('seed')}"
        self.run = RunInfo(self.summary, folder)
        self.run.summary = self.summary
        self.rows, self.columns = [str(self.summary.get("method", folder.name))], [folder.name]
        self.runs = {(self.rows[0], self.columns[0], self.summary.get("seed")): self.run}
        self._log = self.run.log(self.rows[0], self.columns[0])

    def logs(self) -> list[Log]:
        return [self._log]


class Tuning:
    """A folder of `./run tune`."""

    kind = "tuning"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "tuning.json"
        self.told = read_json(self.path, "`./run tune`")
        try:
            self.title = f"Tuning, {folder.name}"
            self.monitor, self.methods = str(self.told["monitor"]), dict(self.told["methods"])
            self.curves: dict[str, list[float | None]] = {}
            lines = (folder / "curve.tsv").read_text(encoding="utf-8").splitlines()
            names = lines[0].split("\t")[1:]
            columns = list(zip(*(line.split("\t")[1:] for line in lines[1:]), strict=True)) or [()] * len(
                names
            )
            for name, values in zip(names, columns, strict=True):
                self.curves[name] = [float(value) if value else None for value in values]
        except OSError as error:
            raise ToolError(
                f"{error.filename}: cannot be read ({error.strerror}); run ./run tune again"
            ) from error
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ToolError(f"{self.path}: not what ./run tune writes; run that again") from error


class Teacher:
    """A folder of `sllmr llm report`."""

    kind = "teacher"

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "report.json"
        self.told = read_json(self.path, "`sllmr llm report`")
        try:
            self.title = f"Judge, {self.told['table']}"
            self.bins, self.reliability = (
                list(self.told["calibration"]["bins"]),
                dict(self.told["reliability"]),
            )
        except (KeyError, TypeError) as error:
            raise ToolError(f"{self.path}: not what `sllmr llm report` writes; run that again") from error


Source = Results | Run | Tuning | Teacher
_KINDS = {"results.json": Results, "summary.json": Run, "tuning.json": Tuning, "report.json": Teacher}


def read_source(folder: Path) -> Source:
    for name, kind in _KINDS.items():
        if (folder / name).exists():
            return kind(folder)
    if not folder.is_dir():
        raise ToolError(
            f"{folder}: there is no such folder: name the --out folder of compare or experiment run"
        )
    raise ToolError(
        f"{folder}: no {', '.join(_KINDS)} in it: name the folder of compare, experiment run, train, ./run tune or "
        "llm report, after it has finished something"
    )
