"""The table itself: mean ± deviation over seeds, with the number of seeds, beside what was published."""

from inference import LEVEL
from model import Cell, Figure, Missing, Table, mean, spread, text

SLICE_NAMES = {"all": "all rows", "cold": "rows of cold users", "tail": "rows of tail items"}
_SAYS = {"within": "within", "above": "ours above", "below": "ours below", "": "no interval"}
NAME, TITLE = "scores", "Scores"


def _cell(source, row: str, column: str, part: str, best: float | None, usual: int) -> Cell:
    values = [*source.at(row, column, source.metric, part).values()]
    published = source.published.get((row, column, source.metric, part))
    paper = "" if published is None else f"paper {published:.4f}"
    if not source.has_run(row, column):
        return text("not run", note=paper)
    if not values:
        return text("no value", note=paper)
    notes, status = [f"n = {len(values)}"] if len(values) != usual else [], ""
    if published is not None:
        status = standing(source, row, column, part, published)
        notes.append(f"{paper}, {_SAYS[status]}")
    return spread(
        values, note=", ".join(notes), status=status, strong=len(values) == usual and mean(values) == best
    )


def standing(source, row: str, column: str, part: str, published: float) -> str:
    """Of the published figure: "within" the interval of our mean, or is ours "above" or "below" it? "" without one."""
    found = source.parts.get((column, part))
    method = next((each for each in found.methods if each.row == row), None) if found else None
    interval = method.interval() if method else None
    if interval is None:
        return ""
    return (
        "within"
        if interval.low <= published <= interval.high
        else "above"
        if interval.low > published
        else "below"
    )


def make(source) -> Figure:
    counts = [len(found) for (_, _, metric, _), found in source.values.items() if metric == source.metric]
    if not counts:
        raise Missing(f"no run tells {source.metric}")
    usual = max(set(counts), key=counts.count)

    def best(column: str, part: str) -> float | None:
        """Of the rows with as many seeds as most."""
        told = [source.at(row, column, source.metric, part) for row in source.rows]
        means = [mean([*at.values()]) for at in told if len(at) == usual]
        return max(means) if len(means) > 1 and source.statistics else None

    def table(caption: str, header: list[str], cells: list[tuple[str, str]]) -> Table:
        tops = [best(*each) for each in cells]
        rows = [
            [
                text(row),
                *(_cell(source, row, *each, top, usual) for each, top in zip(cells, tops, strict=True)),
            ]
            for row in source.rows
        ]
        return Table(
            f"{source.metric}, {caption}; n = {usual} seed{'s' * (usual > 1)} where no other number stands",
            ["row", *header],
            rows,
        )

    if len(source.columns) == 1:
        (column,) = source.columns
        parts = source.slices
        tables = [table(column, [SLICE_NAMES[part] for part in parts], [(column, part) for part in parts])]
    else:
        tables = [
            table(SLICE_NAMES[part], source.columns, [(column, part) for column in source.columns])
            for part in source.slices
        ]
    notes = [
        "Mean ± standard deviation (n − 1) over n seeds. Bold: the highest mean of its column, which is no test; of as many seeds as most cells have."
    ]
    if source.published:
        notes.append(
            f"paper: what was published, within the {LEVEL:.0%} interval ({source.over()}) of our mean, or our "
            "interval lies above or below it. Within says that the two do not contradict each other, and a wide "
            "interval contradicts little."
        )
    return Figure(
        NAME, TITLE, "Every row by every column, for each slice of the test.", tables=tables, notes=notes
    )
