"""All other figures of the test."""

from model import Figure, Missing, Table, spread, text

NAME, TITLE = "metrics", "Other metrics"
_COUNTS = {"n", "positives", "parameters"}


def _cell(source, values):
    return spread(values, note=source.seeds_note(len(values)) if values and source.usual_seeds else "")


def make(source) -> Figure:
    found = {metric for _, _, metric, part in source.values if part == "all"}
    names = sorted(
        name
        for name in found
        if name not in _COUNTS and "." not in name.split("@")[0] and name != source.metric
    )
    if not names:
        raise Missing(f"the runs tell {source.metric} alone")
    rows = [
        [
            text(row),
            text(column),
            *(_cell(source, [*source.at(row, column, name).values()]) for name in names),
        ]
        for column in source.columns
        for row in source.rows
        if source.has_run(row, column)
    ]
    table = Table("Other metrics, all rows of the test", ["row", "column", *names], rows)
    return Figure(NAME, TITLE, "Mean ± standard deviation over seeds.", tables=[table])
