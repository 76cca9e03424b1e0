"""What the driver runs: `sllmr` and its peers, each a process that trains and leaves factors."""

import ast
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from data import Split
from peers import Peer
from score import Factors, score

sys.path.append(str(Path(__file__).parents[3] / "tools"))
from shared import Child, ToolError, error_of

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "experiments/recipes/mf_beauty.toml"
WIDTH = 64
_POLL_SECONDS = 0.05
_LARGEST_DIFFERENCE = 1e-4  # of sllmr's own AUC from score.py's


@dataclass(frozen=True)
class Setting:
    lr: float
    reg: float


@dataclass
class Plan:
    """How long a run goes on. With `every`, an evaluation after each `every` epochs, `patience` epochs without a gain
    end it; without, only time is asked for and `seconds` of it are enough."""

    epochs: int
    seconds: float = 0
    every: int = 0
    patience: int = 0


@dataclass
class Result:
    seconds: list[float]  # of each epoch's training
    peak_bytes: int
    imported_bytes: int  # of which when its packages were imported
    versions: dict[str, str]
    evaluations: list[dict[str, Any]] = field(default_factory=list)  # epoch, auc, seconds
    factors: Factors | None = None  # of the best evaluation, else the last

    def epoch_seconds(self) -> float:
        """The median; the first epoch warms up."""
        return float(np.median(self.seconds[1:]))


def _run(name: str, command: Sequence[str]) -> None:
    """Throws ToolError where it fails."""
    child = Child(list(command))
    try:
        while child.status() is None:
            time.sleep(_POLL_SECONDS)
    except BaseException:
        child.stop()
        raise
    if child.status() != 0:
        raise ToolError(f"{name}: status {child.status()}: {error_of(child.said())}")


def read_tensors(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Of a safetensors file, float32."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    found = []
    for name in names:
        first, last = header[name]["data_offsets"]
        values = np.frombuffer(data[begin + first : begin + last], dtype="<f4")
        found.append(values.reshape(header[name]["shape"]))
    return found


class Ours:
    """`sllmr train`, matrix factorisation with BPR by the fused step, or by the exact one: lazy Adam, batches of `exact`."""

    name = "sllmr"

    def __init__(self, program: str, data: Path, split: Split, exact: int | None = None):
        self._program, self._data, self._split = program, data, split
        self.grid = {"lr": (0.1, 0.2, 0.3), "reg": (0.07, 0.1)}
        self._words: list[str] = []
        if exact is not None:
            self.grid = {"lr": (5e-4, 1e-3, 2e-3), "reg": (1e-5, 1e-4)}
            self._words = ["train.mode=exact", "train.optimizer=lazy_adam", f"train.batch_size={exact}"]

    def train(self, folder: Path, setting: Setting, plan: Plan, threads: int, seed: int) -> Result:
        run = folder / "run"
        words = [f"data.path={self._data}", "method=none", "device=cpu", f"threads={threads}", f"seed={seed}"]
        words += [f"model.width={WIDTH}", f"train.lr={setting.lr}", f"train.l2={setting.reg}"]
        words += [f"train.epochs={plan.epochs}", f"train.checkpoint_every={plan.epochs}", f"run_dir={run}"]
        words += [f"train.eval_every={plan.every}", "eval.topk=[10]", *self._words]
        # The test is not asked for.
        words += [f"train.patience={plan.patience // plan.every}"] if plan.every else ["eval.max_users=1"]
        _run(self.name, [self._program, "train", str(RECIPE), *words])
        summary = json.loads((run / "summary.json").read_text())
        events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        epochs = [event for event in events if event["event"] == "epoch"]
        if epochs[0]["rows"] != len(self._split.user):
            rows, ours = len(self._split.user), epochs[0]["rows"]
            raise ToolError(f"{self._data}: data.py finds {rows} training interactions, sllmr {ours}")
        seconds = [event["seconds"] for event in epochs]
        evaluations = [
            {"epoch": event["epoch"], "auc": event["auc"]["all"], "seconds": sum(seconds[: event["epoch"]])}
            for event in events
            if event["event"] == "validation"
        ]
        factors = self._factors(run, "best" if plan.every else "model")
        if plan.every:
            told = max(each["auc"] for each in evaluations)
            found = score(self._split, factors).auc
            if abs(told - found) > _LARGEST_DIFFERENCE:
                raise ToolError(f"{run}: sllmr tells a validation AUC of {told:.6f}, score.py {found:.6f}")
        return Result(
            seconds,
            summary["memory"]["peak_resident_bytes"],
            0,
            {"sllmr": summary["commit"]},
            evaluations,
            factors,
        )

    def _factors(self, run: Path, checkpoint: str) -> Factors:
        tables = read_tensors(run / f"{checkpoint}.safetensors", ["users.weights", "items.weights"])
        tokens = (self._split.user_tokens, self._split.item_tokens)
        found = []
        for name, table, wanted in zip(("users", "items"), tables, tokens):
            lines = (run / f"{name}.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
            rows = dict(line.split("\t") for line in lines)
            found.append(table[[int(rows[token]) for token in wanted.tolist()]])
        return Factors(*found)


class PeerProcess:
    """A peer of the registry, by the Python of its environment."""

    def __init__(self, peer: Peer, python: str, split_file: Path, batch: int):
        self.name, self._batch = peer.name, batch
        self._words = peer.words
        self._script = Path(__file__).parent / peer.file
        self._python, self._split_file = python, split_file
        self.grid = _grid_of(self._script)

    def train(self, folder: Path, setting: Setting, plan: Plan, threads: int, seed: int) -> Result:
        # OPENBLAS_CORETYPE, which `./run` may set, is for Debian's OpenBLAS.
        command = ["env", "-u", "OPENBLAS_CORETYPE", f"OMP_NUM_THREADS={threads}", self._python, "-B"]
        options = {
            "data": self._split_file,
            "out": folder,
            "width": WIDTH,
            "batch": self._batch,
            "threads": threads,
            "seed": seed,
            "lr": setting.lr,
            "reg": setting.reg,
            "epochs": plan.epochs,
            "seconds": plan.seconds,
            "evaluate-every": plan.every,
            "patience": plan.patience,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        _run(self.name, [*command, str(self._script), *words, *self._words])
        with np.load(folder / "factors.npz") as arrays:
            factors = Factors(**arrays)
        return Result(**json.loads((folder / "result.json").read_text()), factors=factors)


def _grid_of(script: Path) -> dict[str, tuple[float, ...]]:
    """GRID of a peer's file, whose packages are not here."""
    for statement in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "GRID":
            return ast.literal_eval(statement.value)
    raise ToolError(f"{script}: there is no GRID")


def settings_of(program: Ours | PeerProcess) -> list[Setting]:
    return [Setting(lr, reg) for lr in program.grid["lr"] for reg in program.grid["reg"]]
