#!/usr/bin/env python3
"""Tunes methods of guidance with the same budget: docs/tuning.md.

usage: tune.py RECIPE [KEY=VALUE...] --program SLLMR [--methods A,B] [--trials N] [--seeds 1,2] [--out FOLDER]
"""

import argparse
import fcntl
import json
import sys
import time
from pathlib import Path
from typing import Any

import optuna

sys.path.append(str(Path(__file__).parents[1]))
import results
from program import Program, inputs_of, read_validations
from shared import Child, Parser, Progress, ToolError, error_of, run_tool, write_text
from space import Parameter, TuneError, read_space, space_beside, word_of
from study import PRUNERS, STARTUP_TRIALS, Claim, Settings, Studies, outcome_of

_VALIDATIONS = 10  # of a trial whose recipe asks for none
_POLL_SECONDS = 0.1


class Tuning:
    """One command's work on an out folder."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.methods: list[str] = arguments.methods
        self.program = Program(arguments.program, [arguments.recipe, *arguments.overrides])
        self.progress = Progress()
        self._prepare()

    def _prepare(self) -> None:
        """Finds what is wrong before anything is written, and opens the out folder."""
        path = (
            Path(self.arguments.space) if self.arguments.space else space_beside(Path(self.arguments.recipe))
        )
        families = self.program.families()
        fixed = {word.split("=")[0] for word in self.arguments.overrides}
        space = [found for found in read_space(path) if found.key not in fixed]
        known = families.keys() | {word for words in families.values() for word in words}
        for found in space:
            if unknown := [name for name in found.methods if name not in known]:
                raise TuneError(f"{path}: '{found.key}': the program has no method '{unknown[0]}'")
        self.program.leave_out_unused(self.methods)
        self.spaces: dict[str, list[Parameter]] = {}
        self.settings: dict[str, Settings] = {}
        warned: set[str] = set()
        for method in self.methods:
            self.progress.show(f"{method}: reading data")
            start = self.program.start(method)
            self._validates(start.config)
            for line in start.warnings.splitlines(keepends=True):
                if line not in warned:
                    self.progress.clear()
                    sys.stderr.write(line)
                warned.add(line)
            names = {method} | {family for family, words in families.items() if method in words}
            applies = [found for found in space if not found.methods or names.intersection(found.methods)]
            self.spaces[method] = self._settled(applies, start.config, method, path)
            if not self.spaces[method]:
                raise TuneError(
                    f"{path}: nothing of method={method} is tuned; give it a key, or leave the method out"
                )
            self.settings[method] = Settings.of(
                start, self.spaces[method], self.arguments.sampler_seed, self.arguments.pruner
            )
        config = self.settings[self.methods[0]].config
        self.monitor, self.epochs = config["eval.monitor"], config["train.epochs"]
        self.studies = Studies(
            Path(self.arguments.out),
            self.settings,
            self.spaces,
            self.program.maximises(config["eval.protocol"], self.monitor),
        )
        self.studies.require_at_most(self.arguments.trials)

    def _validates(self, config: dict[str, Any]) -> None:
        """Trials are chosen by validation: a recipe without gets some, for this method and the next."""
        if config["train.epochs"] == 0:
            raise TuneError("train.epochs is 0: there is nothing to tune")
        if config.get("eval.monitor_on", "validation") != "validation":
            raise TuneError("eval.monitor_on=test: what is chosen by the test tells nothing; leave it out")
        if config["train.eval_every"] == 0:
            every = max(1, config["train.epochs"] // _VALIDATIONS)
            self.program.words.append(f"train.eval_every={every}")
            config["train.eval_every"] = every
        elif config["train.eval_every"] > config["train.epochs"]:
            raise TuneError(
                f"train.eval_every={config['train.eval_every']} validates in none of the "
                f"{config['train.epochs']} epochs: lower it"
            )

    def _settled(
        self, space: list[Parameter], config: dict[str, Any], method: str, path: Path
    ) -> list[Parameter]:
        """With their ranges, both ends of which the program takes."""
        try:
            for found in space:
                if found.key not in config:  # refused by name
                    self.program.require_accepted(method, [f"{found.key}=1"])
            settled = [found.settled(config[found.key]) for found in space]
            ends = [[f"{found.key}={word_of(end)}" for end in found.ends()] for found in settled]
            for k in range(max(map(len, ends), default=0)):
                some = [words[k] for words in ends if k < len(words)]
                self.program.require_accepted(method, some)
            return settled
        except TuneError as error:
            raise TuneError(f"{path}: {str(error).replace(' (command line)', '')}") from error

    def run(self) -> None:
        while claim := self.studies.claim(self.arguments.trials):
            self._run_trial(claim)
            if self.arguments.keep == "best":
                self.studies.drop_runs()
            self._write_trials()
        self.progress.clear()
        self._finish()

    def _write_trials(self) -> None:
        with self.studies.locked():
            write_text(
                self.studies.out / "trials.tsv", results.trials_text(self.studies, self.methods)
            )

    def _run_trial(self, claim: Claim) -> None:
        began = time.monotonic()
        child = self.program.train(claim.method, claim.params, claim.run)
        try:
            outcome = self._watch(claim, child)
        except BaseException as error:
            child.stop()
            if isinstance(error, KeyboardInterrupt):
                self.studies.seconds(claim, time.monotonic() - began)
                self._stopped_in = f" (trial {claim.number} of {claim.method} will go on)"
            self.studies.release(claim)
            raise
        self.studies.seconds(claim, time.monotonic() - began)
        if outcome == "complete":
            self._complete(claim)
        elif outcome == "failed":
            self.studies.finish(claim, outcome, reason=error_of(child.said()))
            raise TuneError(f"trial {claim.number} of {claim.method}: {error_of(child.said())}")
        else:
            self.studies.finish(claim, outcome)

    def _watch(self, claim: Claim, child: Child) -> str:
        """Reports validations until the run ends or is given up. The verdict on an epoch does not depend on
        how fast it was trained: a run that has ended meanwhile is given up too."""
        log, read, seen, best = claim.run / "metrics.jsonl", -1, 0, None
        while True:
            status = child.status()
            size = log.stat().st_size if log.exists() else -1
            if size != read:
                validations = read_validations(claim.run, self.monitor)
                for epoch, value in validations[seen:]:
                    if self.studies.report(claim, epoch, value):
                        child.stop(10)
                        return "pruned"
                    best = value if best is None else (max if self.studies.maximises else min)(best, value)
                read, seen = size, len(validations)
                told = "" if best is None else f", {self.monitor} {best:.4f}"
                at = f" epoch {validations[-1][0]}/{self.epochs}" if validations else ""
                self.progress.show(
                    f"{claim.method} trial {claim.number + 1}/{self.arguments.trials}{at}{told}"
                )
            if status is not None:
                break
            time.sleep(_POLL_SECONDS)
        if status == 130:  # somebody else has stopped it
            raise KeyboardInterrupt
        if status == 0:
            return "complete"
        return "diverged" if "diverged" in error_of(child.said()) else "failed"

    def _complete(self, claim: Claim) -> None:
        summary = json.loads((claim.run / "summary.json").read_text(encoding="utf-8"))
        now, then = inputs_of(summary), self.settings[claim.method].inputs
        if changed := [name for name in then if now.get(name) != then[name]]:
            self.studies.finish(claim, "failed", reason=f"another {changed[0]}")
            raise TuneError(
                f"trial {claim.number} of {claim.method}: {changed[0]} was {then[changed[0]]}, is "
                f"{now.get(changed[0])}: restore the data and the program, or choose another --out"
            )
        validation = summary.get("validation", {"best": None})
        told = {"commit": summary["commit"], "machine": summary["machine"], "config": summary["config"]}
        if validation["best"] is None:
            self.studies.finish(
                claim, "failed", reason=f"no validation has a value of {self.monitor}", **told
            )
            raise TuneError(
                f"trial {claim.number} of {claim.method}: no validation has a value of {self.monitor}: "
                "choose another eval.monitor"
            )
        self.studies.finish(
            claim, "complete", validation["best"], best_epoch=validation["best_epoch"], **told
        )

    def _finish(self) -> None:
        """The test of each method's best trial, and the results; by the process that is the last."""
        with self.studies.locked():
            running = sum(
                outcome_of(trial) == "running"
                for method in self.methods
                for trial in self.studies.trials(method)
            )
        if running:
            return print(
                f"tune: other processes are at {running} of the trials; the last of them writes the results",
                file=sys.stderr,
            )
        with (self.studies.out / ".finish").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return print("tune: another process tests and writes the results", file=sys.stderr)
            self._write_trials()
            self._write_results()

    def _write_results(self) -> None:
        out, methods, curves = self.studies.out, {}, {}
        for method in self.methods:
            with self.studies.locked():
                best = self.studies.best(method)
                curves[method] = results.best_so_far(self.studies.trials(method), self.studies.maximises)
            if best is None:
                raise TuneError(
                    f"no trial of {method} was completed; see {out / 'trials.tsv'}, "
                    "lower train.lr's range and choose another --out"
                )
            recipe = out / f"{method}.toml"
            told = f"{self.monitor} {best.value:.6f}, epoch {best.user_attrs['best_epoch']}"
            heading = [
                f"Made by ./run tune {self.arguments.recipe}:",
                f"trial {best.number}, the best of {len(curves[method])} by validation ({told}).",
            ]
            write_text(recipe, results.recipe_text(best.user_attrs["config"], heading))
            test = self._test(method, best.number, recipe)
            with self.studies.locked():
                methods[method] = results.method_result(
                    self.studies,
                    method,
                    best,
                    recipe,
                    test,
                    self.settings[method].space,
                    self.settings[method].inputs,
                )
        tuning = {
            "schema": 1,
            "recipe": self.arguments.recipe,
            "overrides": self.program.words[1:],
            "monitor": self.monitor,
            "direction": "maximise" if self.studies.maximises else "minimise",
            "trials": self.arguments.trials,
            "seeds": self.arguments.seeds,
            "sampler": {"name": "TPE", "seed": self.arguments.sampler_seed, "startup_trials": STARTUP_TRIALS},
            "pruner": self.arguments.pruner,
            "methods": methods,
        }
        write_text(out / "curve.tsv", results.curve_text(curves))
        results.draw_curve(out / "curve.svg", curves, self.monitor)
        write_text(out / "tuning.json", json.dumps(tuning, indent=2) + "\n")
        sys.stdout.write(results.table_text(tuning))

    def _test(self, method: str, number: int, recipe: Path) -> dict[str, Any]:
        """The test figures of a tuned recipe by seed, trained anew: only now, and only of what was chosen."""
        folder = self.studies.out / "test" / f"{method}_{number:04}"
        child = self.program.compare(recipe, method, self.arguments.seeds, folder, self.progress.is_shown)
        try:
            while child.status() is None:
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            child.stop()
            raise
        if child.status() == 130:
            raise KeyboardInterrupt
        if child.status() != 0:
            # On a terminal it has said so itself.
            told = f": {error_of(child.said())}" if child.said() else ""
            raise TuneError(f"the test of {method} failed{told}")
        return results.test_figures(folder / "results.json")

    _stopped_in = ""

    def stopped(self) -> str:
        return f"stopped; the same command goes on{self._stopped_in}"


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"'{text}' must name each once, separated by commas")
    return names


def _whole(least: int):
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"'{text}' is no integer in [{least}, {2**31 - 1}]")
        return int(text)

    return parse


def parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="./run tune", description="Tunes methods of guidance with the same budget; docs/tuning.md"
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="recipe [key=value ...]",
        help="a recipe (TOML), and overrides for every run; an overridden key is not tuned",
    )
    parser.add_argument(
        "--methods",
        type=_names,
        default=["none", "global", "agreement"],
        help="words that method= takes, separated by commas (default: none,global,agreement)",
    )
    parser.add_argument("--trials", type=_whole(1), default=20, help="of each method (default: 20)")
    parser.add_argument(
        "--seeds",
        type=lambda text: [_whole(0)(seed) for seed in _names(text)],
        default=[1, 2, 3],
        help="of the test of what was chosen, separated by commas (default: 1,2,3)",
    )
    parser.add_argument(
        "--space",
        metavar="FILE",
        help="what is tuned (default: RECIPE.space.toml, else tools/tune/default.space.toml)",
    )
    parser.add_argument(
        "--sampler-seed", type=_whole(0), default=1, help="of the values that are tried (default: 1)"
    )
    parser.add_argument(
        "--pruner",
        choices=PRUNERS,
        default=PRUNERS[0],
        help="quartile: gives up trials in the worst quarter of the finished ones (default)",
    )
    parser.add_argument(
        "--keep", choices=["all", "best"], default="all", help="run folders of trials (default: all)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="an earlier one goes on (default: runs/tune/RECIPE)")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_intermixed_args(words)
    recipes = [word for word in arguments.words if "=" not in word]
    if len(recipes) != 1:
        raise TuneError(f"name one recipe, not {len(recipes)}: ./run tune experiments/recipes/mf_beauty.toml")
    arguments.recipe = recipes[0]
    arguments.overrides = [word for word in arguments.words if "=" in word]
    for word in arguments.overrides:
        if word.split("=")[0] in ("method", "run_dir"):
            raise TuneError(f"'{word}' cannot be overridden here: use --methods and --out")
    arguments.out = arguments.out or f"runs/tune/{Path(arguments.recipe).stem}"
    return arguments


def main(words: list[str]) -> int:
    tuning = None

    def work() -> None:
        nonlocal tuning
        try:
            tuning = Tuning(parse(words))
            tuning.run()
        except (OSError, optuna.exceptions.OptunaError) as error:  # a full disk, a folder that has gone
            raise ToolError(f"{' '.join(str(error).split())}; the same command goes on") from error

    return run_tool("tune", work, lambda: tuning.stopped() if tuning else "stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
