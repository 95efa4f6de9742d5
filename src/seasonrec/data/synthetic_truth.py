"""True seasonality of the synthetic log, which a seasonal method should recover."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.spec import DAYS_PER_YEAR

HOLIDAYS = ("halloween", "thanksgiving", "christmas")
HOLIDAY_RAMP_DAYS = 21
"""Days before a holiday on which its items sell well, as on the holiday itself."""

_HOLIDAY_LIFT, _OFF_SEASON = 12.0, 0.02


@dataclass(frozen=True)
class SyntheticTruth:
    """Parameters that generated the events.

    Args:
        phase: ``(V,)`` float, time of the year at which an item sells best: 0 is 1 January, 0.5 is early July.
        amplitude: ``(V,)`` float, amplitude of the log-share over the year; 0 for year-round items.
        base: ``(V,)`` float, relative popularity without season.
        holiday: ``(V,)`` int, number in ``HOLIDAYS`` of the item's holiday; -1 for none.
        first_day: ``(V,)`` int, day of the log from which the item exists; above 0 for cold items.
        favourites: ``(U, F)`` int, items that a user buys by habit.
        habit_share: Probability that a draw is by habit if all favourites exist.
        weekday_share: ``(7,)`` float, share of visits by local weekday, Monday first; sums to 1.
        first_date: Local date of day 0.
    """

    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    base: NDArray[np.float64]
    holiday: NDArray[np.int64]
    first_day: NDArray[np.int64]
    favourites: NDArray[np.int64]
    habit_share: float
    weekday_share: NDArray[np.float64]
    first_date: date

    def season_shares(self, days: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the true shares of the items without habit on days of the log, ``(len(days), V)``; rows sum to 1."""
        dates = [self.first_date + timedelta(int(day)) for day in days]
        year_part = np.array([(day - date(day.year, 1, 1)).days / DAYS_PER_YEAR for day in dates])
        swing = np.cos(2 * np.pi * (year_part[:, None] - self.phase))  # (N, V)
        weight = self.base * np.exp(self.amplitude * swing) * self._holiday_factor(dates)
        weight = weight * (days[:, None] >= self.first_day)
        return weight / weight.sum(axis=1, keepdims=True)

    def _holiday_factor(self, dates: list[date]) -> NDArray[np.float64]:
        near = np.array([[_days_until(day, name) <= HOLIDAY_RAMP_DAYS for name in HOLIDAYS] for day in dates])
        factor = np.where(near, _HOLIDAY_LIFT, _OFF_SEASON)  # (N, H)
        return np.where(self.holiday >= 0, factor[:, self.holiday], 1.0)


def holiday_date(year: int, name: str) -> date:
    """Returns the date of a holiday of :data:`HOLIDAYS` in the United States."""
    if name == "halloween":
        return date(year, 10, 31)
    if name == "christmas":
        return date(year, 12, 25)
    first = date(year, 11, 1)
    return first + timedelta((3 - first.weekday()) % 7 + 21)  # the fourth Thursday


def _days_until(day: date, name: str) -> int:
    this_year = (holiday_date(day.year, name) - day).days
    return this_year if this_year >= 0 else (holiday_date(day.year + 1, name) - day).days
