"""Sales at the same time of the previous year."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.last_year import LastYear, LastYearContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.scoring import ScoredItems


class LastYearSeason(nn.Module):
    """Seasonal effect of last year's sales: the lift of items and categories at that time, with learned weights.

    Args:
        half_window_days: Days on either side of the day a year ago.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.

    Raises:
        ValueError: If the log holds less than one yearly cycle before the validation cut.
    """

    adds_scores = True

    def __init__(self, half_window_days: int = 14, *, facts: Facts) -> None:
        super().__init__()
        facts.spec.require_last_year("season=[last_year]")
        self.context = LastYearContext(half_window_days)
        self.reads = (self.context,)
        self.weight = nn.Parameter(torch.full((2,), 0.25))

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        lift: LastYear = context[self.context.name]
        scores = self.weight[0] * lift.item + self.weight[1] * lift.category  # (Q, C)
        return SeasonEffect(query, F.embedding(lift.row, scores))
