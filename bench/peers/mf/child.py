"""What every peer's process does around its training: arguments, the clock, the stop, factors.npz and result.json."""

import argparse
import importlib.metadata
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from data import Split
from score import Factors, score


# A shell that starts the driver in the background has it ignored. Nothing here is worth saving.
signal.signal(signal.SIGINT, signal.SIG_DFL)


class Enough(Exception):
    """Training is to end here."""


def peak_bytes() -> int:
    """Most memory that this process has held; ru_maxrss would count its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM")


class Task:
    """What is asked of a peer, and what becomes of it."""

    def __init__(self, arguments: argparse.Namespace):
        self.split = Split.load(arguments.data)
        self.width: int = arguments.width
        self.epochs: int = arguments.epochs
        self.threads: int = arguments.threads
        self.lr: float = arguments.lr
        self.reg: float = arguments.reg
        self.seed: int = arguments.seed
        self.batch: int = arguments.batch
        self.compiled: bool = arguments.compiled
        self.sparse: bool = arguments.sparse
        self.folder: Path = arguments.out.resolve()
        self._seconds_limit: float = arguments.seconds
        self._every: int = arguments.evaluate_every
        self._patience: int = arguments.patience
        self.seconds: list[float] = []
        self.evaluations: list[dict[str, float]] = []
        self.peak = 0
        self._gained, self._gain_epoch = 0.0, 0

    def epoch_done(self, seconds: float, factors: Callable[[], Factors]) -> None:
        """After each epoch, with the time of its training alone. Throws Enough where training is to end."""
        self.seconds.append(seconds)
        self.peak = max(self.peak, peak_bytes() if not self.evaluations else 0)
        epoch = len(self.seconds)
        if self._every and (epoch % self._every == 0 or epoch == self.epochs):
            self._evaluate(epoch, factors())
        # Without evaluations only time is asked for: the first epoch, which warms up, and two more at least.
        if epoch >= self.epochs or (
            not self._every and epoch > 2 and sum(self.seconds[1:]) > self._seconds_limit
        ):
            if not self._every:
                self._write(factors())
            raise Enough

    def timed(self, train_epoch: Callable[[], None], factors: Callable[[], Factors]) -> None:
        """Trains epoch by epoch until it is enough."""
        while True:
            began = time.perf_counter()
            train_epoch()
            self.epoch_done(time.perf_counter() - began, factors)

    def _write(self, factors: Factors) -> None:
        arrays = {name: values for name, values in vars(factors).items() if values is not None}
        np.savez(self.folder / "factors.npz", **arrays)

    def _evaluate(self, epoch: int, factors: Factors) -> None:
        found = score(self.split, factors)
        self.evaluations.append(
            {"epoch": epoch, "auc": found.auc, "ndcg": found.ndcg, "seconds": sum(self.seconds)}
        )
        if found.auc >= max(each["auc"] for each in self.evaluations):
            self._write(factors)
        if found.auc > self._gained:
            self._gained, self._gain_epoch = found.auc, epoch
        elif epoch - self._gain_epoch >= self._patience:
            raise Enough


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="Split.save()'s file")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="at most")
    parser.add_argument("--seconds", type=float, default=0, help="enough of timed training")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--reg", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True, help="where there are batches")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--evaluate-every", type=int, default=0, help="epochs; 0: only time is asked for")
    parser.add_argument("--patience", type=int, default=0, help="epochs without a gain")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--sparse", action="store_true", help="Adam on touched rows alone")
    return parser.parse_args()


def main(train: Callable[[Task], None], packages: tuple[str, ...]) -> None:
    """`train` calls epoch_done() after every epoch, forever; its packages are imported by now."""
    imported = peak_bytes()
    task = Task(_arguments())
    os.chdir(task.folder)  # RecBole leaves logs where it is
    try:
        train(task)
    except Enough:
        pass
    result = {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "seconds": task.seconds,
        "evaluations": task.evaluations,
        "peak_bytes": task.peak,
        "imported_bytes": imported,
    }
    (task.folder / "result.json").write_text(json.dumps(result))
