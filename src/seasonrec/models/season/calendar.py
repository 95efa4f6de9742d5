"""Calendar effects: time of year, weekday and nearby holidays of the request."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar, holiday_names
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.harmonics import harmonics
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.scoring import ScoredItems

MAJOR = (
    "Thanksgiving Day",
    "Christmas Day",
    "New Year's Day",
    "Easter Sunday",
    "Halloween",
    "Independence Day",
    "Valentine's Day",
    "Memorial Day",
    "Labor Day",
    "Mother's Day",
)
"""Holidays with a shopping season."""


class CalendarSeason(nn.Module):
    """Seasonal effect of the calendar: it conditions the query and gives every item a seasonal affinity.

    A model cannot check yearly features that it learned on part of one year: the harmonics of a spring extrapolate
    arbitrarily into the autumn, and they explain training weeks that other features should explain. Each feature is
    therefore zero unless the log at the request covers that time of year. The yearly harmonics need a full year of log.
    A holiday's own ramp needs an earlier occurrence of the holiday. The rule is the same in training and at test.
    Within a first year, the model uses the weekday and one ramp that the major holidays share.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: The yearly harmonics fade in over these last days before the log covers a full year. Before that
            they are exactly zero, because Adam turns even a gradient of 1e-6 into full steps.
        affinity_dim: Rank of the items' seasonal affinity.
        major: Holidays that share a ramp; names that the country does not have are ignored.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True
    major: Tensor

    def __init__(
        self,
        num_harmonics: int = 2,
        coverage_days: float = 7.0,
        affinity_dim: int = 16,
        major: tuple[str, ...] = MAJOR,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.context = CalendarContext()
        self.reads: tuple[Context, ...] = (self.context,)
        self.num_harmonics = num_harmonics
        self.coverage_days = coverage_days
        names = holiday_names(facts.spec)
        places = torch.tensor([place for place, name in enumerate(names) if name in major], dtype=torch.int64)
        self.register_buffer("major", places, persistent=False)
        self.ramps = HolidayRamps(len(names))
        num_features = 2 * num_harmonics + 7 + 2 + 2 * len(names)
        self.condition = Linear(num_features, facts.embedding_dim, bias=False)
        self.phase = Linear(num_features, affinity_dim, bias=False)
        self.affinity = Linear(facts.embedding_dim, affinity_dim, bias=False)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.phase.weight)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        stored = state_dict.get(f"{prefix}condition.weight")
        if stored is not None and stored.shape[1] == self.condition.weight.shape[1] + 1:
            raise UserError(
                "these weights are of version 0.1.0, whose season.calendar also read the days since the user's last "
                "event; it no longer does. Train the run again, with temporal=last_visit to keep that input."
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query + self.condition(self._features(context[self.context.name]))

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        features = self._features(context[self.context.name])
        scores = self.phase(features) @ self.affinity(items.vectors).T
        return SeasonEffect(query + self.condition(features), scores)

    def _features(self, calendar: RequestCalendar) -> Tensor:
        """Returns the features ``(N, F)``; a column is 0 where it does not apply."""
        year = harmonics(calendar.year_phase, calendar.unseen_days, self.num_harmonics, self.coverage_days)
        week = F.one_hot(calendar.weekday, 7).float()
        return torch.cat([year, week, *self._holidays(calendar)], dim=1)

    def _holidays(self, calendar: RequestCalendar) -> tuple[Tensor, Tensor]:
        """Returns the ramps shared by the major holidays ``(N, 2)`` and each holiday's own ``(N, 2 H)``."""
        each = self.ramps(calendar.holiday_days)  # (N, H, 2)
        major = each.index_select(1, self.major)
        shared = major.amax(dim=1) if major.shape[1] else each.new_zeros(len(each), 2)
        return shared, (each * calendar.holiday_known[..., None]).flatten(1)


class HolidayRamps(nn.Module):
    """Linear rise before and linear fall after each holiday, of learned lengths.

    The ramps are linear and end at zero. An exponential would still be 1e-6 two months before a holiday; Adam would
    train its weight with full steps there, and the effect near the holiday would be far too large.

    Args:
        num_holidays: ``H``.
        up_days: Length of the rise at the start of training.
        down_days: Length of the fall at the start of training.

    Shape:
        - holiday_days: ``(N, H)`` signed days since the holiday; output: ``(N, H, 2)`` in ``[0, 1]``: up, down.
    """

    def __init__(self, num_holidays: int, up_days: float = 14.0, down_days: float = 5.0) -> None:
        super().__init__()
        self.log_up_days = nn.Parameter(torch.full((num_holidays,), math.log(up_days)))
        self.log_down_days = nn.Parameter(torch.full((num_holidays,), math.log(down_days)))

    def forward(self, holiday_days: Tensor) -> Tensor:
        up = (1 + holiday_days / self.log_up_days.exp()).clamp(min=0) * (holiday_days <= 0)
        down = (1 - holiday_days / self.log_down_days.exp()).clamp(min=0) * (holiday_days > 0)
        return torch.stack([up, down], dim=-1)
