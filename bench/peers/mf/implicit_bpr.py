"""implicit's BPR: asynchronous SGD, biases of items, negatives that the user has are skipped."""

import scipy.sparse
from child import Task, main
from implicit.cpu.bpr import BayesianPersonalizedRanking
from score import Factors
import numpy as np

GRID = {"lr": (0.05, 0.1, 0.2), "reg": (0.05, 0.1)}


def train(task: Task) -> None:
    split, width = task.split, task.width
    matrix = scipy.sparse.csr_matrix(
        (np.ones(len(split.user), np.float32), (split.user, split.item)), shape=(split.users, split.items)
    )
    model = BayesianPersonalizedRanking(
        factors=width,
        learning_rate=task.lr,
        regularization=task.reg,
        iterations=task.epochs + 1,
        num_threads=task.threads,
        random_state=task.seed,
    )

    def factors() -> Factors:  # the last column is the bias, and 1 of each user
        items = model.item_factors
        return Factors(model.user_factors[:, :width], items[:, :width], items[:, width])

    model.fit(matrix, show_progress=False, callback=lambda _, seconds, *__: task.epoch_done(seconds, factors))


if __name__ == "__main__":
    main(train, ("implicit", "numpy", "scipy"))
