"""Features of a day for the season and the tasks: weekday, nearby holidays and time of year."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.calendar import RequestCalendar, holiday_names
from seasonrec.data.spec import DataSpec

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


KNOTS_DAYS = (-28, -21, -14, -7, 0, 1, 7)
"""Days from a holiday at which the bumps of its own features peak; the day after it may differ from the day itself."""
ENDS_DAYS = (-35, 14)
"""Days from a holiday at which its first and its last bump have fallen to zero."""


def harmonics(year_phase: Tensor, unseen_days: Tensor, num_harmonics: int, coverage_days: float) -> Tensor:
    """Returns sines and cosines of the time of year, zero until the log covers a full year.

    Args:
        year_phase: ``(...)`` angle of the day in the year.
        unseen_days: ``(...)`` days that the log lacks to cover a full year before the day.
        num_harmonics: Sine-cosine pairs ``K``.
        coverage_days: The features fade in during these last days before the log covers a full year.

    Returns:
        ``(..., 2 K)``: sines, then cosines.
    """
    coverage = (1 - unseen_days / coverage_days).clamp(min=0)[..., None]
    return waves(year_phase, num_harmonics) * coverage


def waves(phase: Tensor, num_harmonics: int) -> Tensor:
    """Returns the sines, then the cosines, of ``(...)`` angles and their multiples, ``(..., 2 K)``."""
    angle = phase[..., None] * torch.arange(1, num_harmonics + 1, device=phase.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class CalendarFeatures(nn.Module):
    """Weekday, a ramp shared by the major holidays, harmonics of the year, and a curve around each holiday.

    A model cannot check yearly features that it learned on part of one year: the harmonics of a spring extrapolate
    arbitrarily into the autumn, and they explain training weeks that other features should explain. Each feature is
    therefore zero unless the log at the request covers that time of year. The yearly harmonics need a full year of log.
    A holiday's own curve needs an earlier occurrence of the holiday. The rule is the same in training and at test.
    Within a first year, only the weekday and the shared ramp remain, unless ``first_year`` says otherwise.

    The curve of a holiday is a sum of bumps, linear between the days of :data:`KNOTS_DAYS`, so that its shape is
    learned: a plateau, a rise, or a fall on the next day. Only major holidays have one. The United States have 21 in
    all, whose curves would cover most days of the year, and would learn single promotions by heart. Each name of the
    user's own calendar has a curve too, and joins the shared ramp.

    Args:
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: The yearly harmonics fade in during these last days before the log covers a full year. Before
            that they are exactly zero, because Adam turns even a gradient of 1e-6 into full steps.
        major: Holidays that share a ramp and have a curve each; names that the country does not have are ignored.
        hours: Sine-cosine pairs of the day, for the time of the request; 0 for none.
        first_year: Whether all features hold in the first year of the log too, because later years check them.
    """

    major: Tensor
    knots_days: Tensor

    def __init__(
        self,
        spec: DataSpec,
        num_harmonics: int = 2,
        coverage_days: float = 7.0,
        major: tuple[str, ...] = MAJOR,
        hours: int = 0,
        first_year: bool = False,
    ) -> None:
        super().__init__()
        self.num_harmonics = num_harmonics
        self.first_year = first_year
        self.coverage_days = coverage_days
        names = holiday_names(spec)
        places = torch.tensor([place for place, name in enumerate(names) if name in {*major, *spec.occasions}])
        self.register_buffer("major", places.to(torch.int64), persistent=False)
        knots = torch.tensor((ENDS_DAYS[0], *KNOTS_DAYS, ENDS_DAYS[1]), dtype=torch.float32)
        self.register_buffer("knots_days", knots, persistent=False)
        self.ramps = HolidayRamps(len(places))
        self.hours = hours
        self.num_usual = 7 + 2 + 2 * hours
        self.num_features = self.num_usual + 2 * num_harmonics + len(KNOTS_DAYS) * len(places)

    def features(self, calendar: RequestCalendar) -> Tensor:
        """Returns the features ``(N, num_features)``: the usual ones, then the yearly ones."""
        return torch.cat([self.usual(calendar), self.yearly(calendar)], dim=1)

    def usual(self, calendar: RequestCalendar) -> Tensor:
        """Returns weekday, shared ramp and hours ``(N, num_usual)``, which do not wait for a year of log."""
        week = F.one_hot(calendar.weekday, 7).float()
        major = self.ramps(calendar.holiday_days.index_select(1, self.major))
        shared = major.amax(dim=1) if major.shape[1] else major.new_zeros(len(week), 2)
        return torch.cat([week, shared, waves(calendar.day_phase, self.hours)], dim=1)

    def yearly(self, calendar: RequestCalendar) -> Tensor:
        """Returns the features that need a year of log, ``(N, num_features - num_usual)``, 0 until then."""
        unseen_days, known = calendar.unseen_days, calendar.holiday_known
        if self.first_year:
            unseen_days, known = torch.zeros_like(unseen_days), torch.ones_like(known)
        year = harmonics(calendar.year_phase, unseen_days, self.num_harmonics, self.coverage_days)
        days, knots = calendar.holiday_days.index_select(1, self.major)[..., None], self.knots_days
        rise = (days - knots[:-2]) / (knots[1:-1] - knots[:-2])  # (N, H, K)
        fall = (knots[2:] - days) / (knots[2:] - knots[1:-1])
        bumps = torch.minimum(rise, fall).clamp(min=0)
        bumps = bumps * known.index_select(1, self.major)[..., None]
        return torch.cat([year, bumps.flatten(1)], dim=1)


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
