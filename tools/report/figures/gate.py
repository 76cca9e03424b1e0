"""How far the gate believes the judge, by cold x tail, over the epochs; and whether it has ceased to select."""

from chart import category, counted, tip
from model import Figure, Missing, Panel, Table, deviation, mean, number, text
from sources import BUCKETS

NAME, TITLE = "gate", "The gate over the epochs"
_QUANTITIES = {"mean_alpha": "alpha", "mean_weight": "weight in force"}


def _spec(values, rows):
    names = [*BUCKETS.values()]
    parts = [*_QUANTITIES.values()]
    encodings = category("bucket", names)
    x = counted("epoch", "epoch")
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    alarm = {"transform": [{"filter": "isValid(datum.alarm)"}]}
    layers = [
        {
            "transform": [{"filter": "isValid(datum.value)"}],
            "mark": {"type": "line"},
            "encoding": {"x": x, "y": y, "color": encodings["color"], "strokeDash": encodings["strokeDash"]},
        },
        {
            "transform": [{"filter": "isValid(datum.value)"}],
            "mark": {"type": "point", "filled": True, "size": 50},
            "encoding": {"x": x, "y": y, "color": encodings["color"], "shape": encodings["shape"], **tip()},
        },
        alarm
        | {
            "mark": {"type": "rule", "color": "var(--alarm)", "strokeWidth": 3},
            "encoding": {"x": x, "x2": {"field": "end"}, "y": {"datum": 0.5}, **tip()},
        },
        alarm
        | {
            "mark": {
                "type": "text",
                "color": "var(--alarm)",
                "align": "left",
                "dx": -3,
                "dy": -10,
                "fontWeight": "bold",
            },
            "encoding": {"x": x, "y": {"datum": 0.5}, "text": {"field": "alarm"}, **tip()},
        },
    ]
    return {
        "data": {"values": values},
        "facet": {
            "row": {
                "field": "row",
                "type": "nominal",
                "sort": rows,
                "title": None,
                "header": {"labelOrient": "top", "labelAnchor": "start"},
            },
            "column": {"field": "part", "type": "nominal", "sort": parts, "title": None},
        },
        "spec": {"width": 260, "height": 120, "layer": layers},
    }


def make(source) -> Figure:
    logs = [log for log in source.logs() if any(event.get("buckets") for event in log.guidance)]
    if not logs:
        raise Missing("no run folder with the telemetry of a gate is there")
    panels, table, alarms = [], [], []
    for column in source.columns:
        values, rows = [], []
        for row in source.rows:
            own = [log for log in logs if (log.row, log.column) == (row, column)]
            if not own:
                continue
            rows.append(row)
            by_epoch: dict[int, list] = {}
            for log in own:
                for event in log.guidance:
                    by_epoch.setdefault(event["epoch"], []).append((log.seed, event))
            stretches: list[dict] = []  # of epochs that are collapsed
            for epoch, events in sorted(by_epoch.items()):
                shut = {seed: event["collapsed"] for seed, event in events if event.get("collapsed")}
                means = {}
                for bucket, name in BUCKETS.items():
                    for quantity, part in _QUANTITIES.items():
                        told = [
                            (event["buckets"].get(bucket) or {}).get(quantity)
                            for _, event in events
                            if event.get("buckets")
                        ]
                        told = [value for value in told if value is not None]
                        means[bucket, quantity] = told
                        if told:
                            tip_of = f"{row}, epoch {epoch}, {name}: {part} {mean(told):.3f}"
                            values.append(
                                {
                                    "row": row,
                                    "epoch": epoch,
                                    "bucket": name,
                                    "part": part,
                                    "value": mean(told),
                                    "tip": tip_of,
                                }
                            )
                said = "; ".join(f"{word} (seed {seed})" for seed, word in shut.items())
                if shut:
                    alarms.append((row, column, epoch, said))
                    stretch = stretches[-1] if stretches and stretches[-1]["end"] == epoch - 1 else None
                    if stretch is None:
                        words = " or ".join(dict.fromkeys(shut.values()))
                        stretch = {"row": row, "epoch": epoch, "alarm": f"⚠ collapsed: {words}"}
                        stretches.append(stretch)
                    stretch |= {
                        "end": epoch,
                        "tip": f"{row}: collapsed from epoch {stretch['epoch']} to {epoch}: {said}",
                    }
                for bucket, name in BUCKETS.items():
                    alpha, weight = means[bucket, "mean_alpha"], means[bucket, "mean_weight"]
                    if alpha or weight:
                        table.append(
                            [
                                text(row),
                                text(column),
                                number(epoch, "d"),
                                text(name),
                                number(mean(alpha) if alpha else None, ".3f"),
                                number(deviation(alpha), ".3f"),
                                number(mean(weight) if weight else None, ".3f"),
                                number(len(alpha or weight), "d"),
                                text(said or "no", status="alarm" if said else ""),
                            ]
                        )
            values += [stretch | {"part": part} for stretch in stretches for part in _QUANTITIES.values()]
        if values:
            description = (
                f"{column}: mean alpha, and the weight that the gate makes of it, of pairs of cold or warm users and tail or "
                f"head items, by epoch, a row of panels a method. Collapsed in {sum(of == column for _, of, _, _ in alarms)} epochs."
            )
            panels.append(Panel(column, _spec(values, rows), description))
    header = ["row", "column", "epoch", "pairs of", "alpha", "deviation", "weight", "seeds", "collapsed"]
    notes = [
        ("Means over seeds. " if any(log.seed != logs[0].seed for log in logs) else "")
        + "Of the objective `calibrated` alpha is p, the probability that the judge is right, and the weight "
        "is what p is beyond chance; of others they are alike.",
        "Collapsed: a gate that learns weighs every group's pairs below .01 (shut) or above .99 (open) and selects no longer; the "
        "table says of which seeds.",
    ]
    return Figure(NAME, TITLE, "Who is believed, and when.", panels, [Table(TITLE, header, table)], notes)
