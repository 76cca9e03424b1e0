"""What the table holds, and what may be concluded from it."""

from inference import ALPHA, LEVEL
from model import Figure, Table, text

NAME, TITLE = "overview", "At a glance"


def _names(found: list[str]) -> str:
    return "; ".join(found) if found else "none"


def _concluded(source) -> list[tuple[str, str]]:
    """Of the comparisons, those with a verdict."""
    better, worse, total = [], [], 0
    for column, part, method in source.comparisons():
        total += 1
        each = method.comparison
        interval = each.interval()
        if interval is None:
            continue
        where = f"{method.row} ({column}, {part}: {each.differences.mean():+.4f})"
        if interval.low > 0 and each.holm is not None and each.holm < ALPHA:
            better.append(where)
        elif interval.high < 0:
            worse.append(where)
    if not total:
        return []
    return [
        (
            f"Better than {source.baseline}",
            f"{_names(better)} (Holm below {ALPHA}, and the interval above 0)",
        ),
        (f"Worse than {source.baseline}", f"{_names(worse)} (the interval below 0)"),
        ("Not shown either way", f"{total - len(better) - len(worse)} of {total} comparisons"),
    ]


def make(source) -> Figure:
    seeds, cells = source.seeds(), len(source.rows) * len(source.columns)
    done = sum(source.has_run(row, column) for row in source.rows for column in source.columns)
    facts = [
        ("Runs", f"{len(source.runs)}, in {done} of {cells} cells; seeds {', '.join(map(str, seeds))}"),
        (
            "Finished",
            "yes"
            if source.complete
            else "no: the command that makes them was stopped, or goes on; tests are of the runs so far, and their family grows",
        ),
    ]
    if source.protocol:
        facts.append(("Protocol", source.protocol))
    if source.statistics:
        facts.append(("Target", source.statistics.metric.target))
        over = source.over() + (f": {source.without_users}" if source.without_users else "")
        facts.append(("Intervals", f"{LEVEL:.0%}, over {over}"))
    else:
        facts.append(("Intervals", f"none: {source.without_statistics}"))
    facts.append(("Baseline", source.baseline or "none found; --baseline names one"))
    facts += _concluded(source)
    table = Table(TITLE, ["what", "value"], [[text(name), text(value)] for name, value in facts])
    return Figure(NAME, TITLE, "", tables=[table])
