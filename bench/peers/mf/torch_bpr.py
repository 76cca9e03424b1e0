"""BPR in PyTorch as one would write it for research: two nn.Embedding, mini-batches that are an index into the data, one
negative a row that the user does not have, Adam over all rows (or SparseAdam over those of the batch) with the L2 penalty
of the batch's rows in the loss.
"""

import numpy as np
import torch
import torch.nn.functional as F
from child import Task, main
from score import Factors

GRID = {"lr": (5e-4, 1e-3, 2e-3), "reg": (1e-4, 1e-2)}


class MF(torch.nn.Module):
    def __init__(self, users: int, items: int, width: int, sparse: bool):
        super().__init__()
        self.users = torch.nn.Embedding(users, width, sparse=sparse)
        self.items = torch.nn.Embedding(items, width, sparse=sparse)
        for table in (self.users, self.items):
            torch.nn.init.xavier_normal_(table.weight)

    def forward(self, user: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, reg: float):
        """[B] each; the mean loss."""
        u, i, j = self.users(user), self.items(positive), self.items(negative)
        squares = (u.square() + i.square() + j.square()).sum(1)
        return (reg * squares - F.logsigmoid((u * (i - j)).sum(1))).mean()


class Negatives:
    """Items, drawn uniformly among those that the user does not have."""

    def __init__(self, user: torch.Tensor, item: torch.Tensor, items: int):
        self._items = items
        self._taken = torch.unique(user * items + item)

    def draw(self, user: torch.Tensor) -> torch.Tensor:
        drawn = torch.randint(self._items, user.shape)
        while True:
            keys = user * self._items + drawn
            at = torch.searchsorted(self._taken, keys).clamp_(max=len(self._taken) - 1)
            again = (self._taken[at] == keys).nonzero()[:, 0]
            if not len(again):
                return drawn
            drawn[again] = torch.randint(self._items, again.shape)


def train(task: Task) -> None:
    split = task.split
    torch.manual_seed(task.seed)
    torch.set_num_threads(task.threads)
    user, item = (torch.from_numpy(ids.astype(np.int64)) for ids in (split.user, split.item))
    negatives = Negatives(user, item, split.items)
    model = MF(split.users, split.items, task.width, task.sparse)
    loss_of = torch.compile(model) if task.compiled else model
    if task.sparse:
        optimizer = torch.optim.SparseAdam(model.parameters(), lr=task.lr)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=task.lr, fused=True)

    def epoch() -> None:
        for rows in torch.randperm(len(user)).split(task.batch):
            optimizer.zero_grad()
            loss_of(user[rows], item[rows], negatives.draw(user[rows]), task.reg).backward()
            optimizer.step()

    def factors() -> Factors:
        return Factors(*(table.weight.detach().numpy() for table in (model.users, model.items)))

    task.timed(epoch, factors)


if __name__ == "__main__":
    main(train, ("torch", "numpy"))
