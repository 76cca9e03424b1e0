#!/usr/bin/env python3
"""Six CTR backbones and LightGCN in PyTorch: the opponent of `sllmr`'s benchmarks and the source of its golden values.

DeepFM, xDeepFM, AutoInt, DCNv1, DCNv2 (low-rank mixture) and DIN with the sizes, initial values and optimiser of the
ranking task of LLM-CF (github.com/Jeryi-Sun/LLM-CF), alone or with one more input made of frozen item vectors (by a
linear map or KAR's adaptor), and LightGCN with a sparse adjacency matrix. Nothing is shared with the C++: padded id
tensors, `nn.Embedding`, masked means, autograd, `torch.optim.Adam`. See README.md beside this file.

    python bench/peers/ctr_torch.py --backbone dcnv1 --data ../shared/data/amazon/beauty

trains with early stopping and prints seconds an epoch and AUC; the last line is one JSON object. `--steps N` only times
N training steps. Needs PyTorch 2 and NumPy, with `--vectors` also safetensors.
"""
import argparse
import json
import math
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

VOCABULARIES = ("user", "item", "brand", "category")
FIELDS = 7
EPSILON = 1e-9  # of the masked mean's denominator
HISTORY = 20
NEGATIVE_SEED = 2023  # of the sampled negatives, which are part of the data: the same for every training seed


# Data ----------------------------------------------------------------------------------------------------------------


@dataclass
class Batch:
    """Ids of `B` rows; 0 is padding, or an item that has no brand."""

    user: torch.Tensor  # [B]
    item: torch.Tensor  # [B]
    brand: torch.Tensor  # [B]
    categories: torch.Tensor  # [B, C]
    history: torch.Tensor  # [B, T], oldest first, padded on the right
    history_brands: torch.Tensor  # [B, T]
    history_categories: torch.Tensor  # [B, T, C]
    examples: "Examples | None" = None  # of LLM-CF


@dataclass
class Examples:
    """Labelled rows of a pool beside each row of a batch, in `n` slots."""

    batch: Batch  # [B * n]
    label: torch.Tensor  # [B, n], 0 or 1
    number: torch.Tensor  # [B, n], in the pool
    present: torch.Tensor  # [B, n]: is there one?


@dataclass
class ItemTable:
    """What is known of each item; row 0 is padding."""

    brand: torch.Tensor  # [items + 1]
    categories: torch.Tensor  # [items + 1, C]

    def to(self, device):
        return ItemTable(self.brand.to(device), self.categories.to(device))

    def batch(self, user, item, history):
        """user, item [B]; history [B, T]."""
        return Batch(
            user,
            item,
            self.brand[item],
            self.categories[item],
            history,
            self.brand[history],
            self.categories[history],
        )


@dataclass
class Rows:
    """Labelled (user, item) rows with the history that preceded them."""

    user: torch.Tensor  # [N]
    item: torch.Tensor  # [N]
    history: torch.Tensor  # [N, HISTORY]
    label: torch.Tensor  # [N], 0 or 1

    def __len__(self):
        return len(self.user)

    def to(self, device):
        return Rows(*(getattr(self, name).to(device) for name in ("user", "item", "history", "label")))


@dataclass
class Data:
    items: ItemTable
    counts: dict  # rows of each vocabulary's table, padding included
    interactions: torch.Tensor  # [2, N], users and items of the interactions that training may know
    train: Rows
    validation: Rows
    test: Rows


def read_atomic(path):
    """The columns of a RecBole atomic file: name -> list of strings."""
    with open(path, encoding="utf-8") as file:
        names = [column.split(":")[0] for column in file.readline().rstrip("\n").split("\t")]
        rows = [line.rstrip("\n").split("\t") for line in file]
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def numbered(tokens):
    """Numbers from 1 in order of first appearance."""
    ids = {}
    for token in tokens:
        ids.setdefault(token, len(ids) + 1)
    return ids


def split_attributes(lists):
    """Brands and categories of unlabelled attribute lists, brand first where there is one: a token that stands second
    or later in any list is a category everywhere. Returns (brand or None, categories) of each list."""
    is_category = {token for tokens in lists for token in tokens[1:]}
    return [
        (tokens[0], tokens[1:]) if tokens and tokens[0] not in is_category else (None, tokens) for tokens in lists
    ]


def read_items(path, item_ids):
    columns = read_atomic(path)
    known = [k for k, token in enumerate(columns["item_id"]) if token in item_ids]
    attributes = split_attributes([columns["attributes"][k].split() for k in known])
    brands = numbered(brand for brand, _ in attributes if brand is not None)
    categories = numbered(token for _, tokens in attributes for token in tokens)
    brand_of = np.zeros(len(item_ids) + 1, np.int64)
    categories_of = np.zeros((len(item_ids) + 1, max(len(tokens) for _, tokens in attributes)), np.int64)
    for k, (brand, tokens) in zip(known, attributes):
        item = item_ids[columns["item_id"][k]]
        brand_of[item] = brands.get(brand, 0)
        categories_of[item, : len(tokens)] = [categories[token] for token in tokens]
    table = ItemTable(torch.from_numpy(brand_of), torch.from_numpy(categories_of))
    return table, len(brands) + 1, len(categories) + 1


def draw_negatives(users, touched_users, touched_items, n_items, rng):
    """For each user id, an item uniform over those the user never touched."""
    stride = n_items + 1
    touched = np.unique(touched_users * stride + touched_items)
    negatives = np.zeros(len(users), np.int64)
    open_rows = np.arange(len(users))
    while len(open_rows):
        drawn = rng.integers(1, stride, len(open_rows))
        negatives[open_rows] = drawn
        open_rows = open_rows[np.isin(users[open_rows] * stride + drawn, touched)]
    return negatives


def read_data(prefix):
    """PREFIX.inter and PREFIX.item as the rows of the `ctr` protocol: of each user's sequence the last item is for
    test, the one before it for validation, every other but the first for training, each with one negative."""
    columns = read_atomic(f"{prefix}.inter")
    user_ids = numbered(columns["user_id"])
    user = np.array([user_ids[token] for token in columns["user_id"]])
    order = np.lexsort((np.array(columns["position"], float), user))
    items = [columns["item_id"][k] for k in order]
    item_ids = numbered(items)
    user, item = user[order], np.array([item_ids[token] for token in items])
    first = np.searchsorted(user, np.arange(1, len(user_ids) + 2))  # of each user, and the end
    position = np.arange(len(user)) - first[user - 1]
    from_end = first[user] - np.arange(len(user))  # 1: the last

    rng = np.random.default_rng(NEGATIVE_SEED)
    padded = np.append(item, 0)

    def rows(chosen):
        at = np.flatnonzero(chosen)
        length = np.minimum(position[at], HISTORY)
        column = np.arange(HISTORY)
        index = np.where(column < length[:, None], (at - length)[:, None] + column, len(item))
        negative = draw_negatives(user[at], user, item, len(item_ids), rng)
        return Rows(
            user=torch.from_numpy(user[at].repeat(2)),
            item=torch.from_numpy(np.stack((item[at], negative), 1).reshape(-1)),
            history=torch.from_numpy(padded[index]).repeat_interleave(2, 0),
            label=torch.tensor([1.0, 0.0]).repeat(len(at)),
        )

    table, n_brands, n_categories = read_items(f"{prefix}.item", item_ids)
    counts = dict(zip(VOCABULARIES, (len(user_ids) + 1, len(item_ids) + 1, n_brands, n_categories)))
    known = from_end > 2
    return Data(
        items=table,
        counts=counts,
        interactions=torch.from_numpy(np.stack((user[known], item[known]))),
        train=rows((position > 0) & known),
        validation=rows((position > 0) & (from_end == 2)),
        test=rows((position > 0) & (from_end == 1)),
    )


def auc(labels, scores):
    """Area under the ROC curve of all rows pooled; ties count one half."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[which]
    positives = labels > 0.5
    p, n = positives.sum(), (~positives).sum()
    return float((rank[positives].sum() - p * (p + 1) / 2) / (p * n))


# Layers --------------------------------------------------------------------------------------------------------------


@dataclass
class Settings:
    """What a backbone is made of; LLM-CF's sizes."""

    width: int = 32
    hidden: tuple = (200, 80)
    dropout: float = 0.1
    cin_sizes: tuple = (100, 100, 100)  # xDeepFM
    attention_width: int = 64  # AutoInt
    attention_heads: int = 2  # AutoInt
    din_attention_hidden: tuple = (64, 16)  # DIN
    cross: str = "mixture"  # DCNv2: of low-rank experts, or "full" matrices
    frozen_bias: bool = False  # DeepFM, xDeepFM: LLM-CF's bias is drawn from N(0, 1) and never trained
    relu_deep_logit: bool = False  # xDeepFM: LLM-CF's deep part ends in a ReLU
    interactions: torch.Tensor | None = None  # LightGCN: users and items of its graph, [2, N]
    pooling: str = "mask"  # how means over lists are computed: "mask" or "bag"; the same numbers
    extra: str = "none"  # or one of EXTRAS: one more input, of frozen item vectors
    vectors: torch.Tensor | None = None  # those, [items + 1, E]; row 0 is zero
    expert_hidden: tuple = (128,)  # KAR: of each expert, below its output
    shared_experts: int = 2  # KAR: of both towers
    own_experts: int = 3  # KAR: of each tower alone
    expert_dropout: float = 0.1  # KAR
    chains: torch.Tensor | None = None  # LLM-CF: a vector for each row that may be an example, or none
    text_hidden: tuple = (256,)  # LLM-CF
    joint_hidden: tuple = (128,)  # LLM-CF
    reconstruction_hidden: tuple = (256,)  # LLM-CF
    gelu_map: bool = False  # LLM-CF: DCN's


class Tables(nn.Module):
    """One table a vocabulary; row 0 never gets a gradient of the data."""

    def __init__(self, counts, width, pooling):
        super().__init__()
        self.pooling = pooling
        for name in VOCABULARIES:
            self.add_module(name, nn.Embedding(counts[name], width, padding_idx=0))

    def mean(self, name, ids):
        """Mean of the rows of the ids that are not 0: [B, L] -> [B, width]."""
        table = getattr(self, name)
        n = (ids != 0).sum(1, keepdim=True)
        if self.pooling == "bag":
            total = F.embedding_bag(ids, table.weight, mode="sum", padding_idx=0)
        else:
            total = (table(ids) * (ids != 0).unsqueeze(-1)).sum(1)
        return total / (n + EPSILON)

    def fields(self, batch):
        """The seven fields, pooled: [B, FIELDS, width]."""
        return torch.stack(
            (
                self.user(batch.user),
                self.item(batch.item),
                self.brand(batch.brand),
                self.mean("category", batch.categories),
                self.mean("item", batch.history),
                self.mean("brand", batch.history_brands),
                self.mean("category", batch.history_categories.flatten(1)),
            ),
            1,
        )


class FirstOrder(nn.Module):
    """A weight for each id of the row itself (not of its history), and the bias: [B]."""

    def __init__(self, counts, settings):
        super().__init__()
        self.tables = Tables(counts, 1, settings.pooling)
        if settings.frozen_bias:
            self.register_buffer("bias", torch.randn(1))
        else:
            self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, batch):
        tables = self.tables
        total = tables.user(batch.user) + tables.item(batch.item) + tables.brand(batch.brand)
        return (total + tables.mean("category", batch.categories)).squeeze(-1) + self.bias


class Mlp(nn.Module):
    """Dropout, Linear, batch norm where asked for, ReLU; for each size."""

    def __init__(self, inputs, sizes, dropout, norm=False):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.ModuleList(nn.Linear(m, n) for m, n in zip((inputs, *sizes), sizes))
        self.norm = nn.ModuleList(nn.BatchNorm1d(n) for n in sizes) if norm else [nn.Identity()] * len(sizes)

    def forward(self, x):
        for linear, norm in zip(self.linear, self.norm):
            x = F.relu(norm(linear(self.dropout(x))))
        return x


def xavier(module):
    """Xavier normal for tables, row 0 included, and for the weights of linear layers, whose biases become 0."""
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            nn.init.xavier_normal_(part.weight)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight)
            nn.init.zeros_(part.bias)


# Extra vectors: batch, the backbone's tables -> z [B, width] ---------------------------------------------------------


def mean_vector(vectors, ids, pooling):
    """Mean of the frozen vectors of the ids that are not 0: [B, T] -> [B, E]."""
    if pooling == "bag":
        total = F.embedding_bag(ids, vectors, mode="sum", padding_idx=0)
    else:
        total = vectors[ids].sum(1)
    return total / (ids != 0).sum(1, keepdim=True).clamp(min=1)


class TextMap(nn.Module):
    """z = W v + b of the item's frozen vector v."""

    def __init__(self, width, settings):
        super().__init__()
        self.register_buffer("vectors", settings.vectors, persistent=False)
        self.map = nn.Linear(self.vectors.shape[1], width)

    def forward(self, batch, _):
        return self.map(self.vectors[batch.item])


class Expert(nn.Module):
    """Linear, ReLU, dropout; for each size."""

    def __init__(self, inputs, sizes, dropout):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(m, n) for m, n in zip((inputs, *sizes), sizes))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        for linear in self.linear:
            x = self.dropout(F.relu(linear(x)))
        return x


class HybridExperts(nn.Module):
    """KAR's adaptor (Xi et al., RecSys 2024): two towers, of the mean vector of the history and of the item's, mix what
    shared experts and their own make of their vector by a softmax gate; z is both results, `width` together."""

    def __init__(self, width, settings):
        super().__init__()
        self.register_buffer("vectors", settings.vectors, persistent=False)
        self.pooling = settings.pooling
        inputs, sizes = self.vectors.shape[1], (*settings.expert_hidden, width // 2)

        def experts(n):
            return nn.ModuleList(Expert(inputs, sizes, settings.expert_dropout) for _ in range(n))

        self.shared = experts(settings.shared_experts)
        self.user, self.item = experts(settings.own_experts), experts(settings.own_experts)
        self.user_gate, self.item_gate = (
            nn.Linear(inputs, settings.shared_experts + settings.own_experts) for _ in range(2)
        )

    def tower(self, x, own, gate):
        given = torch.stack([expert(x) for expert in (*self.shared, *own)], 1)
        return torch.einsum("be,bed->bd", torch.softmax(gate(x), -1), given)

    def forward(self, batch, _):
        user = self.tower(mean_vector(self.vectors, batch.history, self.pooling), self.user, self.user_gate)
        item = self.tower(self.vectors[batch.item], self.item, self.item_gate)
        return torch.cat((user, item), 1)


class LinearMlp(nn.Module):
    """Linear and ReLU for each of `hidden`, then Linear."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        sizes = (inputs, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(m, n) for m, n in zip(sizes, hidden))
        self.out = nn.Linear(sizes[-1], outputs)

    def forward(self, x):
        for linear in self.hidden:
            x = F.relu(linear(x))
        return self.out(x)


def rms_norm(x, weight, eps=1e-5):
    return weight * x * (x.square().mean(-1, keepdim=True) + eps).rsqrt()


class Block(nn.Module):
    """Causal attention with rotary positions and SwiGLU, each behind an RMSNorm: x [B, T, width]."""

    def __init__(self, width, heads=2):
        super().__init__()
        self.heads = heads
        hidden = -(-(2 * 2 * width // 3) // width) * width
        self.attention_norm, self.feed_norm = (nn.Parameter(torch.ones(width)) for _ in range(2))
        self.qkv, self.attention_out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.feed_in = nn.Linear(width, 2 * hidden, bias=False)
        self.feed_out = nn.Linear(hidden, width, bias=False)

    def turned(self, x):
        tokens, dims = x.shape[-2:]
        pair = torch.arange(dims // 2, dtype=x.dtype, device=x.device)
        angle = torch.arange(tokens, dtype=x.dtype, device=x.device).unsqueeze(1) / 10_000 ** (2 * pair / dims)
        even, odd = x[..., 0::2], x[..., 1::2]
        cosine, sine = angle.cos(), angle.sin()
        return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)

    def forward(self, x, visible):
        rows, tokens, width = x.shape
        qkv = self.qkv(rms_norm(x, self.attention_norm)).view(rows, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = self.turned(q) @ self.turned(k).transpose(-1, -2) / math.sqrt(width // self.heads)
        weights = torch.softmax(scores.masked_fill(~visible.unsqueeze(1), -math.inf), -1)
        x = x + self.attention_out((weights @ v).transpose(1, 2).reshape(rows, tokens, width))
        a, b = self.feed_in(rms_norm(x, self.feed_norm)).chunk(2, -1)
        return x + self.feed_out(F.silu(a) * b)


class InContext(nn.Module):
    """LLM-CF (Sun et al., CIKM 2024): a causal transformer reads each example of the row, what was said for its label
    (with `chains`) and the label, then the row; z is what it makes of the row. `reconstruction` is the loss that
    training adds."""

    def __init__(self, width, settings):
        super().__init__()
        self.register_buffer("vectors", settings.vectors, persistent=False)
        self.register_buffer("chains", settings.chains, persistent=False)
        self.pooling = settings.pooling
        inputs = self.vectors.shape[1]
        self.text = LinearMlp(inputs, settings.text_hidden, width)
        self.joint = LinearMlp((FIELDS + 2) * width, settings.joint_hidden, width)
        self.labels = nn.Parameter(torch.randn(2, width))
        self.transformer = nn.ModuleList(Block(width) for _ in range(2))
        self.norm = nn.Parameter(torch.ones(width))
        if self.chains is not None:
            self.rebuild = LinearMlp(width, settings.reconstruction_hidden, inputs)
        self.last = nn.Sequential(nn.Linear(width, width), nn.GELU()) if settings.gelu_map else nn.Identity()

    def token(self, batch, tables):
        texts = self.text(torch.cat((self.vectors[batch.item], mean_vector(self.vectors, batch.history, self.pooling))))
        return self.joint(torch.cat((tables.fields(batch).flatten(1), *texts.chunk(2)), 1))

    def forward(self, batch, tables):
        examples = batch.examples
        rows, slots = examples.label.shape
        x = self.token(examples.batch, tables).view(rows, slots, -1)
        parts = [x, self.labels[examples.label]]
        if self.chains is not None:
            parts.insert(1, self.text(self.chains[examples.number]))
        tokens = torch.stack(parts, 2).flatten(1, 2)
        tokens = torch.cat((tokens, self.token(batch, tables).unsqueeze(1)), 1)
        present = F.pad(examples.present.repeat_interleave(len(parts), 1), (0, 1), value=True)
        n = tokens.shape[1]
        causal = torch.ones(n, n, dtype=torch.bool, device=tokens.device).tril()
        # A token that is not there sees itself, and nobody sees it.
        visible = causal & present.unsqueeze(1) | torch.eye(n, dtype=torch.bool, device=tokens.device)
        for block in self.transformer:
            tokens = block(tokens, visible)
        tokens = rms_norm(tokens, self.norm)
        if self.chains is not None:
            rebuilt = self.rebuild(tokens[:, : -1 : len(parts)])
            cosine = F.cosine_similarity(rebuilt, self.chains[examples.number], -1)
            self.reconstruction = 1 - cosine[examples.present].mean()
        return self.last(tokens[:, -1])


EXTRAS = {"text": TextMap, "kar": HybridExperts, "llmcf_wocot": InContext, "llmcf_text": InContext}


def extra_width(settings, field):
    """Of z, which is a field of its own or joined to the other inputs; 0: there is none."""
    if settings.extra == "none":
        return 0
    return 2 * settings.width if settings.extra == "kar" and not field else settings.width


def extra_vector(settings, field):
    """None where there is none. Made after a backbone's own initial values: it keeps PyTorch's."""
    if settings.extra == "none":
        return None
    return EXTRAS[settings.extra](extra_width(settings, field), settings)


# Backbones: batch -> logits [B] --------------------------------------------------------------------------------------


class DeepFm(nn.Module):
    def __init__(self, counts, settings):
        super().__init__()
        self.embedding = Tables(counts, settings.width, settings.pooling)
        self.first_order = FirstOrder(counts, settings)
        z = extra_width(settings, field=True)
        self.deep = Mlp(FIELDS * settings.width + z, settings.hidden, settings.dropout)
        self.deep_out = nn.Linear(settings.hidden[-1], 1)
        self.extra = extra_vector(settings, field=True)
        if self.extra is not None:
            self.extra_term = nn.Linear(z, 1, bias=False)

    def forward(self, batch):
        e = self.embedding.fields(batch)
        first_order = self.first_order(batch)
        second_order = 0.5 * (e.sum(1).square() - e.square().sum(1)).sum(1)
        x = e.flatten(1)
        if self.extra is not None:
            z = self.extra(batch, self.embedding)
            first_order = first_order + self.extra_term(z).squeeze(-1)
            x = torch.cat((x, z), 1)
        return first_order + second_order + self.deep_out(self.deep(x)).squeeze(-1)


class Cin(nn.Module):
    """Compressed interaction network: of each layer but the last, half of the channels feeds the next layer and half is
    pooled. [B, fields, width] -> [B, pooled channels]."""

    def __init__(self, fields, sizes):
        super().__init__()
        inputs = (fields, *(size // 2 for size in sizes[:-1]))
        self.layers = nn.ModuleList(nn.Conv1d(n * fields, size, 1) for n, size in zip(inputs, sizes))
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight)
        self.outputs = sum(size // 2 for size in sizes[:-1]) + sizes[-1]

    def forward(self, x0):
        x, pooled = x0, []
        for k, layer in enumerate(self.layers):
            products = torch.einsum("bhd,bmd->bhmd", x, x0).flatten(1, 2)
            x = F.relu(layer(products))
            if k + 1 < len(self.layers):
                x, out = x.chunk(2, 1)
                pooled.append(out.sum(2))
        return torch.cat((*pooled, x.sum(2)), 1)


class XDeepFm(nn.Module):
    def __init__(self, counts, settings):
        super().__init__()
        self.embedding = Tables(counts, settings.width, settings.pooling)
        self.first_order = FirstOrder(counts, settings)
        z = extra_width(settings, field=True)
        self.cin = Cin(FIELDS + (z > 0), settings.cin_sizes)
        self.cin_out = nn.Linear(self.cin.outputs, 1)
        self.deep = Mlp(FIELDS * settings.width + z, settings.hidden, settings.dropout)
        self.dropout = nn.Dropout(settings.dropout)
        self.deep_out = nn.Linear(settings.hidden[-1], 1)
        self.relu_deep_logit = settings.relu_deep_logit
        xavier(self)
        self.extra = extra_vector(settings, field=True)
        if self.extra is not None:
            self.extra_term = nn.Linear(z, 1, bias=False)

    def forward(self, batch):
        e = self.embedding.fields(batch)
        first_order = self.first_order(batch)
        if self.extra is not None:
            z = self.extra(batch, self.embedding)
            first_order = first_order + self.extra_term(z).squeeze(-1)
            e = torch.cat((e, z.unsqueeze(1)), 1)
        deep = self.deep_out(self.dropout(self.deep(e.flatten(1))))
        if self.relu_deep_logit:
            deep = F.relu(deep)
        return first_order + (self.cin_out(self.cin(e)) + deep).squeeze(-1)


class AutoInt(nn.Module):
    def __init__(self, counts, settings):
        super().__init__()
        width = settings.attention_width
        self.embedding = Tables(counts, settings.width, settings.pooling)
        self.attention_input = nn.Linear(settings.width, width)
        self.attention = nn.MultiheadAttention(
            width, settings.attention_heads, dropout=settings.dropout, batch_first=True
        )
        self.residual = nn.Linear(settings.width, width)
        z = extra_width(settings, field=True)
        self.attention_out = nn.Linear((FIELDS + (z > 0)) * width, 1)
        self.deep = Mlp(FIELDS * settings.width + z, settings.hidden, settings.dropout)
        self.deep_out = nn.Linear(settings.hidden[-1], 1)
        xavier(self)
        self.extra = extra_vector(settings, field=True)

    def forward(self, batch):
        e = self.embedding.fields(batch)
        if self.extra is not None:
            e = torch.cat((e, self.extra(batch, self.embedding).unsqueeze(1)), 1)
        h = self.attention_input(e)
        attended, _ = self.attention(h, h, h, need_weights=False)
        crossed = F.relu(attended + self.residual(e)).flatten(1)
        return (self.attention_out(crossed) + self.deep_out(self.deep(e.flatten(1)))).squeeze(-1)


class Vectors(nn.Module):
    """DCN's cross layers, one vector each."""

    def __init__(self, inputs, layers):
        super().__init__()
        self.weight = nn.ParameterList(torch.randn(inputs) for _ in range(layers))
        self.bias = nn.ParameterList(torch.zeros(inputs) for _ in range(layers))

    def forward(self, x0):
        x = x0
        for weight, bias in zip(self.weight, self.bias):
            x = x0 * (x @ weight).unsqueeze(-1) + bias + x
        return x


class Mixture(nn.Module):
    """DCNv2's cross layers of low rank: several experts each, mixed by a gate that the layers share."""

    EXPERTS, RANK = 4, 4

    def __init__(self, inputs, layers):
        super().__init__()
        experts, rank = self.EXPERTS, self.RANK
        self.u = nn.ParameterList(torch.randn(experts, inputs, rank) for _ in range(layers))
        self.v = nn.ParameterList(torch.randn(experts, inputs, rank) for _ in range(layers))
        self.c = nn.ParameterList(torch.randn(experts, rank, rank) for _ in range(layers))
        self.bias = nn.ParameterList(torch.zeros(inputs) for _ in range(layers))
        self.gate = nn.Linear(inputs, experts)

    def forward(self, x0):
        x = x0
        for u, v, c, bias in zip(self.u, self.v, self.c, self.bias):
            low = torch.tanh(torch.einsum("bd,kdr->bkr", x, v))
            low = torch.tanh(torch.einsum("krs,bks->bkr", c, low))
            experts = x0.unsqueeze(1) * (torch.einsum("kdr,bkr->bkd", u, low) + bias)
            x = x + torch.einsum("bk,bkd->bd", torch.softmax(self.gate(x), -1), experts)
        return x


class FullRank(nn.Module):
    """DCNv2's cross layers, one matrix each."""

    def __init__(self, inputs, layers):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(inputs, inputs) for _ in range(layers))

    def forward(self, x0):
        x = x0
        for linear in self.linear:
            x = x0 * linear(x) + x
        return x


class Dcn(nn.Module):
    """Cross layers, `cross(inputs, layers)`, beside a deep part; `initial` draws what is not to be PyTorch's."""

    GELU_MAP = False

    def __init__(self, counts, settings, cross, layers, initial=lambda module: None):
        super().__init__()
        inputs = FIELDS * settings.width + extra_width(settings, field=False)
        self.embedding = Tables(counts, settings.width, settings.pooling)
        self.cross = cross(inputs, layers)
        self.deep = Mlp(inputs, settings.hidden, settings.dropout, norm=True)
        self.out = nn.Linear(inputs + settings.hidden[-1], 1)
        initial(self)
        self.extra = extra_vector(replace(settings, gelu_map=self.GELU_MAP), field=False)

    def forward(self, batch):
        x0 = self.embedding.fields(batch).flatten(1)
        if self.extra is not None:
            x0 = torch.cat((x0, self.extra(batch, self.embedding)), 1)
        return self.out(torch.cat((self.cross(x0), self.deep(x0)), 1)).squeeze(-1)


class DcnV1(Dcn):
    GELU_MAP = True

    def __init__(self, counts, settings):
        super().__init__(counts, settings, Vectors, layers=3, initial=xavier)


class DcnV2(Dcn):
    def __init__(self, counts, settings):
        super().__init__(counts, settings, {"mixture": Mixture, "full": FullRank}[settings.cross], layers=2)


class Din(nn.Module):
    def __init__(self, counts, settings):
        super().__init__()
        width, (wide, narrow) = settings.width, settings.din_attention_hidden
        self.embedding = Tables(counts, width, settings.pooling)
        self.attention = nn.ModuleList(
            (nn.Linear(4 * 3 * width, wide), nn.Linear(wide, narrow), nn.Linear(narrow, 1))
        )
        inputs, sizes = FIELDS * width + extra_width(settings, field=False), settings.hidden
        self.deep = nn.ModuleList(nn.Linear(m, n) for m, n in zip((inputs, *sizes), sizes))
        self.dropout = nn.Dropout(settings.dropout)
        self.deep_out = nn.Linear(sizes[-1], 1)
        xavier(self)
        self.extra = extra_vector(settings, field=False)

    def keys(self, batch):
        """Item, brand and mean category of each history position: [B, T, 3 width]. No brand is a zero vector."""
        tables, (rows, positions) = self.embedding, batch.history.shape
        brands = tables.brand(batch.history_brands) * (batch.history_brands != 0).unsqueeze(-1)
        categories = tables.mean("category", batch.history_categories.flatten(0, 1)).view(rows, positions, -1)
        return torch.cat((tables.item(batch.history), brands, categories), -1)

    def forward(self, batch):
        tables = self.embedding
        query = torch.cat(
            (tables.item(batch.item), tables.brand(batch.brand), tables.mean("category", batch.categories)), -1
        )
        keys = self.keys(batch)
        queries = query.unsqueeze(1).expand_as(keys)
        hidden = self.attention[0](torch.cat((queries, keys, queries - keys, queries * keys), -1))
        weights = self.attention[2](self.attention[1](F.relu(hidden)))
        weights = weights * (batch.history != 0).unsqueeze(-1)
        inputs = (query, (weights * keys).sum(1), tables.user(batch.user))
        x = torch.cat(inputs if self.extra is None else (*inputs, self.extra(batch, self.embedding)), -1)
        for layer in self.deep:
            x = self.dropout(F.relu(layer(x)))
        return self.deep_out(x).squeeze(-1)


class LightGcn(nn.Module):
    """He et al., SIGIR 2020: products of the mean over the layers of a propagation over the interactions."""

    LAYERS = 3

    def __init__(self, counts, settings):
        super().__init__()
        self.first_item = counts["user"]  # items come after users
        nodes = counts["user"] + counts["item"]
        self.embedding = nn.Embedding(nodes, settings.width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        user, item = settings.interactions.unique(dim=1)
        item = item + self.first_item
        row, column = torch.cat((user, item)), torch.cat((item, user))
        scale = row.bincount(minlength=nodes).double().rsqrt()
        # In float64, of which float() makes what the parameters are.
        adjacency = torch.sparse_coo_tensor(
            torch.stack((row, column)), scale[row] * scale[column], (nodes, nodes), check_invariants=True
        )
        self.register_buffer("adjacency", adjacency.coalesce(), persistent=False)

    def forward(self, batch):
        layers = [self.embedding.weight]
        for _ in range(self.LAYERS):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        e = torch.stack(layers).mean(0)
        return (e[batch.user] * e[self.first_item + batch.item]).sum(-1)


BACKBONES = {
    "lightgcn": LightGcn,
    "deepfm": DeepFm,
    "xdeepfm": XDeepFm,
    "autoint": AutoInt,
    "dcnv1": DcnV1,
    "dcnv2": DcnV2,
    "din": Din,
}


# Training ------------------------------------------------------------------------------------------------------------


def llmcf_rates(backbone, data):
    """LLM-CF's learning rate, weight decay and dropout of a backbone on `data` ("beauty", ...)."""
    return {
        "learning_rate": 0.008 if (backbone, data) == ("autoint", "beauty") else 0.01,
        "weight_decay": 1e-5 if (backbone, data) == ("dcnv1", "beauty") else 1e-4,
        "dropout": 0.0 if (backbone, data) == ("deepfm", "toys") else 0.1,
    }


def probability_loss(logits, labels):
    """LLM-CF's: on the probability, whose logarithms are clamped at -100."""
    return F.binary_cross_entropy(torch.sigmoid(logits), labels)


def batches(rows, size, generator=None):
    """Indices of batches of `size`, the last one shorter; shuffled where there is a generator. A single row left over
    joins no batch for training: batch norm has no use for it."""
    if generator is None:
        return torch.arange(len(rows), device=rows.user.device).split(size)
    order = torch.randperm(len(rows), generator=generator).to(rows.user.device)
    return [part for part in order.split(size) if len(part) > 1]


EXAMPLES = 4  # of a row, LLM-CF's


def pool_size(data):
    """Training rows that may be examples."""
    return len(data.train) // 10


class Trainer:
    def __init__(self, model, data, loss, options):
        self.model, self.data, self.loss, self.options = model, data, loss, options
        self.run = torch.compile(model, mode=options.compile) if options.compile else model
        self.adam = torch.optim.Adam(
            model.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=True if options.adam == "fused" else None,
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.in_context = isinstance(getattr(model, "extra", None), InContext)
        self.pool = torch.randperm(len(data.train), generator=self.generator)[: pool_size(data)]

    def examples(self, rows):
        """Random ones: retrieval comes before training, so that it has no part in a step's time."""
        train, shape = self.data.train, (len(rows), EXAMPLES)
        number = torch.randint(len(self.pool), shape, generator=self.generator)
        at = self.pool[number].flatten().to(train.item.device)
        return Examples(
            self.data.items.batch(train.user[at], train.item[at], train.history[at]),
            train.label[at].long().view(shape),
            number.to(train.item.device),
            torch.ones(shape, dtype=torch.bool, device=train.item.device),
        )

    def step(self, rows):
        train = self.data.train
        batch = self.data.items.batch(train.user[rows], train.item[rows], train.history[rows])
        if self.in_context:
            batch.examples = self.examples(rows)
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss(self.run(batch), train.label[rows])
        if self.in_context and self.model.extra.chains is not None:
            loss = loss + self.model.extra.reconstruction
        loss.backward()
        self.adam.step()
        return loss.detach()

    def synchronize(self):
        if self.options.device == "cuda":
            torch.cuda.synchronize()

    def epoch(self):
        """One epoch; seconds and mean loss."""
        self.model.train()
        begin = time.perf_counter()
        losses = [self.step(rows) for rows in batches(self.data.train, self.options.batch, self.generator)]
        self.synchronize()
        return time.perf_counter() - begin, torch.stack(losses).mean().item()

    def time_steps(self, steps, warm_up=20):
        """Seconds an epoch would take, from `steps` steps after some that do not count."""
        self.model.train()
        parts = batches(self.data.train, self.options.batch, self.generator)
        for k in range(warm_up):
            self.step(parts[k % len(parts)])
        self.synchronize()
        begin = time.perf_counter()
        for k in range(steps):
            self.step(parts[(warm_up + k) % len(parts)])
        self.synchronize()
        return (time.perf_counter() - begin) / steps * len(parts)

    @torch.no_grad()
    def evaluate(self, rows, size=1024):
        self.model.eval()
        scores = []
        for part in batches(rows, size):
            batch = self.data.items.batch(rows.user[part], rows.item[part], rows.history[part])
            scores.append(self.model(batch))
        return auc(rows.label.cpu().numpy(), torch.cat(scores).cpu().numpy())

    def fit(self, epochs, patience=2):
        """Trains until validation AUC has not risen for `patience` epochs; the test AUC is that of the best epoch."""
        best, history, worse = {"validation_auc": 0.0}, [], 0
        for epoch in range(1, epochs + 1):
            seconds, loss = self.epoch()
            validation = self.evaluate(self.data.validation)
            history.append({"epoch": epoch, "seconds": seconds, "loss": loss, "validation_auc": validation})
            print(
                f"epoch {epoch}  {seconds:.1f} s  loss {loss:.4f}  validation AUC {validation:.4f}", flush=True
            )
            if not math.isfinite(loss):
                raise SystemExit(f"epoch {epoch}: the loss is {loss}; try a lower --learning-rate")
            if validation > best["validation_auc"]:
                test = self.evaluate(self.data.test)
                best, worse = {"best_epoch": epoch, "validation_auc": validation, "test_auc": test}, 0
            else:
                worse += 1
                if worse == patience:
                    break
        return {"seconds_per_epoch": float(np.median([e["seconds"] for e in history])), **best, "history": history}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", required=True, choices=BACKBONES, nargs="+", help="several: one after another")
    parser.add_argument("--data", default="../shared/data/amazon/beauty", help="PREFIX of PREFIX.inter and PREFIX.item")
    parser.add_argument("--epochs", type=int, default=30, help="at most; stops when validation AUC does not rise twice")
    parser.add_argument("--steps", type=int, help="only time so many training steps, extrapolated to an epoch")
    parser.add_argument("--batch", type=int, default=[128], nargs="+", help="rows; several: one after another")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2023)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--compile",
        nargs="?",
        const="default",
        choices=("default", "reduce-overhead", "max-autotune"),
        help="torch.compile, in this mode",
    )
    parser.add_argument(
        "--adam", choices=("eager", "fused"), default="eager", help="fused: torch.optim.Adam(fused=True)"
    )
    parser.add_argument(
        "--pooling", choices=("mask", "bag"), default="mask", help="bag: F.embedding_bag instead of masked sums"
    )
    parser.add_argument("--cross", choices=("mixture", "full"), default="mixture", help="DCNv2's cross layers")
    parser.add_argument(
        "--extra",
        choices=("none", *EXTRAS),
        default=["none"],
        nargs="+",
        help="one more input, of frozen item vectors: text, their linear map; kar, KAR's adaptor; llmcf_wocot and "
        "llmcf_text, LLM-CF's transformer without and with chains; several: as above",
    )
    parser.add_argument(
        "--vectors", type=Path, help="safetensors file with the item vectors, `items` (default: random unit vectors)"
    )
    parser.add_argument("--vector-width", type=int, default=384, help="of the random ones")
    parser.add_argument("--expert-hidden", type=int, default=[128], nargs="+", help="KAR: an expert's inner layers")
    parser.add_argument("--shared-experts", type=int, default=2, help="KAR: experts of both towers")
    parser.add_argument("--own-experts", type=int, default=3, help="KAR: experts of each tower alone")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, help="default: LLM-CF's for the backbone and data set")
    parser.add_argument("--weight-decay", type=float, help="likewise")
    parser.add_argument("--dropout", type=float, help="likewise")
    parser.add_argument("--frozen-bias", action="store_true", help="LLM-CF's untrained N(0, 1) first-order bias")
    parser.add_argument("--relu-deep-logit", action="store_true", help="LLM-CF's ReLU on xDeepFM's deep scalar")
    parser.add_argument("--probability-loss", action="store_true", help="LLM-CF's clamped BCE on the probability")
    every = parser.parse_args(arguments)
    runs = []
    for backbone in every.backbone:
        rates = llmcf_rates(backbone, Path(every.data).name)
        given = {name: rates[name] if getattr(every, name) is None else getattr(every, name) for name in rates}
        runs += [
            argparse.Namespace(**{**vars(every), **given, "backbone": backbone, "batch": n, "extra": extra})
            for extra in every.extra
            for n in every.batch
        ]
    if any(run.extra.startswith("llmcf") for run in runs) and not every.steps:
        parser.error("LLM-CF's examples are random ones here, for its time alone: give --steps")
    if any(run.backbone == "lightgcn" and run.extra != "none" for run in runs):
        parser.error("lightgcn has no place for an extra vector: leave out --extra or that backbone")
    return runs


def item_vectors(options, rows):
    """Of the items in the order of their ids, [rows, E]; row 0 is zero."""
    if options.vectors is None:
        generator = torch.Generator().manual_seed(options.seed)
        vectors = F.normalize(torch.randn(rows, options.vector_width, generator=generator))
        vectors[0] = 0
        return vectors
    from safetensors.torch import load_file

    vectors = load_file(options.vectors).get("items")
    if vectors is None or vectors.ndim != 2 or len(vectors) != rows:
        raise SystemExit(f"{options.vectors}: no tensor `items` with {rows} rows, padding's and those of the items")
    return vectors


def main():
    runs = parse()
    device = runs[0].device
    torch.set_num_threads(runs[0].threads)
    data = read_data(runs[0].data)
    print(
        f"{runs[0].data}: {len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test rows; "
        + ", ".join(f"{count} {name}" for name, count in data.counts.items())
        + " table rows"
    )
    data.items = data.items.to(device)
    for name in ("train", "validation", "test"):
        setattr(data, name, getattr(data, name).to(device))
    for options in runs:
        run(data, options)


def run(data, options):
    torch.manual_seed(options.seed)
    torch.compiler.reset()
    settings = Settings(
        width=options.width,
        dropout=options.dropout,
        frozen_bias=options.frozen_bias,
        relu_deep_logit=options.relu_deep_logit,
        cross=options.cross,
        interactions=data.interactions,
        pooling=options.pooling,
        extra=options.extra,
        vectors=None if options.extra == "none" else item_vectors(options, data.counts["item"]),
        expert_hidden=tuple(options.expert_hidden),
        shared_experts=options.shared_experts,
        own_experts=options.own_experts,
    )
    if options.extra == "llmcf_text":
        generator = torch.Generator().manual_seed(options.seed + 1)
        shape = (pool_size(data), settings.vectors.shape[1])
        settings.chains = F.normalize(torch.randn(shape, generator=generator))
    model = BACKBONES[options.backbone](data.counts, settings).float().to(options.device)
    loss = probability_loss if options.probability_loss else F.binary_cross_entropy_with_logits
    trainer = Trainer(model, data, loss, options)
    if options.steps:
        result = {"seconds_per_epoch": trainer.time_steps(options.steps)}
    else:
        result = trainer.fit(options.epochs)
    machine = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor() or platform.machine()
    parameters = sum(p.numel() for p in model.parameters())
    about = {"torch": torch.__version__, "machine": machine, "parameters": parameters}
    print(json.dumps({**vars(options), **about, **result}, default=str), flush=True)


if __name__ == "__main__":
    main()
