"""Interactions in memory."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sllmr import _core
from sllmr._settings import Setting, words_of
from sllmr._work import Progress, TemporaryFolder, listener_of


class Dataset:
    """A data set and its split in time: of each user the last item is for the test, the last but one validates.

    path: a file, folder or prefix that an importer reads (RecBole, Amazon, MovieLens, S3-Rec, or any table that a
    few lines of TOML describe; docs/importer.md).
    settings: keys of the section data, without their "data.": min_rating=4, core=5, keep="is_click > 0", cold_history=4,
    **{"from": "2013-01-01"} (a word of Python).

    Rows of users and items count from 0, in the order of `users` and `items`; arrays and factors of a `Run` have the same.
    Raw ids are texts, whatever the file or frame has. Raises Error naming file, line and remedy.
    """

    def __init__(self, path: str | os.PathLike, *, progress: Progress = None, **settings: Setting):
        self._settings = {"path": os.path.abspath(path), **settings}
        self._kept: object = None
        self._data = _core.load_data(self.words(), *listener_of(progress))

    @classmethod
    def from_frame(
        cls,
        interactions: pd.DataFrame,
        items: pd.DataFrame | None = None,
        *,
        folder: str | os.PathLike | None = None,
        name: str = "frame",
        progress: Progress = None,
        **settings: Setting,
    ) -> Dataset:
        """Of data frames.

        interactions: columns user_id and item_id (integers or texts), and as there are timestamp (numbers or dates; without
        it the order of the rows is that of time), rating, and label, is_click or click (rows not above 0 are `negatives`
        where the user took something at the same timestamp). Others are not used.
        items: columns item_id, title, and further ones as attributes: a text, or a list of texts.
        folder: where NAME.inter and NAME.item (RecBole's atomic files) are kept; None: in a folder that goes with the
        object. Raises FileExistsError where they are there.
        """
        if Path(name).name != name:
            raise _core.Error(f"name={name!r}: a name without folders")
        kept = TemporaryFolder() if folder is None else None
        place = (kept.path if kept else Path(folder)) / name
        texts = {"inter": _atomic(interactions, {"user_id": "token", "item_id": "token"}, _INTERACTION_TYPES, None)}
        if items is not None:
            texts["item"] = _atomic(items, {"item_id": "token"}, {"title": "token_seq"}, "token_seq")
        for kind in ("inter", "item"):
            if Path(f"{place}.{kind}").exists():
                raise FileExistsError(f"{place}.{kind} exists: remove it, or choose another folder or name")
        place.parent.mkdir(parents=True, exist_ok=True)
        for kind, frame in texts.items():
            write_table(frame, f"{place}.{kind}")
        data = cls(place, progress=progress, **settings)
        data._kept = kept
        return data

    @classmethod
    def from_parquet(
        cls,
        interactions: str | os.PathLike,
        items: str | os.PathLike | None = None,
        *,
        columns: dict[str, str] | None = None,
        folder: str | os.PathLike | None = None,
        name: str | None = None,
        progress: Progress = None,
        **settings: Setting,
    ) -> Dataset:
        """Of Parquet files, as `from_frame`. Needs pyarrow: pip install 'sllmr[parquet]'.

        columns: what the files call the columns: {"uid": "user_id", "label": "rating"}, and then keep="rating >= 1".
        """
        frames = [pd.read_parquet(path) for path in (interactions, items) if path is not None]
        for old in columns or {}:
            if not any(old in frame.columns for frame in frames):
                raise _core.Error(f"columns: {interactions} has no column {old!r}")
        frames = [frame.rename(columns=columns or {}) for frame in frames]
        name = name or Path(interactions).stem
        return cls.from_frame(*frames, folder=folder, name=name, progress=progress, **settings)

    def to_parquet(self, folder: str | os.PathLike) -> list[Path]:
        """Writes NAME.interactions.parquet (as `interactions`, with timestamp, which counts from 0 in each history, and
        where there are `negatives` these and label, 1 or 0) and NAME.items.parquet (as `item_table`), which `from_parquet`
        reads. Needs pyarrow: pip install 'sllmr[parquet]'. Raises FileExistsError where one of them is there."""
        counts = np.diff(self.offsets)
        positions = np.arange(len(self.history)) - np.repeat(self.offsets[:-1], counts)
        interactions = self.interactions.assign(timestamp=positions)
        if len(shown := self.negatives):
            beside = {"part": interactions.part[shown.row].array, "timestamp": positions[shown.row]}
            negatives = shown.drop(columns="row").assign(**beside, label=0)
            interactions = pd.concat([interactions.assign(label=1), negatives], ignore_index=True)
        frames = {
            "interactions": interactions,
            "items": self.item_table[["title", "attributes"]].reset_index(),
        }
        paths = {kind: Path(folder) / f"{self.name}.{kind}.parquet" for kind in frames}
        for path in paths.values():
            if path.exists():
                raise FileExistsError(f"{path} exists: remove it, or choose another folder")
        Path(folder).mkdir(parents=True, exist_ok=True)
        for kind, frame in frames.items():
            temporary = Path(f"{paths[kind]}.partial")
            try:
                frame.to_parquet(temporary, index=False)
                temporary.rename(paths[kind])
            finally:
                temporary.unlink(missing_ok=True)
        return list(paths.values())

    def words(self) -> list[str]:
        """The settings by which the program finds the same data."""
        return words_of({"data": self._settings})

    @property
    def name(self) -> str:
        """Of the files, as results and prompts have it."""
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

    @cached_property
    def negatives(self) -> pd.DataFrame:
        """A row for each item that a user was shown beside an interaction and did not take, where the data say so: user_id,
        item_id, and the row of `interactions`."""
        group, offsets = self._data.negative_group, self._data.negative_offsets
        counts = np.diff(offsets)[group] if len(group) else np.zeros(len(self.history), np.int64)
        row = np.repeat(np.arange(len(self.history)), counts)
        first = np.cumsum(counts) - counts  # of a row's, among all
        place = np.arange(len(row)) - first[row] + (offsets[group[row]] if len(group) else 0)
        return pd.DataFrame(
            {
                "user_id": self.interactions.user_id.to_numpy()[row],
                "item_id": tokens_of(self.items, self._data.negatives[place]),
                "row": row,
            }
        )

    def __reduce__(self):
        """Read again where it is unpickled, from the same files."""
        return _read_again, (self._settings,)

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"Dataset({self._settings['path']!r}: {stats['users']} users, {stats['items']} items, "
            f"{stats['interactions']} interactions)"
        )


def _read_again(settings: dict[str, Setting]) -> Dataset:
    return Dataset(**settings)


_LABELS = ("label", "is_click", "click")
_INTERACTION_TYPES = {"rating": "float", **dict.fromkeys(_LABELS, "float"), "timestamp": "float"}
_BREAKS = re.compile(r"[\t\n\r]")


def tokens_of(names: pd.Index, rows: np.ndarray, index: pd.Index | None = None) -> pd.Series:
    """The raw ids of rows. Of the type object: pandas' own type of texts refuses names that are no UTF-8."""
    return pd.Series(names.to_numpy()[rows], index=index, dtype=object)


def require_columns(frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Raises Error where the frame lacks one, or has one twice."""
    if not isinstance(frame, pd.DataFrame):
        raise _core.Error(f"expected a pandas.DataFrame, got {type(frame).__name__}")
    for name in names:
        if name not in frame.columns:
            raise _core.Error(f"the data frame lacks the column {name!r}: rename one to it")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise _core.Error(f"the data frame has two columns {twice[0]!r}: drop one")


def raw_ids(column: pd.Series) -> pd.Series:
    """The column as texts. Raises Error for what is no id."""
    if pd.api.types.is_float_dtype(column):
        raise _core.Error(f"the data frame's column {column.name!r} has floats: make them integers or texts")
    out = []
    for row, each in enumerate(column):
        if not isinstance(each, (str, int, np.integer)) or each == "":
            raise _core.Error(f"the data frame's column {column.name!r} has {each!r} in row {row}: ids are integers or texts")
        out.append(_plain(str(each), column.name, row))
    return pd.Series(out, index=column.index, dtype=object)


def write_table(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Tab-separated; names that are no UTF-8 as the bytes that they were."""
    frame.to_csv(path, sep="\t", index=False, quoting=3, na_rep="", errors="surrogateescape")


def _plain(text: str, name: str, row: int) -> str:
    if _BREAKS.search(text):
        raise _core.Error(f"the data frame's column {name!r} has a tab or a line's end in row {row}: remove it")
    return text


def _numbers(column: pd.Series) -> pd.Series:
    missing = column.isna()
    if missing.any():
        raise _core.Error(f"the data frame's column {column.name!r} has no value in row {missing.to_numpy().argmax()}")
    if pd.api.types.is_datetime64_any_dtype(column):
        return (column - pd.Timestamp(0, tz=column.dt.tz)) / pd.Timedelta(seconds=1)
    if not pd.api.types.is_numeric_dtype(column):
        raise _core.Error(f"the data frame's column {column.name!r} has no numbers: convert them, dates by pandas.to_datetime")
    return column


def _words(column: pd.Series) -> pd.Series:
    """Cells that are read as one value each, or as the values of a list."""
    cells = []
    for row, each in enumerate(column):
        several = isinstance(each, (list, tuple, set, frozenset, np.ndarray))
        values = list(each) if several else [] if pd.isna(each) else [each]
        cells.append(_core.join_list([_plain(str(value), column.name, row) for value in values]))
    return pd.Series(cells, index=column.index, dtype=object)


def _atomic(frame: pd.DataFrame, needed: dict[str, str], known: dict[str, str], others: str | None) -> pd.DataFrame:
    """Columns as RecBole's atomic files have them; `others` is the type of columns that are neither."""
    require_columns(frame, tuple(needed))
    columns = {}
    for name in frame.columns:
        kind = needed.get(name) or known.get(name) or others
        if kind is None:
            continue
        if not isinstance(name, str) or re.search(r"[:\t\n\r]", name):
            raise _core.Error(f"the data frame's column {name!r} needs another name: a text without ':'")
        if kind == "token":
            columns[f"{name}:{kind}"] = raw_ids(frame[name])
        elif kind == "float":
            columns[f"{name}:{kind}"] = _numbers(frame[name])
        elif name == "title":
            titles = frame[name].map(lambda each: "" if pd.isna(each) else str(each))
            columns[f"{name}:{kind}"] = [_plain(each, name, row) for row, each in enumerate(titles)]
        else:
            columns[f"{name}:{kind}"] = _words(frame[name])
    if "timestamp" in known and "timestamp" not in frame.columns:
        columns["timestamp:float"] = np.arange(len(frame))
    return pd.DataFrame(columns, index=frame.index)
