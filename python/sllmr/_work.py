"""What long work tells while it runs, and where it keeps what nobody asked for a place for."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

from sllmr import _core

Progress = Callable[[dict], object] | bool | None

atexit.register(_core.stop_work)


class Note(UserWarning):
    """What the program would print beside its results."""


def tell(text: str) -> None:
    """A Note to who has called the package."""
    own = os.path.dirname(__file__)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(own):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, Note, stacklevel=level)


def listener_of(progress: Progress) -> tuple[Callable[[str, object], None], bool]:
    """The listener that the module calls, and whether it takes the bars; `train` says what progress may be."""
    if not (progress is None or progress is False or callable(progress)):
        raise _core.Error(f"progress={progress!r}: it is None, False or a function")
    call = progress if callable(progress) else None

    def listen(kind: str, content: object) -> None:
        if kind == "note":
            tell(content.removeprefix("warning: ").removeprefix("note: "))
        elif call is None:
            return
        elif kind == "event":
            call(json.loads(content))
        else:
            call({"event": "progress", **dict(zip(("what", "done", "total", "unit"), content))})

    return listen, progress is False or call is not None


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:  # a forked child's end is not its parent's
        shutil.rmtree(path, ignore_errors=True)


class TemporaryFolder:
    """A folder that goes with its object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="sllmr-"))
        self._end = weakref.finalize(self, _remove, str(self.path), os.getpid())

    def keep(self) -> None:
        """It stays."""
        self._end.detach()
