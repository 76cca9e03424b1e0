"""Tokens, money, seconds and memory against what they gained."""

from chart import PAPER, plain_number, signed, tip, zero
from model import Figure, Missing, Panel, Table, mean, number, text

NAME, TITLE = "cost", "What it cost"
_COSTS = {
    "guidance_cost.tokens_in": ("tokens read", "d"),
    "guidance_cost.tokens_out": ("tokens written", "d"),
    "guidance_cost.money": ("money", ".4g"),
    "guidance_cost.seconds": ("seconds of the judge", ".1f"),
    "seconds.epoch": ("seconds an epoch", ".2f"),
    "memory.peak_resident_bytes": ("resident MiB", ".0f"),
    "memory.peak_device_bytes": ("device MiB", ".0f"),
    "parameters": ("parameters", "d"),
}
_MOST_LABELS = 15
_DRAWN = [*_COSTS][:5]


def _value(source, row, column, metric):
    told = [*source.at(row, column, metric).values()]
    if not told:
        return None
    value = mean(told) / (1 << 20 if metric.endswith("bytes") else 1)
    return round(value) if _COSTS[metric][1] == "d" else value


def _spec(values, names, title):
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 4, "labelExpr": plain_number()},
    }
    y = {
        "field": "gain",
        "type": "quantitative",
        "title": title,
        "axis": {"format": signed([0, *(value["gain"] for value in values)]), "tickCount": 5},
    }
    labels = (("left", 9), ("right", -9)) if len({value["row"] for value in values}) <= _MOST_LABELS else ()
    layers = [
        zero("y"),
        {
            "mark": {
                "type": "point",
                "filled": True,
                "size": 80,
                "color": "var(--s1)",
                "stroke": PAPER,
                "strokeWidth": 1,
            },
            "encoding": {"x": x, "y": y, **tip()},
        },
        *(
            {
                "transform": [{"filter": f"datum.align == '{align}'"}],
                "mark": {
                    "type": "text",
                    "align": align,
                    "dx": dx,
                    "baseline": "middle",
                    "fontSize": 11,
                    "limit": 150,
                },
                "encoding": {"x": x, "y": y, "text": {"field": "row"}},
            }
            for align, dx in labels
        ),
    ]
    return {
        "data": {"values": values},
        "facet": {"field": "quantity", "type": "nominal", "sort": names, "title": None},
        "columns": 2,
        "spec": {"width": 300, "height": 200, "layer": layers},
        "resolve": {"scale": {"x": "independent"}, "axis": {"x": "independent"}},
    }


def make(source) -> Figure:
    known = [metric for metric in _COSTS if any(of == metric for _, _, of, _ in source.values)]
    if not known:
        raise Missing("the runs tell no costs: an older version made them")
    first = source.first_slice() if source.slices else ""
    panels, rows = [], []
    gains = {
        (column, method.row): float(method.comparison.differences.mean())
        for column, part, method in source.comparisons()
        if part == first
    }
    for column in source.columns:
        values, drawn = [], []
        most = {
            metric: max(
                (value for row in source.rows if (value := _value(source, row, column, metric)) is not None),
                default=0,
            )
            for metric in known
        }
        for row in source.rows:
            if not source.has_run(row, column):
                continue
            costs = {metric: _value(source, row, column, metric) for metric in known}
            gain = gains.get((column, row))
            rows.append(
                [
                    text(row),
                    text(column),
                    number(
                        gain,
                        "+.4f",
                        note=source.seeds_note(len(source.at(row, column, source.metric, first))),
                    ),
                    *(number(costs[metric], _COSTS[metric][1]) for metric in known),
                ]
            )
            for metric in _DRAWN:
                if gain is not None and costs.get(metric) is not None and most[metric] > 0:
                    name, cost = _COSTS[metric][0], costs[metric]
                    values.append(
                        {
                            "row": row,
                            "quantity": name,
                            "cost": cost,
                            "gain": gain,
                            "align": "right" if cost > most[metric] / 2 else "left",
                            "tip": f"{row}: {name} {cost:g}, {gain:+.4f}",
                        }
                    )
                    drawn += [name] if name not in drawn else []
        if values:
            description = f"{column}: gain in {source.metric} against {', '.join(drawn)}, a panel each."
            panels.append(
                Panel(column, _spec(values, drawn, f"{source.metric} over {source.baseline}"), description)
            )
    notes = [
        "Means over seeds. A dash: not known, which is not 0. Of the judge all answers count, those from the cache too."
    ]
    header = ["row", "column", "gain", *(_COSTS[metric][0] for metric in known)]
    return Figure(
        NAME,
        TITLE,
        "Before and while training, against the gain.",
        panels,
        [Table(TITLE, header, rows)],
        notes,
    )
