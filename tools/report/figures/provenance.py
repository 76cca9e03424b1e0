"""Where each cell comes from, and the command that makes it again."""

import shlex

from model import Figure, Table, mean, number, text

NAME, TITLE = "provenance", "Provenance"
_HASHES = {
    "data_hash": "data",
    "feature_hash": "features",
    "text_hash": "texts",
    "scores_hash": "scores",
    "vectors_hash": "vectors",
}


def _one(values: list) -> str:
    """What the runs of a cell share, or all of it."""
    return (
        ", ".join(
            dict.fromkeys(str(value) for value in values if value not in (None, "", "0000000000000000"))
        )
        or "–"
    )


def command(source, row: str, column: str) -> str:
    """Of the first seed; the others' differ in seed= alone."""
    (_, _, seed), run = next(
        item
        for item in sorted(source.runs.items(), key=lambda item: str(item[0][2]))
        if item[0][:2] == (row, column)
    )
    config = f"{run.folder}/config.toml"
    return f"./run sllmr train {shlex.quote(config)} run_dir=runs/again"


def make(source) -> Figure:
    rows, commands = [], []
    for column in source.columns:
        for row in source.rows:
            runs = [run for (of, at, _), run in source.runs.items() if (of, at) == (row, column)]
            if not runs:
                continue
            machines = [run.told.get("machine") or {} for run in runs]
            rows.append(
                [
                    text(row),
                    text(column),
                    text(_one(sorted(run.seed for run in runs if run.seed is not None))),
                    text(_one([run.told.get("commit") for run in runs])),
                    text(_one([run.told.get("device") for run in runs])),
                    text(_one([machine.get("gpu") or machine.get("cpu") for machine in machines])),
                    text(_one([run.told.get("threads") for run in runs])),
                    number(
                        mean(seconds)
                        if (
                            seconds := [
                                s for run in runs if isinstance(s := run.told.get("seconds"), int | float)
                            ]
                        )
                        else None,
                        ".1f",
                    ),
                    *(text(_one([run.told.get(key) for run in runs])) for key in _HASHES),
                ]
            )
            commands.append([text(row), text(column), text(command(source, row, column))])
    header = [
        "row",
        "column",
        "seeds",
        "commit",
        "device",
        "machine",
        "threads",
        "seconds a run",
        *_HASHES.values(),
    ]
    tables = [
        Table("What each cell was made of", header, rows),
        Table(
            "The command that makes each cell again",
            ["row", "column", "command, of its first seed"],
            commands,
        ),
    ]
    notes = [
        "Hashes are of what the runs have read; a commit that ends in -dirty had changes. config.toml of a run folder is a "
        "recipe of every setting; seed=K makes another seed. From the folder where the runs were made."
    ]
    return Figure(NAME, TITLE, "", tables=tables, notes=notes)
