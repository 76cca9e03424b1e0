"""A small world that the tests train on."""

import numpy as np
import pandas as pd
import pytest

import sllmr


def small_interactions(users=60, items=40, seed=3):
    """Users of two tastes, 6 to 12 items each; in the order of time."""
    draws = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        taste = np.arange(items) % 2 == user % 2
        weights = np.where(taste, 6.0, 1.0) / np.arange(1, items + 1) ** 0.5
        chosen = draws.choice(items, draws.integers(6, 13), replace=False, p=weights / weights.sum())
        rows += [(f"u{user}", f"i{item}", at) for at, item in enumerate(chosen)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


def small_items(items=40):
    return pd.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(items)],
            "title": [f"title of {item}" for item in range(items)],
            "categories": [["even" if item % 2 == 0 else "odd", "all"] for item in range(items)],
        }
    )


@pytest.fixture(scope="session")
def interactions():
    return small_interactions()


@pytest.fixture(scope="session")
def data(interactions, tmp_path_factory):
    return sllmr.Dataset.from_frame(
        interactions, small_items(), folder=tmp_path_factory.mktemp("data"), name="small"
    )


@pytest.fixture(scope="session")
def judged(data):
    """Scores of 12 items of every user: high where the taste fits, the last item of training among them."""
    draws = np.random.default_rng(5)
    rows = []
    for user, row in enumerate(data.users):
        last = data.history[data.offsets[user] + data.user_table.train_items.iloc[user] - 1]
        for item in {int(last), *draws.choice(len(data.items), 11, replace=False).tolist()}:
            token = data.items[item]
            fits = int(token[1:]) % 2 == int(row[1:]) % 2
            rows.append((row, token, float(np.clip((0.75 if fits else 0.25) + draws.normal(0, 0.1), 0, 1))))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "score"])


SMALL = {"model.name": "mf", "model.width": 32, "train.epochs": 4, "train.lr": 0.05, "threads": 1, "device": "cpu"}


@pytest.fixture
def small():
    """Settings of a run of a moment."""
    return dict(SMALL)
