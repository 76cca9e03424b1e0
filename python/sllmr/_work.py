"""What long work tells while it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable

Progress = Callable[[dict], object] | bool | None


class Note(UserWarning):
    """What the program would print beside its results."""


def listener_of(progress: Progress) -> tuple[Callable[[str, object], None], bool]:
    """The listener that the module calls, and whether it takes the bars.

    progress: None draws bars on a terminal, as the program does; False draws none; a function is called with dicts:
    {"event": "progress", "what", "done", "total", "unit"} ten times a second, and what a run writes to metrics.jsonl,
    {"event": "epoch", "epoch", "loss", ...} and {"event": "validation", "epoch", "auc": {"all", ...}, ...}.
    """
    call = progress if callable(progress) else None

    def listen(kind: str, content) -> None:
        if kind == "note":
            warnings.warn(content.removeprefix("warning: ").removeprefix("note: "), Note, stacklevel=3)
        elif call is None:
            return
        elif kind == "event":
            call(json.loads(content))
        else:
            call({"event": "progress", **dict(zip(("what", "done", "total", "unit"), content))})

    return listen, progress is False or call is not None
