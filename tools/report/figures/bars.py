"""What each method gains over its backbone, for all, cold and tail rows: the paper's figure 2, with intervals."""

from chart import GRID, tip, zero
from figures import intervals
from inference import LEVEL
from model import Figure, Missing, Panel, Table, number, text

NAME, TITLE = "bars", "Gain by backbone"
_COLOURS = {"all": "var(--s1)", "cold": "var(--s2)", "tail": "var(--s3)"}


def _spec(values, backbones, methods, parts, metric):
    x = {"field": "backbone", "type": "nominal", "sort": backbones, "title": None, "axis": {"labelAngle": 0}}
    offset = {"field": "part", "sort": parts}
    y = {"type": "quantitative", "title": f"{metric} gained", "axis": {"format": "+.3f", "tickCount": 5}}
    colour = {
        "field": "part",
        "type": "nominal",
        "title": "in each group, from the left",
        "sort": parts,
        "scale": {"domain": parts, "range": [_COLOURS[part] for part in parts]},
    }
    layers = [
        {
            "mark": {"type": "bar", "width": {"band": 0.86}},
            "encoding": {"x": x, "xOffset": offset, "y": y | {"field": "mean"}, "color": colour, **tip()},
        },
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {"x": x, "xOffset": offset, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        zero("y"),
    ]
    return {
        "data": {"values": values},
        "facet": {"field": "method", "type": "nominal", "sort": methods, "title": None},
        "columns": 2 if len(backbones) < 4 else 1,
        "spec": {"width": max(300, 92 * len(backbones)), "height": 170, "layer": layers},
        "resolve": {"axis": {"x": "independent"}},  # every panel names its backbones
        "config": {"axisY": {"gridColor": GRID}},
    }


def make(source) -> Figure:
    names = source.prefixes()
    backbones = list(dict.fromkeys(backbone for backbone, _ in names.values()))
    if len(backbones) < 2:
        raise Missing('the rows are not of two backbones or more, each with a baseline ("DCNv2 None")')
    panels, rows, compared = [], [], []
    for column in source.columns:
        values, methods, of = [], [], []
        for where, part, method in source.comparisons():
            if where != column or method.row not in names:
                continue
            backbone, name = names[method.row]
            each = method.comparison
            compared.append(each)
            low, high = intervals.bounds(each)
            middle = float(each.differences.mean())
            bounds = f", {LEVEL:.0%} {low:+.4f} to {high:+.4f}" if low is not None else ", no interval"
            bounds += ", one seed: over users alone" if len(each.seeds) < 2 and low is not None else ""
            values.append(
                {
                    "backbone": backbone,
                    "method": name,
                    "part": part,
                    "mean": middle,
                    "low": low,
                    "high": high,
                    "tip": f"{name} over {source.baseline}, {backbone}, {part}: {middle:+.4f}{bounds}",
                }
            )
            methods += [name] if name not in methods else []
            of += [backbone] if backbone not in of else []
            cells = [text(backbone), text(name), text(column), text(part), number(middle, "+.4f")]
            rows.append(
                [*cells, number(low, "+.4f"), number(high, "+.4f"), intervals.seeds_cell(source, each)]
            )
        if values:
            description = (
                f"{column}: bars of the gain in {source.metric}, a group a backbone, a panel a method."
            )
            order = [backbone for backbone in backbones if backbone in of]
            panels.append(
                Panel(column, _spec(values, order, methods, source.slices, source.metric), description)
            )
    if not panels:
        raise Missing("no method has a seed in common with its baseline yet")
    header = ["backbone", "method", "column", "slice", "gain", "low", "high", "seeds"]
    notes = [
        f"Lines: {LEVEL:.0%} intervals of the mean difference, over {source.over(compared)}.",
        *intervals.mixed_note(source, compared),
    ]
    return Figure(
        NAME, TITLE, "Over the same backbone without guidance.", panels, [Table(TITLE, header, rows)], notes
    )
