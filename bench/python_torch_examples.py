#!/usr/bin/env python3
"""What the penalty does to the models of python/examples: AUC of the whole catalogue, all and tail.

usage: python bench/python_torch_examples.py recbole|fuxictr DATA SCORES LAMBDAS SEEDS EPOCHS [USERS]

such as ... recbole data/beauty beauty.scores 0,1,4 1,2,3 30. DATA: the prefix of RecBole's atomic files. Each user's last
item is the test, the last but one validates. USERS: of how many, drawn by seed 1, the items are ranked; all without it. A
line for each run as it ends, and the means: lambda is to be chosen by the validation's.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import sllmr

sys.path.insert(0, str(Path(__file__).parents[1] / "python/examples"))
PARTS = ("validation", "test")


def recbole_factors(data, path, scores, lambda_, seed, epochs, folder):
    from recbole_selective import train

    sys.argv = sys.argv[:1]  # which RecBole reads
    name = Path(path).name
    if not (folder / name).exists():
        (folder / name).mkdir()
        (folder / name / f"{name}.inter").symlink_to(f"{path}.inter")
    model, dataset = train(
        str(folder), name, scores, lambda_, epochs=epochs,
        eval_step=0, seed=seed, state="ERROR", use_gpu=False,
    )  # fmt: skip
    rows = dataset.field2token_id
    users, items = (
        [rows[name][token] for token in of] for name, of in (("user_id", data.users), ("item_id", data.items))
    )
    with torch.no_grad():
        return model.user_embedding.weight[users].numpy(), model.item_embedding.weight[items].numpy()


def encode(data, folder):
    """As fuxictr.preprocess would: each interaction of training, and a random item with the label 0."""
    draws = np.random.default_rng(1)
    table, names = data.interactions, {"user_id": data.users, "item_id": data.items}
    rows = {name: {token: k + 1 for k, token in enumerate(tokens)} for name, tokens in names.items()}
    for name, part in (("train", "train"), ("valid", "validation")):
        of = table[table.part == part]
        users, items = (of[column].map(rows[column]).to_numpy() for column in names)
        columns = {
            "user_id": np.tile(users, 2),
            "item_id": np.append(items, draws.integers(1, len(data.items) + 1, len(items))),
        }
        np.savez(folder / name, **columns, label=np.repeat([1, 0], len(items)))
    features = [
        {name: {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": len(tokens) + 1}}
        for name, tokens in names.items()
    ]
    described = {
        "dataset_id": folder.name,
        "num_fields": 2,
        "input_length": 2,
        "labels": ["label"],
        "features": features,
    }
    (folder / "feature_map.json").write_text(json.dumps(described))
    (folder / "feature_vocab.json").write_text(json.dumps(rows))


def fuxictr_logits(data, path, scores, lambda_, seed, epochs, folder):
    from fuxictr.pytorch.torch_utils import seed_everything
    from fuxictr_selective import train

    if not (folder / "train.npz").exists():
        encode(data, folder)
    seed_everything(seed)
    model, _ = train(str(folder), scores, lambda_, epochs, "npz", early_stop_patience=epochs)
    items = torch.arange(1, len(data.items) + 1)

    @torch.no_grad()
    def logits(users):
        rows = [
            model.logits({"user_id": torch.full_like(items, int(user) + 1), "item_id": items})[:, 0] for user in users
        ]
        return torch.stack(rows).numpy()

    model.eval()
    return logits


def main(package, path, scores, lambdas, seeds, epochs, users=0):
    data = sllmr.Dataset(path)
    model_of = {"recbole": recbole_factors, "fuxictr": fuxictr_logits}[package]
    scores = os.path.abspath(scores)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "encoded"
        folder.mkdir()
        path = os.path.abspath(path)
        os.chdir(place)  # the packages' logs
        for lambda_ in map(float, lambdas.split(",")):
            figures = []
            for seed in map(int, seeds.split(",")):
                model = model_of(data, path, scores, lambda_, seed, int(epochs), folder)
                ranked = {"eval": {"max_users": int(users)}, "seed": 1} if int(users) else {}
                frames = [sllmr.evaluate(model, data, target=part, progress=False, **ranked) for part in PARTS]
                figures.append([float(frame.loc["auc", which]) for frame in frames for which in ("all", "tail")])
                print(f"lambda {lambda_} seed {seed}: " + " ".join(f"{x:.4f}" for x in figures[-1]), flush=True)
            means = [f"{statistics.mean(x):.4f} ± {statistics.pstdev(x):.4f}" for x in zip(*figures)]
            print(
                f"lambda {lambda_}: validation AUC {means[0]}, tail {means[1]}; test AUC {means[2]}, tail {means[3]}",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
