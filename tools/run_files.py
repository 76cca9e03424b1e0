"""Files of runs, as the program writes them: docs/run_folder.md."""

import json
from pathlib import Path
from typing import Any

from shared import ToolError


def refuse_constant(constant: str):
    """For json.loads: NaN and infinities, which Python takes, are no JSON."""
    raise ValueError(f"{constant} is no JSON")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """An object. Throws ToolError where it cannot be read, or is not what `what` writes."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except OSError as error:
        raise ToolError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ToolError(f"{path}: not what {what} writes ({error}); run that again") from error
    if not isinstance(told, dict):
        raise ToolError(f"{path}: not what {what} writes; run that again")
    return told


def read_events(path: Path) -> list[dict[str, Any]]:
    """Of a log of epochs, whose last line may be torn by a kill; none without the file."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    events = []
    for k, line in enumerate(lines):
        try:
            event = json.loads(line, parse_constant=refuse_constant)
            if type(event["epoch"]) is not int:
                raise TypeError
            events.append(event)
        except (ValueError, KeyError, TypeError) as error:
            if k + 1 < len(lines) or line.endswith("\n"):
                raise ToolError(
                    f"{path}:{k + 1}: not what `sllmr train` writes; train again, or remove it"
                ) from error
    return events


def run_folder(told: str, out: Path) -> Path:
    """A run's of the folder `out` of `compare` or `experiment run`: within it, which may have been moved, else where it
    was told to be, from here or from a folder that holds `out`, as the command's did."""
    moved = out / Path(told).name
    if moved.is_dir():
        return moved
    candidates = [Path(told), *(parent / told for parent in out.resolve().parents)]
    return next((each for each in candidates if each.is_dir()), Path(told))
