"""Files of runs, as the program writes them: docs/run_folder.md, docs/results.md. Nothing of another kind passes."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import ToolError

_MOST = 1e100  # of a number: its square is a number too
_MOST_INTEGER = 2**64
_MOST_EPOCHS = 2**31
_COMPARE = "compare or experiment run"
# What no page and no drawing may hold: halves of UTF-16 pairs, control characters but tab and newline, marks that turn the
# direction of a text, and what is no character.
_ODD = re.compile("[\ud800-\udfff\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

# What a value may be, for fault_of(): one of these, a Several of a shape, or a dict of shapes by key, whose key ... is
# of all other keys. None passes but where a key ends in "!": that one must be there.
Shape = Any
TEXT, NUMBER, INTEGER, FLAG, SEED, EPOCH, ANY = (
    "a text",
    "a number",
    "an integer",
    "true or false",
    "a seed",
    "an epoch",
    "anything",
)


class Several:
    """Of a shape each: a list."""

    def __init__(self, shape: Shape):
        self.shape = shape


def _is_integer(value: Any) -> bool:
    return type(value) is int


class Either:
    """Of one of the shapes."""

    def __init__(self, *shapes: Shape):
        self.shapes = shapes


_IS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    NUMBER: lambda value: type(value) in (int, float),
    INTEGER: _is_integer,
    FLAG: lambda value: isinstance(value, bool),
    SEED: lambda value: _is_integer(value) and value >= 0,
    EPOCH: lambda value: _is_integer(value) and 0 <= value < _MOST_EPOCHS,
    ANY: lambda value: True,
}

_FIGURES = {...: NUMBER}  # by slice
_MEASURED = Either(NUMBER, TEXT, _FIGURES)  # of a protocol
_HASHES = {f"{name}_hash": TEXT for name in ("data", "feature", "text", "scores", "vectors", "gate")}
_MADE_BY = _HASHES | {
    "config": TEXT,
    "commit": TEXT,
    "machine": {"cpu": TEXT, "gpu": TEXT, "cores": INTEGER},
    "device": TEXT,
    "threads": INTEGER,
}
_OF = {"row!": TEXT, "column!": TEXT}
_RESULTS = {
    "schema!": INTEGER,
    "title": TEXT,
    "metric": TEXT,
    "complete!": FLAG,
    "rows!": Several(TEXT),
    "columns!": Several(TEXT),
    "runs!": Several(_OF | {"seed!": SEED, "folder!": TEXT, "seconds": NUMBER} | _MADE_BY),
    "cells!": Several(_OF | {"seed!": SEED, "metric!": TEXT, "slice!": TEXT, "value": NUMBER}),
    "published": Several(_OF | {"metric!": TEXT, "value": NUMBER}),
}
_GUIDANCE = {
    "buckets": {...: _FIGURES},
    "collapsed": TEXT,
    "calibration_error": NUMBER,
    "reliability": Several({"count": NUMBER, "mean_alpha": NUMBER, "right": NUMBER}),
}
_SUMMARY = _MADE_BY | {
    "method": TEXT,
    "model": TEXT,
    "seed": SEED,
    "date": TEXT,
    "epochs": INTEGER,
    "parameters": INTEGER,
    "rows_per_s": NUMBER,
    "memory": {...: INTEGER},
    "seconds": {...: NUMBER},
    "guidance": _GUIDANCE,
    "guidance_cost": {...: NUMBER},
    "validation": {"monitor": TEXT, "best": NUMBER, "best_epoch": INTEGER, "on": TEXT, "lr_decays": INTEGER},
    "test": {"protocol": TEXT, ...: _MEASURED},
}
_EVENT = {"epoch!": EPOCH, "event": TEXT}
METRICS = {
    "epoch": _EVENT | {"loss": NUMBER, "rows": NUMBER, "seconds": NUMBER},
    "validation": _EVENT | {"protocol": TEXT, "on": TEXT, "seconds": NUMBER, ...: _MEASURED},
}
GUIDANCE = {"": _GUIDANCE | {"epoch!": EPOCH}}


def clean(text: str) -> str:
    """With a sign for each character that cannot be shown."""
    return _ODD.sub("\ufffd", text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(each) for key, each in value.items()}
    return value


def _refuse(constant: str):
    """NaN and infinities, which Python takes, are no JSON."""
    raise ValueError(f"{constant} is no JSON")


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= _MOST_INTEGER:
        raise ValueError(f"{text[:12]}... is too large")
    return int(text)


def _number(text: str) -> float:
    if not abs(float(text)) <= _MOST:
        raise ValueError(f"{text[:40]} is too large")
    return float(text)


def parsed(text: str) -> Any:
    """JSON, whose numbers are of a size to count with and whose texts can be shown. Throws ValueError."""
    try:
        told = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_number)
        return _cleaned(told) if "\\" in text or _ODD.search(text) else told
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def fault_of(value: Any, shape: Shape, name: str = "") -> str | None:
    """What is of another shape, in a few words."""
    if value is None:
        return None
    if isinstance(shape, str):
        return None if _IS[shape](value) else f"{name} is not {shape}"
    if isinstance(shape, Either):
        faults = [fault_of(value, each, name) for each in shape.shapes]
        return None if None in faults else faults[-1]
    if isinstance(shape, Several):
        if not isinstance(value, list):
            return f"{name} is not a list"
        if isinstance(shape.shape, str):  # the same, sooner
            at = next((k for k, each in enumerate(value) if not _IS[shape.shape](each)), None)
            return None if at is None else f"{name}[{at}] is not {shape.shape}"
        faults = (
            f"{name}[{k}] is null" if each is None else fault_of(each, shape.shape, f"{name}[{k}]")
            for k, each in enumerate(value)
        )
        return next(filter(None, faults), None)
    if not isinstance(value, dict):
        return f"{name or 'it'} is not an object"
    prefix = f"{name}." if name else ""
    for key, of in shape.items():
        if key is ...:
            continue
        key, must = key.removesuffix("!"), key.endswith("!")
        if must and value.get(key) is None:
            return f"{prefix}{key} is missing"
        if (fault := fault_of(value.get(key), of, f"{prefix}{key}")) is not None:
            return fault
    if ... in shape:
        named = {key.removesuffix("!") for key in shape if key is not ...}
        for key, each in value.items():
            if key not in named and (fault := fault_of(each, shape[...], f"{prefix}{key}")) is not None:
                return fault
    return None


def read_text(path: Path, errors: str = "strict") -> str:
    """Throws ToolError; a pipe, which would be waited for, is none."""
    if os.path.exists(path) and not path.is_file():
        raise ToolError(f"{path}: is no file; remove it")
    try:
        return path.read_text(encoding="utf-8", errors=errors)
    except OSError as error:
        raise ToolError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ToolError(f"{path}: is no text in UTF-8; make it anew") from error


def read_json(path: Path, what: str, shape: Shape = ANY, again: str = "run that again") -> dict[str, Any]:
    """An object. Throws ToolError where it cannot be read, or is not what `what` writes."""
    try:
        told = parsed(read_text(path))
        fault = "it is not an object" if not isinstance(told, dict) else fault_of(told, shape)
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise ToolError(f"{path}: not what {what} writes ({fault}); {again}")
    return told


def read_summary(path: Path) -> dict[str, Any]:
    return read_json(path, "`sllmr train`", _SUMMARY, "train again")


def read_results(out: Path) -> dict[str, Any]:
    """results.json. Throws ToolError where it cannot be read, or is of no known schema."""
    path = out / "results.json"
    if not path.exists():
        raise ToolError(f"{path}: cannot be read (it is not there): name the --out folder of {_COMPARE}")
    told = read_json(path, _COMPARE)
    if _is_integer(told.get("schema")) and told["schema"] != 1:
        raise ToolError(f"{path}: schema {told['schema']} is not known here: another version made it")
    fault = fault_of(told, _RESULTS) or _twice(told)
    if fault is not None:
        raise ToolError(f"{path}: not what {_COMPARE} writes ({fault}); run that again")
    return told


def _twice(told: dict[str, Any]) -> str | None:
    of = ("row", "column", "seed")
    keys = {
        "rows": told["rows"],
        "columns": told["columns"],
        "runs": [tuple(run[key] for key in of) for run in told["runs"]],
        "cells": [tuple(cell[key] for key in (*of, "metric", "slice")) for cell in told["cells"]],
    }
    for name, found in keys.items():
        if len(set(found)) < len(found):
            seen: set = set()
            twice = next(each for each in found if each in seen or seen.add(each))
            return f"{name}: {twice} stands there twice"
    return None


def read_events(path: Path, shapes: dict[str, Shape]) -> list[dict[str, Any]]:
    """Of a log of epochs, of these shapes by "event", whose last line may be torn by a kill; none without the file."""
    if not os.path.exists(path):
        return []
    lines = read_text(path, errors="replace").split("\n")  # a kill may tear a character too
    events = []
    for k, line in enumerate(lines):
        try:
            event = parsed(line)
            kind = event.get("event", "") if isinstance(event, dict) else ""
            shape = shapes.get(kind if isinstance(kind, str) else "", _EVENT)
            fault = "it is null" if event is None else fault_of(event, shape)
        except ValueError as error:
            fault = str(error)
        if fault is None:
            events.append(event)
        elif k + 1 < len(lines):  # after the last newline is nothing, or what is torn
            raise ToolError(
                f"{path}:{k + 1}: not what `sllmr train` writes ({fault}); train again, or remove it"
            )
    return events


def run_folder(told: str, out: Path) -> Path:
    """A run's of the folder `out` of `compare` or `experiment run`: within it, which may have been moved, else where it
    was told to be, from here or from a folder that holds `out`, as the command's did."""
    candidates = [out / Path(told).name, Path(told), *(parent / told for parent in out.resolve().parents)]
    return next((each for each in candidates if os.path.isdir(each)), Path(told))
