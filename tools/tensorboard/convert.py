#!/usr/bin/env python3
"""Writes what runs have told as event files of TensorBoard: docs/report.md.

usage: convert.py FOLDER... [--out FOLDER]
"""

import argparse
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

sys.path.append(str(Path(__file__).parents[1]))
from tensorboardX import SummaryWriter

from run_files import GUIDANCE, METRICS, clean, read_events, read_results, read_summary, run_folder
from shared import Parser, Progress, ToolError, run_tool

_NAME = "./run tensorboard"
_MARK = ".sllmr"  # in a folder that this has made
_LONGEST = 200  # bytes of a folder's name
_LARGEST = 3.4e38  # that an event file holds


def _numbers(told: Any, tag: str) -> Iterator[tuple[str, float]]:
    """(tag, number) of everything within; lists by their index."""
    if isinstance(told, bool) or told is None:
        return
    if isinstance(told, int | float):
        if abs(told) < _LARGEST:
            yield tag, float(told)
    elif isinstance(told, dict):
        for key, value in told.items():
            yield from _numbers(value, f"{tag}/{key}")
    elif isinstance(told, list):
        for k, value in enumerate(told):
            yield from _numbers(value, f"{tag}/{k}")


def _folder_name(name: str, taken: set[str]) -> str:
    """Of an event folder: one that no other run has, of characters that a shell takes as they are."""
    plain = re.sub(r"[\s/\\]|\ufffd", "_", clean(name)).strip(".") or "run"
    while len(plain.encode()) > _LONGEST:
        plain = plain[:-1]
    k, found = 1, plain
    while found in taken:
        k += 1
        found = f"{plain}+{k}"
    taken.add(found)
    return found


def runs_of(folder: Path) -> dict[str, Path]:
    """Run folders by name: of a table those that its results.json names and that are here, else the folder itself."""
    if (folder / "results.json").exists():
        taken: set[str] = set()
        found = {}
        for run in read_results(folder)["runs"]:
            name = _folder_name(f"{run['row']}_{run['column']}_{run['seed']}", taken)
            path = run_folder(run["folder"], folder)
            if os.path.isfile(path / "summary.json"):
                found[name] = path
        if not found:
            raise ToolError(
                f"{folder}: none of the run folders of its results.json is there: run it from where they were made"
            )
        return found
    if (folder / "summary.json").is_file() or (folder / "metrics.jsonl").is_file():
        return {_folder_name(folder.resolve().name, set()): folder}
    raise ToolError(
        f"{folder}: no results.json, summary.json or metrics.jsonl in it: name the folder of compare or train"
    )


def write(run: Path, out: Path) -> None:
    """The events of a run. Their clock is the run's: epochs end where their seconds add up to."""
    summary = read_summary(run / "summary.json") if (run / "summary.json").is_file() else {}
    try:
        ended = datetime.fromisoformat(summary["date"]).timestamp()
        clock = ended - float(summary["seconds"]["total"])
    except (KeyError, TypeError, ValueError, OverflowError):
        clock = (run / "metrics.jsonl").stat().st_mtime if (run / "metrics.jsonl").is_file() else 0.0
    times: dict[int, float] = {}
    last = 0
    with SummaryWriter(str(out), write_to_disk=True) as writer:
        if summary.get("config"):
            writer.add_text(
                "config", "".join(f"    {line}\n" for line in summary["config"].splitlines()), 0, clock
            )
        for event in read_events(run / "metrics.jsonl", METRICS):
            epoch, kind = event.pop("epoch"), event.pop("event", "")
            last = max(last, epoch)
            if kind == "epoch":
                clock += event.get("seconds") or 0.0
                times[epoch] = clock
                if event.get("seconds") and event.get("rows"):
                    event["rows_per_s"] = event["rows"] / event["seconds"]
            rows = event.pop("on", "validation")
            for tag, value in _numbers(event, "train" if kind == "epoch" else rows):
                writer.add_scalar(tag, value, epoch, times.get(epoch, clock))
        for event in read_events(run / "guidance.jsonl", GUIDANCE):
            epoch = event.pop("epoch")
            collapsed = event.pop("collapsed", None)
            if event.get("buckets"):
                event["collapsed"] = 0 if collapsed is None else 1
            for tag, value in _numbers(event, "guidance"):
                writer.add_scalar(tag, value, epoch, times.get(epoch, clock))
        for key in ("test", "memory", "seconds"):
            for tag, value in _numbers(summary.get(key), key):
                writer.add_scalar(tag, value, last, clock)


def _convert(folders: list[Path], out: Path, progress: Progress) -> int:
    """Fills the folder, whole or not at all; returns the number of runs."""
    runs: dict[str, Path] = {}
    for folder in folders:
        prefix = _folder_name(folder.resolve().name, set())
        for name, path in runs_of(folder).items():
            name = name if len(folders) == 1 or path == folder else f"{prefix}/{name}"
            if name in runs:
                raise ToolError(f"two runs would be called '{name}': convert them one by one, with --out")
            runs[name] = path
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        (temporary / _MARK).touch()
        for name, path in runs.items():
            progress.show(f"{name}")
            try:
                write(path, temporary / name)
            except (ToolError, OSError):
                raise
            except Exception as error:  # what no reader foresaw
                said = " ".join(str(error).split())[:200]
                raise ToolError(
                    f"{path}: cannot be converted ({type(error).__name__}: {said}); train again"
                ) from error
        if out.exists():
            shutil.rmtree(out)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(runs)


def parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog=_NAME, description="Writes event files of TensorBoard; docs/report.md", allow_abbrev=False
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="of train, compare or experiment run"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="a folder for them (default: tensorboard in the first folder)",
    )
    arguments = parser.parse_intermixed_args(words)
    if not arguments.folders:
        raise ToolError("name the folder of train, compare or experiment run: ./run tensorboard runs/first")
    if len({folder.resolve() for folder in arguments.folders}) < len(arguments.folders):
        raise ToolError("a folder is named twice")
    for folder in arguments.folders:
        if not folder.is_dir():
            raise ToolError(f"{folder}: there is no such folder")
    arguments.out = arguments.out or arguments.folders[0] / "tensorboard"
    if not arguments.out.absolute().parent.is_dir():
        raise ToolError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    if arguments.out.is_symlink():
        raise ToolError(f"--out {arguments.out}: this is a link: name the folder itself")
    if arguments.out.exists() and not (arguments.out / _MARK).is_file():
        raise ToolError(f"--out {arguments.out}: something else made it: remove it, or choose another name")
    return arguments


def main(words: list[str]) -> int:
    progress = Progress()

    def work() -> None:
        arguments = parse(words)
        count = _convert(arguments.folders, arguments.out, progress)
        progress.clear()
        print(f"{arguments.out}: {count} run{'s' * (count != 1)}; tensorboard --logdir {arguments.out}")

    return run_tool("tensorboard", work, lambda: "stopped; nothing was written")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="surrogateescape")  # folders may have any name
    sys.exit(main(sys.argv[1:]))
