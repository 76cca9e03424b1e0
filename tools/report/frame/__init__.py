"""The page's frame: figures, drawings and tables into one file that needs no other (page.html, page.css, page.js)."""

import base64
import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import jinja2
from markupsafe import Markup

from chart import CONFIG, draw, json_of, roomy
from model import Figure
from run_files import clean
from sources import Source

MADE_BY = '<meta name="generator" content="sllmr report">'
_FOLDER = Path(__file__).parent
_SHOWN_PANELS = 4  # of a figure; the rest is folded


@dataclass(frozen=True)
class Section:
    """What the page says of a folder."""

    source: Source
    figures: list[Figure]
    missing: list[tuple[str, str]]  # title, and why it is left out


def _packed(text: str) -> str:
    """For the page's script, which inflates it when it is wanted; the same bytes for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _svg(drawn: str, title: str, description: str) -> Markup:
    label = jinja2.filters.do_forceescape(clean(f"{title}. {description}"))
    return Markup(re.sub(r"^<svg", f'<svg role="img" aria-label="{label}"', drawn.strip(), count=1))


def page(sections: list[Section], command: str, stopped: Callable[[], NoReturn]) -> str:
    """The HTML; `stopped` is called on Ctrl-C."""
    named = [
        (": ".join(filter(None, [section.source.title, figure.title, panel.title])), panel)
        for section in sections
        for figure in section.figures
        for panel in figure.panels
    ]
    panels = [panel for _, panel in named]
    specs = {id(panel): roomy(panel.spec) for panel in panels}
    vega, svgs = draw([(name, specs[id(panel)]) for name, panel in named], stopped) if panels else ("", [])
    drawn = dict(zip(map(id, panels), svgs, strict=True))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["exact"] = lambda value: value if isinstance(value, int) else f"{value:.10g}"
    environment.globals["svg"] = lambda panel, title: _svg(drawn[id(panel)], title, panel.description)
    environment.globals["packed_svg"] = lambda panel, title: _packed(
        _svg(drawn[id(panel)], title, panel.description)
    )
    environment.globals["packed"] = lambda panel: _packed(json_of(specs[id(panel)]))
    text = environment.get_template("page.html").render(
        sections=sections,
        command=command,
        made_by=Markup(MADE_BY),
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
        vega=_packed(vega) if panels else "",
        config=_packed(json_of(CONFIG)) if panels else "",
        shown_panels=_SHOWN_PANELS,
        title=" · ".join(section.source.title for section in sections),
    )
    return clean(text)
