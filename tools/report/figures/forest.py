"""Differences to the baseline, seed by seed, with intervals and tests."""

from figures import intervals
from inference import ALPHA, LEVEL, POWER
from model import Figure, Missing, Panel, Table, number, text

NAME, TITLE = "forest", "Differences to the baseline"


def p_cell(value: float | None):
    return text("<.0001") if value is not None and value < 0.0001 else number(value)


def make(source) -> Figure:
    found = [*source.comparisons()]
    if not found:
        why = source.without_statistics or "no row has a baseline with a seed in common; --baseline names one"
        raise Missing(why)
    panels, rows = [], []
    for column in source.columns:
        values, shown, clear = [], [], 0
        for of, part, method in found:
            if of != column:
                continue
            each = method.comparison
            low, high = intervals.bounds(each)
            middle = float(each.differences.mean())
            side = intervals.side(low, high, len(each.seeds))
            clear += side in (intervals.SIDES["above"], intervals.SIDES["below"])
            over = source.baseline_of(method.row, column)
            bounds = f", {LEVEL:.0%} {low:+.4f} to {high:+.4f}" if low is not None else ", no interval"
            bounds += ", one seed: over users alone" if side == intervals.SIDES["one"] else ""
            values.append(
                {
                    "row": method.row,
                    "part": part,
                    "mean": middle,
                    "low": low,
                    "high": high,
                    "side": side,
                    "tip": f"{method.row}, {part}: {middle:+.4f}{bounds}",
                }
            )
            for seed, difference in zip(each.seeds, each.differences, strict=True):
                tip = f"{method.row}, {part}, seed {seed}: {difference:+.4f}"
                values.append({"row": method.row, "part": part, "seed": float(difference), "tip": tip})
            shown += [method.row] if method.row not in shown else []
            rows.append(
                [
                    text(method.row),
                    text(column),
                    text(part),
                    text(over),
                    number(middle, "+.4f"),
                    number(low, "+.4f"),
                    number(high, "+.4f"),
                    intervals.seeds_cell(source, each),
                    p_cell(each.p),
                    p_cell(each.holm),
                    p_cell(each.benjamini_hochberg),
                    number(each.smallest_detectable),
                ]
            )
        if values:
            compared = sum(of == column for of, _, _ in found)
            description = (
                f"{column}: differences of {source.metric} to the baseline, a row each, a panel a slice. Of {compared} "
                f"intervals {clear}, of two seeds or more, lie on one side of 0."
            )
            spec = intervals.spec(
                values, shown, source.slices, f"{source.metric} over {source.baseline}", source.direction()
            )
            panels.append(Panel(column, spec, description))
    header = [
        "row",
        "column",
        "slice",
        "over",
        "difference",
        "low",
        "high",
        "seeds",
        "p",
        "Holm",
        "BH",
        "detectable",
    ]
    tests = source.statistics.comparisons
    compared = [method.comparison for _, _, method in found]
    notes = [
        f"Intervals: {LEVEL:.0%}, of the mean difference, over {source.over(compared)}; thin ticks are the seeds. "
        "Colours and the side of 0 are of each comparison for itself, not adjusted for their number: of twenty without any "
        "difference one is coloured by chance. What holds for all of them is adjusted by Holm, and stands at a glance.",
        *intervals.mixed_note(source, compared),
    ]
    if tests:
        notes.append(
            f'p: two-sided paired t test over seeds, against "no difference" (that of ./run statistics is one-sided). Holm and BH '
            f"adjust over the {tests} comparisons of these slices and columns; detectable is the least difference that as "
            f"many seeds would show with {POWER:.0%} power at {ALPHA} / {tests}: a smaller one that is not shown is not absent."
        )
    else:
        notes.append("One seed: nothing is known of other seeds, and there is no test.")
    side = {1: "Right", -1: "Left"}.get(source.direction())
    caption = (
        f"{side} of the dashed line a row is better than its baseline on the same seeds." if side else ""
    )
    return Figure(NAME, TITLE, caption, panels, [Table("Paired differences", header, rows)], notes)
