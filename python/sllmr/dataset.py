"""Interactions in memory."""

from __future__ import annotations

import os
import re
import tempfile
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, words_of
from sllmr._work import Progress, listener_of


class Dataset:
    """A data set and its split in time: of each user the last item is for the test, the last but one validates.

    path: a file, folder or prefix that an importer reads (RecBole, Amazon, MovieLens, S3-Rec, or any table that a
    few lines of TOML describe; docs/importer.md).
    settings: keys of the section data, without their "data.": min_rating=4, core=5, keep="is_click > 0", cold_history=4,
    **{"from": "2013-01-01"} (a word of Python).

    Rows of users and items count from 0, in the order of `users` and `items`; arrays and factors of a `Run` have the same.
    Raises Error naming file, line and remedy.
    """

    def __init__(self, path: str | os.PathLike, *, progress: Progress = None, **settings: Setting):
        self._settings = {"path": os.fspath(path), **settings}
        self._data = _core.load_data(self.words(), *listener_of(progress))

    @classmethod
    def from_frame(
        cls,
        interactions: pd.DataFrame,
        items: pd.DataFrame | None = None,
        *,
        folder: str | os.PathLike | None = None,
        name: str = "frame",
        **settings: Setting,
    ) -> Dataset:
        """Of data frames.

        interactions: columns user_id and item_id, and as there are timestamp (else the order of the rows is that of time)
        and rating.
        items: columns item_id, title, and further ones as attributes: texts, or lists of texts.
        folder: where NAME.inter and NAME.item (RecBole's atomic files) are kept; None: in a folder that goes with the object.
        """
        kept = tempfile.TemporaryDirectory(prefix="sllmr-") if folder is None else None
        place = Path(kept.name if kept else folder) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_atomic(f"{place}.inter", interactions, {"user_id": "token", "item_id": "token"}, _INTERACTION_TYPES)
        if items is not None:
            _write_atomic(f"{place}.item", items, {"item_id": "token"}, {"title": "token_seq"})
        data = cls(place, **settings)
        data._kept = kept
        return data

    @classmethod
    def from_parquet(
        cls,
        interactions: str | os.PathLike,
        items: str | os.PathLike | None = None,
        *,
        columns: dict[str, str] | None = None,
        **settings,
    ) -> Dataset:
        """Of Parquet files, as `from_frame`. Needs pyarrow: pip install 'sllmr[parquet]'.

        columns: what the files call the columns: {"uid": "user_id", "label": "rating"}, and then keep="rating >= 1".
        """
        names = columns or {}
        frames = [pd.read_parquet(path).rename(columns=names) for path in (interactions, items) if path is not None]
        return cls.from_frame(*frames, **{"name": Path(interactions).stem, **settings})

    def to_parquet(self, folder: str | os.PathLike) -> list[Path]:
        """Writes NAME.interactions.parquet (as `interactions`, and timestamp, which counts from 0 in each history) and
        NAME.items.parquet (as `item_table`), which `from_parquet` reads. Needs pyarrow: pip install 'sllmr[parquet]'. Raises
        FileExistsError where one of them is there."""
        counts = np.diff(self.offsets)
        positions = np.arange(len(self.history)) - np.repeat(self.offsets[:-1], counts)
        frames = {
            "interactions": self.interactions.assign(timestamp=positions),
            "items": self.item_table[["title", "attributes"]].reset_index(),
        }
        paths = {kind: Path(folder) / f"{self.name}.{kind}.parquet" for kind in frames}
        for path in paths.values():
            if path.exists():
                raise FileExistsError(f"{path} exists: remove it, or choose another folder")
        Path(folder).mkdir(parents=True, exist_ok=True)
        for kind, frame in frames.items():
            temporary = paths[kind].with_suffix(".partial")
            frame.to_parquet(temporary, index=False)
            temporary.rename(paths[kind])
        return list(paths.values())

    def words(self) -> list[str]:
        """The settings by which the program finds the same data."""
        return words_of({"data": self._settings})

    @property
    def name(self) -> str:
        return self._data.name

    @property
    def hash(self) -> str:
        """Of users, items and histories: 16 hex digits, as in summary.json."""
        return self._data.hash

    @property
    def notes(self) -> list[str]:
        """What was left out or does not fit."""
        return self._data.notes

    @property
    def stats(self) -> dict[str, int]:
        """Counts: users, items, interactions, cold users, tail items, ..."""
        return self._data.stats

    @cached_property
    def users(self) -> pd.Index:
        """Raw ids by row."""
        return pd.Index(self._data.users, name="user_id", dtype=object)

    @cached_property
    def items(self) -> pd.Index:
        """Raw ids by row."""
        return pd.Index(self._data.items, name="item_id", dtype=object)

    @cached_property
    def item_table(self) -> pd.DataFrame:
        """By item: title, attributes (a list), popularity in training, and whether it is in the tail."""
        return pd.DataFrame(
            {
                "title": self._data.titles,
                "attributes": self._data.attributes,
                "popularity": self._data.popularity,
                "tail": self._data.tail.astype(bool),
            },
            index=self.items,
        )

    @cached_property
    def user_table(self) -> pd.DataFrame:
        """By user: items of training, the items held out (or None), and whether the user is cold."""
        with_none = self.items.append(pd.Index([None], dtype=object))  # of row -1
        return pd.DataFrame(
            {
                "train_items": self._data.train_size,
                "validation": tokens_of(with_none, self._data.validation, self.users),
                "test": tokens_of(with_none, self._data.test, self.users),
                "cold": self._data.cold.astype(bool),
            },
            index=self.users,
        )

    @property
    def offsets(self) -> np.ndarray:
        """int64 [users + 1]: history[offsets[u]:offsets[u + 1]] is of user row u. A view."""
        return self._data.offsets

    @cached_property
    def history(self) -> np.ndarray:
        """int32 [interactions]: item rows, by user, oldest first; the last ones are held out."""
        return self._data.history

    @cached_property
    def interactions(self) -> pd.DataFrame:
        """A row for each interaction, by user and time: user_id, item_id and its part, train, validation or test."""
        counts = np.diff(self.offsets)
        users = np.repeat(np.arange(len(counts)), counts)
        position = np.arange(len(self.history)) - np.repeat(self.offsets[:-1], counts)
        train = self._data.train_size[users]
        has_validation = (self._data.validation >= 0)[users]
        part = np.where(position < train, 0, np.where((position == train) & has_validation, 1, 2))
        return pd.DataFrame(
            {
                "user_id": tokens_of(self.users, users),
                "item_id": tokens_of(self.items, self.history),
                "part": pd.Categorical.from_codes(part, ["train", "validation", "test"]),
            }
        )

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"Dataset({self._settings['path']!r}: {stats['users']} users, {stats['items']} items, "
            f"{stats['interactions']} interactions)"
        )


_INTERACTION_TYPES = {"rating": "float", "timestamp": "float"}


def tokens_of(names: pd.Index, rows: np.ndarray, index: pd.Index | None = None) -> pd.Series:
    """The raw ids of rows. Of the type object: pandas' own type of texts refuses names that are no UTF-8."""
    return pd.Series(names.to_numpy()[rows], index=index, dtype=object)


def require_plain(column: pd.Series, name: str) -> None:
    """Raises Error where a text would not fit in a field of a TSV file."""
    breaks = re.compile(r"[\t\n\r]")
    for row, each in enumerate(column):
        if breaks.search(str(each)):
            raise _core.Error(f"the data frame's column {name!r} has a tab or a line's end in row {row}: remove it")


def _write_atomic(path: str, frame: pd.DataFrame, needed: dict[str, str], known: dict[str, str]) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise _core.Error(f"the data frame lacks the column {missing[0]!r}: rename one to it")
    columns = {}
    for name in frame.columns:
        kind = needed.get(name) or known.get(name)
        if kind is None and needed.keys() == {"item_id"}:
            kind = "token_seq"
        if kind is None:
            continue
        column = frame[name]
        if kind == "token_seq":
            column = column.map(lambda each: ", ".join(map(str, each)) if isinstance(each, (list, tuple, np.ndarray)) else each)
        if pd.api.types.is_datetime64_any_dtype(column):
            column = column.astype("int64") / 1e9
        if kind == "float" and column.isna().any():
            raise _core.Error(f"the data frame's column {name!r} has no number in row {column.isna().to_numpy().argmax()}")
        columns[f"{name}:{kind}"] = column
    if "timestamp" not in frame.columns and "timestamp" in known:
        columns["timestamp:float"] = pd.Series(np.arange(len(frame)), index=frame.index)
    out = pd.DataFrame(columns)
    for name in out.columns:
        if name.endswith(":float"):
            continue
        require_plain(out[name], name.rpartition(":")[0])
    out.to_csv(path, sep="\t", index=False, quoting=3, errors="surrogateescape", na_rep="")
