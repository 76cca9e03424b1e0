"""cornac's BPR: asynchronous SGD, biases of items, negatives that the user has are skipped."""

import time
from typing import Any

import numpy as np
from child import Task, main
from cornac.data import Dataset
from cornac.models import BPR
from score import Factors

GRID = {"lr": (0.05, 0.1, 0.2), "reg": (0.05, 0.1)}


class _Timed(BPR):
    """Tells of each epoch."""

    def __init__(self, task: Task, **options: Any):
        super().__init__(**options)
        self._task = task

    def _fit_sgd(self, *arrays: Any) -> Any:
        began = time.perf_counter()
        counts = super()._fit_sgd(*arrays)
        seconds = time.perf_counter() - began
        self._task.epoch_done(seconds, lambda: Factors(self.u_factors, self.i_factors, self.i_biases))
        return counts


def train(task: Task) -> None:
    split = task.split
    generator = np.random.default_rng(task.seed)
    # A seed of cornac's would leave it one thread. These are its own initial values.
    initial = {
        "U": ((generator.random((split.users, task.width)) - 0.5) / task.width).astype(np.float32),
        "V": ((generator.random((split.items, task.width)) - 0.5) / task.width).astype(np.float32),
        "Bi": np.zeros(split.items, np.float32),
    }
    np.random.seed(task.seed)
    ids = [{k: k for k in range(count)} for count in (split.users, split.items)]
    ratings = (split.user, split.item, np.ones(len(split.user), np.float32))
    data = Dataset(split.users, split.items, *ids, ratings, seed=task.seed)
    model = _Timed(
        task,
        k=task.width,
        max_iter=task.epochs + 1,
        learning_rate=task.lr,
        lambda_reg=task.reg,
        num_threads=task.threads,
        init_params=initial,
    )
    model.fit(data)


if __name__ == "__main__":
    main(train, ("cornac", "numpy", "scipy"))
