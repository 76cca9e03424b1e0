#!/usr/bin/env python3
"""Makes one HTML page of what runs have left: docs/report.md.

usage: page.py SLLMR FOLDER... [--out FILE] [--baseline ROW] [--metric NAME] [--predictions FOLDER]
"""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":  # what follows takes a second to import, and has nothing to leave
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
sys.path.append(str(Path(__file__).parents[1] / "statistics"))
import frame
from model import Missing
from registry import FIGURES
from shared import Parser, Progress, ToolError, write_text
from sources import read_source

_NAME = "./run report"


def _require_own(path: Path) -> None:
    """Throws ToolError where --out would replace what somebody else has made."""
    if not path.parent.is_dir():
        raise ToolError(f"--out {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ToolError(f"--out {path}: this is a folder: name a file")
    if path.exists() and frame.MADE_BY not in path.read_bytes()[:2000].decode(errors="replace"):
        raise ToolError(f"--out {path}: something else made this file: remove it, or choose another name")


def parse(words: list[str], program: str) -> argparse.Namespace:
    parser = Parser(prog=_NAME, description="Makes a page of runs; docs/report.md", allow_abbrev=False)
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="of compare, experiment run, train, ./run tune or llm report",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: report.html in the first folder)"
    )
    parser.add_argument(
        "--baseline", metavar="ROW", help="whom rows are compared with, by name or last words (default: none)"
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="auc, gauc, recall@K, ndcg@K, ... (default: the table's)"
    )
    parser.add_argument(
        "--predictions", type=Path, metavar="FOLDER", help="keep predictions there (default: beside each run)"
    )
    parser.add_argument(
        "--seeds-alone", action="store_true", help="read no predictions: intervals over seeds, not over users"
    )
    arguments = parser.parse_intermixed_args(words)
    arguments.program = program
    if not arguments.folders:
        raise ToolError("name the folder of compare, experiment run or train: ./run report runs/beauty")
    if len({Path(folder).resolve() for folder in arguments.folders}) < len(arguments.folders):
        raise ToolError("a folder is named twice")
    if arguments.out is None:
        arguments.out = Path(arguments.folders[0]) / "report.html"
    return arguments


def _stop(progress: Progress) -> NoReturn:
    progress.clear()
    print("report: stopped; nothing was written but predictions so far", file=sys.stderr, flush=True)
    os._exit(130)


def make(arguments: argparse.Namespace, words: list[str], progress: Progress) -> str:
    """The page."""
    sources = [read_source(Path(folder)) for folder in arguments.folders]
    _require_own(arguments.out)
    for source in sources:
        if source.kind == "results":
            source.analyse(arguments, progress)
            if source.without_users and not arguments.seeds_alone:
                print(f"report: warning: no intervals over users: {source.without_users}", file=sys.stderr)
    sections = []
    for source in sources:
        figures, missing = [], []
        for module in FIGURES[source.kind]:
            progress.show(f"{source.title}: {module.TITLE}")
            try:
                figures.append(module.make(source))
            except Missing as why:
                missing.append((module.TITLE, str(why)))
        sections.append(frame.Section(source, figures, missing))
    progress.show("drawing")
    page = frame.page(sections, _NAME + " " + " ".join(map(shlex.quote, words)), lambda: _stop(progress))
    progress.clear()
    return page


def main(words: list[str]) -> int:
    # A shell that starts us in the background has Ctrl-C ignored, and a scheduler sends SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    progress = Progress()
    try:
        program, *words = words
        arguments = parse(words, program)
        write_text(arguments.out, make(arguments, words, progress))
        print(arguments.out)
        return 0
    except ToolError as error:
        progress.clear()
        print(f"report: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that has gone
        progress.clear()
        print(f"report: error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _stop(progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
