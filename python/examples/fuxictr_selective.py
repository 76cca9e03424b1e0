"""A model of FuxiCTR, regularised by a language model's scores.

usage: python fuxictr_selective.py FOLDER SCORES [LAMBDA]

FOLDER: what fuxictr.preprocess.build_dataset leaves of data with the columns user_id, item_id and label. SCORES: a table of
sllmr llm score.
"""

import json
import sys
from pathlib import Path

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr_deepfm import DeepFM

from sllmr.torch import Gate, ScoredPairs, SignalTables, selective_loss


class SelectiveDeepFM(DeepFM):
    def __init__(self, feature_map, taken, rows, scores, lambda_, **settings):
        super().__init__(feature_map, **settings)
        sizes = [feature["vocab_size"] for feature in feature_map.features.values()]
        counts = [torch.bincount(taken[:, k], minlength=size) for k, size in enumerate(sizes)]
        self.pairs = ScoredPairs.read(scores, *rows.values(), popularity=counts[1])
        self.signals = SignalTables.from_counts(*counts, scores=self.pairs)
        self.gate = Gate("learned", "agreement", lambda_=lambda_, margin=1.0).train_alone(lr=0.1)
        self.model_to_device()

    def train_step(self, batch_data):
        self.users = batch_data["user_id"].long().to(self.device)
        return super().train_step(batch_data)

    def add_loss(self, return_dict, y_true):
        drawn = self.pairs.sample(self.users)
        logits = [self.logits({"user_id": drawn.users, "item_id": items})[:, 0] for items in (drawn.a, drawn.b)]
        scores, signals = (drawn.scores_a, drawn.scores_b), self.signals.of(drawn)
        added = selective_loss(*logits, *scores, signals, self.gate, probe=drawn.probe, reduction="sum")
        return super().add_loss(return_dict, y_true) + added / len(self.users)


def train(folder, scores, lambda_=1.0, epochs=5, data_format="parquet", batch_size=2048, **settings):
    """The trained model, and its rows by ids: {"user_id": {id: row}, "item_id": {id: row}}."""
    feature_map = FeatureMap(Path(folder).name, folder)
    feature_map.load(f"{folder}/feature_map.json", {"embedding_dim": 16})
    rows = json.loads(Path(folder, "feature_vocab.json").read_text())
    files = {
        "train_data": f"{folder}/train",
        "valid_data": f"{folder}/valid",
        "data_format": data_format,
        "num_workers": 0,
    }
    training, validation = RankDataLoader(feature_map, "train", batch_size=batch_size, **files).make_iterator()
    table = torch.as_tensor(training.dataset.darray).long()  # user_id, item_id, label
    usual = {"verbose": 0, "model_root": Path(folder).parent, "metrics": ["AUC"], "monitor": "AUC"}
    model = SelectiveDeepFM(feature_map, table[table[:, 2] == 1], rows, scores, lambda_, **{**usual, **settings})
    model.fit(training, epochs=epochs, validation_data=validation)
    return model, rows


if __name__ == "__main__":
    print(train(*sys.argv[1:3], *map(float, sys.argv[3:4]))[0].gate.theta.tolist())
