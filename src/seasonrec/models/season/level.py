"""Level: the sales of an item so far, as known at the request."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.context.level import Level, LevelContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.scoring import ScoredItems


class LevelSeason(nn.Module):
    """Score of the log share of an item in all sales so far, in place of its share in the whole training part.

    The head's bias starts at the share in the whole training part, which a request in the middle of it cannot know. The
    score is the difference of the two, times a learned factor that starts at 1. The bias then learns by how much an
    item sells better or worse than its past says, and an item that is first sold after the cut has a level, too.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True
    static: Tensor

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        self.context = LevelContext()
        self.reads = (self.context,)
        counts = facts.item_train_counts + 1.0
        self.register_buffer("static", torch.log(counts / counts.sum()), persistent=False)
        self.factor = nn.Parameter(torch.ones(1))

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        level: Level = context[self.context.name]
        moved = self.factor * (level.log_share - items.of(self.static))  # (Q, C)
        return SeasonEffect(query, moved.index_select(0, level.row))
