"""What a tuning leaves: trials.tsv, tuned recipes, tuning.json, the curve and a table."""

import json
import math
import os
import statistics
import tomllib
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from program import flattened
from study import Studies, counts, outcome_of

SLICES = ["all", "cold", "tail"]
# Okabe and Ito's colours, which the colour-blind tell apart; dashes and markers for print in black and white.
_COLOURS = ["#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"]
_DASHES = ["-", "--", "-.", ":"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _figure(trial: FrozenTrial, maximises: bool) -> float | None:
    """A complete trial's best validation, another's best as far as it came."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return (max if maximises else min)(trial.intermediate_values.values(), default=None)


def trials_text(studies: Studies, methods: list[str]) -> str:
    """trials.tsv. Under the lock."""
    keys = list(
        dict.fromkeys(
            key
            for method in methods
            for trial in studies.trials(method)
            for key in trial.user_attrs.get("params", {})
        )
    )
    lines: list[list[Any]] = [
        ["method", "number", "state", *keys, "figure", "best_epoch", "seconds", "commit", "run"]
    ]
    for method in methods:
        for trial in studies.trials(method):
            told, run = trial.user_attrs, studies.run_folder(method, trial.number)
            lines.append(
                [
                    method,
                    trial.number,
                    outcome_of(trial),
                    *(told.get("params", {}).get(key) for key in keys),
                    _figure(trial, studies.maximises),
                    told.get("best_epoch"),
                    round(told["seconds"], 2) if "seconds" in told else None,
                    told.get("commit"),
                    str(run.relative_to(studies.out)) if run.exists() else None,
                ]
            )
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines)


def recipe_text(config: str, heading: list[str]) -> str:
    """A run's configuration as a recipe: without its folder, and without what nobody set."""
    table = tomllib.loads(config)
    del table["defaults"], table["run_dir"]
    lines = [f"# {line}" for line in heading]
    lines += [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.items()
        if not isinstance(value, dict)
    ]
    for section, entries in table.items():
        if isinstance(entries, dict):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    return "\n".join(lines) + "\n"


def best_so_far(trials: list[FrozenTrial], maximises: bool) -> list[float | None]:
    """After each of the trials that count, the best figure of a complete one."""
    curve: list[float | None] = []
    for trial in trials:
        if counts(trial):
            seen = [curve[-1] if curve else None, trial.value if trial.state == TrialState.COMPLETE else None]
            curve.append(
                (max if maximises else min)((value for value in seen if value is not None), default=None)
            )
    return curve


def curve_text(curves: dict[str, list[float | None]]) -> str:
    """curve.tsv."""
    lines: list[list[Any]] = [["trials", *curves]]
    for k in range(max(map(len, curves.values()))):
        lines.append([k + 1, *(curve[k] if k < len(curve) else None for curve in curves.values())])
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines)


def draw_curve(path: Path, curves: dict[str, list[float | None]], monitor: str) -> None:
    """curve.svg, the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "sllmr", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, axes = plt.subplots(figsize=(6.4, 4))
    for k, (method, curve) in enumerate(curves.items()):
        axes.plot(
            range(1, len(curve) + 1),
            [math.nan if value is None else value for value in curve],
            drawstyle="steps-post",
            color=_COLOURS[k % len(_COLOURS)],
            linestyle=_DASHES[k % len(_DASHES)],
            marker=_MARKERS[k % len(_MARKERS)],
            markersize=4,
            label=method,
        )
    axes.set_xlabel("trials")
    axes.set_ylabel(f"best validation {monitor} so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    figure.savefig(temporary, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    temporary.replace(path)


def test_figures(results: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    """{metric: {slice: {seed: value}}} of what `sllmr compare` has stored for one method."""
    figures: dict[str, dict[str, dict[str, float | None]]] = {}
    for cell in json.loads(results.read_text(encoding="utf-8"))["cells"]:
        figures.setdefault(cell["metric"], {}).setdefault(cell["slice"], {})[str(cell["seed"])] = cell[
            "value"
        ]
    return figures


def _mean(values: dict[str, float | None]) -> str:
    """Mean and deviation over seeds; of one seed its value; "-" where a seed has none."""
    known = [value for value in values.values() if value is not None]
    if not known or len(known) < len(values):
        return "-"
    deviation = f" ± {statistics.stdev(known):.4f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.4f}{deviation}"


def table_text(tuning: dict[str, Any]) -> str:
    """The methods in Markdown: what was chosen by validation, and its test."""
    monitor = tuning["monitor"]
    shown = [(monitor, part) for part in SLICES]
    known = next(iter(tuning["methods"].values()))["test"]
    shown += [(name, "all") for name in ("ndcg@10", "log_loss") if name in known and name != monitor]
    keys = list(dict.fromkeys(key for found in tuning["methods"].values() for key in found["params"]))
    lines = [
        ["method", "trials", *keys, f"validation {monitor}", *(f"test {name} {part}" for name, part in shown)]
    ]
    lines.append(["---"] * len(lines[0]))
    for method, found in tuning["methods"].items():
        lines.append(
            [
                method,
                str(found["trials"]["counted"]),
                *(_cell(found["params"].get(key)) for key in keys),
                f"{found['validation']:.4f}",
                *(_mean(found["test"][name][part]) for name, part in shown),
            ]
        )
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def method_result(
    studies: Studies,
    method: str,
    best: FrozenTrial,
    recipe: Path,
    test: dict[str, Any],
    space: dict[str, Any],
    inputs: dict[str, str],
) -> dict[str, Any]:
    """A method's entry in tuning.json. Under the lock."""
    trials = studies.trials(method)
    states = [outcome_of(trial) for trial in trials]
    return {
        "space": space,
        "inputs": inputs,
        "trials": {
            "counted": sum(map(counts, trials)),
            **{state: states.count(state) for state in ("complete", "pruned", "diverged", "failed")},
        },
        "seconds": round(sum(trial.user_attrs.get("seconds", 0.0) for trial in trials), 2),
        "trial": best.number,
        "params": best.user_attrs["params"],
        "validation": best.value,
        "best_epoch": best.user_attrs["best_epoch"],
        "commit": best.user_attrs["commit"],
        "config": flattened(tomllib.loads(best.user_attrs["config"])),
        "recipe": recipe.name,
        "test": test,
    }
