"""Not a figure: dots with intervals about 0, which several figures draw."""

from typing import Any

from chart import GRID, MUTED, PAPER, ROW_STEP, tip, zero

SIDES = {
    "above": "interval above 0",
    "below": "interval below 0",
    "open": "interval holds 0",
    "none": "no interval",
}
_LOOKS = {
    SIDES["above"]: ("var(--good)", "triangle-right"),
    SIDES["below"]: ("var(--bad)", "triangle-left"),
    SIDES["open"]: ("var(--ink)", "circle"),
    SIDES["none"]: ("var(--muted)", "cross"),
}


def side(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return SIDES["none"]
    return SIDES["above"] if low > 0 else SIDES["below"] if high < 0 else SIDES["open"]


def spec(values: list[dict[str, Any]], rows: list[str], parts: list[str], title: str) -> dict[str, Any]:
    """Of values with row, part, tip and either `seed` (a seed's) or mean, low, high, side."""
    y = {"field": "row", "type": "nominal", "sort": rows, "title": None, "scale": {"domain": rows}}
    x = {
        "type": "quantitative",
        "title": title,
        "axis": {"format": "+.3f", "tickCount": 3, "labelOverlap": True},
    }
    seen = {value.get("side") for value in values}
    sides = [name for name in SIDES.values() if name in seen]
    of = {"field": "side", "type": "nominal", "title": None}
    colour = of | {"scale": {"domain": sides, "range": [_LOOKS[name][0] for name in sides]}}
    shape = of | {"scale": {"domain": sides, "range": [_LOOKS[name][1] for name in sides]}}
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
