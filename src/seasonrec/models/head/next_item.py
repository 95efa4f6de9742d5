"""Next-item head: scores of the next item over the catalogue."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.scoring import LinearScores, ScoredItems
from seasonrec.ranges import BelowOne, ranged


@ranged("head")
class NextItemHead(nn.Module):
    """Inner products of query and items plus a bias, which starts at the log of the item's smoothed training share.

    Training therefore starts from popularity. A loss whose minimum lies elsewhere moves this start, see
    :class:`~seasonrec.training.loss.base.StartsBias`.

    Args:
        dropout: Dropout of the query.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; output: the factors of the scores ``(N, C)``.
    """

    def __init__(self, dropout: BelowOne = 0.5, *, facts: Facts) -> None:
        super().__init__()
        counts = facts.item_train_counts + 1.0
        self.bias = nn.Parameter(torch.log(counts / counts.sum()))
        self.dropout = Dropout(dropout)

    def forward(self, query: Tensor, items: ScoredItems) -> LinearScores:
        return LinearScores(self.dropout(query), items.vectors, items.of(self.bias))
