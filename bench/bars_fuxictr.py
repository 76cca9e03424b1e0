#!/usr/bin/env python3
"""BARS' recipe for AmazonElectronics_x1, ours and FuxiCTR's, on the same rows of another data set.

usage: python bench/bars_fuxictr.py [--data PREFIX] [--out FOLDER] [--rows ours,fuxictr] [--seeds 1,2,3] ...

PREFIX: RecBole's atomic files, whose items have a list of tokens beside their title. They become train.csv and test.csv,
as DIN made those of AmazonElectronics: for each item of a user but the first a row, and one of an item that the user never
took, both after what the user took before; those of a user's last item are test.csv. An item's category is the last
token of its list. Both files are read by ours, experiments/recipes/bars_amazon_electronics.toml, and by DCNv2 of FuxiCTR's
layers and training loop with BARS' settings. The figures of both are computed here, from the logits of the test's rows.

A row of --rows is `ours` or `fuxictr`, and what is changed of it: ours:model.dropout=0.1, fuxictr:std=1:layers=uniform.
FuxiCTR's are std (of the embeddings' initial values: 1e-4), layers (initial values of linear layers: xavier, or uniform
as PyTorch's and ours) and clip (of the gradient's norm: 10). Runs that FOLDER holds are not made again. FuxiCTR cuts
long histories at their end, ours at their beginning; here both see the latest items.
"""

import argparse
import json
import logging
import os
import resource
import shutil
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "experiments/recipes/bars_amazon_electronics.toml"
DESCRIPTION = ROOT / "experiments/descriptions/amazon_electronics_x1.toml"
COLUMNS = "label,user_id,item_id,cate_id,item_history,cate_history"
LONGEST = 100  # history
FIELDS = {"item_id": None, "cate_id": None, "item_history": "item_id", "cate_history": "cate_id"}


def load():
    return f"{os.getloadavg()[0]:.1f}"


# The files.


def columns_of(path):
    with open(path) as lines:
        names = [name.split(":") for name in next(lines).rstrip("\n").split("\t")]
        return names, [line.rstrip("\n").split("\t") for line in lines]


def write_files(prefix, folder, seed):
    """train.csv and test.csv, shuffled, and the description that ours needs."""
    names, rows = columns_of(f"{prefix}.item")
    item, lists = names.index(["item_id", "token"]), [k for k, name in enumerate(names) if name[1] == "token_seq"]
    of_item = {row[item]: (row[lists[-1]].split() or ["none"])[-1] for row in rows}
    histories = defaultdict(list)
    names, rows = columns_of(f"{prefix}.inter")
    order = next(k for k, name in enumerate(names) if name[1] == "float")
    for row in sorted(rows, key=lambda row: float(row[order])):
        histories[row[0]].append(row[1])
    items = sorted({each for history in histories.values() for each in history})
    draws, parts = np.random.default_rng(seed), {"train": [], "test": []}
    for user, history in histories.items():
        taken = set(history)
        for k in range(1, len(history)):
            negative = items[draws.integers(len(items))]
            while negative in taken:
                negative = items[draws.integers(len(items))]
            before = [history[:k], [of_item[each] for each in history[:k]]]
            for label, each in ((1, history[k]), (0, negative)):
                fields = [str(label), user, each, of_item[each], *map("^".join, before)]
                parts["train" if k + 1 < len(history) else "test"].append(",".join(fields))
    folder.mkdir(parents=True, exist_ok=True)
    for part, lines in parts.items():
        order = draws.permutation(len(lines))
        (folder / f"{part}.csv").write_text("\n".join([COLUMNS, *(lines[k] for k in order)]) + "\n")
    shutil.copy(DESCRIPTION, folder)


def read_files(folder):
    parts = {}
    for part in ("train", "test"):
        rows = [line.split(",") for line in (folder / f"{part}.csv").read_text().splitlines()[1:]]
        parts[part] = dict(zip(COLUMNS.split(","), zip(*rows)))
    return parts


def told(best_epoch, epochs, seconds, of_processor, parameters):
    """Seconds are those of an epoch's training, on the clock and of the processor."""
    return {
        "best_epoch": best_epoch,
        "epochs": epochs,
        "seconds": seconds,
        "of_processor": of_processor,
        "parameters": parameters,
    }


# FuxiCTR's.


def encode(parts, folder):
    """Numbers as FuxiCTR's tokenizer has them: 0 pads, the last one stands for what training does not have."""
    vocabularies = {"item_id": {}, "cate_id": {}}
    for field, shared in FIELDS.items():
        vocabulary = vocabularies[shared or field]
        for value in parts["train"][field]:
            for token in value.split("^"):
                vocabulary.setdefault(token, len(vocabulary) + 1)
    encoded = {}
    for part, columns in parts.items():
        encoded[part] = {"label": np.array(columns["label"], np.float32)}
        encoded[part]["user_id"] = np.unique(columns["user_id"], return_inverse=True)[1]
        for field, shared in FIELDS.items():
            vocabulary = vocabularies[shared or field]
            unknown, values = len(vocabulary) + 1, columns[field]
            rows = [[vocabulary.get(x, unknown) for x in value.split("^")[-LONGEST:]] for value in values]
            encoded[part][field] = rows if shared else np.array(rows)[:, 0]
    features = [{"user_id": {"type": "meta"}}]
    for field, shared in FIELDS.items():
        feature = {"source": "", "padding_idx": 0, "vocab_size": len(vocabularies[shared or field]) + 2}
        if shared:
            feature |= {"type": "sequence", "max_len": LONGEST, "share_embedding": shared}
            feature["feature_encoder"] = "layers.MaskedAveragePooling()"
        features.append({field: feature | ({} if shared else {"type": "categorical"})})
    described = {
        "dataset_id": folder.name,
        "num_fields": 4,
        "input_length": 2 + 2 * LONGEST,
        "labels": ["label"],
        "features": features,
    }
    (folder / "feature_map.json").write_text(json.dumps(described))
    return encoded


class Batches:
    """What FuxiCTR's loop iterates over. Histories are as long as the batch's longest: padding adds nothing to means."""

    def __init__(self, columns, rows, shuffle):
        import torch

        self.columns, self.rows, self.shuffle = columns, rows, shuffle
        self.lists = {}
        for field, shared in FIELDS.items():
            if shared:
                lengths = np.array([len(x) for x in columns[field]])
                table = np.zeros((len(lengths), lengths.max()), np.int64)
                table[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(columns[field])
                self.lists[field] = torch.as_tensor(table)
        self.lengths = torch.as_tensor(lengths)
        self.others = {k: torch.as_tensor(v) for k, v in columns.items() if k not in self.lists}

    def __len__(self):
        return -(-len(self.lengths) // self.rows)

    def __iter__(self):
        import torch

        n = len(self.lengths)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in order.split(self.rows):
            longest = int(self.lengths[rows].max())
            batch = {k: v[rows] for k, v in self.others.items()}
            yield batch | {k: v[rows, :longest] for k, v in self.lists.items()}


def fuxictr_dcnv2(feature_map, change, **settings):
    """FuxiCTR's model zoo, which its package on PyPI lacks, has it of the same layers (model_structure: parallel)."""
    import torch
    from fuxictr.pytorch.layers import CrossNetV2, FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    class DCNv2(BaseModel):
        def __init__(self):
            super().__init__(feature_map, **settings)
            std = change.get("std", "1e-4")
            self.embedding_layer = FeatureEmbedding(
                feature_map, 64, embedding_initializer=f"partial(nn.init.normal_, std={std})"
            )
            size = 4 * 64
            self.crossnet = CrossNetV2(size, 2)
            self.parallel_dnn = MLP_Block(size, hidden_units=[1024, 512, 256], batch_norm=True)
            self.fc = torch.nn.Linear(size + 256, 1)
            self.compile("adam", "binary_crossentropy", 5e-4)
            if change.get("layers", "xavier") == "xavier":
                self.reset_parameters()
            self.seconds = []  # of each epoch's training: on the clock, and of the processor
            self.told = []  # what each validation found

        def logits(self, inputs):
            x = self.embedding_layer(self.get_inputs(inputs)).flatten(start_dim=1)
            return self.fc(torch.cat([self.crossnet(x), self.parallel_dnn(x)], dim=-1))

        def forward(self, inputs):
            return {"y_pred": self.output_activation(self.logits(inputs))}

        def train_epoch(self, batches):
            self.began = time.perf_counter(), time.process_time()
            super().train_epoch(batches)

        def eval_step(self):
            self.seconds.append([time.perf_counter() - self.began[0], time.process_time() - self.began[1]])
            super().eval_step()

        def evaluate_metrics(self, labels, predicted, metrics, users=None):
            found = figures(labels, predicted, users)  # in whose order alone both are interested
            self.told.append({"AUC": found["AUC"], "gAUC": found["gAUC"]})
            return self.told[-1]

    return DCNv2()


def train_fuxictr(options, change, seed, encoded, place):
    import torch
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.torch_utils import seed_everything

    torch.set_num_threads(options.threads)
    folder = options.out / "data"
    feature_map = FeatureMap(folder.name, str(folder))
    feature_map.load(str(folder / "feature_map.json"), {"embedding_dim": 64})
    feature_map.group_id = "user_id"
    seed_everything(seed)
    model = fuxictr_dcnv2(
        feature_map,
        change,
        embedding_regularizer=0.005,
        net_regularizer=0,
        monitor={"AUC": 1, "gAUC": 1},
        metrics=["gAUC", "AUC", "logloss"],
        early_stop_patience=2,
        verbose=0,
        model_root=str(place),
    )
    (place / folder.name).mkdir(exist_ok=True)
    test = Batches(encoded["test"], 1024, shuffle=False)
    clip = float(change.get("clip", 10))
    model.fit(
        Batches(encoded["train"], 1024, shuffle=True), options.epochs, validation_data=test, max_gradient_norm=clip
    )
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model.logits(batch)[:, 0] for batch in test]).double().numpy()
    best = int(np.argmax([x["AUC"] + x["gAUC"] for x in model.told])) + 1
    parameters = sum(p.numel() for p in model.parameters())
    seconds, of_processor = np.mean(model.seconds, axis=0)
    return logits, told(best, len(model.told), seconds, of_processor, parameters)


# Ours.


def train_ours(options, change, seed, parts, place):
    run_dir, predictions = place / "run", place / "predictions.tsv"
    settings = {
        "data.path": options.out / "data",
        "seed": seed,
        "threads": options.threads,
        "device": "cpu",
        "train.epochs": options.epochs,
        "run_dir": run_dir,
        **change,
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    shutil.rmtree(run_dir, ignore_errors=True)
    with open(place / "log", "w") as log:

        def run(*words):
            subprocess.run([options.program, *words], stdout=log, stderr=log, check=True)

        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        run("train", RECIPE, *words)
        processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        run("eval", run_dir, "--device", "cpu", "--force", "--predictions", predictions)
    events = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    rows = [event["rows"] for event in events if event["event"] == "epoch"]
    if set(rows) != {len(parts["train"]["label"])}:
        raise SystemExit(f"{run_dir}: epochs of {rows} rows, not those of train.csv")
    summary = json.loads((run_dir / "summary.json").read_text())
    seconds = summary["seconds"]
    share = processor / seconds["total"]
    best = summary["validation"]["best_epoch"]
    ran = told(best, len(rows), seconds["epoch"], seconds["epoch"] * share, summary["parameters"])
    return ours_logits(parts["test"], predictions), ran


def ours_logits(test, predictions):
    """In the order of test.csv; that these are its rows is checked."""
    lines = [line.split("\t") for line in predictions.read_text().splitlines()]
    names, rows = lines[0], lines[1:]
    user, item, label, logit = (names.index(name) for name in ("user_id", "item_id", "label", "logit"))
    found = {(row[user], row[item], int(float(row[label]))): float(row[logit]) for row in rows}
    keys = list(zip(test["user_id"], test["item_id"], map(int, test["label"])))
    if len(rows) != len(keys) or set(found) != set(keys):
        raise SystemExit(f"{predictions}: other rows than those of test.csv")
    return np.array([found[key] for key in keys])


# The figures.


def auc(labels, scores):
    from scipy.stats import rankdata

    positives = int(labels.sum())
    ranks = rankdata(scores)[labels > 0].sum()
    return (ranks - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))


def figures(labels, logits, users):
    """gAUC: the mean of the users' AUC, weighted by their rows, of users who have both labels."""
    order = np.argsort(users, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(np.asarray(users)[order])) + 1)
    of_users = [(auc(labels[g], logits[g]), len(g)) for g in groups if 0 < labels[g].sum() < len(g)]
    each, weights = np.array(of_users).T
    loss = np.logaddexp(0, logits) - labels * logits
    return {"AUC": auc(labels, logits), "gAUC": each @ weights / weights.sum(), "log loss": loss.mean()}


def markdown(table):
    names = ["AUC", "gAUC", "log loss"]
    columns = [*names, "best epoch", "epochs", "s an epoch", "of processor", "parameters", "load before, after"]
    yield "| row | seed | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 2) + "|"
    for row, runs in table.items():
        for seed, found, ran in runs:
            cells = [f"{found[name]:.6f}" for name in names] + [str(ran["best_epoch"]), str(ran["epochs"])]
            cells += [f"{ran['seconds']:.1f}", f"{ran['of_processor']:.1f}", f"{ran['parameters']:,}", ran["load"]]
            yield f"| {row} | {seed} | " + " | ".join(cells) + " |"
        if len(runs) > 1:
            each = np.array([[found[name] for name in names] for _, found, _ in runs])
            cells = [f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(each.mean(0), each.std(0, ddof=1))]
            yield f"| {row} | mean | " + " | ".join(cells) + " |" * (len(columns) - 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(ROOT / "../shared/data/amazon/beauty"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs/bars_fuxictr")
    parser.add_argument("--program", default=str(ROOT / "build/cpu/experiments/sllmr"))
    parser.add_argument("--rows", default="ours,fuxictr")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=100, help="at most")
    options = parser.parse_args()
    options.out = options.out.resolve()
    logging.disable(logging.INFO)

    folder = options.out / "data"
    if not (folder / "test.csv").exists():
        write_files(options.data, folder, seed=1)
    parts = read_files(folder)
    encoded = encode(parts, folder)
    print(", ".join(f"{part}: {len(columns['label'])} rows" for part, columns in parts.items()), flush=True)
    labels, users = encoded["test"]["label"].astype(np.float64), encoded["test"]["user_id"]
    seeds = options.seeds.split(",")
    table = defaultdict(list)
    for row in options.rows.split(","):
        name, *changes = row.split(":")
        change = dict(each.split("=", 1) for each in changes)
        for seed in seeds:
            place = options.out / "".join(x if x.isalnum() or x in ".-_" else "_" for x in row) / seed
            if not (place / "told.json").exists():
                place.mkdir(parents=True, exist_ok=True)
                before = load()
                train, of = {"ours": (train_ours, parts), "fuxictr": (train_fuxictr, encoded)}[name]
                logits, ran = train(options, change, int(seed), of, place)
                np.save(place / "logits.npy", logits)
                (place / "told.json").write_text(json.dumps(ran | {"load": f"{before}, {load()}"}))
            ran, logits = json.loads((place / "told.json").read_text()), np.load(place / "logits.npy")
            table[row].append((seed, figures(labels, logits, users), ran))
            print(f"{row} {seed}: {table[row][-1][1]}", flush=True)
    print("\n".join(["", *markdown(table)]))


if __name__ == "__main__":
    main()
