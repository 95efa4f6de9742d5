"""Momentum: recent sales compared with all sales."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.momentum import Momentum, MomentumContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import LookBacks, ranged


@ranged("season.momentum")
class MomentumSeason(nn.Module):
    """Effect of recent trends: rolling popularity of items and categories, weighted by a gate that reads the query.

    Last week's sales show a season even if the log has never covered that season before. The features are log ratios
    that are 0 for usual sales, so only the scores of items with unusual sales change. A feature of its own says that an
    item was not sold at all in the longest look-back: log ratios alone give a gone item too much.

    Args:
        windows_days: Lengths of the ``W`` look-backs in days.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True

    def __init__(self, windows_days: LookBacks = (7, 28), *, facts: Facts) -> None:
        super().__init__()
        self.context = MomentumContext(tuple(windows_days))
        self.reads = (self.context,)
        num_features = 2 * len(windows_days) + 1
        self.weight = nn.Parameter(torch.full((num_features,), 0.25))
        self.gate = zeroed(Linear(facts.embedding_dim, num_features))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Loads the weights; those of version 0.1.0 do not read whether an item was unsold, and get zeros for it."""
        stored = state_dict.get(f"{prefix}weight")
        if stored is not None and len(stored) == len(self.weight) - 1:
            for name, ends in {"weight": (0, 1), "gate.weight": (0, 0, 0, 1), "gate.bias": (0, 1)}.items():
                state_dict[prefix + name] = F.pad(state_dict[prefix + name], ends)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        momentum: Momentum = context[self.context.name]
        features = torch.cat([momentum.item, momentum.category, momentum.unsold[..., None]], dim=-1)  # (Q, C, 2 W + 1)
        gate = 2 * torch.sigmoid(self.gate(query)) * self.weight  # (N, 2 W + 1)
        scores = torch.einsum("nf,nvf->nv", gate, features[momentum.row])
        return SeasonEffect(query, scores)
