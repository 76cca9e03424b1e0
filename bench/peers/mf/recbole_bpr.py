"""RecBole's BPR and its Trainer, on the very split: files of RecBole's own, given as a benchmark."""

import logging

import numpy as np
from child import Task, main
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer
from recbole.utils import init_seed
from score import Factors
import torch

GRID = {"lr": (5e-4, 1e-3, 2e-3), "reg": (0.0, 1e-5)}


def _write(task: Task) -> None:
    split = task.split
    held = {"valid": split.validation, "test": split.test}
    parts = {"train": (split.user, split.item)}
    for name, items in held.items():
        users = np.flatnonzero(items >= 0)
        parts[name] = (users, items[users])
    folder = task.folder / "mf"
    folder.mkdir()
    for name, (users, items) in parts.items():
        with open(folder / f"mf.{name}.inter", "w") as file:
            file.write("user_id:token\titem_id:token\n")
            file.writelines(f"{user}\t{item}\n" for user, item in zip(users.tolist(), items.tolist()))


def train(task: Task) -> None:
    _write(task)
    settings = {
        "data_path": str(task.folder),
        "checkpoint_dir": str(task.folder / "saved"),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "embedding_size": task.width,
        "learning_rate": task.lr,
        "weight_decay": task.reg,
        "train_batch_size": task.batch,
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1},
        "seed": task.seed,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }
    config = Config(model="BPR", dataset="mf", config_dict=settings)
    logging.getLogger().setLevel(logging.ERROR)
    torch.set_num_threads(task.threads)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    data = data_preparation(config, dataset)[0]
    model = BPR(config, data.dataset)
    trainer = Trainer(config, model)
    users, items = (
        dataset.token2id(field, np.arange(count).astype(str))
        for field, count in (("user_id", task.split.users), ("item_id", task.split.items))
    )

    def epoch() -> None:
        trainer._train_epoch(data, len(task.seconds))

    def factors() -> Factors:
        tables = (model.user_embedding, model.item_embedding)
        return Factors(*(table.weight.detach().numpy()[ids] for table, ids in zip(tables, (users, items))))

    task.timed(epoch, factors)


if __name__ == "__main__":
    main(train, ("recbole", "torch", "numpy"))
