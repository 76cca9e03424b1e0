#!/usr/bin/env python3
"""Writes tests/models/golden/alignment.json: RLMRec's contrastive alignment of triples and its gradients, by PyTorch.

The fixture is the truth for tests/models/profile_alignment_test.cpp, in float64. Run it again only when a formula changes:

    python3 -m venv golden && golden/bin/pip install torch numpy
    golden/bin/python tools/golden/make_alignment_golden.py
"""
import json
from pathlib import Path

import torch
from torch import nn

from fixture import shorten

OUTPUT = Path(__file__).resolve().parents[2] / "tests/models/golden/alignment.json"
USERS, ITEMS, PROFILE, WIDTH, TRIPLES, WEIGHT, TAU = 13, 10, 12, 6, 8, 0.05, 0.2


def unit(x):
    return x / torch.sqrt(1e-8 + x.square().sum(-1, keepdim=True))


def info_nce(anchors, own, candidates):
    anchors, own, candidates = unit(anchors), unit(own), unit(candidates)
    fitting = -(anchors * own / TAU).sum(-1)
    spreading = torch.log(torch.exp(anchors @ candidates.T / TAU).sum(-1))
    return (fitting + spreading).sum()


def main():
    torch.manual_seed(4)
    torch.set_default_dtype(torch.float64)
    # Numbers that float32 holds: the test starts from the same ones.
    def draw(*shape):
        return torch.randn(*shape).float().double()

    profiles = {"users": draw(USERS, PROFILE), "items": draw(ITEMS, PROFILE)}
    tables = {"users": draw(USERS, WIDTH).requires_grad_(), "items": draw(ITEMS, WIDTH).requires_grad_()}
    net = nn.Sequential(nn.Linear(PROFILE, (PROFILE + WIDTH) // 2), nn.LeakyReLU(),
                        nn.Linear((PROFILE + WIDTH) // 2, WIDTH))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.float().double())
    triples = [[int(torch.randint(n, (1,))) for n in (USERS, ITEMS, ITEMS)] for _ in range(TRIPLES)]
    user, positive, negative = (torch.tensor(column) for column in zip(*triples))

    cases = {}
    for name in ("all", "batch"):
        for x in [*tables.values(), *net.parameters()]:
            x.grad = None
        users, items = net(profiles["users"]), net(profiles["items"])
        loss = info_nce(tables["users"][user], users[user], users if name == "all" else users[user])
        for rows in (positive, negative):
            loss = loss + info_nce(tables["items"][rows], items[rows], items[rows])
        loss = WEIGHT * loss / TRIPLES
        loss.backward()
        cases[name] = {"loss": loss.item(), "users": tables["users"].grad.tolist(),
                       "items": tables["items"].grad.tolist(),
                       "parameters": {f"alignment.{key.replace('2.', '1.')}": value.grad.flatten().tolist()
                                      for key, value in net.named_parameters()}}
    fixture = {"made_by": f"PyTorch {torch.__version__}", "profile": PROFILE, "width": WIDTH, "weight": WEIGHT,
               "temperature": TAU, "triples": triples,
               "profiles": {key: value.tolist() for key, value in profiles.items()},
               "vectors": {key: value.tolist() for key, value in tables.items()},
               "parameters": {f"alignment.{key.replace('2.', '1.')}": value.flatten().tolist()
                              for key, value in net.named_parameters()},
               "cases": shorten(cases, 9)}
    OUTPUT.write_text(json.dumps(shorten(fixture, 10)) + "\n")


if __name__ == "__main__":
    main()
