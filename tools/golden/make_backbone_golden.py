#!/usr/bin/env python3
"""Writes tests/models/golden/: ten training steps of each backbone but mf, taken by PyTorch.

BACKBONE.json, dcnv2_full.json, and BACKBONE_text.json and so on with each kind of extra vector.

The fixtures are the truth for tests/models/backbone_golden_test.cpp: small models and batches, and what autograd and
torch.optim.Adam make of them in float64. The models are those of bench/peers/ctr_torch.py. Run it again only when a
backbone's specification changes:

    python3 -m venv golden && golden/bin/pip install torch numpy
    golden/bin/python tools/golden/make_backbone_golden.py                          # or only some of them, by name

Numbers are drawn with Python's own generator, so that another version of PyTorch gives the same fixtures up to
rounding. The committed ones name the version that made them. Parameters have the names and shapes of the C++ models.
"""
import argparse
import json
import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from fixture import shorten

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/peers"))
import ctr_torch  # noqa: E402

OUTPUT = ROOT / "tests/models/golden"
SIZES = {
    "width": 4,
    "hidden": [6, 5],
    "cin_sizes": [6, 4, 4],
    "attention_width": 8,
    "attention_heads": 2,
    "din_attention_hidden": [5, 3],
}
TABLE_ROWS = {"user": 7, "item": 12, "brand": 5, "category": 8}  # padding included
# The last user, item, brand and category are in no batch: weight decay alone moves their rows.
BATCH_ROWS, HISTORY, CATEGORIES, STEPS = [6, 7, 4], 6, 3, 10
VECTOR_WIDTH = 5  # of the frozen item vectors
IN_CONTEXT = {"text_hidden": [5], "joint_hidden": [6], "reconstruction_hidden": [4]}
POOL, EXAMPLES = 6, 4  # rows that may be examples, and how many a row has at most
EXPERTS = {"expert_hidden": [3], "shared_experts": 2, "own_experts": 1}
JOINED = {"dcnv1", "dcnv2", "din"}  # z joins their inputs; of the others it is a field
ADAM = {"learning_rate": 0.01, "weight_decay": 0.01}

# From the names of ctr_torch's parameters to those of the C++ models.
NAMES = [
    (r"^embedding\.weight$", "embedding"),  # of LightGCN
    (r"^(embedding)\.(\w+)\.weight$", r"\1.\2"),
    (r"^(first_order)\.tables\.(\w+)\.weight$", r"\1.\2"),
    (r"^first_order\.bias$", "bias"),
    (r"^deep\.linear\.(\d)", r"deep.\1"),
    (r"^deep\.norm\.(\d)", r"deep.\1.norm"),
    (r"^cin\.layers", "cin"),
    (r"^attention\.in_proj_", "attention.in_proj."),
    (r"^cross\.gate", "gate"),
    (r"^cross\.linear", "cross"),
    (r"^cross\.(\w+)\.(\d)$", r"cross.\2.\1"),
    (r"^extra\.transformer\.(\d)\.(\w+)(\.weight)?$", r"llmcf.transformer.\1.\2"),
    (r"^extra\.norm$", "llmcf.transformer.norm"),
    (r"^extra\.labels$", "llmcf.labels"),
    (r"^extra\.last\.0", "llmcf.out"),
    (r"^extra\.rebuild", "extra.reconstruction"),
    (r"^extra\.(\w+)\.hidden\.(\d)", r"llmcf.\1.\2"),
    (r"^extra\.(text|joint|reconstruction)\.out", r"llmcf.\1_out"),
    (r"^extra\.map", "text"),
    (r"^extra\.(\w+\.\d)\.linear", r"kar.\1"),
    (r"^extra\.(\w+_gate)", r"kar.\1"),
]


def cpp_name(name):
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def number(rng, deviation, mean=0.0):
    """A multiple of 1/1024: the same in float32, float64 and decimal."""
    return round(rng.gauss(mean, deviation) * 1024) / 1024


def draw_items(rng):
    """Brand and categories of each item; row 0 is padding. Items 1 and 4 have no brand, item 5 no category."""
    items = [{"brand": 0, "categories": []}]
    for item in range(1, TABLE_ROWS["item"]):
        brand = 0 if item in (1, 4) else rng.randrange(1, TABLE_ROWS["brand"] - 1)
        n = 0 if item == 5 else rng.randint(1, CATEGORIES)
        items.append({"brand": brand, "categories": rng.sample(range(1, TABLE_ROWS["category"] - 1), n)})
    return items


def draw_batch(rng, rows):
    """The first row has no history, the second a full one in which an item recurs; the third's item has no brand."""

    def item():
        return rng.randrange(1, TABLE_ROWS["item"] - 1)

    lengths = [0, HISTORY] + [rng.randint(1, HISTORY) for _ in range(rows - 2)]
    histories = [[item() for _ in range(length)] for length in lengths]
    histories[1][-1] = histories[1][0]
    labels = [k % 2 for k in range(rows)]
    rng.shuffle(labels)
    return {
        "user": [rng.randrange(1, TABLE_ROWS["user"] - 1) for _ in range(rows)],
        "item": [item(), item(), 1] + [item() for _ in range(rows - 3)],
        "history": histories,
        "label": labels,
    }


def draw_pool(rng):
    """Rows that may be examples."""
    return draw_batch(rng, POOL)


def draw_examples(rng, rows):
    """Of each row which of the pool are its examples, -1 for none."""
    return [[rng.choice([-1, *range(POOL)]) for _ in range(EXAMPLES)] for _ in range(rows)]


def examples_of(table, pool, examples):
    number = torch.tensor(examples)
    at = number.clamp(min=0).flatten()
    history = padded(pool["history"], HISTORY)[at]
    return ctr_torch.Examples(
        table.batch(torch.tensor(pool["user"])[at], torch.tensor(pool["item"])[at], history),
        torch.tensor(pool["label"])[number.clamp(min=0)],
        number.clamp(min=0),
        number >= 0,
    )


def draw_interactions(rng):
    """Pairs of users and items for a graph: user 2 and item 3 have none and one pair recurs. No last user and item."""
    users = [user for user in range(1, TABLE_ROWS["user"] - 1) if user != 2]
    items = [item for item in range(1, TABLE_ROWS["item"] - 1) if item != 3]
    pairs = [[rng.choice(users), item] for item in items] + [[user, rng.choice(items)] for user in users]
    return pairs + pairs[:1]


def padded(lists, length):
    return torch.tensor([row + [0] * (length - len(row)) for row in lists])


def item_table(items):
    brand = torch.tensor([item["brand"] for item in items])
    return ctr_torch.ItemTable(brand, padded([item["categories"] for item in items], CATEGORIES))


def draw_state(rng, model):
    """Values for all parameters and running statistics, of a size that lets every part matter."""

    def value(name, shape):
        if name.endswith("running_var") or re.search(r"norm\.\d\.weight$", name):
            return number(rng, 0.1, mean=1.0)
        if name.endswith("running_mean"):
            return number(rng, 0.1)
        if "bias" in name:
            # Well above 0: it keeps units alive, and where the data has no say (before batch norm, on keys of
            # attention) decay alone moves a bias, by a gradient in which rounding errors must not count.
            # Twice as much in KAR's experts, whose few units are all behind a ReLU.
            return number(rng, 0.1, mean=1.0 if name.startswith("extra") else 0.5)
        return number(rng, 0.5 if len(shape) > 1 and not name.startswith("extra.") else 0.3)

    state = {}
    for name, old in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.tensor([value(name, old.shape) for _ in range(old.numel())]).double().view(old.shape)
    model.load_state_dict(state, strict=False)


def values(named):
    """name -> all elements, in order."""
    return {cpp_name(name): tensor.detach().flatten().tolist() for name, tensor in named}


def state(model):
    """Parameters and running statistics. CIN's convolutions have a kernel of length 1, their third extent."""
    return [(name, x) for name, x in model.state_dict().items() if not name.endswith("num_batches_tracked")]


def make(name, cross, extra):
    in_context = extra.startswith("llmcf")
    rng = random.Random(name if extra == "none" else f"{extra} {name}" if in_context else f"{name}_{extra}")
    items = draw_items(rng)
    batches = [draw_batch(rng, rows) for rows in BATCH_ROWS]
    table = item_table(items)
    inputs = [
        table.batch(torch.tensor(b["user"]), torch.tensor(b["item"]), padded(b["history"], HISTORY)) for b in batches
    ]
    labels = [torch.tensor(b["label"]).double() for b in batches]

    if in_context:
        pool = draw_pool(rng)
        for b, x in zip(batches, inputs):
            b["examples"] = draw_examples(rng, len(b["user"]))
            x.examples = examples_of(table, pool, b["examples"])

    # Half as wide where KAR's towers are as wide as a field: then they have two numbers everywhere.
    sizes = {**SIZES, "width": SIZES["width"] // 2} if extra in ("text", "kar") and name in JOINED else SIZES
    settings = ctr_torch.Settings(**sizes, cross=cross, dropout=0.0)
    interactions = draw_interactions(rng) if name == "lightgcn" else []
    if interactions:
        settings.interactions = torch.tensor(interactions).T
    vectors = []
    if extra != "none":
        vectors = [[number(rng, 0.5 if item > 0 else 0.0) for _ in range(VECTOR_WIDTH)] for item in range(len(items))]
        settings = replace(settings, extra=extra, vectors=torch.tensor(vectors), expert_dropout=0.0, **EXPERTS)
    about_extra = {"kind": extra, "vectors": vectors, **(EXPERTS if extra == "kar" else {})}
    if in_context:
        about_extra |= {**IN_CONTEXT, "pool": pool}
        settings = replace(settings, **IN_CONTEXT)
    if extra == "llmcf_text":
        about_extra["chains"] = [[number(rng, 0.5) for _ in range(VECTOR_WIDTH)] for _ in range(POOL)]
        settings.chains = torch.tensor(about_extra["chains"])
    model = ctr_torch.BACKBONES[name](TABLE_ROWS, settings).double()
    draw_state(rng, model)
    fixture = {
        "made_by": "tools/golden/make_backbone_golden.py with PyTorch "
        f"{torch.__version__.split('+')[0]}, float64 on the CPU",
        "sizes": {**sizes, "cross": cross},
        "table_rows": TABLE_ROWS,
        "adam": ADAM,
        "items": items,
        **({"extra": about_extra} if vectors else {}),
        **({"interactions": interactions} if interactions else {}),
        "batches": batches,
        "shapes": {cpp_name(key): list(x.shape[:2] if "cin.layers" in key else x.shape) for key, x in state(model)},
        "initial": values(state(model)),
    }

    adam = torch.optim.Adam(model.parameters(), lr=ADAM["learning_rate"], weight_decay=ADAM["weight_decay"])
    losses = []
    for step in range(STEPS):
        adam.zero_grad()
        logits = model(inputs[step % len(inputs)])
        loss = F.binary_cross_entropy_with_logits(logits, labels[step % len(labels)])
        losses.append(loss.item())
        if extra == "llmcf_text":
            loss = loss + model.extra.reconstruction
        loss.backward()
        if step == 0:
            fixture["logits"] = logits.tolist()
            fixture["gradients"] = values((key, p.grad) for key, p in model.named_parameters())
        adam.step()
    model.eval()
    fixture["losses"] = losses
    fixture["final"] = values(state(model))
    fixture["evaluation_logits"] = [model(batch).tolist() for batch in inputs]
    return fixture


def main():
    OUTPUT.mkdir(parents=True, exist_ok=True)
    fixtures = {name: (name, "mixture", "none") for name in ctr_torch.BACKBONES}
    fixtures["dcnv2_full"] = ("dcnv2", "full", "none")
    for name in ctr_torch.BACKBONES:
        if name != "lightgcn":
            fixtures |= {f"{name}_{extra}": (name, "mixture", extra) for extra in ctr_torch.EXTRAS}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fixture", choices=[[], *fixtures], nargs="*", help="these only")
    for fixture in parser.parse_args().fixture or fixtures:
        # Two digits more than float32 has; rounding errors around zero become zero.
        numbers = shorten(make(*fixtures[fixture]), digits=9, zero_below=1e-15)
        text = json.dumps(numbers, separators=(",", ":"))
        (OUTPUT / f"{fixture}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
