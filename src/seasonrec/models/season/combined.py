"""Several season parts, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, Season, SeasonEffect
from seasonrec.models.scoring import ScoredItems


class CombinedSeason(nn.Module):
    """Momentum, calendar and words together: each conditions the query in turn, their scores add.

    Args:
        momentum: What sells now.
        calendar: The place in the year and the nearness of feasts.
        text: The date in words.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True

    def __init__(
        self,
        momentum: Callable[..., Season],
        calendar: Callable[..., Season],
        text: Callable[..., Season],
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.momentum = momentum(facts=facts)
        self.calendar = calendar(facts=facts)
        self.text = text(facts=facts)
        self.reads: tuple[Context, ...] = tuple(context for part in self._parts() for context in part.reads)

    def _parts(self) -> tuple[Season, Season, Season]:
        return self.momentum, self.calendar, self.text

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        for part in self._parts():
            query = part.conditioned(query, {c.name: context[c.name] for c in part.reads})
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        total: Tensor | None = None
        for part in self._parts():
            effect = part(query, items, {c.name: context[c.name] for c in part.reads})
            query = effect.query
            if effect.scores is not None:
                total = effect.scores if total is None else total + effect.scores
        return SeasonEffect(query, total)
