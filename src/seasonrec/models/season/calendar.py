"""Season of the calendar: time of year, weekday and nearby holidays of the request."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.calendar_features import MAJOR, CalendarFeatures
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems


class CalendarSeason(CalendarFeatures):
    """Seasonal effect of the calendar: it conditions the query and gives every item a seasonal affinity.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: The yearly harmonics fade in during these last days before the log covers a full year.
        affinity_dim: Rank of the items' seasonal affinity.
        major: Holidays that share a ramp; names that the country does not have are ignored.
        hours: Sine-cosine pairs of the day, for the time of the request; 0 for none.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True

    def __init__(
        self,
        num_harmonics: int = 2,
        coverage_days: float = 7.0,
        affinity_dim: int = 16,
        major: tuple[str, ...] = MAJOR,
        hours: int = 0,
        *,
        facts: Facts,
    ) -> None:
        super().__init__(facts.spec, num_harmonics, coverage_days, major, hours)
        self.context = CalendarContext()
        self.reads = (self.context,)
        self.condition = zeroed(Linear(self.num_features, facts.embedding_dim, bias=False))
        self.phase = zeroed(Linear(self.num_features, affinity_dim, bias=False))
        self.affinity = Linear(facts.embedding_dim, affinity_dim, bias=False)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        stored = state_dict.get(f"{prefix}condition.weight")
        if stored is not None and stored.shape[1] == self.condition.weight.shape[1] + 1:
            raise UserError(
                "these weights are of version 0.1.0, whose season.calendar also read the days since the user's last "
                "event; it no longer does. Train the run again, with temporal=last_visit to keep that input."
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query + self.condition(self.features(context[self.context.name]))

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        features = self.features(context[self.context.name])
        scores = self.phase(features) @ self.affinity(items.vectors).T
        return SeasonEffect(query + self.condition(features), scores)
