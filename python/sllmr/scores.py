"""A language model's scores of (user, item) pairs."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from sllmr import _core
from sllmr._work import Progress, TemporaryFolder, listener_of
from sllmr.dataset import Dataset, raw_ids, require_columns, tokens_of, write_table


class ScoreTable:
    """Scores in [0, 1] of pairs of a data set, which `train` and `compare` take as `scores`.

    source: a data frame with the columns user_id, item_id and score, and as there are probe (1: the item is the
    user's last of training, and was kept from the judge) and variance (ids as Dataset.from_frame takes them); or the path of a file of `sllmr llm score`.
    data: pairs of users and items that it lacks are left out, and counted in `unknown_rows`.

    Raises Error for scores outside [0, 1], pairs that occur twice, and probes that are no item of training.
    """

    def __init__(self, source: pd.DataFrame | str | os.PathLike, data: Dataset, *, progress: Progress = None):
        if not isinstance(data, Dataset):
            raise _core.Error(f"data: expected a Dataset, got {type(data).__name__}")
        self._data = data
        self._kept = None
        if isinstance(source, pd.DataFrame):
            self._kept = TemporaryFolder()
            self._path = str(self._kept.path / "frame.scores")
            _write(source, self._path)
        else:
            self._path = os.path.abspath(source)
        listen, _ = listener_of(progress)
        self._scores = _core.read_scores(self._path, data._data, listen)

    @property
    def path(self) -> str:
        """The file, for the setting llm.scores."""
        return self._path

    @property
    def unknown_rows(self) -> int:
        """Rows of the source that were left out."""
        return self._scores.unknown_rows

    @property
    def stats(self) -> dict[str, float]:
        """Counts, the range, and how far the scores agree with what users did (.5 is chance; docs/llm.md)."""
        return self._scores.stats(self._data._data)

    @property
    def frame(self) -> pd.DataFrame:
        """user_id, item_id, score, probe and, as there is one, variance; by user, the highest score first."""
        scores = self._scores
        frame = pd.DataFrame(
            {
                "user_id": tokens_of(self._data.users, scores.users),
                "item_id": tokens_of(self._data.items, scores.items),
                "score": scores.scores,
                "probe": scores.probes.astype(bool),
            }
        )
        if len(scores.variances):
            frame["variance"] = scores.variances
        return frame

    def save(self, path: str | os.PathLike) -> None:
        """Writes the table as a file that `sllmr` reads. Raises FileExistsError where there is one."""
        if Path(path).exists():
            raise FileExistsError(f"{path} exists: remove it, or choose another name")
        _write(self.frame, path)

    def __reduce__(self):
        """Read again where it is unpickled, from the same file."""
        return ScoreTable, (self._path, self._data)

    def __len__(self) -> int:
        return len(self._scores.scores)

    def __repr__(self) -> str:
        return f"ScoreTable({len(self)} pairs of {self._data.name})"


def _write(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    require_columns(frame, ("user_id", "item_id", "score"))
    out = pd.DataFrame({name: raw_ids(frame[name]) for name in ("user_id", "item_id")}).assign(score=frame["score"])
    if "probe" in frame.columns:
        odd = ~frame["probe"].isin([0, 1])
        if odd.any():
            raise _core.Error(f"the data frame's column 'probe' is neither 0 nor 1 in row {odd.to_numpy().argmax()}")
        out["probe"] = frame["probe"].astype(int)
    if "variance" in frame.columns:
        out["variance"] = frame["variance"]
    write_table(out, path)
