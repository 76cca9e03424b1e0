"""Interactions and the split of the protocol `full`: each user's last item for test, the one before for validation, all
else for training; who has fewer than three only trains. host/data/tables.cpp and host/data/split.cpp do the same.
"""

import gzip
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[3] / "tools"))
from shared import ToolError

_TIMES = ("timestamp", "position")
_LABELS = ("label", "is_click", "click")  # columns by which sllmr leaves rows out


@dataclass
class Split:
    """Users and items are numbered from 0 in the order of the file."""

    user: np.ndarray  # [N] of each training interaction, ascending
    item: np.ndarray  # [N], oldest first within a user
    validation: np.ndarray  # [users], -1: none
    test: np.ndarray  # [users], -1: none
    user_tokens: np.ndarray  # [users]
    item_tokens: np.ndarray  # [items]

    @property
    def users(self) -> int:
        return len(self.user_tokens)

    @property
    def items(self) -> int:
        return len(self.item_tokens)

    def save(self, path: Path) -> None:
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Split":
        with np.load(path) as arrays:
            return cls(**arrays)


def file_of(data: str) -> Path:
    """The interactions that a file or a prefix names, as data.path of sllmr does. Throws ToolError where there are none."""
    for ending in ("", ".inter", ".inter.gz"):
        path = Path(data + ending)
        if path.name.endswith((".inter", ".inter.gz")) and path.is_file():
            return path
    raise ToolError(f"--data {data}: there is no {data}.inter: name RecBole's file, or its prefix")


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ToolError(f"{path}: cannot be read ({error})") from error


def _columns(path: Path, header: str) -> tuple[int, int, int, int]:
    """Places of user, item and time, and the number of columns."""
    names = [cell.split(":")[0] for cell in header.split("\t")]
    for name in ("user_id", "item_id"):
        if name not in names:
            raise ToolError(f"{path}:1: there is no column {name}:token")
    if found := [name for name in _LABELS if name in names]:
        raise ToolError(f"{path}:1: the column {found[0]} says which rows count: leave such rows and it out")
    times = [name for name in _TIMES if name in names]
    if not times:
        raise ToolError(f"{path}:1: there is no column timestamp:float or position:float")
    return names.index("user_id"), names.index("item_id"), names.index(times[0]), len(names)


def read(path: Path) -> Split:
    """Of RecBole's NAME.inter. Equal times are in the order of the file, and of rows of one user, item and time the first
    counts. Throws ToolError, with the line."""
    lines = _lines(path)
    user_at, item_at, time_at, width = _columns(path, next(lines, ""))
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    user, item, time = [], [], []
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        cells = line.split("\t")
        if len(cells) != width or not cells[user_at] or not cells[item_at]:
            raise ToolError(f"{path}:{number}: not {width} cells with a user and an item")
        user.append(users.setdefault(cells[user_at], len(users)))
        item.append(items.setdefault(cells[item_at], len(items)))
        try:
            time.append(float(cells[time_at]))
        except ValueError:
            time.append(math.nan)
        if not math.isfinite(time[-1]):
            raise ToolError(f"{path}:{number}: '{cells[time_at]}' is no time")
    if not user:
        raise ToolError(f"{path}: there are no interactions")
    return split_of(
        *map(np.asarray, (user, item, time)),
        np.array(list(users)),
        np.array(list(items)),
    )


def split_of(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, user_tokens: np.ndarray, item_tokens: np.ndarray
) -> Split:
    """user, item, time [N], in any order."""
    twins = np.lexsort((time, item, user))  # stable: the first of each is kept
    same = np.ones(len(twins) - 1, dtype=bool)
    for values in (user, item, time):
        same &= values[twins[1:]] == values[twins[:-1]]
    kept = np.ones(len(twins), dtype=bool)
    kept[twins[1:][same]] = False
    user, item, time = user[kept], item[kept], time[kept]
    order = np.lexsort((time, user))
    user, item = user[order].astype(np.int32), item[order].astype(np.int32)

    count = np.bincount(user, minlength=len(user_tokens))
    ends = np.cumsum(count)
    held = np.flatnonzero(count >= 3)
    validation, test = (np.full(len(user_tokens), -1, dtype=np.int32) for _ in range(2))
    validation[held], test[held] = item[ends[held] - 2], item[ends[held] - 1]
    trains = np.ones(len(user), dtype=bool)
    trains[ends[held] - 2] = trains[ends[held] - 1] = False
    return Split(user[trains], item[trains], validation, test, user_tokens, item_tokens)


def write_synthetic(path: Path, interactions: int, seed: int = 1) -> None:
    """About so many interactions of users with 5 to 35 of them, items by Zipf's law, none twice: for timing alone, as
    there is nothing to learn but popularity."""
    generator = np.random.default_rng(seed)
    users, items = max(interactions // 20, 1), max(interactions // 100, 50)
    user = np.repeat(np.arange(users), generator.integers(5, 36, users))
    weights = np.cumsum(1 / np.arange(1, items + 1))
    item = np.searchsorted(weights, generator.random(len(user)) * weights[-1])
    pairs = np.unique(user * items + item)
    user, item = pairs // items, pairs % items
    time = generator.permutation(len(pairs))
    with path.open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for begin in range(0, len(pairs), 1 << 20):
            rows = slice(begin, begin + (1 << 20))
            file.writelines(
                f"{u}\t{i}\t{t}\n" for u, i, t in zip(*(a[rows].tolist() for a in (user, item, time)))
            )
