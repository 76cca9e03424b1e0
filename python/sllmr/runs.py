"""Training one model, and what a run has left in its folder."""

from __future__ import annotations

import json
import mmap
import os
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, all_words, path_of, words_of
from sllmr._work import Progress, TemporaryFolder, listener_of, tell
from sllmr.dataset import Dataset
from sllmr.scores import ScoreTable

SLICES = ("all", "cold", "tail")


def inputs_of(
    data: Dataset | str | os.PathLike | None, scores: ScoreTable | str | os.PathLike | None
) -> tuple[list[str], dict[str, str]]:
    """The program's words for a data set and a table of scores, and the keys that they set by the argument that does."""
    words, keys = [], {}
    if data is not None:
        if not isinstance(data, (Dataset, str, os.PathLike)):
            raise _core.Error(f"data: expected a Dataset or a path, got {type(data).__name__}")
        words += data.words() if isinstance(data, Dataset) else words_of({"data.path": os.path.abspath(data)})
        keys["data.path"] = "data"
    if scores is not None:
        if not isinstance(scores, (ScoreTable, str, os.PathLike)):
            raise _core.Error(f"scores: expected a ScoreTable or a path, got {type(scores).__name__}")
        path = scores.path if isinstance(scores, ScoreTable) else os.path.abspath(scores)
        words += words_of({"llm.scorer": "file", "llm.scores": path})
        keys |= {"llm.scorer": "scores", "llm.scores": "scores"}
    return words, keys


def read_data(data: object) -> object:
    """The module's data set behind a Dataset, or None."""
    return data._data if isinstance(data, Dataset) else None


def figures_frame(figures: dict) -> pd.DataFrame:
    """Values by metric and slice, of what summary.json has as "test"."""
    rows = {name: value for name, value in figures.items() if isinstance(value, dict)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(SLICES), dtype=float).rename_axis("metric")


class Run:
    """A run's folder (docs/run_folder.md).

    Raises FileNotFoundError where there is none.
    """

    def __init__(self, path: str | os.PathLike, _kept: object = None):
        self.path = Path(os.path.abspath(path))
        self._kept = _kept  # temporary folders live as long as this object
        if not (self.path / "config.toml").exists():
            raise FileNotFoundError(f"{path} holds no run: it has no config.toml")

    @cached_property
    def summary(self) -> dict:
        """summary.json: figures, machine, commit, hashes of what was read, memory, configuration. Raises Error where
        the run has not ended."""
        if not (self.path / "summary.json").exists():
            raise _core.Error(f"{self.path}: the run has not ended: go on with sllmr.train(..., resume=True)")
        return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))

    @property
    def metrics(self) -> pd.DataFrame:
        """Of the test: a row for each metric, columns all, cold and tail; NaN where there is no value."""
        return figures_frame(self.summary["test"])

    @property
    def epochs(self) -> pd.DataFrame:
        """metrics.jsonl: a row for each epoch, with its loss and, where one was validated, METRIC.SLICE."""
        events = _lines(self.path / "metrics.jsonl")
        rows: dict[int, dict] = {}
        for event in events:
            row = rows.setdefault(event["epoch"], {})
            for name, value in event.items():
                if name in ("event", "epoch"):
                    continue
                if isinstance(value, dict):
                    row.update({f"{name}.{each}": figure for each, figure in value.items()})
                else:
                    row[name] = value
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("epoch")

    @property
    def gate(self) -> pd.DataFrame:
        """guidance.jsonl: what the guidance tells of each epoch; nested values as NAME.NAME. Empty without guidance."""
        events = _lines(self.path / "guidance.jsonl")
        return pd.json_normalize(events).set_index("epoch") if events else pd.DataFrame()

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The checkpoint's tensors by name, of the best epoch by validation where there is one. They are the file's
        pages in memory, not a copy; writing to them does not change the file. Row 0 of a table is padding."""
        best = self.path / "best.safetensors"
        return _tensors(best if best.exists() else self.path / "model.safetensors")

    @property
    def user_factors(self) -> np.ndarray:
        """float32 [users, width], rows in the order of Dataset.users. Of matrix factorisation; a view."""
        return self._factors("users.weights")

    @property
    def item_factors(self) -> np.ndarray:
        """float32 [items, width]: logits are user_factors @ item_factors.T. Of matrix factorisation; a view."""
        return self._factors("items.weights")

    def _factors(self, name: str) -> np.ndarray:
        if name not in self.tensors:
            raise _core.Error(f"{self.path}: the model has no factors; its tensors: {', '.join(sorted(self.tensors))}")
        return self.tensors[name][1:]

    def __reduce__(self):
        """Another object of the same folder."""
        return Run, (self.path,)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def load_run(path: str | os.PathLike) -> Run:
    """The run in a folder that `train`, `compare` or the program has filled."""
    return Run(path)


def train(
    recipe: str | os.PathLike | None = None,
    *,
    data: Dataset | str | os.PathLike | None = None,
    scores: ScoreTable | str | os.PathLike | None = None,
    run_dir: str | os.PathLike | None = None,
    resume: bool = False,
    progress: Progress = None,
    settings: dict[str, Setting] | None = None,
    **overrides: Setting,
) -> Run:
    """Trains one model and evaluates it on the test.

    recipe: a TOML file, or a name among `recipes()`; None: defaults alone.
    data, scores: instead of data.path, and of llm.scorer=file with llm.scores. A Dataset is not read again; the settings that
    it was read with are part of the run's.
    run_dir: the run's folder, which must not hold a run; None: one that goes with the result.
    resume: go on from the checkpoint in run_dir.
    progress: None for bars on a terminal, as the program draws them; False for none; or a function that is called with dicts:
    {"event": "progress", "what", "done", "total", "unit"} ten times a second, and what the run writes to metrics.jsonl,
    {"event": "epoch", "epoch": 3, "loss": .41, ...} and {"event": "validation", "epoch", "auc": {"all", ...}, ...}.
    settings, overrides: keys of `config_keys()`. A key has a dot, so write settings={"train.epochs": 5} or, by section,
    train={"epochs": 5}, gate={"rule": "mlp"}; method="calibrated" and seed=2 have none.

    Raises Error as the program does, and KeyboardInterrupt after Ctrl-C, or what `progress` raised, having saved a checkpoint: a
    folder of its own then stays, and a Note says where.
    """
    words, keys = inputs_of(data, scores)
    words += all_words(settings, overrides, keys | {"run_dir": "run_dir"})
    kept = None
    if run_dir is None:
        if resume:
            raise _core.Error("resume=True needs run_dir, the folder of the run to go on with")
        kept = TemporaryFolder()
        run_dir = kept.path / "run"
    run_dir = os.path.abspath(run_dir)
    words += words_of({"run_dir": run_dir})
    try:
        _core.train(path_of(recipe), words, resume, read_data(data), *listener_of(progress))
    except BaseException:
        if kept is not None and os.path.exists(os.path.join(run_dir, "model.safetensors")):
            kept.keep()
            tell(f"what was trained is in {run_dir}: go on with run_dir={run_dir!r}, resume=True")
        raise
    return Run(run_dir, (kept, data, scores))


def _lines(path: Path) -> list[dict]:
    with open(path, encoding="utf-8", errors="replace") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


_TYPES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64, "U8": np.uint8, "U64": np.uint64}


def _tensors(path: Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        # Copy on write: NumPy may write, and hand them to DLPack, and the file stays as it is.
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    length = int.from_bytes(pages[:8], "little")
    header = json.loads(pages[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, each in header.items():
        kind, (first, _) = np.dtype(_TYPES[each["dtype"]]), each["data_offsets"]
        count = int(np.prod(each["shape"], dtype=np.int64))
        tensors[name] = np.frombuffer(pages, kind, count, 8 + length + first).reshape(each["shape"])
    return tensors
