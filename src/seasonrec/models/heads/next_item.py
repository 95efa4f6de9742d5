"""The next-item head: which item comes next, over the whole catalogue."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.data.facts import Facts


class NextItemHead(nn.Module):
    """Inner products of query and items plus a popularity bias, for a full softmax.

    The bias starts at the log of the item's smoothed training share, so that the first step already knows what sells.

    Args:
        dropout: On the query.

    Shape:
        - query: ``(N, D)``; items: ``(V, D)``; output: ``(N, V)``.
    """

    def __init__(self, dropout: float = 0.5, *, facts: Facts) -> None:
        super().__init__()
        counts = facts.item_train_counts + 1.0
        self.bias = nn.Parameter(torch.log(counts / counts.sum()))
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, items: Tensor) -> Tensor:
        return torch.addmm(self.bias, self.dropout(query), items.T)
