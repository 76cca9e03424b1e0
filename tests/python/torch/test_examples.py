"""The examples of python/examples, with the packages that they extend, on a small world."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[3] / "python/examples"))
USERS, ITEMS = 60, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Users of two tastes; a judge who knows them. As RecBole's atomic files and as FuxiCTR's encoded ones."""
    place, draws = tmp_path_factory.mktemp("world"), np.random.default_rng(3)
    taken, scores = [], []
    for user in range(USERS):
        fits = np.arange(ITEMS) % 2 == user % 2
        weights = np.where(fits, 6.0, 1.0) / np.arange(1, ITEMS + 1) ** 0.5
        chosen = draws.choice(ITEMS, draws.integers(6, 13), replace=False, p=weights / weights.sum())
        taken += [(user, item, at, len(chosen) - at) for at, item in enumerate(chosen)]
        for item in {int(chosen[-3]), *draws.choice(ITEMS, 11, replace=False).tolist()}:
            score = np.clip((0.75 if fits[item] else 0.25) + draws.normal(0, 0.1), 0, 1)
            scores.append((f"u{user}", f"i{item}", score, int(item == chosen[-3])))
    frame = pd.DataFrame(taken, columns=["user", "item", "at", "left"])
    (place / "small").mkdir()
    atomic = pd.DataFrame(
        {
            "user_id:token": "u" + frame.user.astype(str),
            "item_id:token": "i" + frame.item.astype(str),
            "position:float": frame["at"],
        }
    )
    atomic.to_csv(place / "small/small.inter", sep="\t", index=False)
    columns = ["user_id:token", "item_id:token", "score:float", "probe:float"]
    pd.DataFrame(scores, columns=columns).to_csv(place / "small.scores", sep="\t", index=False)

    encoded = place / "encoded"
    encoded.mkdir()
    for name, part in (("train", frame[frame.left > 2]), ("valid", frame[frame.left == 2])):
        users, items = part.user.to_numpy() + 1, part.item.to_numpy() + 1
        rows = {"user_id": np.tile(users, 2), "item_id": np.append(items, draws.integers(1, ITEMS + 1, len(items)))}
        np.savez(encoded / name, **rows, label=np.repeat([1, 0], len(items)))
    sizes = {"user_id": USERS + 2, "item_id": ITEMS + 2}  # 0 is padding, the last one an unknown id
    features = [
        {name: {"source": "", "type": "categorical", "padding_idx": 0, "oov_idx": size - 1, "vocab_size": size}}
        for name, size in sizes.items()
    ]
    described = {"dataset_id": "encoded", "num_fields": 2, "total_features": sum(sizes.values()), "input_length": 2}
    (encoded / "feature_map.json").write_text(json.dumps({**described, "labels": ["label"], "features": features}))
    rows = {"user_id": {f"u{u}": u + 1 for u in range(USERS)}, "item_id": {f"i{i}": i + 1 for i in range(ITEMS)}}
    (encoded / "feature_vocab.json").write_text(json.dumps(rows))
    return place


def ranks_taste(logits, users, items):
    """Over users, how often an item of the user's taste is above another one; .5 is chance."""
    logits = np.asarray(logits)
    fits = (
        np.array([int(item[1:]) % 2 for item in items])[None]
        == np.array([int(user[1:]) % 2 for user in users])[:, None]
    )
    above = [(row[of][:, None] > row[~of][None]).mean() for row, of in zip(logits, fits)]
    return float(np.mean(above))


def recbole_run(folder, lambda_):
    from recbole_selective import train

    place = folder / "recbole"
    place.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)  # its logs
        patch.setattr(sys, "argv", ["train"])  # which it reads
        model, data = train(
            str(folder), "small", str(folder / "small.scores"), lambda_, epochs=12, eval_step=0,
            use_gpu=False, state="ERROR", learning_rate=0.01,
        )  # fmt: skip
    users, items = (list(data.field2id_token[name][1:]) for name in ("user_id", "item_id"))
    with torch.no_grad():
        logits = model.user_embedding.weight[1:] @ model.item_embedding.weight[1:].T
    return model, ranks_taste(logits, users, items)


def fuxictr_run(folder, lambda_):
    from fuxictr_selective import train

    model, rows = train(
        str(folder / "encoded"), str(folder / "small.scores"), lambda_, epochs=20, batch_size=64, data_format="npz",
        lr=0.03, early_stop_patience=20,
    )  # fmt: skip
    users, items = (torch.tensor(list(rows[name].values())) for name in ("user_id", "item_id"))
    with torch.no_grad():
        X = {"user_id": users.repeat_interleave(len(items)), "item_id": items.repeat(len(users))}
        logits = model.eval().logits(X).view(len(users), len(items))
    return model, ranks_taste(logits, *rows.values())


@pytest.mark.parametrize(
    "run, package", [(recbole_run, "recbole"), (fuxictr_run, "fuxictr")], ids=["recbole", "fuxictr"]
)
def test_a_judge_who_knows_helps(run, package, folder):
    pytest.importorskip(package)
    alone, selective = run(folder, 0.0), run(folder, 2.0)
    assert selective[1] > alone[1] + 0.02
    theta = selective[0].gate.theta
    assert bool(theta.isfinite().all()) and theta.abs().max() > 0  # it learnt
    assert theta.grad is None  # the package's optimiser has none of it


@pytest.mark.parametrize("name", ["recbole_selective", "fuxictr_selective"])
def test_an_example_has_under_40_lines(name):
    """Of code, without imports and the command line: what adds the loss to a model and trains it."""
    text = (Path(__file__).parents[3] / f"python/examples/{name}.py").read_text()
    code = text[text.index("class Selective") : text.index("if __name__")]
    assert sum(bool(line.strip()) for line in code.splitlines()) < 40
