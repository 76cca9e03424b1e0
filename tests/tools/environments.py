"""The virtual environments that `./run` makes, for tests of tools that need their packages."""

import importlib.util
import os
import sys
from pathlib import Path

_SKIPPED = 77  # what ctest takes for it
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sllmr"
_LOOKED = "SLLMR_TOOL_TEST"


def python_of(name: str) -> str | None:
    """The Python of the newest environment of this name, or None."""
    complete = sorted(_CACHE.glob(f"{name}-[0-9]*/complete"))
    return str(complete[-1].with_name("bin") / "python") if complete else None


def skip(what: str) -> None:
    """Ends the test as skipped."""
    print(f"skipped: no {what}; ./run test installs what it can get")
    sys.exit(_SKIPPED)


def run_by(name: str, *modules: str) -> None:
    """Where this Python lacks one of the modules, runs the script again by that of the environment; skipped where there
    is none."""
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if not missing:
        return
    python = python_of(name)
    if python is None or _LOOKED in os.environ:
        skip(" and ".join(missing))
    os.environ[_LOOKED] = name
    os.execv(python, [python, "-B", *sys.argv])
