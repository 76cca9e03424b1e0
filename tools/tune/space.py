"""What is tuned: a TOML file's section [space], one configuration key a line.

[space]
"train.lr" = {low = 0.02, high = 0.5, log = true}
"llm.lambda" = {low = 0.01, high = 1.0, log = true, methods = ["gated"]}
"model.width" = {choices = [32, 64, 128]}
"gate.price" = {around = 4}    # a quarter of the recipe's own value to four times it
"""

import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import optuna

from shared import ToolError

DEFAULT_SPACE = Path(__file__).with_name("default.space.toml")
_FIELDS = {"low", "high", "log", "integer", "around", "choices", "methods"}


class TuneError(ToolError):
    """Of tuning."""


def word_of(value: Any) -> str:
    """A value as `key=value` takes it on the program's command line."""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Parameter:
    """A key that is tuned: a range, or choices."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    around: float = (
        0.0  # above 0: the range is the recipe's value divided and multiplied by it, see settled()
    )
    choices: tuple = ()
    methods: tuple[str, ...] = ()  # words of method=, or families of `sllmr methods`; empty: every method

    def drawn(self, trial: optuna.Trial) -> Any:
        """The trial's value, drawn where it has none; of a real number four digits, for readers to copy."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        if self.integer:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        value = trial.suggest_float(self.key, self.low, self.high, log=self.log)
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def nearest(self, value: Any) -> Any:
        """The value of the range next to the recipe's own; None where there is none among the choices."""
        if self.choices:
            return next((choice for choice in self.choices if word_of(choice) == word_of(value)), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return min(max(int(value) if self.integer else float(value), self.low), self.high)

    def settled(self, value: Any) -> "Parameter":
        """With its range, where that depends on the recipe's value. Throws TuneError where it cannot."""
        if not self.around:
            return self
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise TuneError(
                f"'{self.key}' is {{around = {self.around:g}}}, but the recipe has {word_of(value)}, which "
                "is not above 0: give it low and high in a space of the recipe's own (--space)"
            )
        low, high = (float(f"{end:.4g}") for end in (value / self.around, value * self.around))
        return replace(self, low=low, high=high, log=True, around=0.0)

    def ends(self) -> tuple:
        """Values that the program must take if it is to take all."""
        return self.choices or (self.low, self.high)

    def described(self) -> dict[str, Any]:
        """As results and studies keep it."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log, "integer": self.integer}


def _parameter(key: str, entry: Any, fail: Callable[[str], NoReturn]) -> Parameter:
    """One entry of [space]. `fail` throws, naming the file."""
    kinds = [{"low", "high"}, {"choices"}, {"around"}]
    if not isinstance(entry, dict) or not any(kind <= entry.keys() for kind in kinds):
        fail(
            f"'{key}' needs {{low = .., high = ..}}, {{around = ..}} or {{choices = [..]}} "
            "(a key with a dot stands in quotes)"
        )
    if unknown := sorted(entry.keys() - _FIELDS):
        fail(f"'{key}' has an unknown field '{unknown[0]}'; known: {', '.join(sorted(_FIELDS))}")
    methods = entry.get("methods", [])
    if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
        fail(f"'{key}': methods must be a list of names")
    for alone in ("choices", "around"):
        if alone in entry and len(entry.keys() - {"methods"}) > 1:
            fail(f"'{key}': {alone} stands alone, beside methods at most")
    if "around" in entry:
        around = entry["around"]
        if isinstance(around, bool) or not isinstance(around, (int, float)) or not 1 < around < math.inf:
            fail(f"'{key}': around must be a factor above 1")
        return Parameter(key, around=float(around), methods=tuple(methods))
    if "choices" in entry:
        choices = entry["choices"]
        if not isinstance(choices, list) or not all(
            isinstance(choice, (str, bool, int, float)) for choice in choices
        ):
            fail(f"'{key}': choices must be a list of numbers, strings or booleans")
        if len(choices) < 2 or len(set(map(word_of, choices))) < len(choices):
            fail(f"'{key}': choices must be two or more different values")
        return Parameter(key, choices=tuple(choices), methods=tuple(methods))
    low, high, log, integer = (
        entry["low"],
        entry["high"],
        entry.get("log", False),
        entry.get("integer", False),
    )
    if not isinstance(log, bool) or not isinstance(integer, bool):
        fail(f"'{key}': log and integer are true or false")
    for end in (low, high):
        if (
            isinstance(end, bool)
            or not isinstance(end, int if integer else (int, float))
            or not math.isfinite(end)
        ):
            fail(f"'{key}': low and high must be {'integers' if integer else 'finite numbers'}")
    if not low < high:
        fail(f"'{key}': low ({low}) must be below high ({high})")
    if log and low <= 0:
        fail(f"'{key}': low ({low}) must be above 0 where log = true")
    if not integer:
        low, high = float(low), float(high)
    return Parameter(key, low, high, log, integer, methods=tuple(methods))


def read_space(path: Path) -> list[Parameter]:
    """The parameters of a space file, those of every method first: methods draw alike in what they share.

    Throws TuneError naming file, key and fault.
    """

    def fail(fault: str) -> NoReturn:
        raise TuneError(f"{path}: {fault}")

    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"cannot be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(f"is no TOML: {error}")
    if unknown := sorted(entries.keys() - {"space"}):
        fail(f"unknown section '{unknown[0]}'; a space file has [space] alone")
    space = entries.get("space")
    if not isinstance(space, dict) or not space:
        fail("has no section [space] with a key to tune")
    for key in ("method", "seed", "run_dir", "device"):
        if key in space:
            fail(f"'{key}' cannot be tuned")
    return sorted(
        (_parameter(key, entry, fail) for key, entry in space.items()), key=lambda found: bool(found.methods)
    )


def space_beside(recipe: Path) -> Path:
    """RECIPE.space.toml where there is one, else the default."""
    beside = recipe.with_suffix(".space.toml")
    return beside if beside.exists() else DEFAULT_SPACE
