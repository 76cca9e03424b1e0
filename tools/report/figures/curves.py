"""Figures against the number that sets the columns apart: noise of the judge, lambda, ..."""

import itertools

from chart import category, tip
from figures import intervals
from model import Figure, Missing, Panel, Table, mean, number, spread, text

NAME, TITLE = "curves", "Curves over a setting"
_FIRST = ["llm.noise", "llm.lambda"]


def _settings(source) -> dict[str, dict[str, float]]:
    """{key: {column: value}} of numbers that are another in each column, for every row that has a use for them."""
    found: dict[str, dict[str, float]] = {}
    for row in source.rows:
        own = {column: run.config for (of, column, _), run in source.runs.items() if of == row}
        if len(own) < 3:
            continue
        for key in next(iter(own.values())):
            values = {column: config.get(key) for column, config in own.items()}
            if key == "seed" or any(
                isinstance(value, bool) or not isinstance(value, int | float) for value in values.values()
            ):
                continue
            if len(set(values.values())) == len(values):
                if found.setdefault(key, values) != values:
                    found[key] = {}  # two rows disagree: no number of the column's
    return {key: values for key, values in found.items() if values}


def _spec(values, rows, parts, key, metric):
    encodings = category("row", rows)
    x = {"field": "x", "type": "quantitative", "title": key, "axis": {"tickCount": 6}}
    y = {
        "type": "quantitative",
        "title": metric,
        "scale": {"zero": False},
        "axis": {"tickCount": 5, "format": ".3f"},
    }
    width = {1: 560, 2: 280}.get(len(parts), 200)
    layers = [
        {
            "mark": {"type": "line"},
            "encoding": {
                "x": x,
                "y": y | {"field": "mean"},
                "color": encodings["color"],
                "strokeDash": encodings["strokeDash"],
            },
        },
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "opacity": 0.6},
            "encoding": {
                "x": x,
                "y": y | {"field": "low"},
                "y2": {"field": "high"},
                "color": encodings["color"],
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {
                "x": x,
                "y": y | {"field": "mean"},
                "color": encodings["color"],
                "shape": encodings["shape"],
                **tip(),
            },
        },
    ]
    return {
        "data": {"values": values},
        "facet": {"column": {"field": "part", "type": "nominal", "sort": parts, "title": None}},
        "spec": {"width": width, "height": 240, "layer": layers},
        "resolve": {"scale": {"y": "independent"}},
    }


def make(source) -> Figure:
    settings = _settings(source)
    if not settings:
        raise Missing(
            "no number sets three columns or more apart (curve_noise_*.toml and curve_lambda.toml make such)"
        )
    key = next((key for key in _FIRST if key in settings), next(iter(settings)))
    at_column = settings[key]
    source.first_slice()
    panels, rows, methods = [], [], []
    for group, of in source.groups().items():
        values = []
        for row, part in itertools.product(of, source.slices):
            for column, x in sorted(at_column.items(), key=lambda item: item[1]):
                told = [*source.at(row, column, source.metric, part).values()]
                if not told:
                    continue
                method = source.method(row, column, part)
                methods += [method] if method else []
                low, high = intervals.bounds(method)
                tip_of = f"{row}, {part}, {key} {x:g}: {mean(told):.4f}"
                of_x = {"x": x, "mean": mean(told), "low": low, "high": high}
                values.append({"row": row, "part": part, "tip": tip_of} | of_x)
                rows.append(
                    [
                        text(row),
                        text(part),
                        number(x, "g"),
                        spread(told),
                        number(low),
                        number(high),
                        intervals.seeds_cell(source, method) if method else number(len(told), "d"),
                    ]
                )
        if values:
            description = f"{source.metric} of each row against {key}, a panel a slice."
            panels.append(Panel(group, _spec(values, of, source.slices, key, source.metric), description))
    table = Table(
        f"{source.metric} against {key}",
        ["row", "slice", key, "mean ± deviation", "low", "high", "seeds"],
        rows,
    )
    notes = [
        f"Vertical lines: intervals of the mean, over {source.over(methods)}. Rows share users and seeds, so their differences are surer.",
        *intervals.mixed_note(source, methods),
    ]
    title = {"llm.noise": "What noise of the judge costs"}.get(key, f"Curves over {key}")
    return Figure(NAME, title, f"The columns of the table differ in {key}.", panels, [table], notes)
