"""Not a figure: dots with intervals about 0, which several figures draw."""

from typing import Any

from chart import GRID, MUTED, PAPER, ROW_STEP, tip, zero
from model import Cell, number

SIDES = {
    "above": "interval above 0",
    "below": "interval below 0",
    "open": "interval holds 0",
    "one": "one seed: interval over users alone",
    "none": "no interval",
}


def _looks(direction: int | None) -> dict[str, tuple[str, str]]:
    """Colour and shape by side; a gain is good where higher is better."""
    high, low = {1: ("var(--good)", "var(--bad)"), -1: ("var(--bad)", "var(--good)")}.get(
        direction, ("var(--s1)", "var(--s2)")
    )
    return {
        SIDES["above"]: (high, "triangle-right"),
        SIDES["below"]: (low, "triangle-left"),
        SIDES["open"]: ("var(--ink)", "circle"),
        SIDES["one"]: ("var(--s7)", "diamond"),
        SIDES["none"]: ("var(--muted)", "cross"),
    }


def bounds(of) -> tuple[float, float] | tuple[None, None]:
    """Of a method's or a comparison's interval; one without width, of runs that are all alike, is none."""
    interval = of.interval() if of is not None else None
    return (None, None) if interval is None or interval.is_empty() else (interval.low, interval.high)


def seeds_cell(source, of) -> Cell:
    """How many an interval is made of, and what that means."""
    n = len(of.seeds)
    one = "seed alone" if source.without_users else "over users alone"
    notes = [one] if n < 2 else []
    return number(
        n, "d", note=", ".join(notes + ([f"most have {source.usual_seeds}"] if source.seeds_note(n) else []))
    )


def mixed_note(source, of: list) -> list[str]:
    """Where not all have as many seeds."""
    counts = sorted({len(each.seeds) for each in of})
    if len(counts) < 2:
        return []
    return [
        f"Not all have as many seeds: from {counts[0]} to {counts[-1]}; the table says how many each has."
    ]


def side(low: float | None, high: float | None, n_seeds: int) -> str:
    if low is None or high is None:
        return SIDES["none"]
    if n_seeds < 2:
        return SIDES["one"]
    return SIDES["above"] if low > 0 else SIDES["below"] if high < 0 else SIDES["open"]


def spec(
    values: list[dict[str, Any]], rows: list[str], parts: list[str], title: str, direction: int | None
) -> dict[str, Any]:
    """Of values with row, part, tip and either `seed` (a seed's) or mean, low, high, side."""
    y = {"field": "row", "type": "nominal", "sort": rows, "title": None, "scale": {"domain": rows}}
    x = {
        "type": "quantitative",
        "title": title,
        "axis": {"format": "+.3f", "tickCount": 3, "labelOverlap": "greedy"},
    }
    looks = _looks(direction)
    seen = {value.get("side") for value in values}
    sides = [name for name in SIDES.values() if name in seen]
    of = {"field": "side", "type": "nominal", "title": None}
    colour = of | {"scale": {"domain": sides, "range": [looks[name][0] for name in sides]}}
    shape = of | {"scale": {"domain": sides, "range": [looks[name][1] for name in sides]}}
    layers = [
        zero("x"),
        *(
            []
            if not any("seed" in value for value in values)
            else [
                {
                    "transform": [{"filter": "isValid(datum.seed)"}],
                    "mark": {"type": "tick", "thickness": 1.5, "size": 10, "opacity": 0.7, "color": MUTED},
                    "encoding": {"x": x | {"field": "seed"}, "y": y, **tip()},
                }
            ]
        ),
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour},
        },
        {
            "transform": [{"filter": "isValid(datum.mean)"}],
            "mark": {"type": "point", "filled": True, "size": 90, "stroke": PAPER, "strokeWidth": 1},
            "encoding": {"x": x | {"field": "mean"}, "y": y, "color": colour, "shape": shape, **tip()},
        },
    ]
    width = {1: 560, 2: 270}.get(len(parts), 172)
    return {
        "data": {"values": values},
        "facet": {"column": {"field": "part", "type": "nominal", "sort": parts, "title": None}},
        "spec": {"width": width, "height": {"step": ROW_STEP}, "layer": layers},
        "resolve": {"scale": {"x": "independent"}},
        "config": {"axisY": {"grid": True, "gridColor": GRID, "gridDash": [1, 3]}},
    }
