"""Every run as a dot."""

from chart import GRID, PAPER, ROW_STEP, tip
from model import Figure, Missing, Panel, Table, mean, number, spread, text

NAME, TITLE = "seeds", "Every seed"


def _spec(values, rows, metric):
    y = {"field": "row", "type": "nominal", "sort": rows, "title": None, "scale": {"domain": rows}}
    x = {
        "type": "quantitative",
        "title": metric,
        "scale": {"zero": False},
        "axis": {"tickCount": 6, "format": ".3f"},
    }
    kinds = ["a seed", "published"]
    of = {"field": "kind", "type": "nominal", "title": None}
    if not any(value["kind"] == "published" for value in values):
        kinds, of = kinds[:1], of | {"legend": None}
    shape = of | {"scale": {"domain": kinds, "range": ["circle", "diamond"][: len(kinds)]}}
    colour = of | {"scale": {"domain": kinds, "range": ["var(--s1)", "var(--s2)"][: len(kinds)]}}
    layers = [
        {
            "transform": [{"filter": "datum.kind == 'mean'"}],
            "mark": {"type": "tick", "thickness": 2.5, "size": 18, "color": "var(--ink)"},
            "encoding": {"x": x | {"field": "value"}, "y": y, **tip()},
        },
        {
            "transform": [{"filter": "datum.kind != 'mean'"}],
            "mark": {"type": "point", "filled": True, "size": 70, "stroke": PAPER, "strokeWidth": 1},
            "encoding": {"x": x | {"field": "value"}, "y": y, "shape": shape, "color": colour, **tip()},
        },
    ]
    return {
        "data": {"values": values},
        "width": 560,
        "height": {"step": ROW_STEP},
        "layer": layers,
        "config": {"axisY": {"grid": True, "gridColor": GRID, "gridDash": [1, 3]}},
    }


def make(source) -> Figure:
    first = source.first_slice()
    seeds, panels, rows = source.seeds(), [], []
    for column in source.columns:
        values, shown = [], []
        for row in source.rows:
            for part in source.slices:
                at = source.at(row, column, source.metric, part)
                if not at:
                    continue
                published = source.published.get((row, column, source.metric, part))
                told = [*at.values()]
                rows.append(
                    [
                        text(row),
                        text(column),
                        text(part),
                        spread(told),
                        *(number(at.get(seed)) for seed in seeds),
                    ]
                )
                if part != first:
                    continue
                shown.append(row)
                for seed, value in at.items():
                    tip_of = f"{row}, seed {seed}: {value:.4f}"
                    values.append({"row": row, "value": value, "kind": "a seed", "tip": tip_of})
                middle = mean(told)
                values.append(
                    {"row": row, "value": middle, "kind": "mean", "tip": f"{row}, mean: {middle:.4f}"}
                )
                if published is not None:
                    tip_of = f"{row}, published: {published:.4f}"
                    values.append({"row": row, "value": published, "kind": "published", "tip": tip_of})
        if values:
            description = f"{column}: {source.metric} of every seed, a row each, with the mean."
            panels.append(Panel(column, _spec(values, shown, f"{source.metric}, {first}"), description))
    if not panels:
        raise Missing(f"no run tells {source.metric}")
    header = ["row", "column", "slice", "mean ± deviation", *(f"seed {seed}" for seed in seeds)]
    return Figure(
        NAME,
        TITLE,
        "How far apart runs of one setting are; the upright line is their mean.",
        panels,
        [Table(TITLE, header, rows)],
    )
