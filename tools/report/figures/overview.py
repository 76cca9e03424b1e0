"""What the table holds, and what may be concluded from it."""

from inference import ALPHA, LEVEL
from model import Figure, Table, text

NAME, TITLE = "overview", "At a glance"


def _names(found: list[str]) -> str:
    return "; ".join(found) if found else "none"


def _concluded(source) -> list[tuple[str, str]]:
    """Of the comparisons, those with a verdict."""
    found: dict[str, list[str]] = {"better": [], "worse": []}
    total, single = 0, 0
    words = {1: ("better", "worse"), -1: ("worse", "better")}.get(source.direction())
    for column, part, method in source.comparisons():
        total += 1
        each = method.comparison
        single += len(each.seeds) < 2
        verdict = each.verdict()
        if verdict and words:
            where = f"{method.row} ({column}, {part}: {each.differences.mean():+.4f})"
            found[words[verdict == "below"]].append(where)
    if not total:
        return []
    shown = sum(map(len, found.values()))
    how = f"two-sided test over two seeds or more, Holm over {source.statistics.comparisons} below {ALPHA}, and the interval on that side of 0"
    return [
        *((f"{word.capitalize()} than {source.baseline}", _names(found[word])) for word in found),
        (
            "Not shown either way",
            f"{total - shown} of {total} comparisons"
            + (f", {single} of them with one seed, which has no test" if single else ""),
        ),
        ("Shown is", how),
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
        methods = [method for part in source.parts.values() for method in part.methods]
        over = source.over(methods) + (f": {source.without_users}" if source.without_users else "")
        facts.append(("Intervals", f"{LEVEL:.0%}, over {over}"))
    else:
        facts.append(("Intervals", f"none: {source.without_statistics}"))
    facts.append(("Baseline", source.baseline or "none found; --baseline names one"))
    facts += _concluded(source)
    table = Table(TITLE, ["what", "value"], [[text(name), text(value)] for name, value in facts])
    return Figure(NAME, TITLE, "", tables=[table])
