"""No season: the model that does not know what time of year it is."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.scoring import ScoredItems


class NoSeason(nn.Module):
    """Leaves query and scores as they are."""

    reads: tuple[Context, ...] = ()
    adds_scores = False

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        return SeasonEffect(query, None)
