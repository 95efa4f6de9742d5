"""Momentum: recent sales compared with all sales."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.momentum import Momentum, MomentumContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems


class MomentumSeason(nn.Module):
    """Effect of recent trends: rolling popularity of items and categories, weighted by a gate that reads the query.

    Last week's sales show a season even if the log has never covered that season before. The features are log ratios
    that are 0 for usual sales, so only the scores of items with unusual sales change.

    Args:
        windows_days: Lengths of the ``W`` look-backs in days.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True

    def __init__(self, windows_days: tuple[int, ...] = (7, 28), *, facts: Facts) -> None:
        super().__init__()
        self.context = MomentumContext(tuple(windows_days))
        self.reads = (self.context,)
        num_features = 2 * len(windows_days)
        self.weight = nn.Parameter(torch.full((num_features,), 0.25))
        self.gate = zeroed(Linear(facts.embedding_dim, num_features))

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        momentum: Momentum = context[self.context.name]
        features = torch.cat([momentum.item, momentum.category], dim=-1)  # (Q, C, 2 W)
        gate = 2 * torch.sigmoid(self.gate(query)) * self.weight  # (N, 2 W)
        scores = torch.einsum("nf,nvf->nv", gate, features[momentum.row])
        return SeasonEffect(query, scores)
