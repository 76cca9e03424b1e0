"""What `compare` and `experiment run` have left: results.json, run folders, predictions of their tests."""

import hashlib
import math
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import estimates
from estimates import Estimate, NoEstimate
from run_files import read_results, run_folder
from shared import Child, ToolError, error_of

_CHECKPOINTS = ["best.safetensors", "model.safetensors"]  # the first that is there, as `sllmr eval` takes it
_POLL_SECONDS = 0.02
_STOP_SECONDS = 0.3  # an evaluation has nothing to save
_AGREES = 5e-5  # of figures: half of the last digit shown; another device rounds otherwise


@dataclass(frozen=True)
class Run:
    """A finished run of a table, and what its test told."""

    row: str
    seed: int
    folder: Path
    figures: dict[tuple[str, str], float | None]  # by metric and slice


@dataclass(frozen=True)
class Table:
    """A column of a results.json: rows that were trained and tested on the same data."""

    source: Path  # results.json
    column: str
    rows: list[str]  # with a finished run, in the order of the table
    runs: dict[tuple[str, int], Run]  # by row and seed
    complete: bool

    def seeds(self, row: str) -> list[int]:
        return sorted(seed for of, seed in self.runs if of == row)

    def baselines(self, name: str) -> dict[str, str]:
        """By row the one that it is compared with: the row of that name, or of several "PREFIX name" the one with
        the longest prefix that the row's name begins with. Rows without one, and baselines, are left out."""
        if whole := [row for row in self.rows if row.casefold() == name.casefold()]:
            return {row: whole[0] for row in self.rows if row != whole[0]}
        ends = sorted((row for row in self.rows if is_named(row, name)), key=len)
        prefixes = {row[: -len(name)]: row for row in ends}
        found = {}
        for row in self.rows:
            of = [base for prefix, base in prefixes.items() if row.startswith(prefix)]
            if of and row not in ends:
                found[row] = of[-1]
        return found

    def only(self, rows: set[str]) -> "Table":
        runs = {key: run for key, run in self.runs.items() if key[0] in rows}
        return replace(self, rows=[row for row in self.rows if row in rows], runs=runs)


def is_named(row: str, name: str) -> bool:
    """Is it the row's name, or its last words ("None" of "DCNv2 None")? Capitals do not count."""
    return f" {row}".casefold().endswith(f" {name}".casefold())


def tables_of(results: dict[str, Any], out: Path) -> list[Table]:
    """Its columns with a finished run."""
    path = out / "results.json"
    figures: dict[tuple, dict] = {}
    for cell in results["cells"]:
        cells = figures.setdefault((cell["column"], cell["row"], cell["seed"]), {})
        cells[cell["metric"], cell["slice"]] = cell.get("value")
    tables = []
    for column in results["columns"]:
        runs = {
            (run["row"], run["seed"]): Run(
                run["row"],
                run["seed"],
                run_folder(run["folder"], out),
                figures.get((column, run["row"], run["seed"]), {}),
            )
            for run in results["runs"]
            if run["column"] == column
        }
        rows = [row for row in results["rows"] if any(of == row for of, _ in runs)]
        if rows:
            tables.append(Table(path, column, rows, runs, results["complete"]))
    if not tables:
        raise ToolError(f"{path}: no run is finished yet")
    return tables


def read_tables(out: Path) -> list[Table]:
    """Throws ToolError where the folder has no results.json of a known schema with a finished run."""
    return tables_of(read_results(out), out)


class Users:
    """Numbers of the users of a table, from 0."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, token: str) -> int:
        return self._numbers.setdefault(token, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)


@dataclass(frozen=True)
class Predictions:
    """A line of a file each."""

    path: Path
    users: np.ndarray  # int64 [rows]
    columns: dict[str, np.ndarray]  # float64 [rows], by name: label and logit, or rank and auc; slices
    rows_hash: str  # of users, items and labels

    def is_of(self, protocol: str) -> bool:
        return ("label" if protocol == "ctr" else "rank") in self.columns

    def slices(self) -> list[str]:
        """Those whose rows the file marks."""
        return ["all", *(name for name in self.columns if name not in _MEASURED)]

    def rows_of(self, name: str) -> np.ndarray:
        """bool [rows]."""
        return np.ones(self.users.size, bool) if name == "all" else self.columns[name] == 1


_MEASURED = {"label", "logit", "rank", "auc"}


def read_predictions(path: Path, users: Users) -> Predictions:
    """Of `sllmr eval --predictions`. Throws ToolError naming file and line."""

    def fail(line: int, fault: str):
        raise ToolError(f"{path}:{line}: {fault}; remove the file, and it is written again")

    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    header = lines[0].split("\t")
    names = header[2:]
    if header[:2] != ["user_id", "item_id"] or not (
        {"label", "logit"} <= {*names} or {"rank", "auc"} <= {*names}
    ):
        fail(1, "no header of predictions")
    if lines[-1] != "":
        fail(len(lines), "the last line is torn")
    numbers = np.empty(len(lines) - 2, np.int64)
    values = np.empty((len(lines) - 2, len(names)))
    rows = hashlib.sha256()
    keys = 3 if "label" in names else 2
    for k, line in enumerate(lines[1:-1]):
        words = line.split("\t")
        if len(words) != len(header):
            fail(k + 2, f"{len(words)} columns, not {len(header)}")
        try:
            values[k] = [float(word) for word in words[2:]]
        except ValueError:
            fail(k + 2, "a value is no number")
        numbers[k] = users.number(words[0])
        rows.update(("\t".join(words[:keys]) + "\n").encode(errors="surrogateescape"))
    if bad := np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist():
        fail(bad[0] + 2, "a value is not finite")
    return Predictions(path, numbers, {name: values[:, k] for k, name in enumerate(names)}, rows.hexdigest())


class NoPredictions(ToolError):
    """They can be made where the runs were made alone: with their checkpoints, and from where their data were read."""


def _digest(run: Run) -> str:
    """What decides the predictions of a run: its checkpoint, and its configuration with the protocol."""
    checkpoint = next((run.folder / name for name in _CHECKPOINTS if os.path.exists(run.folder / name)), None)
    if checkpoint is None:
        raise NoPredictions(
            f"{run.folder}: no checkpoint of {run.row}, seed {run.seed}: run the command that made the "
            "results again, from where it ran"
        )
    digest = hashlib.sha256()
    for path in (checkpoint, run.folder / "config.toml"):
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise NoPredictions(
                f"{path}: cannot be read ({error.strerror}): run the command that made the results again"
            ) from error
    return digest.hexdigest()[:16]


def _marks(path: Path, slices: list[str]) -> bool:
    """Is it there, with the slices?"""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        return {"all", *file.readline().rstrip("\n").split("\t")} >= {*slices}


class Evaluator:
    """Has the program write the predictions of runs that have none."""

    def __init__(self, program: str, cache: Path | None):
        self._program, self._cache = program, cache

    def predictions_of(self, run: Run, slices: list[str]) -> Path:
        """Their file, in the cache or beside the run, by the checkpoint's name; written (again) where none marks the
        slices, as an older program's does not. Throws the program's error."""
        name = f"predictions.{_digest(run)}.tsv"
        folder = self._cache or run.folder
        for of in (folder, run.folder):
            if _marks(of / name, slices):
                return of / name
        folder.mkdir(parents=True, exist_ok=True)
        # Whatever ends this, only the whole file gets its name.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".predictions.") as temporary:
            written = Path(temporary) / name
            child = Child([self._program, "eval", str(run.folder), "--predictions", str(written)])
            try:
                while child.status() is None:
                    time.sleep(_POLL_SECONDS)
            except KeyboardInterrupt:
                child.stop(_STOP_SECONDS)
                raise
            if child.status() == 130:
                raise KeyboardInterrupt
            if child.status() != 0:
                raise NoPredictions(f"{run.row}, seed {run.seed}: {error_of(child.said())}")
            written.replace(folder / name)
        return folder / name


@dataclass(frozen=True)
class Metric:
    """A figure that predictions give, higher is better."""

    name: str
    protocol: str
    target: str  # what it estimates
    of: Callable[[dict[str, np.ndarray], np.ndarray, int], Estimate]  # of columns, users, number of users


def _mean_of(value: Callable[[np.ndarray], np.ndarray], column: str):
    def estimate(columns: dict[str, np.ndarray], users: np.ndarray, n_users: int) -> Estimate:
        return estimates.weighted_mean(value(columns[column]), np.ones(users.size), users, n_users)

    return estimate


def _of_labels(estimator: Callable[..., Estimate]):
    def estimate(columns: dict[str, np.ndarray], users: np.ndarray, n_users: int) -> Estimate:
        return estimator(columns["logit"], columns["label"] == 1, users, n_users)

    return estimate


def metrics_of(protocol: str, name: str) -> Metric | None:
    """None where predictions of the protocol do not give it."""
    if protocol == "ctr":
        if name == "auc":
            return Metric(
                name,
                protocol,
                "pooled AUC: the chance that a positive row outscores a negative one, of the same user or another",
                _of_labels(estimates.pooled_auc),
            )
        if name == "gauc":
            return Metric(
                name,
                protocol,
                "within-user AUC: the mean of the users' own, weighted by their rows",
                _of_labels(estimates.within_user_auc),
            )
        return None
    if name == "auc":
        return Metric(
            name,
            protocol,
            "AUC of each held-out item against the catalogue, the mean over rows",
            _mean_of(lambda auc: auc, "auc"),
        )
    if cut := re.fullmatch(r"(recall|ndcg)@(\d+)", name):
        best = int(cut[2])
        gain = (
            (lambda rank: np.ones_like(rank)) if cut[1] == "recall" else (lambda rank: 1 / np.log2(rank + 1))
        )
        return Metric(
            name,
            protocol,
            f"{name} of each held-out item against the catalogue, the mean over rows",
            _mean_of(lambda rank: np.where(rank <= best, gain(rank), 0), "rank"),
        )
    return None


def estimate(run: Run, predictions: Predictions, metric: Metric, part: str, n_users: int) -> Estimate:
    """Of a slice. Throws ToolError where there is none, or where it is not what the run has told."""
    told: Any = run.figures.get((metric.name, part))
    if told is None:
        raise ToolError(f"{run.row}, seed {run.seed}: its test has no {metric.name} of the slice '{part}'")
    rows = predictions.rows_of(part)
    columns = {name: values[rows] for name, values in predictions.columns.items()}
    try:
        found = metric.of(columns, predictions.users[rows], n_users)
    except NoEstimate as error:
        raise ToolError(
            f"{predictions.path}: {metric.name} of the slice '{part}': {error}; leave it out of --family"
        ) from error
    if not math.isclose(found.value, told, rel_tol=0, abs_tol=_AGREES):
        raise ToolError(
            f"{predictions.path}: {metric.name} of the slice '{part}' is {found.value:.6f}, but the run told {told}: "
            "run the command that made the results again"
        )
    return found
