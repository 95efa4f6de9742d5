"""True seasonality of the synthetic log, which a seasonal method should recover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.spec import DAYS_PER_YEAR

HOLIDAYS = ("halloween", "thanksgiving", "christmas")
HOLIDAY_RAMP_DAYS = 21
"""Days before a holiday on which its items sell well, as on the holiday itself."""

PROMOTION_DAYS, PROMOTION_EVERY_DAYS = 28, 226
"""Length of a promotion, and days from the start of an item's promotion to that of its next.

The second is the golden section of the year, so that in three years the promotions of an item are at least seven weeks
apart in the calendar: they are trend and no season.
"""

_HOLIDAY_LIFT, _OFF_SEASON, _PROMOTION_LIFT = 12.0, 0.02, 8.0
_NEWTON_STEPS, _RARE = 4, 1e-6
"""Steps for the time at which a basket is full, from that of the next smaller one; and a negligible probability."""

Days = NDArray[np.int64]
"""Days of the log, counted from its first."""

Shares = NDArray[np.float64]
"""Probabilities of the items, by row."""


@dataclass(frozen=True)
class SyntheticTruth:
    """Parameters that generated the events.

    Args:
        phase: ``(V,)`` float, time of the year at which an item sells best: 0 is 1 January, 0.5 is early July.
        amplitude: ``(V,)`` float, amplitude of the log-share over the year; 0 for year-round items.
        base: ``(V,)`` float, relative popularity without season.
        holiday: ``(V,)`` int, number in ``HOLIDAYS`` of the item's holiday; -1 for none.
        first_day: ``(V,)`` int, day of the log from which the item exists; above 0 for cold items.
        last_day: ``(V,)`` int, first day on which the item is no longer sold.
        promotion: ``(V,)`` int, day on which the item's first promotion begins; -1 for none.
        favourites: ``(U, F)`` int, items that a user buys by habit.
        habit_share: Probability that a draw is by habit if all favourites exist.
        weekday_share: ``(7,)`` float, share of visits by local weekday, Monday first; sums to 1.
        basket_size: Mean items of a visit.
        first_date: Local date of day 0.
    """

    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    base: NDArray[np.float64]
    holiday: NDArray[np.int64]
    first_day: NDArray[np.int64]
    last_day: NDArray[np.int64]
    promotion: NDArray[np.int64]
    favourites: NDArray[np.int64]
    habit_share: float
    weekday_share: NDArray[np.float64]
    basket_size: float
    first_date: date

    def season_shares(self, days: Days, season_days: Days | None = None, trend_days: Days | None = None) -> Shares:
        """Returns the true shares of the items without habit on days of the log, ``(len(days), V)``; rows sum to 1.

        Args:
            days: ``(N,)`` days on which the items exist.
            season_days: ``(N,)`` days of the time of year and of the holidays; None for the same.
            trend_days: ``(N,)`` days of the promotions; None for the same.
        """
        dates = [self.first_date + timedelta(int(day)) for day in (days if season_days is None else season_days)]
        year_part = np.array([(day - date(day.year, 1, 1)).days / DAYS_PER_YEAR for day in dates])
        swing = np.cos(2 * np.pi * (year_part[:, None] - self.phase))  # (N, V)
        weight = self.base * np.exp(self.amplitude * swing) * self._holiday_factor(dates)
        promoted = self.is_promoted(days if trend_days is None else trend_days)
        weight = weight * np.where(promoted, _PROMOTION_LIFT, 1.0) * self.is_sold(days)
        return weight / weight.sum(axis=1, keepdims=True)

    def chances(
        self, users: NDArray[np.int64], days: Days, season_days: Days | None = None, trend_days: Days | None = None
    ) -> Shares:
        """Returns ``(N, V)`` probabilities that each item is drawn first; 0 for items that are not sold.

        Args:
            users: ``(N,)`` users.
            days, season_days, trend_days: See :meth:`season_shares`.
        """
        given = np.stack([days if one is None else one for one in (days, season_days, trend_days)])
        distinct, place = np.unique(given, axis=1, return_inverse=True)
        season = self.season_shares(*distinct)[place.reshape(-1)]
        habit = np.zeros_like(season)
        favourites = self.favourites[users]
        sold = np.take_along_axis(self.is_sold(days), favourites, axis=1)
        np.put_along_axis(habit, favourites, sold / favourites.shape[1], axis=1)
        return (1 - self.habit_share) * season + self.habit_share * habit

    def basket_shares(self, chances: Shares) -> Shares:
        """Returns ``(N, V)`` probabilities that an item of a basket is each item; rows sum to 1.

        A basket has distinct items. Its shares are flatter than those of the first draw, because a likely item is drawn
        only once. The items are drawn as if each came at an exponential time of rate ``chances``, and the first ones
        were the basket. The time at which a basket of some size is full is taken as fixed, at the value where the
        expected number of items is that size. Shares are averaged over the sizes.

        Args:
            chances: ``(N, V)``, see :meth:`chances`.

        References:
            Rosen, Asymptotic Theory for Successive Sampling with Varying Probabilities Without Replacement, Annals of
            Mathematical Statistics 1972.
        """
        rates = chances / chances.sum(axis=1, keepdims=True)
        full = np.zeros((len(rates), 1))  # time at which a basket of the size is full
        expected = np.zeros_like(rates)
        for size, chance in _basket_sizes(self.basket_size, rates.shape[1] // 2):
            for _ in range(_NEWTON_STEPS):
                left = rates * np.exp(-rates * full)
                missing = size - (1 - np.exp(-rates * full)).sum(axis=1, keepdims=True)
                full = full + missing / left.sum(axis=1, keepdims=True)
            expected += chance * (1 - np.exp(-rates * full))
        return expected / expected.sum(axis=1, keepdims=True)

    def is_sold(self, days: Days) -> NDArray[np.bool_]:
        """Returns ``(N, V)``: whether each item exists on each day."""
        return (days[:, None] >= self.first_day) & (days[:, None] < self.last_day)

    def is_promoted(self, days: Days) -> NDArray[np.bool_]:
        """Returns ``(N, V)``: whether each item is on promotion on each day."""
        since = days[:, None] - self.promotion
        return (self.promotion >= 0) & (since >= 0) & (since % PROMOTION_EVERY_DAYS < PROMOTION_DAYS)

    def is_near_holiday(self, days: Days) -> NDArray[np.bool_]:
        """Returns ``(N, V)``: whether each item belongs to a holiday and its holiday is near."""
        near = self._near([self.first_date + timedelta(int(day)) for day in days])
        return (self.holiday >= 0) & near[:, self.holiday]

    def _holiday_factor(self, dates: list[date]) -> Shares:
        factor = np.where(self._near(dates), _HOLIDAY_LIFT, _OFF_SEASON)  # (N, H)
        return np.where(self.holiday >= 0, factor[:, self.holiday], 1.0)

    def _near(self, dates: list[date]) -> NDArray[np.bool_]:
        """Returns ``(N, H)``: whether each holiday is near on each date."""
        return np.array([[_days_until(day, name) <= HOLIDAY_RAMP_DAYS for name in HOLIDAYS] for day in dates])


def _basket_sizes(mean: float, largest: int) -> list[tuple[int, float]]:
    """Returns the sizes of baskets with their probabilities: 1 more than a Poisson number, ``largest`` at most."""
    chances, size, chance = [], 1, math.exp(1 - mean)
    while size < largest and (size < mean or chance > _RARE):
        chances.append((size, chance))
        chance *= (mean - 1) / size
        size += 1
    return [*chances, (size, 1 - sum(chance for _, chance in chances))]


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
