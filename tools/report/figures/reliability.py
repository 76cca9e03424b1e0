"""Is p what it says? How often the judge is right where the gate gives it a probability."""

from chart import MUTED, PAPER, tip
from model import Figure, Missing, Panel, Table, mean, number, text

NAME, TITLE = "reliability", "Reliability of p"


def _bins(found: list[list[dict]]) -> list[dict]:
    """Of several seeds, weighted by their probes."""
    merged = []
    for bins in zip(*found, strict=False):
        bins = [
            each
            for each in bins
            if each.get("count") and None not in (each.get("mean_alpha"), each.get("right"))
        ]
        total = sum(each["count"] for each in bins)
        if total:
            merged.append(
                {
                    "alpha": sum(each["count"] * each["mean_alpha"] for each in bins) / total,
                    "right": sum(each["count"] * each["right"] for each in bins) / total,
                    "count": int(total),
                }
            )
    return merged


def _spec(values, rows):
    x = {
        "field": "alpha",
        "type": "quantitative",
        "title": "p, the gate's probability",
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    y = {
        "field": "right",
        "type": "quantitative",
        "title": "share of probes ranked right",
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    diagonal = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    layers = [
        {
            "data": {"values": diagonal},
            "mark": {"type": "line", "color": MUTED, "strokeDash": [4, 3], "strokeWidth": 1},
            "encoding": {
                "x": {"field": "x", "type": "quantitative"},
                "y": {"field": "y", "type": "quantitative"},
            },
        },
        {"mark": {"type": "line", "color": "var(--s1)", "strokeWidth": 1}, "encoding": {"x": x, "y": y}},
        {
            "mark": {
                "type": "point",
                "filled": True,
                "color": "var(--s1)",
                "stroke": PAPER,
                "strokeWidth": 1,
            },
            "encoding": {
                "x": x,
                "y": y,
                "size": {
                    "field": "count",
                    "type": "quantitative",
                    "title": "probes",
                    "scale": {"range": [20, 300]},
                    "legend": {
                        "symbolFillColor": "var(--s1)",
                        "symbolStrokeColor": "var(--s1)",
                        "tickCount": 3,
                    },
                },
                **tip(),
            },
        },
    ]
    return {
        "data": {"values": values},
        "facet": {"field": "row", "type": "nominal", "sort": rows, "title": None},
        "columns": 3,
        "spec": {"width": 210, "height": 210, "layer": layers},
    }


def make(source) -> Figure:
    told: dict[tuple[str, str], list] = {}
    for (row, column, _), run in source.runs.items():
        guidance = run.summary.get("guidance") or {}
        if guidance.get("reliability"):
            told.setdefault((row, column), []).append(guidance)
    if not told:
        raise Missing("no run folder is there whose gate learns a probability (objective `calibrated`)")
    panels, table, errors = [], [], []
    for column in source.columns:
        values, rows = [], []
        for (row, of), found in told.items():
            if of != column:
                continue
            rows.append(row)
            known = [each["calibration_error"] for each in found if each.get("calibration_error") is not None]
            errors += [f"{row}, {column}: {mean(known):.4f}"] if known else []
            for each in _bins([guidance["reliability"] for guidance in found]):
                tip_of = f"{row}: p {each['alpha']:.3f}, right {each['right']:.3f}, {each['count']} probes"
                values.append(each | {"row": row, "tip": tip_of})
                cells = [text(row), text(column), number(each["alpha"], ".3f"), number(each["right"], ".3f")]
                table.append([*cells, number(each["count"], "d"), number(len(found), "d")])
        if values:
            description = (
                f"{column}: share of probes that the judge ranks right against the gate's probability, by tenths, a panel a "
                "row; on the diagonal the two are the same."
            )
            panels.append(Panel(column, _spec(values, rows), description))
    header = ["row", "column", "mean p", "right", "probes", "seeds"]
    notes = [
        "Of the last epoch, on users whom the gate does not learn from; seeds are put together by their probes."
    ]
    if errors:
        notes.append(f"Expected calibration error, mean over seeds: {'; '.join(errors)}.")
    return Figure(
        NAME,
        TITLE,
        "On the diagonal p is how often the judge is right.",
        panels,
        [Table(TITLE, header, table)],
        notes,
    )
