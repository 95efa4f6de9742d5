"""Season of the calendar: time of year, weekday and nearby holidays of the request."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.batches.context.occasion_items import OccasionItems, OccasionItemsContext
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import local_days
from seasonrec.data.spec import DAYS_PER_YEAR
from seasonrec.errors import UserError
from seasonrec.models.calendar_features import MAJOR, CalendarFeatures
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import AtLeast, Days, Harmonics, Width, ranged

NEVER_DAY = 1e9
"""First day of an item without an event before the validation cut: it is younger than a year at every request."""


@ranged("season.calendar")
class CalendarSeason(CalendarFeatures):
    """Seasonal effect of the calendar: every item has an affinity to weekday, holidays and time of year.

    An item that is younger than a year has no yearly effect: its sales of a spring say nothing about its autumn, and
    the harmonics would extrapolate them. The query, which all items share, is therefore conditioned on the features
    that do not wait for a year; for further tasks it is conditioned on all of them.

    The affinity has two parts: one reads the item's vector, so that items with similar texts have similar seasons, and
    one is the item's own. Both start at zero.

    Where the user's own calendar lists items of an occasion, two further weights, which start at zero too, say how much
    a listed item gains on the days of its occasion and in the week before. They hold for all occasions, also for one
    that takes place for the first time.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: The yearly features fade in during these last days before log and item cover a full year.
        affinity_dim: Rank of the items' seasonal affinity.
        major: Holidays that share a ramp and have a curve each; names that the country does not have are ignored.
        hours: Sine-cosine pairs of the day, for the time of the request; 0 for none.
        first_year: Whether the yearly effect is learned in the first year of the log already. A log of two years or
            more allows it: nobody is tested in its first year, whose autumn would otherwise teach nothing.
        young_by_text: Whether an item that is younger than a year has the yearly effect that its vector says. Needs
            vectors made of texts alone, ``item_encoder=text``.

    Raises:
        ValueError: If ``first_year`` is set and the log covers less than a year before the validation cut.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True
    first_day: Tensor

    def __init__(
        self,
        num_harmonics: Harmonics = 2,
        coverage_days: Days = 7.0,
        affinity_dim: Width = 16,
        major: tuple[str, ...] = MAJOR,
        hours: Annotated[int, AtLeast(0, 12)] = 0,
        first_year: bool = False,
        young_by_text: bool = False,
        *,
        facts: Facts,
    ) -> None:
        if first_year:
            facts.spec.require_last_year("a calendar with first_year=true")
        super().__init__(facts.spec, num_harmonics, coverage_days, major, hours, first_year)
        self.young_by_text = young_by_text
        self.context = CalendarContext()
        self.listed = OccasionItemsContext() if facts.spec.occasions_list_items else None
        self.reads: tuple[Context, ...] = (self.context, *([self.listed] if self.listed else []))
        self.gain = nn.Parameter(torch.zeros(2)) if self.listed else None
        self.condition = zeroed(Linear(self.num_features, facts.embedding_dim, bias=False))
        self.phase = Linear(self.num_features, affinity_dim, bias=False)
        nn.init.normal_(self.phase.weight, std=affinity_dim**-0.5)  # each feature is a direction of length about 1
        self.affinity = zeroed(Linear(facts.embedding_dim, affinity_dim, bias=False))
        self.own_affinity = nn.Embedding(facts.spec.num_items, affinity_dim)
        nn.init.zeros_(self.own_affinity.weight)
        first_day = local_days(facts.item_first_seen_s.numpy(), facts.spec.timezone).astype(np.float32)
        known = torch.where(facts.item_is_known, torch.from_numpy(first_day), NEVER_DAY)
        self.register_buffer("first_day", known, persistent=False)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        if f"{prefix}condition.weight" in state_dict and f"{prefix}own_affinity.weight" not in state_dict:
            raise UserError(
                "these weights are of version 0.1.0, whose season.calendar read other features of the day, also the "
                "days since the user's last event. Train the run again, with temporal=last_visit to keep that input."
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query + self.condition(self.features(context[self.context.name]))

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        calendar: RequestCalendar = context[self.context.name]
        usual, split = self.usual(calendar), self.num_usual
        by_vector, own = self.affinity(items.vectors), items.of(self.own_affinity.weight)  # (C, A)
        scores = F.linear(usual, self.phase.weight[:, :split]) @ (by_vector + own).T
        scores = scores + self._yearly_scores(calendar, items, by_vector, own)
        if self.listed is not None and self.gain is not None:
            listed: OccasionItems = context[self.listed.name]
            scores = scores + F.embedding(listed.row, listed.near @ self.gain)
        return SeasonEffect(query + F.linear(usual, self.condition.weight[:, :split]), scores)

    def _yearly_scores(self, calendar: RequestCalendar, items: ScoredItems, by_vector: Tensor, own: Tensor) -> Tensor:
        """Returns the ``(N, C)`` effects of the time of year, given both ``(C, A)`` parts of the affinity."""
        yearly = F.linear(self.yearly(calendar), self.phase.weight[:, self.num_usual :])  # (N, A)
        covered = self._covered(calendar, items)
        if self.young_by_text:
            return yearly @ by_vector.T + (yearly @ own.T) * covered
        return (yearly @ (by_vector + own).T) * covered

    def _covered(self, calendar: RequestCalendar, items: ScoredItems) -> Tensor:
        """Returns ``(N, C)`` in ``[0, 1]``: 1 for items that were first seen at least a year before the request.

        It is also 1 in the first year of the log where that year is learned: no item is older then.
        """
        age_days = calendar.day[:, None].float() - items.of(self.first_day)
        covered = (1 + (age_days - DAYS_PER_YEAR) / self.coverage_days).clamp(0, 1)
        return torch.where(calendar.unseen_days[:, None] > 0, 1.0, covered) if self.first_year else covered
