"""Recommenders that learn from a language model's judgement, trained and evaluated by sllmr.

    import sllmr
    data = sllmr.Dataset("data/beauty")
    run = sllmr.train("mf_beauty", data=data, method="calibrated", seed=1)
    print(run.metrics, run.gate)
    users, items = run.user_factors, run.item_factors      # NumPy, rows as data.users and data.items
    sllmr.evaluate((users, items), data)

What goes wrong raises `sllmr.Error`, a ValueError, with the message of the command line program; Ctrl-C raises
KeyboardInterrupt, and what was trained until then is kept (`resume=True`). Remarks are warnings of the class `sllmr.Note`.
"""

from sllmr._core import Error
from sllmr._core import version as _version
from sllmr._settings import config_keys, recipes
from sllmr._work import Note
from sllmr.comparison import Comparison, compare
from sllmr.dataset import Dataset
from sllmr.devices import devices
from sllmr.evaluation import evaluate
from sllmr.runs import Run, load_run, train
from sllmr.scores import ScoreTable

Error.__module__ = Note.__module__ = __name__
__version__ = _version().split()[0]
__all__ = [
    "Comparison",
    "Dataset",
    "Error",
    "Note",
    "Run",
    "ScoreTable",
    "compare",
    "config_keys",
    "devices",
    "evaluate",
    "load_run",
    "recipes",
    "train",
]
