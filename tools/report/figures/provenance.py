"""Where each cell comes from, and the command that makes it again."""

import re
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


def commands(source) -> dict[tuple[str, str], str]:
    """By row and column, of the first seed, the others' differ in seed= alone; each into a folder of its own."""
    found: dict[tuple[str, str], str] = {}
    folders: set[str] = set()
    for (row, column, _), run in sorted(source.runs.items(), key=lambda item: item[0][2] or 0):
        if (row, column) in found:
            continue
        name = re.sub(r"[^\w.=+-]+", "_", f"{row}_{column}")[:100].strip("._") or "run"
        k, first = 1, name
        while name in folders:
            k += 1
            name = f"{first}_{k}"
        folders.add(name)
        threads = run.told.get("threads")
        words = ["./run", "sllmr", "train", f"{run.folder}/config.toml"]
        words += [f"threads={threads}"] if threads else []
        found[row, column] = shlex.join([*words, f"run_dir=runs/again/{name}"])
    return found


def make(source) -> Figure:
    rows, lines, again = [], [], commands(source)
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
            lines.append([text(row), text(column), text(again[row, column])])
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
            lines,
        ),
    ]
    notes = [
        "Hashes are of what the runs have read; a commit that ends in -dirty had changes. config.toml of a run folder is a "
        "recipe of every setting; seed=K makes another seed. From the folder where the runs were made. Threads are as the "
        "run had them: another number changes figures in train.mode=fused on a CPU only."
    ]
    return Figure(NAME, TITLE, "", tables=tables, notes=notes)
