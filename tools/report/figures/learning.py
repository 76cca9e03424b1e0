"""Loss and validation over the epochs."""

import itertools

from chart import category, counted, tip
from model import Figure, Missing, Panel, Table, mean, number, spread, text

NAME, TITLE = "learning", "Learning curves"


def _monitor(source) -> str:
    return next((run.config.get("eval.monitor", "auc") for run in source.runs.values()), "auc")


def _spec(values, names, parts):
    encodings = category("series", names)
    x = counted("epoch", "epoch")
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False},
        "axis": {"tickCount": 5},
    }
    layers = [
        {
            "mark": {"type": "line"},
            "encoding": {"x": x, "y": y, "color": encodings["color"], "strokeDash": encodings["strokeDash"]},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 40},
            "encoding": {"x": x, "y": y, "color": encodings["color"], "shape": encodings["shape"], **tip()},
        },
    ]
    return {
        "data": {"values": values},
        "facet": {"column": {"field": "part", "type": "nominal", "sort": parts, "title": None}},
        "spec": {"width": 290 if len(parts) > 1 else 560, "height": 220, "layer": layers},
        "resolve": {"scale": {"y": "independent"}},
    }


def make(source) -> Figure:
    groups = source.groups()
    logs, monitor = source.logs(), _monitor(source)
    if not any(log.metrics for log in logs):
        raise Missing("no run folder with metrics.jsonl is there")
    single = len(logs) == 1
    panels, table = [], []
    for column, (group, of) in itertools.product(source.columns, groups.items()):
        found: dict[tuple[str, str, int], list[float]] = {}
        for log in logs:
            if log.column != column or log.row not in of:
                continue
            for event in log.metrics:
                if event.get("event") == "epoch" and event.get("loss") is not None:
                    found.setdefault(("training loss", log.row, event["epoch"]), []).append(event["loss"])
                if event.get("event") == "validation":
                    told = event.get(monitor)
                    for part, value in (told if isinstance(told, dict) else {}).items():
                        name = log.row if not single else part
                        if value is not None and (single or part == "all"):
                            rows = event.get("on", "validation")
                            found.setdefault((f"{rows} {monitor}", name, event["epoch"]), []).append(value)
        if not found:
            continue
        parts = list(dict.fromkeys(part for part, _, _ in found))
        names = list(dict.fromkeys(name for _, name, _ in found))
        values = []
        for (part, name, epoch), told in found.items():
            tip_of = f"{name}, epoch {epoch}: {part} {mean(told):.4f}"
            values.append({"series": name, "part": part, "epoch": epoch, "value": mean(told), "tip": tip_of})
            table.append(
                [
                    text(name),
                    text(column),
                    text(part),
                    number(epoch, "d"),
                    spread(told),
                    number(len(told), "d"),
                ]
            )
        description = f"{column}: {' and '.join(parts)} by epoch."
        panels.append(
            Panel(", ".join(filter(None, [column, group])), _spec(values, names, parts), description)
        )
    if not panels:
        raise Missing("the run folders tell no epoch")
    header = ["of", "column", "what", "epoch", "mean ± deviation", "seeds"]
    notes = (
        []
        if single
        else ["Means of the seeds that came as far; a run that stopped early is in the earlier epochs alone."]
    )
    if not any(part.startswith("validation") for row in table for part in [row[2].text]):
        notes.append("No validation: train.eval_every is 0.")
    return Figure(NAME, TITLE, "", panels, [Table(TITLE, header, table)], notes)
