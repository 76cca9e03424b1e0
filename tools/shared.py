"""What the tools share that run the program `sllmr`."""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

STOP_SECONDS = 0.8  # from SIGINT to SIGKILL; a stopped run goes on from its last checkpoint either way
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ToolError(Exception):
    """What the user must mend, in one line."""


class Parser(argparse.ArgumentParser):
    """Of a command line; its faults are ToolErrors."""

    def error(self, message: str) -> NoReturn:
        raise ToolError(message)


def end_with_parent(number: int = signal.SIGINT) -> None:
    """In a child: hear Ctrl-C, or another signal, if the parent is killed, so that nothing goes on unseen."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def error_of(text: str) -> str:
    """The program's error among what it said, without its name."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("sllmr: error: ")]
    return (
        errors[-1].removeprefix("sllmr: error: ") if errors else (lines[-1] if lines else "it said nothing")
    )


class Child:
    """A running command of the program, in a session of its own: Ctrl-C reaches it through stop() alone."""

    def __init__(self, command: list[str], shows_progress: bool = False):
        self._said = b""
        self._stderr = None if shows_progress else tempfile.TemporaryFile()  # closed by status()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            if self._stderr is not None:
                self._stderr.close()
            raise ToolError(f"{command[0]} cannot be run: {error.strerror}") from error

    def status(self) -> int | None:
        """None while it runs, then the exit status."""
        status = self._process.poll()
        if status is not None and self._stderr is not None:
            self._stderr.seek(0)
            self._said = self._stderr.read()
            self._stderr.close()
            self._stderr = None
        return status

    def said(self) -> str:
        """What it wrote to stderr, once it has ended."""
        return self._said.decode(errors="replace")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ends it: by SIGINT, which lets it save, and after `seconds` by SIGKILL."""
        if self.status() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:  # also where Ctrl-C ends the wait
                self._process.kill()
                self._process.wait()
                self.status()


class Progress:
    """One line on a terminal, which the next replaces; elsewhere nothing."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self.is_shown:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\033[K{text[:width]}")
            sys.stderr.flush()

    def clear(self) -> None:
        self.show("")


def run_tool(name: str, work: Callable[[], None], stopped: Callable[[], str]) -> int:
    """The exit status of a command: 0, or after one line that says so 1 for a fault of the user's or of the files, 130
    for Ctrl-C; `stopped` is what is then left."""
    # A shell that starts us in the background has Ctrl-C ignored, and a scheduler sends SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        work()
        return 0
    except ToolError as error:
        said, status = f"error: {error}", 1
    except OSError as error:  # a full disk, a folder that has gone
        said, status = f"error: {error.filename or ''}: {error.strerror or error}", 1
    except KeyboardInterrupt:
        said, status = stopped(), 130
    Progress().clear()
    print(f"{name}: {said}", file=sys.stderr)
    return status


def require_replaceable(option: str, path: Path, is_own: Callable[[str], bool]) -> None:
    """Throws ToolError where a file would replace what somebody else has made, of whose beginning `is_own` says whether
    it is ours."""
    if not path.absolute().parent.is_dir():
        raise ToolError(f"{option} {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ToolError(f"{option} {path}: this is a folder: name a file")
    if path.exists() and not path.is_file():  # a pipe is waited for
        raise ToolError(f"{option} {path}: this is no file: choose another name")
    try:
        is_ours = not path.exists() or is_own(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ToolError(f"{option} {path}: cannot be read ({error.strerror})") from error
    if not is_ours:
        raise ToolError(f"{option} {path}: something else made this file: remove it, or choose another name")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:  # of a full disk, or Ctrl-C
        temporary.unlink(missing_ok=True)
