"""Ours less what was published, with the interval of our mean."""

from figures import intervals
from figures.scores import standing
from inference import LEVEL
from model import Figure, Missing, Panel, Table, mean, number, spread, text

NAME, TITLE = "paper", "Ours less the paper's"


def make(source) -> Figure:
    if not any(metric == source.metric for _, _, metric, _ in source.published):
        raise Missing(f"the table has no published {source.metric} (`reference` of an experiment's rows)")
    panels, rows, methods = [], [], []
    for column in source.columns:
        values, shown, standings = [], [], []
        for row in source.rows:
            for part in source.slices:
                published = source.published.get((row, column, source.metric, part))
                at = source.at(row, column, source.metric, part)
                if published is None or not at:
                    continue
                method = source.method(row, column, part)
                methods += [method] if method else []
                low, high = intervals.bounds(method)
                if low is not None:
                    low, high = low - published, high - published
                middle = mean([*at.values()]) - published
                status, word = standing(source, row, column, part, published)
                standings.append(status)
                tip = f"{row}, {part}: {middle:+.4f}, paper {published:.4f}, {word}"
                side = intervals.side(low, high, len(at))
                values.append(
                    {
                        "row": row,
                        "part": part,
                        "mean": middle,
                        "low": low,
                        "high": high,
                        "side": side,
                        "tip": tip,
                    }
                )
                shown += [row] if row not in shown else []
                rows.append(
                    [
                        text(row),
                        text(column),
                        text(part),
                        spread([*at.values()]),
                        intervals.seeds_cell(source, method) if method else number(len(at), "d"),
                        number(published),
                        number(middle, "+.4f"),
                        number(low, "+.4f"),
                        number(high, "+.4f"),
                        text(_SAYS.get(status, word), status=status),
                    ]
                )
        if values:
            description = (
                f"{column}: {source.metric} less the published one, a row each, a panel a slice. The paper's figure is "
                f"within {standings.count('within')} of {sum(map(bool, standings))} intervals of two seeds or more."
            )
            spec = intervals.spec(
                values, shown, source.slices, f"{source.metric} less the paper's", source.direction()
            )
            panels.append(Panel(column, spec, description))
    if not rows:
        raise Missing("no run of a row with a published figure is finished")
    header = ["row", "column", "slice", "ours", "seeds", "paper", "difference", "low", "high", "paper's is"]
    notes = [
        f"Intervals: {LEVEL:.0%}, of our mean, over {source.over(methods)}. The paper tells no deviation, so its own chance is in none.",
        *intervals.mixed_note(source, methods),
    ]
    return Figure(
        NAME,
        TITLE,
        "At the dashed line a row equals the paper's figure.",
        panels,
        [Table(TITLE, header, rows)],
        notes,
    )


_SAYS = {"within": "within", "above": "below ours", "below": "above ours"}
