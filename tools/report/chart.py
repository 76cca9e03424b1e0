"""Vega-Lite specifications to SVG whose colours are the page's (CSS variables), so that it follows the theme."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from run_files import clean
from shared import ToolError, end_with_parent, write_text

VEGA_LITE = "6.4"
COLOURS = [f"var(--s{k})" for k in range(1, 9)]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "stroke"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 2, 1, 2], [1, 3], [10, 2]]
INK, MUTED, GRID, PAPER = "var(--ink)", "var(--muted)", "var(--grid)", "var(--paper)"
ROW_STEP = 22
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
CONFIG = {
    "font": FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "titlePadding": 10,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 260,
    },
    "axisY": {"labelColor": INK},
    "header": {
        "labelColor": INK,
        "labelFontSize": 13,
        "labelFontWeight": "bold",
        "title": None,
        "labelLimit": 300,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": MUTED,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "direction": "horizontal",
        "columns": 4,
        "labelLimit": 300,
        "symbolStrokeWidth": 2,
        "offset": 8,
    },
    "text": {"color": INK, "font": FONT, "fontSize": 12},
    "rule": {"color": INK},
    "point": {"color": INK, "size": 70, "filled": True, "opacity": 1},
    "line": {"strokeWidth": 2},
    "facet": {"spacing": 28},
    "concat": {"spacing": 28},
}


MOST = len(COLOURS)  # of categories in one drawing: beyond them two would look alike


def plain_number(least: float = 1000) -> str:
    """Expression of an axis' labels: 0.2, 15, 20k."""
    return f"abs(datum.value) < {least} ? format(datum.value, '~g') : format(datum.value, '~s')"


def category(field: str, values: list[str], title: str | None = None) -> dict[str, Any]:
    """Encodings that tell a category by colour, and by shape or dash."""
    n = range(len(values))
    colours, shapes, dashes = ([of[k % len(of)] for k in n] for of in (COLOURS, SHAPES, DASHES))
    of = {"field": field, "type": "nominal", "title": title, "sort": values}
    return {
        "color": of | {"scale": {"domain": values, "range": colours}},
        "shape": of | {"scale": {"domain": values, "range": shapes}},
        "strokeDash": of | {"scale": {"domain": values, "range": dashes}},
    }


def signed(values: list[float]) -> str:
    """Format of an axis of differences: as many digits as tell its ticks apart."""
    span = max(values, default=0.0) - min(values, default=0.0)
    return "+.4f" if span < 0.004 else "+.3f" if span < 0.4 else "+.2f"


def counted(field: str, title: str) -> dict[str, Any]:
    """Encoding of an axis of whole numbers, as epochs are."""
    axis, scale = {"format": "d", "tickMinStep": 1}, {"zero": False, "nice": False, "padding": 12}
    return {"field": field, "type": "quantitative", "title": title, "axis": axis, "scale": scale}


def zero(axis: str) -> dict[str, Any]:
    """A layer: the line of no difference."""
    mark = {"type": "rule", "color": MUTED, "strokeDash": [3, 3]}
    return {"data": {"values": [{}]}, "mark": mark, "encoding": {axis: {"datum": 0, "type": "quantitative"}}}


def tip(field: str = "tip") -> dict[str, Any]:
    """What a mark says under the pointer: in the SVG, and where Vega draws."""
    return {"description": {"field": field}, "tooltip": {"field": field}}


_NOISE = re.compile(
    r' (?:xmlns(?::xlink)?="[^"]*"|version="1\.1"|class="[^"]*"|role="[^"]*"|aria-roledescription="[^"]*"'
    r'|aria-hidden="true"|pointer-events="none"|stroke-miterlimit="10"'
    rf'|font-family="{re.escape(FONT)}"|font-size="12px"|opacity="1")'
)
_GEOMETRY = re.compile(r' (?:d|transform|x2|y2|width|height)="[^"]*"')
_DIGITS = re.compile(r"(\.\d)\d+")  # a tenth of a pixel will do
_EMPTY = re.compile(r'<path(?: transform="[^"]*")? d="(?:M0,0h0v0h0Z)?"(?: display="none")?/>')


_LONGEST, _LONGEST_TIP = 160, 400
_WIDEST = 140  # pixels, about, of a label with characters beyond 16 bits: Vega, which shortens longer ones, cuts them in two


def drawable(spec: dict[str, Any]) -> dict[str, Any]:
    """With texts that the engine draws: of its characters, and short. Two that differ still do."""
    known: dict[str, str] = {}
    taken: set[str] = set()

    def short(text: str, longest: int) -> str:
        astral = sum(character > "\uffff" for character in text)
        if astral and 7 * len(text) + 9 * astral > _WIDEST:
            text = re.sub("[^\0-\uffff]+", "\ufffd", text)
        return clean(text) if len(text) <= longest else clean(text[: longest - 1]) + "…"

    def label(text: str) -> str:
        if text not in known:
            first = found = short(text, _LONGEST)
            k = 1
            while found in taken:
                k += 1
                found = f"{first} ({k})"
            known[text] = found
            taken.add(found)
        return known[text]

    def walk(value: Any, key: str) -> Any:
        if isinstance(value, str):
            is_said = key in ("tip", "filter", "labelExpr", "test")
            return short(value, _LONGEST_TIP) if is_said else label(value)
        if isinstance(value, dict):
            return {name: walk(each, name) for name, each in value.items()}
        return [walk(each, key) for each in value] if isinstance(value, list) else value

    return walk(spec, "")


def roomy(spec: dict[str, Any]) -> dict[str, Any]:
    """With room for labels in a font that is wider than the one that they were measured in."""
    spec = drawable(spec)
    values = spec.get("data", {}).get("values", [])
    longest = max((len(str(value.get("row", ""))) for value in values), default=0)
    return {"padding": {"left": 5 + min(longest, 40), "right": 24, "top": 5, "bottom": 5}} | spec


def _render(spec: dict[str, Any]) -> str:
    """Of a spec with room."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=CONFIG)
    # The element has one description; what its marks say is for the pointer alone.
    svg = re.sub(r' aria-label="(?:[XY]-axis|[Tt]itle|Symbol|legend)[^"]*"', "", svg)
    svg = _EMPTY.sub("", _NOISE.sub("", svg)).replace(" aria-label=", " data-tip=")
    return _GEOMETRY.sub(lambda found: _DIGITS.sub(r"\1", found[0]), svg)


def _vega() -> str:
    """Kept in the environment of the packages, as bundling takes seconds."""
    kept = Path(sys.prefix) / f"vega-lite-{VEGA_LITE}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert

    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    with contextlib.suppress(OSError):  # of somebody else
        write_text(kept, bundle)
    return bundle


_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def _work(tasks: Connection) -> None:
    """Of a process: answers specifications with (number, SVG, error), and None with the library, until it is killed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the engine says more than one line of its end
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent hears it too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    while True:
        number, spec = tasks.recv()
        try:
            tasks.send((number, _vega() if spec is None else _render(spec), ""))
        except BaseException as error:  # the engine's panics are no Exception
            said = str(error).strip() or type(error).__name__
            tasks.send((number, "", said.splitlines()[0][:200]))


def draw(specs: list[tuple[str, dict[str, Any]]], stopped: Callable[[], NoReturn]) -> tuple[str, list[str]]:
    """(Vega for the page, an SVG of each named spec), by two processes, as Vega's engine hears no Ctrl-C while it works;
    `stopped` is called on Ctrl-C. Throws ToolError with the name of what cannot be drawn."""
    context = multiprocessing.get_context("fork")
    waiting: list[tuple[int, dict[str, Any] | None]] = [
        (0, None),
        *enumerate((spec for _, spec in specs), 1),
    ]
    drawn: dict[int, str] = {}
    at_work: dict[Connection, int] = {}
    processes, ends = [], []

    def fail(number: int, why: str) -> NoReturn:
        raise ToolError(f"{specs[number - 1][0] if number else 'Vega'}: cannot be drawn: {why}")

    def stop(*_: Any) -> None:
        # Not by an exception, which would be lost in a callback of fork().
        for process in processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
        stopped()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        for _ in range(2):
            own, other = context.Pipe()
            processes.append(context.Process(target=_work, args=(other,), daemon=True))
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            processes[-1].start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            other.close()
            ends.append(own)
        idle = list(ends)
        while len(drawn) <= len(specs):
            while idle and waiting:
                end = idle.pop()
                at_work[end] = waiting[0][0]
                end.send(waiting.pop(0))
            for end in wait(ends):
                try:
                    number, text, error = end.recv()
                except (EOFError, ConnectionError):
                    fail(at_work.get(end, 0), "the process that draws has ended; is there memory left?")
                if error:
                    fail(number, error)
                drawn[number] = text
                idle.append(end)
    except ConnectionError as error:
        raise ToolError("a process that draws was ended; is there memory left?") from error
    finally:
        for process in processes:
            process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
    return drawn[0], [drawn[number] for number in range(1, len(specs) + 1)]


def json_of(spec: dict[str, Any]) -> str:
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
