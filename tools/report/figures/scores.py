"""The table itself: mean ± deviation over seeds, with the number of seeds, beside what was published."""

from figures import intervals
from inference import LEVEL
from model import Cell, Figure, Table, mean, spread, text

SLICE_NAMES = {"all": "all rows", "cold": "rows of cold users", "tail": "rows of tail items"}
NAME, TITLE = "scores", "Scores"


def _cell(source, row: str, column: str, part: str, best: float | None, usual: int) -> Cell:
    values = [*source.at(row, column, source.metric, part).values()]
    published = source.published.get((row, column, source.metric, part))
    paper = "" if published is None else f"paper {published:.4f}"
    if not source.has_run(row, column):
        return text("not run", note=paper)
    if not values:
        return text("no value", note=paper)
    notes, status = [source.seeds_note(len(values))], ""
    if published is not None:
        status, word = standing(source, row, column, part, published)
        notes.append(f"{paper}, {word}")
    return spread(
        values,
        note=", ".join(filter(None, notes)),
        status=status,
        strong=len(values) == usual and mean(values) == best,
    )


def standing(source, row: str, column: str, part: str, published: float) -> tuple[str, str]:
    """(of the published figure "within" the interval of our mean, or is ours "above" or "below" it; in words). One seed
    tells nothing of our mean over seeds: "", and so without an interval."""
    low, high = intervals.bounds(source.method(row, column, part))
    if len(source.at(row, column, source.metric, part)) < 2:
        return "", "one seed"
    if low is None or high is None:
        return "", "no interval"
    if low <= published <= high:
        return "within", "within"
    return ("above", "ours above") if low > published else ("below", "ours below")


def make(source) -> Figure:
    source.first_slice()
    usual, direction = source.usual_seeds, source.direction()

    def best(column: str, part: str) -> float | None:
        """Of the rows with as many seeds as most."""
        told = [source.at(row, column, source.metric, part) for row in source.rows]
        means = [mean([*at.values()]) for at in told if len(at) == usual]
        return direction * max(direction * each for each in means) if len(means) > 1 and direction else None

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
    notes = ["Mean ± standard deviation (n − 1) over n seeds."]
    if direction:
        word = "highest" if direction > 0 else "lowest"
        notes[0] += (
            f" Bold: the {word} mean of its column, which is the best and no test; of as many seeds as most cells have."
        )
    shown = [
        source.method(row, column, part)
        for row, column, metric, part in source.published
        if metric == source.metric and source.at(row, column, metric, part)
    ]
    if shown:
        notes.append(
            f"paper: what was published, within the {LEVEL:.0%} interval (over {source.over([each for each in shown if each])}) of our mean, or our "
            "interval lies above or below it; of one seed neither is said. Within says that the two do not contradict each other, "
            "and a wide interval contradicts little."
        )
    return Figure(
        NAME, TITLE, "Every row by every column, for each slice of the test.", tables=tables, notes=notes
    )
