"""LightFM with loss=bpr and no features: matrix factorisation, Adagrad, biases of items."""

import numpy as np
import scipy.sparse
from child import Task, main
from lightfm import LightFM
from score import Factors

GRID = {"lr": (0.01, 0.02, 0.05), "reg": (0.0, 1e-5)}


def train(task: Task) -> None:
    split = task.split
    matrix = scipy.sparse.coo_matrix(
        (np.ones(len(split.user), np.float32), (split.user, split.item)), shape=(split.users, split.items)
    )
    model = LightFM(
        no_components=task.width,
        loss="bpr",
        learning_rate=task.lr,
        item_alpha=task.reg,
        user_alpha=task.reg,
        random_state=task.seed,
    )

    def factors() -> Factors:
        bias, items = model.get_item_representations()
        return Factors(model.get_user_representations()[1], items, bias)

    task.timed(lambda: model.fit_partial(matrix, num_threads=task.threads), factors)


if __name__ == "__main__":
    main(train, ("lightfm", "numpy", "scipy"))
