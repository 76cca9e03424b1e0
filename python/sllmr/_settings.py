"""Recipes and settings, as the program takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sllmr import _core

_RECIPES = Path(__file__).parent / "recipes"

Setting = str | bool | int | float | os.PathLike | list | tuple | Mapping


def config_keys() -> pd.DataFrame:
    """Every setting that `train` and `compare` take: type, default and meaning, by name."""
    return pd.DataFrame(_core.config_keys(), columns=["key", "type", "default", "meaning"]).set_index("key")


def recipes() -> list[str]:
    """Names of the recipes that come with the package; `train` and `compare` take them, or a path."""
    return sorted(path.stem for path in _RECIPES.glob("*.toml"))


def path_of(recipe: str | os.PathLike | None) -> str:
    """The file of a recipe, by its path or by its name among `recipes()`; "" for none."""
    if recipe is None:
        return ""
    own = _RECIPES / f"{os.fspath(recipe)}.toml"
    return str(own) if not Path(recipe).is_file() and own.exists() else os.fspath(recipe)


def _text(value: Setting) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return "[" + ", ".join(_text(each) if not isinstance(each, str) else f'"{each}"' for each in value) + "]"
    return os.fspath(value) if isinstance(value, (str, os.PathLike)) else str(value)


def words_of(settings: Mapping[str, Setting]) -> list[str]:
    """Settings as the program's words: {"train.lr": .1, "eval": {"topk": [5]}} is train.lr=0.1 eval.topk=[5]."""
    words = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            words += [f"{key}.{word}" for word in words_of(value)]
        else:
            words.append(f"{key}={_text(value)}")
    return words


def all_words(
    settings: Mapping[str, Setting] | None, overrides: Mapping[str, Setting], arguments: Mapping[str, str]
) -> list[str]:
    """The words of both. Raises Error where they set a key that an argument does: {"data.path": "data"}."""
    words = words_of(settings or {}) + words_of(overrides)
    for key, argument in arguments.items():
        if any(word.startswith(f"{key}=") for word in words):
            raise _core.Error(f"{key} is set by {argument}=, and among the settings too: leave one of them out")
    return words
