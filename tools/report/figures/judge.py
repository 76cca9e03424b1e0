"""The judge before training: does its score mean anything, and for whom?"""

from chart import tip
from model import Figure, Missing, Panel, Table, number, text

NAME, TITLE = "judge", "Reliability of the judge"


def _cells(source):
    values, rows = [], []
    found = source.reliability
    for user, line in zip(found.get("history", []), found.get("cells", []), strict=False):
        for item, each in zip(found.get("popularity", []), line, strict=False):
            if each and each.get("value") is not None:
                tip_of = f"history {user}, {item}: {each['value']:.3f} of {each['n']} users"
                values.append(
                    {
                        "history": user,
                        "item": item,
                        "value": each["value"],
                        "shown": f"{each['value']:.2f}",
                        "tip": tip_of,
                    }
                )
                rows.append(
                    [
                        text(user),
                        text(item),
                        number(each["value"], ".3f"),
                        number(each.get("low"), ".3f"),
                        number(each.get("high"), ".3f"),
                        number(each["n"], "d"),
                    ]
                )
    return values, rows


def make(source) -> Figure:
    panels, tables = [], []
    bins, rows = [], []
    for each in source.bins:
        share = each.get("probes") or {}
        if share.get("value") is None:
            continue
        tip_of = (
            f"scores {each['low']:g} to {each['high']:g}: {share['value']:.4f} are probes, of {share['n']}"
        )
        bins.append(
            {
                "score": each["mean_score"],
                "value": share["value"],
                "low": share["low"],
                "high": share["high"],
                "tip": tip_of,
            }
        )
        rows.append(
            [
                text(f"{each['low']:g} to {each['high']:g}"),
                number(each["mean_score"], ".3f"),
                number(share["value"]),
                number(share["low"]),
                number(share["high"]),
                number(share["n"], "d"),
            ]
        )
    if bins:
        x = {
            "field": "score",
            "type": "quantitative",
            "title": "mean score",
            "scale": {"domain": [0, 1]},
            "axis": {"tickCount": 5},
        }
        y = {
            "type": "quantitative",
            "title": "share that the user took",
            "axis": {"format": "~%", "tickCount": 5},
        }
        spec = {
            "data": {"values": bins},
            "width": 420,
            "height": 240,
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 2, "color": "var(--s1)"},
                    "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "line", "color": "var(--s1)", "strokeWidth": 1},
                    "encoding": {"x": x, "y": y | {"field": "value"}},
                },
                {
                    "mark": {"type": "point", "filled": True, "color": "var(--s1)"},
                    "encoding": {"x": x, "y": y | {"field": "value"}, **tip()},
                },
            ],
        }
        panels.append(
            Panel(
                "Calibration",
                spec,
                "Share of probes, items that the user took, among candidates of a score, by tenths of the score.",
            )
        )
        tables.append(
            Table("Calibration", ["scores", "mean score", "probes", "low", "high", "candidates"], rows)
        )
    values, rows = _cells(source)
    if values:
        users, items = (list(source.reliability[name]) for name in ("history", "popularity"))
        edges = [0.5, 0.6, 0.7, 0.8]
        steps = {"type": "threshold", "domain": edges, "range": [f"var(--h{k})" for k in range(1, 6)]}
        y = {"field": "history", "type": "ordinal", "sort": users, "title": "length of the user's history"}
        x = {
            "field": "item",
            "type": "ordinal",
            "sort": items,
            "title": "popularity of the probe",
            "axis": {"labelAngle": 0, "orient": "top"},
        }
        spec = {
            "data": {"values": values},
            "width": {"step": 110},
            "height": {"step": 34},
            "layer": [
                {
                    "mark": {"type": "rect", "stroke": "var(--paper)", "strokeWidth": 2},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": {"field": "value", "type": "quantitative", "scale": steps, "legend": None},
                        **tip(),
                    },
                },
                {
                    "mark": {"type": "text"},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "text": {"field": "shown"},
                        "color": {
                            "condition": {"test": f"datum.value >= {edges[2]}", "value": "var(--paper)"},
                            "value": "var(--ink)",
                        },
                    },
                },
            ],
        }
        panels.append(
            Panel(
                "By history and popularity",
                spec,
                "Share of other candidates that the judge ranks below the user's probe, by length of history and popularity; one half is chance.",
            )
        )
        tables.append(
            Table(
                "Share ranked below the probe",
                ["history", "popularity", "share", "low", "high", "users"],
                rows,
            )
        )
    if not panels:
        raise Missing("the report of the judge has neither calibration nor reliability")
    overall = source.reliability.get("all") or {}
    notes = ["Of `sllmr llm report`; intervals are the report's."]
    if overall.get("value") is not None:
        notes.append(
            f"Over all users the judge ranks {overall['value']:.3f} of the other candidates below the probe ({overall['low']:.3f} to {overall['high']:.3f}); popularity alone {overall['popularity']:.3f}."
        )
    return Figure(NAME, TITLE, "Against what users took, before anything is trained.", panels, tables, notes)
