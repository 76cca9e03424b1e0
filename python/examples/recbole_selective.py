"""RecBole's BPR, regularised by a language model's scores.

usage: python recbole_selective.py FOLDER DATASET SCORES [LAMBDA]    (atomic files; a table of sllmr llm score)
"""

import sys

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer
from recbole.utils import init_seed

from sllmr.torch import Gate, ScoredPairs, SignalTables, selective_loss


class SelectiveBPR(BPR):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        users, items = dataset.inter_feat[self.USER_ID], dataset.inter_feat[self.ITEM_ID]
        history, popularity = (
            torch.bincount(users, minlength=self.n_users),
            torch.bincount(items, minlength=self.n_items),
        )
        rows = dataset.field2token_id
        self.pairs = ScoredPairs.read(config["scores"], rows[self.USER_ID], rows[self.ITEM_ID], popularity)
        self.signals = SignalTables.from_counts(history, popularity, scores=self.pairs)
        self.gate = Gate("learned", config["objective"], lambda_=config["lambda"], margin=1.0).train_alone(lr=0.1)

    def calculate_loss(self, interaction):
        drawn = self.pairs.sample(interaction[self.USER_ID])
        logits = [self.predict({self.USER_ID: drawn.users, self.ITEM_ID: items}) for items in (drawn.a, drawn.b)]
        scores, signals = (drawn.scores_a, drawn.scores_b), self.signals.of(drawn)
        added = selective_loss(*logits, *scores, signals, self.gate, probe=drawn.probe, reduction="sum")
        return super().calculate_loss(interaction) + added / len(interaction)


def train(folder, dataset, scores, lambda_=1.0, model=SelectiveBPR, **settings):
    """The trained model, and the data set whose rows it has."""
    split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
    ours = {"data_path": folder, "scores": scores, "lambda": lambda_, "objective": "agreement", "eval_args": split}
    columns = {"TIME_FIELD": "position", "load_col": {"inter": ["user_id", "item_id", "position"]}}
    config = Config(model=model, dataset=dataset, config_dict={"embedding_size": 64, **ours, **columns, **settings})
    init_seed(config["seed"], reproducibility=True)
    data = create_dataset(config)
    train_data, valid_data, _ = data_preparation(config, data)
    model = model(config, train_data.dataset).to(config["device"])
    Trainer(config, model).fit(train_data, valid_data, saved=False, show_progress=False)
    return model, data


if __name__ == "__main__":
    trained, _ = train(*sys.argv[1:4], *map(float, sys.argv[4:5]))
    print(trained.gate, trained.gate.theta.tolist())
