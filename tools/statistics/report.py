#!/usr/bin/env python3
"""Compares the methods of finished runs with intervals and tests: docs/statistics.md.

usage: report.py FOLDER... --program SLLMR [--baseline none] [--metric auc] [--family all,cold] [--json FILE]
"""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # what follows takes a second to import, and has nothing to leave
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import inference
from analysis import Comparison, Method, Part, Statistics, chosen
from inference import ALPHA, LEVEL, POWER
from runs import Evaluator, read_tables
from shared import Parser, Progress, ToolError, require_replaceable, run_tool, write_text

_MADE_BY = "./run statistics"
_BOOTSTRAP_DRAWS = 1000
_BOOTSTRAP_SEED = 1


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def _p(value: float | None) -> str:
    return "-" if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}"


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4f}" + (f" ± {values.std(ddof=1):.4f}" if values.size > 1 else "")


def _cells(method: Method, n_users: int) -> list[str]:
    own = inference.over_users(method.values, method.deviations)
    cells = [
        method.row,
        str(len(method.seeds)),
        _spread(method.values),
        f"{own.low:.4f} to {own.high:.4f}",
    ]
    found = method.comparison
    if found is None:
        return cells + ["-"] * 6
    interval = found.interval()
    alone = " (users alone)" if len(found.seeds) == 1 else ""
    paired = "" if len(found.seeds) == len(method.seeds) else f" ({len(found.seeds)} seeds)"
    detectable = "-" if found.smallest_detectable is None else f"{found.smallest_detectable:.4f}"
    return cells + [
        _signed(float(found.differences.mean())) + paired,
        f"{_signed(interval.low)} to {_signed(interval.high)}{alone}",
        _p(found.p),
        _p(found.holm),
        _p(found.benjamini_hochberg),
        detectable,
    ]


def markdown(statistics: Statistics, parts: list[Part]) -> str:
    baseline, metric = statistics.baseline, statistics.metric
    level = f"{100 * LEVEL:.0f} %"
    header = [
        "method",
        "seeds",
        metric.name,
        f"{level}, users",
        f"over {baseline}",
        f"{level}, seeds and users",
    ]
    header += ["p", "Holm", "BH", "detectable"]
    text = ""
    for part in parts:
        text += (
            f"## {part.table.source.parent.name}, {part.table.column}: {part.slice} ({part.users} users)\n\n"
        )
        lines = [header, ["---"] * len(header), *(_cells(method, part.users) for method in part.methods)]
        text += "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"
    notes = [
        f"Target: {metric.target} (eval.protocol={metric.protocol}, test).",
        f"{metric.name}: mean ± standard deviation over seeds; the interval beside it is of these very runs, over users.",
    ]
    if statistics.comparisons:
        notes += [
            f'p: one-sided paired t test over seeds, against "not better than {baseline}", for these users: other '
            f"users are in the interval alone, so believe a p where that is on one side of 0. Holm and BH "
            f"(false discovery rate, for exploration): over the comparisons above, {statistics.comparisons} in all.",
            f"detectable: what as many seeds would have shown with {100 * POWER:.0f} % power at {ALPHA} / "
            f"{statistics.comparisons}, Holm's first step; a smaller difference that is not shown is not absent.",
        ]
    if any(
        method.comparison and len(method.comparison.seeds) == 1 for part in parts for method in part.methods
    ):
        notes.append(
            "One seed: intervals are over users alone and say nothing of other seeds; there is no test."
        )
    for table in {id(part.table): part.table for part in parts}.values():
        if not table.complete:
            notes.append(f"{table.source} is not complete: {len(table.runs)} runs so far.")
    return text + "".join(f"- {note}\n" for note in dict.fromkeys(notes))


def _comparison_json(found: Comparison) -> dict[str, Any]:
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = inference.hierarchical_bootstrap(found.differences, found.deviations, _BOOTSTRAP_DRAWS, generator)
    tail = (1 - LEVEL) / 2
    interval = asdict(found.interval())
    interval["df"] = interval["df"] if np.isfinite(interval["df"]) else None
    return {
        "seeds": found.seeds,
        "differences": found.differences.tolist(),
        "mean": float(found.differences.mean()),
        "over": "users" if len(found.seeds) == 1 else "seeds and users",
        "interval": interval,
        "bootstrap": {
            "draws": _BOOTSTRAP_DRAWS,
            "seed": _BOOTSTRAP_SEED,
            "error": float(drawn.std(ddof=1)),
            "low": float(np.quantile(drawn, tail)),
            "high": float(np.quantile(drawn, 1 - tail)),
        },
        "p": found.p,
        "holm": found.holm,
        "benjamini_hochberg": found.benjamini_hochberg,
        "smallest_detectable": found.smallest_detectable,
    }


def _method_json(method: Method) -> dict[str, Any]:
    own = inference.over_users(method.values, method.deviations)
    return {
        "row": method.row,
        "seeds": method.seeds,
        "values": method.values.tolist(),
        "mean": float(method.values.mean()),
        "deviation": float(method.values.std(ddof=1)) if len(method.seeds) > 1 else None,
        "users_interval": {"low": own.low, "high": own.high, "error": own.error},
        "comparison": None if method.comparison is None else _comparison_json(method.comparison),
    }


def as_json(statistics: Statistics, parts: list[Part]) -> str:
    told = {
        "made_by": _MADE_BY,
        "schema": 1,
        "metric": statistics.metric.name,
        "protocol": statistics.metric.protocol,
        "target": statistics.metric.target,
        "baseline": statistics.baseline,
        "family": {"slices": statistics.slices, "comparisons": statistics.comparisons},
        "level": LEVEL,
        "alpha": ALPHA,
        "power": POWER,
        "parts": [
            {
                "results": str(part.table.source),
                "column": part.table.column,
                "slice": part.slice,
                "users": part.users,
                "complete": part.table.complete,
                "methods": [_method_json(method) for method in part.methods],
            }
            for part in parts
        ],
    }
    return json.dumps(told, indent=2) + "\n"


def _is_own(text: str) -> bool:
    try:
        return json.loads(text)["made_by"] == _MADE_BY
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"'{text}' must name each once, separated by commas")
    return names


def parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog=_MADE_BY,
        description="Compares methods with intervals and tests; docs/statistics.md",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="the --out folder of compare or experiment run"
    )
    parser.add_argument(
        "--baseline",
        default="none",
        help="row that the others are compared with, by its name or last words (default: none)",
    )
    parser.add_argument(
        "--rows",
        type=_names,
        help="methods to compare, by their names or last words, separated by commas (default: all)",
    )
    parser.add_argument(
        "--metric", default="auc", help="auc, gauc (protocol ctr), recall@K, ndcg@K (full) (default: auc)"
    )
    parser.add_argument(
        "--family",
        type=_names,
        default=["all"],
        metavar="SLICES",
        help="slices whose comparisons are one family of tests, separated by commas (default: all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--predictions", type=Path, metavar="FOLDER", help="keep predictions there (default: beside each run)"
    )
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_intermixed_args(words)
    if not arguments.folders:
        raise ToolError("name the --out folder of compare or experiment run: ./run statistics runs/beauty")
    if len({Path(folder).resolve() for folder in arguments.folders}) < len(arguments.folders):
        raise ToolError("a folder is named twice")
    if arguments.json is not None:
        require_replaceable("--json", arguments.json, _is_own)
    return arguments


def _work(words: list[str]) -> None:
    arguments, progress = parse(words), Progress()
    tables = [table for folder in arguments.folders for table in read_tables(Path(folder))]
    tables = chosen(tables, arguments.baseline, arguments.rows)
    statistics = Statistics(tables, arguments.baseline, arguments.metric, arguments.family, progress)
    parts = statistics.over_users(Evaluator(arguments.program, arguments.predictions))
    text = markdown(statistics, parts)
    if arguments.json is not None:
        progress.show("bootstrap")
        write_text(arguments.json, as_json(statistics, parts))
        progress.clear()
    sys.stdout.write(text)


def main(words: list[str]) -> int:
    return run_tool("statistics", lambda: _work(words), lambda: "stopped; predictions so far are kept")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="surrogateescape")  # folders may have any name
    sys.exit(main(sys.argv[1:]))
