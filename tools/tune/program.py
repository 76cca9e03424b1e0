"""The program `sllmr`, asked and run from here."""

import fcntl
import json
import re
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared import Child, error_of
from space import TuneError, word_of

_DOES_NOT_APPLY = re.compile(r"'(?P<key>[^']+)' \(command line\) does not apply: .*")


def read_validations(run: Path, monitor: str) -> list[tuple[int, float]]:
    """(epoch, value of `monitor` over all rows) of the validations that a run has logged, where they have
    one."""
    path = run / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = []
    for line in text[: text.rfind("\n") + 1].splitlines():  # what follows is being written
        event = json.loads(line) if '"validation"' in line else {}
        if event.get("event") == "validation" and event[monitor]["all"] is not None:
            found.append((event["epoch"], event[monitor]["all"]))
    return found


_INPUTS = ["data_hash", "feature_hash", "text_hash", "scores_hash", "numbers_version"]


def inputs_of(provenance: dict[str, Any]) -> dict[str, str]:
    """What the figures of a run come from, of its summary or a checkpoint's metadata."""
    return {name: provenance[name] for name in _INPUTS if isinstance(provenance.get(name), str)}


def _checkpoint_metadata(path: Path) -> dict[str, str]:
    """Of a safetensors file: an uint64 with the length of a JSON header, which has them."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length))["__metadata__"]


def flattened(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def wait_unlocked(run: Path, seconds: float = 30) -> None:
    """Waits until no process trains in a run folder: one whose tuner was killed takes a moment to stop."""
    path = run / ".lock"
    if not path.exists():
        return
    end = time.monotonic() + seconds
    with path.open() as file:
        while time.monotonic() < end:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)


@dataclass(frozen=True)
class Start:
    """How the program understands a recipe, its overrides and a method."""

    config: dict[str, Any]  # every key, by its name: "train.lr"
    inputs: dict[str, str]
    warnings: str = ""


@dataclass
class Program:
    """`sllmr` at a path; `words` are what every run of the study gets: recipe and key=value overrides."""

    path: str
    words: list[str] = field(default_factory=list)
    _unused: dict[str, set[str]] = field(default_factory=dict)  # by method: keys of words

    def leave_out_unused(self, methods: list[str]) -> None:
        """Drops of each method's words those that it has no use for; throws the program's error for a word
        that none has."""
        keys = {word.split("=")[0] for word in self.words if "=" in word}
        reasons: dict[str, str] = {}
        for method in methods:
            unused = self._unused.setdefault(method, set())
            while found := _DOES_NOT_APPLY.match(self._refusal(method, [])):
                if found["key"] not in keys - unused:
                    break
                unused.add(found["key"])
                reasons.setdefault(found["key"], found[0])
        for key, reason in reasons.items():
            if all(key in self._unused[method] for method in methods):
                raise TuneError(reason)

    def _words(self, method: str) -> list[str]:
        unused = self._unused.get(method, set())
        return [word for word in self.words if word.split("=")[0] not in unused] + [f"method={method}"]

    def _listed(self, command: str) -> Iterator[str]:
        try:
            done = subprocess.run([self.path, command], capture_output=True, text=True)
        except OSError as error:
            raise TuneError(f"{self.path} cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            raise TuneError(error_of(done.stderr))
        return iter(done.stdout.splitlines())

    def families(self) -> dict[str, list[str]]:
        """The families of guidance and their words of method=: {"gated": ["global", "agreement", ..], ..}."""
        found: dict[str, list[str]] = {}
        for line in self._listed("methods"):
            if not line.startswith(" "):
                family = line.split()[0]
            elif line.strip().startswith("method="):
                found[family] = line.strip().removeprefix("method=").split(", ")
        return found

    def maximises(self, protocol: str, metric: str) -> bool:
        """Is a higher value of the metric better?"""
        name, of_protocol = metric.split("@")[0], False
        for line in self._listed("metrics"):
            if not line.startswith(" "):
                of_protocol = line.startswith(f"eval.protocol={protocol}:")
            elif of_protocol and line.split()[0].split("@")[0] == name:
                return not line.endswith("; lower is better")
        raise TuneError(f"the program does not list the metric '{metric}' of eval.protocol={protocol}")

    def require_accepted(self, method: str, words: list[str]) -> None:
        """Throws the program's own error for a configuration that it refuses, before any data are read."""
        if error := self._refusal(method, words):
            raise TuneError(error)

    def _refusal(self, method: str, words: list[str]) -> str:
        done = subprocess.run(
            [self.path, "train", *self._words(method), *words, "run_dir="],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        error = error_of(done.stderr)
        # The first thing that train misses in a good configuration.
        return "" if error.startswith("run_dir is not set") else error

    def start(self, method: str) -> Start:
        """Starts a run elsewhere and stops it at once: what is wrong with data or scores is found before a
        study begins. Throws the program's error."""
        for patience in (0.05, 0.3, 1, 3):
            with tempfile.TemporaryDirectory(prefix="sllmr-tune-") as folder:
                run = Path(folder) / "run"
                child = Child([self.path, "train", *self._words(method), f"run_dir={run}"])
                try:
                    while child.status() is None and not (run / "items.tsv").exists():
                        time.sleep(0.02)
                    time.sleep(
                        patience if child.status() is None else 0
                    )  # from its last file until it hears SIGINT
                except KeyboardInterrupt:
                    child.stop()
                    raise
                child.stop(600)
                if child.status() == 1:
                    raise TuneError(error_of(child.said()))
                if (run / "model.safetensors").exists():
                    config = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
                    config = flattened(config.pop("defaults", {})) | flattened(config)
                    warnings = "".join(
                        line for line in child.said().splitlines(True) if line.startswith("warning")
                    )
                    return Start(config, inputs_of(_checkpoint_metadata(run / "model.safetensors")), warnings)
        raise TuneError(
            f"the program ended with status {child.status()} as it began: {error_of(child.said())}"
        )

    def train(self, method: str, params: dict[str, Any], run: Path) -> Child:
        """Begins a run, or goes on with it where its folder has one."""
        wait_unlocked(run)
        resume = ["--resume"] if (run / "config.toml").exists() else []
        return Child(
            [
                self.path,
                "train",
                *self._words(method),
                *(f"{key}={word_of(value)}" for key, value in params.items()),
                f"run_dir={run}",
                *resume,
            ]
        )

    def compare(self, recipe: Path, method: str, seeds: list[int], out: Path, shows_progress: bool) -> Child:
        """Begins, or goes on with, the runs of a tuned recipe by seed."""
        return Child(
            [
                self.path,
                "compare",
                str(recipe),
                "--methods",
                method,
                "--seeds",
                ",".join(map(str, seeds)),
                "--out",
                str(out),
            ],
            shows_progress,
        )
