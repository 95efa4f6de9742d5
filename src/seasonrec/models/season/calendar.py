"""Calendar: the place of the request in the year and the week, and how near the feasts are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.context.base import Context
from seasonrec.data.context.calendar import CalendarContext, RequestCalendar, holiday_names
from seasonrec.data.facts import Facts
from seasonrec.models.parts import ContextValues, SeasonEffect


class CalendarSeason(nn.Module):
    """Conditions the query on the request's calendar and gives every item a seasonal affinity.

    Two safeguards against what a calendar learnt on part of a year does to the rest of it: the yearly harmonics shrink
    with the distance to the nearest day of the year that training has seen, and each holiday's own ramp is learnt as a
    deviation, zero at the start, from one ramp that all holidays share, so that a feast never met falls back on what is
    common to feasts.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: Scale in days over which the yearly harmonics fade outside the days that training has seen.
        affinity_dim: Rank of the items' seasonal affinity.

    Shape:
        - query: ``(N, D)``; items: ``(V, D)``; scores: ``(N, V)``.
    """

    def __init__(
        self, num_harmonics: int = 2, coverage_days: float = 7.0, affinity_dim: int = 16, *, facts: Facts
    ) -> None:
        super().__init__()
        self.context = CalendarContext()
        self.reads: tuple[Context, ...] = (self.context,)
        self.num_harmonics = num_harmonics
        self.coverage_days = coverage_days
        num_holidays = len(holiday_names(facts.spec))
        self.ramps = HolidayRamps(num_holidays)
        num_features = 2 * num_harmonics + 7 + 2 + 2 * num_holidays + 1
        self.condition = nn.Linear(num_features, facts.embedding_dim, bias=False)
        self.phase = nn.Linear(num_features, affinity_dim, bias=False)
        self.affinity = nn.Linear(facts.embedding_dim, affinity_dim, bias=False)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.phase.weight)

    def forward(self, query: Tensor, items: Tensor, context: ContextValues) -> SeasonEffect:
        features = self._features(context[self.context.name])
        scores = self.phase(features) @ self.affinity(items).T
        return SeasonEffect(query + self.condition(features), scores)

    def _features(self, calendar: RequestCalendar) -> Tensor:
        """``(N, F)``: every column is 0 where it has nothing to say."""
        order = torch.arange(1, self.num_harmonics + 1, device=calendar.year_phase.device)
        angle = calendar.year_phase[:, None] * order
        coverage = torch.exp(-calendar.unseen_days / self.coverage_days)[:, None]
        year = torch.cat([angle.sin(), angle.cos()], dim=1) * coverage
        week = F.one_hot(calendar.weekday, 7).float()
        gap = torch.log1p(calendar.gap_days)[:, None] / 6.0
        return torch.cat([year, week, self.ramps(calendar.holiday_days), gap], dim=1)


class HolidayRamps(nn.Module):
    """Ramp up before and decay after each holiday, with learned scales, and the nearest of all holidays.

    Args:
        num_holidays: ``H``.

    Shape:
        - holiday_days: ``(N, H)`` signed days since the holiday; output: ``(N, 2 + 2 H)`` in ``[0, 1]``.
    """

    def __init__(self, num_holidays: int) -> None:
        super().__init__()
        self.log_up_days = nn.Parameter(torch.full((num_holidays,), 1.6))  # 5 days
        self.log_down_days = nn.Parameter(torch.full((num_holidays,), 0.7))  # 2 days

    def forward(self, holiday_days: Tensor) -> Tensor:
        before = (-holiday_days).clamp(min=0) / self.log_up_days.exp()
        after = holiday_days.clamp(min=0) / self.log_down_days.exp()
        up = torch.exp(-before) * (holiday_days <= 0)
        down = torch.exp(-after) * (holiday_days > 0)
        each = torch.stack([up, down], dim=-1)  # (N, H, 2)
        if each.shape[1] == 0:
            return each.new_zeros(len(each), 2)
        return torch.cat([each.amax(dim=1), each.flatten(1)], dim=1)
