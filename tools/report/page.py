#!/usr/bin/env python3
"""Makes one HTML page of what runs have left: docs/report.md.

usage: page.py SLLMR FOLDER... [--out FILE] [--baseline ROW] [--metric NAME] [--predictions FOLDER]
"""

import argparse
import contextlib
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
from shared import Parser, Progress, ToolError, require_replaceable, run_tool, write_text
from sources import read_source, unexpected

_NAME = "./run report"


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
    require_replaceable("--out", arguments.out, lambda text: frame.MADE_BY in text[:2000])
    titles = [source.title for source in sources]
    for source in sources:
        if titles.count(source.title) > 1:
            source.title += f" ({source.folder})"
        if source.kind == "results":
            with _expected(source, "the statistics"):
                source.analyse(arguments, progress)
            if source.warning:
                progress.clear()
                print(f"report: warning: {source.warning}", file=sys.stderr)
    sections = []
    for source in sources:
        figures, missing = [], []
        for module in FIGURES[source.kind]:
            progress.show(f"{source.title}: {module.TITLE}")
            try:
                with _expected(source, f"the figure '{module.TITLE}'"):
                    figures.append(module.make(source))
            except Missing as why:
                missing.append((module.TITLE, str(why)))
        sections.append(frame.Section(source, figures, missing))
    progress.show("drawing")
    page = frame.page(sections, _NAME + " " + " ".join(map(shlex.quote, words)), lambda: _stop(progress))
    progress.clear()
    return page


@contextlib.contextmanager
def _expected(source, what: str):
    """What no reader and no figure foresaw is an error of one line too."""
    try:
        yield
    except (ToolError, OSError, Missing):
        raise
    except Exception as error:
        raise unexpected(source.path, what, error) from error


def main(words: list[str]) -> int:
    progress = Progress()
    program, *words = words

    def work() -> None:
        arguments = parse(words, program)
        write_text(arguments.out, make(arguments, words, progress))
        print(arguments.out)

    return run_tool("report", work, lambda: _stop(progress))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="surrogateescape")  # folders may have any name
    sys.exit(main(sys.argv[1:]))
