"""The studies of an out folder: one of Optuna's for each method, in one SQLite file, shared by processes.

Every look at the file and every change of it happens under one lock of the folder, so that processes and
machines that share the folder agree on who tries what. A process holds a lock of its own for the trial that
it runs; a running trial whose lock is free was left by a process that ended, and is taken up again.
"""

import contextlib
import fcntl
import logging
import math
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from program import Start
from space import Parameter, TuneError

STARTUP_TRIALS = 4  # the recipe's own values and random ones, before the sampler learns from them
_PRUNES_AFTER = 4  # finished trials
_DATABASE = "study.db"
_MAY_DIFFER = {"run_dir", "method", "device", "threads"}  # between the runs of one study

PRUNERS = ["quartile", "none"]


def _n_good(trials: int) -> int:
    """Of so many, those that the sampler takes for good: a quarter. Optuna's tenth is one or two of twenty;
    on a quadratic fitted to MF, Beauty, it missed the best by .0029 in twenty trials, so by .0016."""
    return math.ceil(trials / 4)


@dataclass(frozen=True)
class Settings:
    """What all trials of a method have in common; another process must come with the same."""

    config: dict[str, Any]  # every key of the program
    inputs: dict[str, str]  # hashes of data and scores, version of the program's numbers
    space: dict[str, Any]
    sampler_seed: int
    pruner: str

    @staticmethod
    def of(start: Start, space: list[Parameter], sampler_seed: int, pruner: str) -> "Settings":
        config = {key: value for key, value in start.config.items() if key not in _MAY_DIFFER}
        return Settings(
            config, start.inputs, {found.key: found.described() for found in space}, sampler_seed, pruner
        )

    def stored(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "inputs": self.inputs,
            "space": self.space,
            "sampler": {"seed": self.sampler_seed, "startup trials": STARTUP_TRIALS},
            "pruner": {"name": self.pruner},
        }

    def difference(self, then: dict[str, Any]) -> str:
        """The first thing that is another in a stored one, of keys that both know (but for the space); empty:
        none."""
        for part, now in self.stored().items():
            before = then[part]
            for key in sorted(now.keys() | before.keys() if part == "space" else now.keys() & before.keys()):
                if now.get(key) != before.get(key):
                    where = {"config": key, "space": f"the space of {key}", "inputs": key}.get(
                        part, f"{part} {key}"
                    )
                    return f"{where} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}"
        return ""


@dataclass
class Claim:
    """A trial that this process is to run."""

    method: str
    trial: optuna.Trial
    params: dict[str, Any]  # as they are tried
    run: Path
    lock: IO

    @property
    def number(self) -> int:
        return self.trial.number


def counts(trial: FrozenTrial) -> bool:
    """Is it one of the N trials? An error of the program's that is no fault of the values takes none."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def outcome_of(trial: FrozenTrial) -> str:
    """running, complete, pruned, diverged or failed."""
    if trial.state == TrialState.RUNNING:  # also one whose process was killed as it ended the trial
        return "running"
    return trial.user_attrs.get("outcome", trial.state.name.lower())


class Studies:
    """An out folder. Opening it makes it, unless it holds something else."""

    def __init__(
        self, out: Path, settings: dict[str, Settings], spaces: dict[str, list[Parameter]], maximises: bool
    ):
        self.out, self._settings, self._spaces = out, settings, spaces
        self.maximises = maximises
        database = out / _DATABASE
        if out.exists() and (
            not out.is_dir()
            or (not database.exists() and any(path.name != ".lock" for path in out.iterdir()))
        ):
            raise TuneError(f"{out} is no folder of a tuning and not empty: choose another --out")
        optuna.logging.set_verbosity(logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            out.mkdir(parents=True, exist_ok=True)
            with self.locked():
                self._studies = self._open(database)
        except OSError as error:
            raise TuneError(f"{out} cannot be made: {error.strerror}") from error

    def _open(self, database: Path) -> dict[str, optuna.Study]:
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{database.resolve()}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            known = {study.study_name: study for study in optuna.get_all_study_summaries(storage)}
        except Exception as error:  # SQLAlchemy's and Optuna's have no base in common
            raise TuneError(
                f"{database} is no study that can be read ({str(error).splitlines()[0]}): choose another "
                "--out"
            ) from error
        for method, settings in self._settings.items():
            for name, summary in known.items():
                # What another method found over other data or another backbone could not be set beside it.
                if (then := summary.user_attrs.get("settings")) is None:
                    continue  # its process was killed as it made the study
                if name != method:
                    same = settings.space.keys() & then["space"].keys()
                    then = then | {
                        "space": settings.space | {key: then["space"][key] for key in same},
                        "inputs": {
                            key: value for key, value in then["inputs"].items() if key != "scores_hash"
                        },
                    }
                if change := settings.difference(then):
                    raise TuneError(
                        f"{self.out} holds the tuning of something else ({name}: {change}): choose another "
                        "--out, or remove it"
                    )
        found = {}
        for method, settings in self._settings.items():
            found[method] = optuna.create_study(
                storage=storage,
                study_name=method,
                load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(seed=0),
                direction="maximize" if self.maximises else "minimize",
                pruner=self._pruner(settings),
            )
            found[method].set_user_attr("settings", settings.stored())
        return found

    @staticmethod
    def _pruner(settings: Settings) -> optuna.pruners.BasePruner:
        if settings.pruner == "none":
            return optuna.pruners.NopPruner()
        # No sooner and no more: what is regularised strongly, which often ends best, climbs slowly.
        return optuna.pruners.PercentilePruner(
            75.0, n_startup_trials=_PRUNES_AFTER, n_warmup_steps=settings.config["train.epochs"] // 2
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with (self.out / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def trials(self, method: str) -> list[FrozenTrial]:
        """By number. Under the lock."""
        return self._studies[method].get_trials(deepcopy=False)

    def run_folder(self, method: str, number: int) -> Path:
        return self.out / "trials" / method / f"{number:04}"

    def _trial_lock(self, method: str, number: int) -> IO | None:
        """The lock of a trial, or None where a living process has it."""
        path = self.run_folder(method, number).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            file.close()
            return None

    def best(self, method: str) -> FrozenTrial | None:
        """Of the complete trials. Under the lock."""
        complete = [trial for trial in self.trials(method) if trial.state == TrialState.COMPLETE]
        sign = -1 if self.maximises else 1
        return min(complete, key=lambda trial: (sign * (trial.value or 0), trial.number), default=None)

    def require_at_most(self, trials: int) -> None:
        """Throws TuneError where a method has more trials already: budgets would not be equal."""
        with self.locked():
            for method in self._studies:
                if (known := sum(map(counts, self.trials(method)))) > trials:
                    raise TuneError(
                        f"{self.out} has {known} trials of {method} already, more than --trials {trials}"
                    )

    def claim(self, trials: int) -> Claim | None:
        """The next trial to run: one that was left, else a new one of the method with the fewest. None: all
        are done, or run elsewhere."""
        with self.locked():
            for method in self._studies:
                for trial in self.trials(method):
                    if trial.state == TrialState.RUNNING and (lock := self._trial_lock(method, trial.number)):
                        return self._claim(method, trial.number, lock)
            known = {method: sum(map(counts, self.trials(method))) for method in self._studies}
            method = min(known, key=known.__getitem__)
            if known[method] >= trials:
                return None
            study = self._studies[method]
            number = len(self.trials(method))
            waiting = bool(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
            if known[method] == 0 and not waiting:  # every method's first guess
                config = self._settings[method].config
                guess = {found.key: found.nearest(config[found.key]) for found in self._spaces[method]}
                study.enqueue_trial({key: value for key, value in guess.items() if value is not None})
            elif waiting:
                number -= 1
            lock = self._trial_lock(method, number)
            assert lock is not None
            return self._claim(method, number, lock)

    def _claim(self, method: str, number: int, lock: IO) -> Claim:
        """Gives the trial `number` the values that it lacks; makes it where there is none."""
        study = self._studies[method]
        # Of seed and number alone: two processes draw different values, two methods the same first ones.
        seed = self._settings[method].sampler_seed * 1_000_003 + number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # gamma goes in Optuna 6; `run` pins 5.0
            study.sampler = optuna.samplers.TPESampler(
                seed=seed % 2**32, n_startup_trials=STARTUP_TRIALS, gamma=_n_good
            )
        known = {trial.number: trial for trial in self.trials(method)}
        if number in known and known[number].state == TrialState.RUNNING:
            trial = optuna.Trial(study, known[number]._trial_id)  # Optuna has no public way back to a trial
        else:
            trial = study.ask()
        assert trial.number == number
        params = {found.key: found.drawn(trial) for found in self._spaces[method]}
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        trial.set_user_attr("params", params)
        return Claim(method, trial, params, self.run_folder(method, number), lock)

    def report(self, claim: Claim, epoch: int, value: float) -> bool:
        """A validation of a running trial. True: the pruner gives it up."""
        with self.locked():
            trial = claim.trial
            known = self._studies[claim.method].get_trials(deepcopy=False)[claim.number].intermediate_values
            if epoch in known:  # a run that goes on tells some once more
                return False
            trial.report(value, epoch)
            return trial.should_prune()

    def seconds(self, claim: Claim, more: float) -> None:
        """Adds to the time that a trial has taken, also over several processes."""
        with self.locked():
            trial = self.trials(claim.method)[claim.number]
            claim.trial.set_user_attr("seconds", trial.user_attrs.get("seconds", 0.0) + more)

    def finish(self, claim: Claim, outcome: str, figure: float | None = None, **told: Any) -> None:
        """Ends a trial: complete with its figure; pruned; diverged; or failed, which counts for nothing."""
        state = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(outcome, TrialState.PRUNED)
        with self.locked():
            for name, value in {"outcome": outcome, **told}.items():
                claim.trial.set_user_attr(name, value)
            self._studies[claim.method].tell(claim.number, figure if outcome == "complete" else None, state)
            claim.run.with_suffix(".lock").unlink()
            claim.lock.close()

    def release(self, claim: Claim) -> None:
        """Leaves a trial to whoever comes next."""
        claim.lock.close()

    def drop_runs(self) -> None:
        """Removes the run folders of finished trials that are not their method's best."""
        with self.locked():
            for method in self._studies:
                best = self.best(method)
                for trial in self.trials(method):
                    run = self.run_folder(method, trial.number)
                    if (
                        trial.state.is_finished()
                        and (best is None or trial.number != best.number)
                        and run.exists()
                    ):
                        shutil.rmtree(run)
