"""Ours less what was published, with the interval of our mean."""

from figures import intervals
from figures.scores import standing
from inference import LEVEL
from model import Figure, Missing, Panel, Table, mean, number, spread, text

NAME, TITLE = "paper", "Ours less the paper's"


def make(source) -> Figure:
    if not source.published:
        raise Missing("the table has no published figures (`reference` of an experiment's rows)")
    panels, rows = [], []
    for column in source.columns:
        values, shown, standings = [], [], []
        for row in source.rows:
            for part in source.slices:
                published = source.published.get((row, column, source.metric, part))
                at = source.at(row, column, source.metric, part)
                if published is None or not at:
                    continue
                found = source.parts.get((column, part))
                method = next((each for each in found.methods if each.row == row), None) if found else None
                interval = method.interval() if method else None
                low, high = (
                    (interval.low - published, interval.high - published) if interval else (None, None)
                )
                middle = mean([*at.values()]) - published
                word = standing(source, row, column, part, published) or "no interval"
                standings.append(word)
                tip = f"{row}, {part}: {middle:+.4f}, paper {published:.4f}, {word}"
                side = intervals.side(low, high)
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
                        number(len(at), "d"),
                        number(published),
                        number(middle, "+.4f"),
                        number(low, "+.4f"),
                        number(high, "+.4f"),
                        text(word, status=word),
                    ]
                )
        if values:
            description = (
                f"{column}: {source.metric} less the published one, a row each, a panel a slice. The paper's figure is "
                f"within {standings.count('within')} of {len(standings)} intervals."
            )
            spec = intervals.spec(values, shown, source.slices, f"{source.metric} less the paper's")
            panels.append(Panel(column, spec, description))
    if not rows:
        raise Missing("no run of a row with a published figure is finished")
    header = ["row", "column", "slice", "ours", "seeds", "paper", "difference", "low", "high", "paper's is"]
    rows = [
        cells[:-1] + [text(_SAYS.get(cells[-1].text, cells[-1].text), status=cells[-1].status)]
        for cells in rows
    ]
    notes = [
        f"Intervals: {LEVEL:.0%}, of our mean, over {source.over()}. The paper tells no deviation, so its own chance is in none."
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
