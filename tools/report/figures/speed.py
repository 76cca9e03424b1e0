"""How fast the epochs of a run went."""

from chart import plain_number, tip
from model import Figure, Missing, Panel, Table, number

NAME, TITLE = "speed", "Speed"


def make(source) -> Figure:
    (log,) = source.logs()
    epochs = [
        event
        for event in log.metrics
        if event.get("event") == "epoch" and event.get("seconds") and event.get("rows")
    ]
    if not epochs:
        raise Missing("metrics.jsonl tells no epoch")
    values, rows = [], []
    for event in epochs:
        rate = event["rows"] / event["seconds"]
        values.append(
            {
                "epoch": event["epoch"],
                "rate": rate,
                "tip": f"epoch {event['epoch']}: {rate:.0f} rows a second",
            }
        )
        rows.append(
            [
                number(event["epoch"], "d"),
                number(event["seconds"], ".2f"),
                number(event["rows"], "d"),
                number(rate, ".0f"),
            ]
        )
    spec = {
        "data": {"values": values},
        "width": 560,
        "height": 180,
        "mark": {"type": "bar", "color": "var(--s1)"},
        "encoding": {
            "x": {"field": "epoch", "type": "ordinal", "title": "epoch", "axis": {"labelAngle": 0}},
            "y": {
                "field": "rate",
                "type": "quantitative",
                "title": "rows a second",
                "axis": {"labelExpr": plain_number(), "tickCount": 5},
            },
            **tip(),
        },
    }
    table = Table(TITLE, ["epoch", "seconds", "rows", "rows a second"], rows)
    return Figure(
        NAME,
        TITLE,
        "Training rows a second, by epoch.",
        [Panel("", spec, "Rows a second of each epoch.")],
        [table],
    )
