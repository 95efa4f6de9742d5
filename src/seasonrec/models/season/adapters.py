"""Adapters of the query, one for each season of the year."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import AtLeast, Width, ranged

By = Literal["mixed", "chosen"]


@ranged("season.season_adapters")
class SeasonAdapters(nn.Module):
    """The query plus ``sum_s w_s(date) (U_s gelu(D_s query) + c_s)``, with an adapter for each season ``s``.

    ``U_s`` and ``c_s`` start at zero. An adapter has weights of its own: training in one season leaves the others,
    which are kept until their season returns. A walk adds this component to a trained model.

    Args:
        number: Seasons ``S`` of the year, of equal length from 1 January.
        rank: Rows of ``D_s``.
        by: ``mixed`` weighs the two seasons whose middles are nearest to the date, by the distance; ``chosen`` takes
            the one season that holds the date.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``.

    References:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019, for the form of an adapter.
    """

    adds_scores = False

    def __init__(
        self, number: Annotated[int, AtLeast(1, 366)] = 4, rank: Width = 8, by: By = "mixed", *, facts: Facts
    ) -> None:
        super().__init__()
        self.number, self.by = number, by
        self.calendar = CalendarContext()
        self.reads = (self.calendar,)
        width = facts.embedding_dim
        self.down = nn.ParameterList(torch.randn(rank, width) * width**-0.5 for _ in range(number))
        self.up = nn.ParameterList(torch.zeros(width, rank) for _ in range(number))
        self.shift = nn.ParameterList(torch.zeros(width) for _ in range(number))

    def weights(self, year_phase: Tensor) -> Tensor:
        """Returns ``(N, S)`` weights of the seasons, which sum to 1, from the angle ``(N,)`` of the day in the year."""
        place = year_phase * (self.number / (2 * math.pi))  # season s lies from s to s + 1
        if self.by == "chosen":
            return F.one_hot(place.long().clamp(max=self.number - 1), self.number).to(year_phase.dtype)
        lower = torch.floor(place - 0.5)
        share = (place - 0.5 - lower)[:, None]
        first = F.one_hot(lower.long() % self.number, self.number)
        return (1 - share) * first + share * first.roll(1, dims=1)

    def adapter(self, season: int) -> list[nn.Parameter]:
        """Returns the weights of one season's adapter."""
        return [self.down[season], self.up[season], self.shift[season]]

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        calendar: RequestCalendar = context[self.calendar.name]
        weights = self.weights(calendar.year_phase).to(query.dtype)
        total = query
        for season in range(self.number):
            down, up, shift = self.adapter(season)
            total = total + weights[:, season, None] * (F.gelu(query @ down.T) @ up.T + shift)
        return total

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        return SeasonEffect(self.conditioned(query, context), None)
