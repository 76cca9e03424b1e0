"""Evaluation of any model by the protocols of sllmr."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, words_of
from sllmr._work import Progress, listener_of
from sllmr.dataset import Dataset
from sllmr.runs import Run, figures_frame

Model = Run | str | os.PathLike | np.ndarray | tuple | Callable[[np.ndarray], np.ndarray]


def evaluate(
    model: Model,
    data: Dataset | None = None,
    *,
    target: str = "test",
    per_row: bool = False,
    device: str = "auto",
    progress: Progress = None,
    settings: dict[str, Setting] | None = None,
    **overrides: Setting,
) -> pd.DataFrame:
    """Metrics, exact and with ties counted as if broken at random: a row each, columns all, cold (users) and tail (items).

    model: a Run, or its folder, which is evaluated on its own data under its own protocol; or scores of `data`, as
    - an array [users, items],
    - a pair of arrays, [users, width] and [items, width], whose inner products they are,
    - a function of int64 user rows [n] that returns an array [n, items].
    Rows and columns are those of data.users and data.items. Higher is better; a logit where log-loss is asked for.
    target: "test" or "validation": the item of each user that is ranked.
    per_row: instead, a row for each ranked item (rank, AUC and slices), or for each labelled row of eval.protocol=ctr.
    settings, overrides: keys of the section eval, and seed, which draws the negatives of ctr: eval={"topk": [5, 20],
    "lists": True}. Not of a Run.

    Raises Error for NaN, for another shape, and where there is nothing to evaluate.
    """
    if target not in ("test", "validation"):
        raise _core.Error(f"target={target!r}: it is 'test' or 'validation'")
    listen = listener_of(progress)
    words = words_of({**(settings or {}), **overrides})
    if isinstance(model, (Run, str, os.PathLike)):
        if data is not None or words:
            raise _core.Error("a run is evaluated on its own data, with its own settings: leave out the others")
        return _evaluate_run(model, target, per_row, device, listen)
    if data is None:
        raise _core.Error("scores need data=, the Dataset whose users and items they are of")
    figures, rows = _core.evaluate(_scores_of(model, data), data._data, words, target == "validation", *listen)
    return _frame_of(rows) if per_row else figures_frame(json.loads(figures))


def _evaluate_run(run: Run | str | os.PathLike, target: str, per_row: bool, device: str, listen) -> pd.DataFrame:
    path = str(run.path if isinstance(run, Run) else run)
    with tempfile.TemporaryDirectory(prefix="sllmr-") as folder:
        lines = str(Path(folder) / "rows.tsv") if per_row else ""
        figures = _core.evaluate_run(path, target == "validation", device, lines, *listen)
        return _frame_of(Path(lines).read_bytes()) if per_row else figures_frame(json.loads(figures))


def _frame_of(lines: bytes) -> pd.DataFrame:
    tokens = {"user_id": object, "item_id": object}
    frame = pd.read_csv(
        io.BytesIO(lines), sep="\t", dtype=tokens, quoting=3, na_filter=False, encoding_errors="surrogateescape"
    )
    return frame.astype({"cold": bool, "tail": bool})


def _scores_of(model: np.ndarray | tuple | Callable, data: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    users, items = len(data.users), len(data.items)
    if isinstance(model, tuple):
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


def _require_rows(users: int, items: int, of_users: int, of_items: int) -> None:
    if (users, items) != (of_users, of_items):
        raise _core.Error(
            f"scores of {users} users and {items} items, and the data have {of_users} and {of_items}: rows are those of "
            "data.users, columns those of data.items"
        )
