"""The gated pairwise penalty for models of PyTorch.

    from sllmr.torch import Gate, ScoredPairs, selective_loss

    gate = Gate(objective="agreement", lambda_=0.5)             # its parameters join the optimiser's
    pairs = ScoredPairs.read("beauty.scores", user_rows, item_rows)
    drawn = pairs.sample(batch_users)
    loss = base_loss + selective_loss(model(drawn.users, drawn.a), model(drawn.users, drawn.b), drawn.scores_a,
                                      drawn.scores_b, signals.of(drawn), gate, probe=drawn.probe)

docs/python_torch.md tells what the gate learns, and shows it in RecBole and FuxiCTR.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("sllmr.torch needs PyTorch 2.6 or later: pip install 'sllmr[torch]'") from error

from sllmr.torch.gate import Gate, PairLosses, selective_loss
from sllmr.torch.pairs import Pairs, ScoredPairs
from sllmr.torch.signals import SignalTables

__all__ = ["Gate", "PairLosses", "Pairs", "ScoredPairs", "SignalTables", "selective_loss"]
