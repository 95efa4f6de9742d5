"""Calendar: the place of the request in the year and the week, and how near the feasts are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar, holiday_names
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
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
"""Holidays for which people shop."""


class CalendarSeason(nn.Module):
    """Conditions the query on the request's calendar and gives every item a seasonal affinity.

    What a calendar learns on a part of one year it cannot have checked: the harmonics of a spring extrapolate into an
    autumn as they please, and while they explain the training weeks nothing else learns to. So each feature speaks only
    where the log, as it stood at the request, had been before: the yearly harmonics fade with the days by which the log
    falls short of a full cycle, and a holiday's own ramp needs an earlier occurrence of that holiday. The rule is the
    same in training and at test. What transfers within a first year is the weekday, the gap since the last event, and
    one ramp that the major holidays share.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: Days short of a full cycle at which the yearly harmonics have faded to exactly zero. Exactly,
            because Adam turns even a gradient of 1e-6 into full steps.
        affinity_dim: Rank of the items' seasonal affinity.
        major: Holidays that share a ramp; one that the country does not keep is passed over.

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
        num_features = 2 * num_harmonics + 7 + 2 + 2 * len(names) + 1
        self.condition = Linear(num_features, facts.embedding_dim, bias=False)
        self.phase = Linear(num_features, affinity_dim, bias=False)
        self.affinity = Linear(facts.embedding_dim, affinity_dim, bias=False)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.phase.weight)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query + self.condition(self._features(context[self.context.name]))

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        features = self._features(context[self.context.name])
        scores = self.phase(features) @ self.affinity(items.vectors).T
        return SeasonEffect(query + self.condition(features), scores)

    def _features(self, calendar: RequestCalendar) -> Tensor:
        """``(N, F)``: every column is 0 where it has nothing to say."""
        order = torch.arange(1, self.num_harmonics + 1, device=calendar.year_phase.device)
        angle = calendar.year_phase[:, None] * order
        coverage = (1 - calendar.unseen_days / self.coverage_days).clamp(min=0)[:, None]
        year = torch.cat([angle.sin(), angle.cos()], dim=1) * coverage
        week = F.one_hot(calendar.weekday, 7).float()
        gap = torch.log1p(calendar.gap_days)[:, None] / 6.0
        return torch.cat([year, week, *self._holidays(calendar), gap], dim=1)

    def _holidays(self, calendar: RequestCalendar) -> tuple[Tensor, Tensor]:
        """``(N, 2)`` the shared ramp up and down, and ``(N, 2 H)`` the holidays' own."""
        each = self.ramps(calendar.holiday_days)  # (N, H, 2)
        major = each.index_select(1, self.major)
        shared = major.amax(dim=1) if major.shape[1] else each.new_zeros(len(each), 2)
        return shared, (each * calendar.holiday_known[..., None]).flatten(1)


class HolidayRamps(nn.Module):
    """A rise before and a fall after each holiday, of learned lengths.

    Straight lines that end, not exponentials: a feature of 1e-6, two months before a feast, would be trained by Adam
    with full steps and speak with a loud voice when the feast comes near.

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
