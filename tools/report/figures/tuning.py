"""Evidence that every method was tuned as hard: the best validation so far against trials."""

from chart import MOST, category, counted, tip
from model import Figure, Missing, Panel, Table, number, text

NAME, TITLE = "tuning", "Tuning evidence"


def _spec(values, names, monitor):
    encodings = category("method", names)
    x = counted("trial", "trials")
    y = {
        "field": "value",
        "type": "quantitative",
        "title": f"best validation {monitor} so far",
        "scale": {"zero": False},
        "axis": {"tickCount": 6},
    }
    return {
        "data": {"values": values},
        "width": 560,
        "height": 300,
        "layer": [
            {
                "mark": {"type": "line", "interpolate": "step-after"},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": encodings["color"],
                    "strokeDash": encodings["strokeDash"],
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 45},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": encodings["color"],
                    "shape": encodings["shape"],
                    **tip(),
                },
            },
        ],
    }


def make(source) -> Figure:
    rows, panels = [], []
    every = [*source.curves]
    for names in (every[k : k + MOST] for k in range(0, len(every), MOST)):
        values = []
        for name in names:
            for k, value in enumerate(source.curves[name]):
                if value is not None:
                    tip_of = f"{name}, {k + 1} trials: {value:.4f}"
                    values.append({"method": name, "trial": k + 1, "value": value, "tip": tip_of})
        if values:
            description = (
                f"Best validation {source.monitor} so far against the number of trials, a line a method."
            )
            title = f"{names[0]} to {names[-1]}" if len(source.curves) > MOST else ""
            panels.append(Panel(title, _spec(values, names, source.monitor), description))
    if not panels:
        raise Missing("no trial has a validation yet")
    for name, told in source.methods.items():
        trials = told.get("trials") or {}
        params = ", ".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in (told.get("params") or {}).items()
        )
        rows.append(
            [
                text(name),
                *(
                    number(trials.get(state), "d")
                    for state in ("counted", "complete", "pruned", "diverged", "failed")
                ),
                number(told.get("validation")),
                number(told.get("seconds"), ".0f"),
                text(params),
            ]
        )
    header = [
        "method",
        "trials",
        "complete",
        "pruned",
        "diverged",
        "failed",
        f"best {source.monitor}",
        "seconds",
        "chosen by validation",
    ]
    caption = "The same number of trials of the same space; a curve that still climbs was not tuned out."
    return Figure(NAME, TITLE, caption, panels, [Table(TITLE, header, rows)])
