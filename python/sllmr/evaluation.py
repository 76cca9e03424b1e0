"""Evaluation of any model by the protocols of sllmr."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable

import numpy as np
import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, words_of
from sllmr._work import Progress, TemporaryFolder, listener_of
from sllmr.dataset import Dataset
from sllmr.runs import Run, figures_frame

Model = Run | str | os.PathLike | np.ndarray | pd.DataFrame | tuple | list | Callable[[np.ndarray], np.ndarray]


def evaluate(
    model: Model,
    data: Dataset | None = None,
    *,
    target: str = "test",
    per_row: bool = False,
    device: str | None = None,
    progress: Progress = None,
    settings: dict[str, Setting] | None = None,
    **overrides: Setting,
) -> pd.DataFrame:
    """Metrics, exact and with ties counted as if broken at random: a row each, columns all, cold (users) and tail (items).

    model: a Run, or its folder, which is evaluated on its own data under its own protocol; or scores of `data`, as
    - an array [users, items],
    - a data frame, whose index and columns are the ids of data.users and data.items, in any order,
    - a pair of arrays, [users, width] and [items, width], whose inner products they are,
    - a function of int64 user rows [n] that returns an array [n, items]; it is called by the thread that calls this.
    Rows and columns are those of data.users and data.items. Scores are taken as float32, and must be finite. Higher is better; a
    logit where log-loss is asked for.
    target: "test" or "validation": the item of each user that is ranked.
    per_row: instead, a row for each ranked item (rank, AUC and slices), or for each labelled row of eval.protocol=ctr.
    device: of a Run, where it is evaluated: auto, cpu or cuda.
    settings, overrides: keys of the section eval, and seed, which draws the negatives of ctr: eval={"topk": [5, 20],
    "lists": True}. Not of a Run.

    Raises Error for scores that are not finite, for another shape, and where there is nothing to evaluate.
    """
    if target not in ("test", "validation"):
        raise _core.Error(f"target={target!r}: it is 'test' or 'validation'")
    listen, takes_progress = listener_of(progress)
    words = words_of(settings or {}) + words_of(overrides)
    if isinstance(model, (Run, str, os.PathLike)):
        if data is not None or words:
            raise _core.Error("a run is evaluated on its own data, with its own settings: leave out the others")
        return _evaluate_run(model, target, per_row, device or "auto", listen, takes_progress)
    if not isinstance(data, Dataset):
        raise _core.Error(f"scores need data=, the Dataset whose users and items they are of, not {data!r}")
    if device is not None:
        raise _core.Error("device= is of a run's evaluation: scores are counted on the CPU")
    for word in words:
        if not word.startswith(("eval.", "seed=")):
            raise _core.Error(f"{word.partition('=')[0]} has no part in an evaluation of scores: keys of eval, and seed, have")
    score = _scores_of(model, data)
    figures, rows = _core.evaluate(score, data._data, words, target == "validation", listen, takes_progress)
    return _frame_of(rows) if per_row else figures_frame(json.loads(figures))


def _evaluate_run(
    run: Run | str | os.PathLike,
    target: str,
    per_row: bool,
    device: str,
    listen: Callable[[str, object], None],
    takes_progress: bool,
) -> pd.DataFrame:
    path = os.fspath(run.path if isinstance(run, Run) else run)
    if not per_row:
        return figures_frame(json.loads(_core.evaluate_run(path, target == "validation", device, "", listen, takes_progress)))
    folder = TemporaryFolder()
    rows = folder.path / "rows.tsv"
    _core.evaluate_run(path, target == "validation", device, str(rows), listen, takes_progress)
    return _frame_of(rows.read_bytes())


def _frame_of(lines: bytes) -> pd.DataFrame:
    tokens = {"user_id": object, "item_id": object}
    frame = pd.read_csv(
        io.BytesIO(lines), sep="\t", dtype=tokens, quoting=3, na_filter=False, encoding_errors="surrogateescape"
    )
    return frame.astype({"cold": bool, "tail": bool})


def _scores_of(model: np.ndarray | tuple | Callable, data: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    users, items = len(data.users), len(data.items)
    if isinstance(model, pd.DataFrame):
        model = _aligned(model, data)
    if isinstance(model, (tuple, list)):
        if len(model) != 2:
            raise _core.Error(f"{len(model)} arrays: expected two, the users' and the items' factors")
        of_users, of_items = (np.asarray(each, dtype=np.float32) for each in model)
        if of_users.ndim != 2 or of_items.ndim != 2 or of_users.shape[1] != of_items.shape[1]:
            raise _core.Error(f"factors of {of_users.shape} and {of_items.shape}: expected [users, width] and [items, width]")
        _require_rows(of_users.shape[0], of_items.shape[0], users, items)
        return lambda rows: of_users[rows] @ of_items.T
    if callable(model):
        return lambda rows: np.ascontiguousarray(np.asarray(model(rows)), dtype=np.float32)
    scores = np.asarray(model)
    if scores.ndim != 2:
        raise _core.Error(f"scores of the shape {scores.shape}: expected [users, items]")
    _require_rows(*scores.shape, users, items)
    return lambda rows: np.ascontiguousarray(scores[rows], dtype=np.float32)


def _aligned(frame: pd.DataFrame, data: Dataset) -> np.ndarray:
    """Rows and columns in the order of the data."""
    frame = frame.set_axis(frame.index.map(str), axis=0).set_axis(frame.columns.map(str), axis=1)
    for what, labels, names in (("index", frame.index, data.users), ("columns", frame.columns, data.items)):
        if not labels.is_unique or len(labels) != len(names) or not labels.isin(names).all():
            raise _core.Error(f"the data frame's {what} are not the ids of data.{names.name[:-3]}s: take its .to_numpy() where "
                              "rows and columns are in their order")
    return frame.loc[data.users, data.items].to_numpy()


def _require_rows(users: int, items: int, of_users: int, of_items: int) -> None:
    if (users, items) != (of_users, of_items):
        raise _core.Error(
            f"scores of {users} users and {items} items, and the data have {of_users} and {of_items}: rows are those of "
            "data.users, columns those of data.items"
        )
