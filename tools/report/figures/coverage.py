"""Gain against how much of the judge is believed, beside random gates and an oracle."""

from chart import PAPER, signed, tip, zero
from figures import intervals
from inference import LEVEL
from model import Figure, Missing, Panel, Table, mean, number, text

NAME, TITLE = "coverage", "Gain against coverage"
_KINDS = ["random gate", "oracle", "other rows"]


def _spec(values, title):
    x = {
        "field": "weight",
        "type": "quantitative",
        "title": "coverage: mean weight of a pair",
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    y = {
        "type": "quantitative",
        "title": title,
        "axis": {"format": signed([0, *(value["mean"] for value in values)]), "tickCount": 6},
    }
    kind = {"field": "kind", "type": "nominal", "title": None}
    colour = kind | {"scale": {"domain": _KINDS, "range": ["var(--s7)", "var(--s3)", "var(--s1)"]}}
    shape = kind | {"scale": {"domain": _KINDS, "range": ["circle", "diamond", "square"]}}
    layers = [
        zero("y"),
        {
            "transform": [{"filter": "datum.kind == 'random gate'"}],
            "mark": {"type": "line", "color": "var(--s7)", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y | {"field": "mean"}},
        },
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.7},
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "stroke": PAPER, "strokeWidth": 1},
            "encoding": {"x": x, "y": y | {"field": "mean"}, "color": colour, "shape": shape, **tip()},
        },
        {
            "transform": [{"filter": "datum.kind != 'random gate'"}],
            "mark": {"type": "text", "align": "right", "dx": -8, "dy": -8, "fontSize": 11},
            "encoding": {"x": x, "y": y | {"field": "mean"}, "text": {"field": "row"}},
        },
    ]
    return {"data": {"values": values}, "width": 560, "height": 300, "layer": layers}


def make(source) -> Figure:
    def method_of(row: str) -> str:
        return next(
            (run.config.get("method", "") for (of, _, _), run in source.runs.items() if of == row), ""
        )

    kinds = {
        row: {"random": _KINDS[0], "oracle": _KINDS[1]}.get(method_of(row), _KINDS[2]) for row in source.rows
    }
    if sum(kind == _KINDS[0] for kind in kinds.values()) < 2:
        raise Missing(
            "no two rows have random gates of different weights (method=random gate.mean_alpha=...)"
        )
    part_shown = source.first_slice()
    names, panels, rows, compared = source.prefixes(), [], [], []
    notes: list[str] = []
    by_panel: dict[str, list[dict]] = {}
    for column, part, method in source.comparisons():
        weights = [*source.at(method.row, column, "guidance.mean_weight").values()]
        if part != part_shown or not weights:
            continue
        each = method.comparison
        compared.append(each)
        low, high = intervals.bounds(each)
        middle, weight, kind = float(each.differences.mean()), mean(weights), kinds[method.row]
        backbone, name = names.get(method.row, ("", method.row))
        tip_of = f"{method.row}: coverage {weight:.3f}, {middle:+.4f}"
        by_panel.setdefault(f"{column}, {backbone}" if backbone else column, []).append(
            {
                "row": name,
                "kind": kind,
                "weight": weight,
                "mean": middle,
                "low": low,
                "high": high,
                "tip": tip_of,
            }
        )
        cells = [text(method.row), text(column), text(kind), number(weight, ".3f"), number(middle, "+.4f")]
        rows.append([*cells, number(low, "+.4f"), number(high, "+.4f"), intervals.seeds_cell(source, each)])
    for title, values in by_panel.items():
        random = sorted((each["weight"], each["mean"]) for each in values if each["kind"] == _KINDS[0])
        falls = sum(after[1] < before[1] for before, after in zip(random, random[1:], strict=False))
        notes.append(
            f"{title}: from one random gate to the next wider one the gain falls {falls} of {max(len(random) - 1, 0)} times."
        )
        description = f"{title}: gain in {source.metric} against the mean weight of a pair, with the line of random gates."
        panels.append(Panel(title, _spec(values, f"{source.metric} over {source.baseline}"), description))
    if not panels:
        raise Missing("no finished row tells its mean weight and has a baseline")
    header = ["row", "column", "kind", "coverage", "gain", "low", "high", "seeds"]
    notes.insert(
        0,
        f"{LEVEL:.0%} intervals over {source.over(compared)}. Above the line of random gates it pays to choose whom to believe.",
    )
    notes += intervals.mixed_note(source, compared)
    caption = "A random gate believes as much, chosen by chance; the oracle is told which scores are noise, and is no method."
    return Figure(NAME, TITLE, caption, panels, [Table(TITLE, header, rows)], notes)
