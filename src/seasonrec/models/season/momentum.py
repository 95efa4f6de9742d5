"""Momentum: what sells more now than it did over all time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.momentum import Momentum, MomentumContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.scoring import ScoredItems


class MomentumSeason(nn.Module):
    """Adds the rolling popularity of items and of their categories, weighed by each user's own gate.

    A season that the log has never seen still shows in last week's sales. The features are log ratios that are 0 where
    nothing is unusual, so the part changes only what moves.

    Args:
        windows_days: Window lengths ``W``.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True

    def __init__(self, windows_days: tuple[int, ...] = (7, 28), *, facts: Facts) -> None:
        super().__init__()
        self.context = MomentumContext(tuple(windows_days))
        self.reads: tuple[Context, ...] = (self.context,)
        num_features = 2 * len(windows_days)
        self.weight = nn.Parameter(torch.full((num_features,), 0.25))
        self.gate = Linear(facts.embedding_dim, num_features)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        momentum: Momentum = context[self.context.name]
        features = torch.cat([momentum.item, momentum.category], dim=-1)  # (Q, C, 2 W)
        gate = 2 * torch.sigmoid(self.gate(query)) * self.weight  # (N, 2 W)
        scores = torch.einsum("nf,nvf->nv", gate, features[momentum.row])
        return SeasonEffect(query, scores)
