"""Generated log whose seasonality is known, to test whether a method recovers it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.synthetic_truth import HOLIDAYS, PROMOTION_EVERY_DAYS, SyntheticTruth
from seasonrec.data.tables import SourceTables
from seasonrec.ranges import Above, AtLeast, BelowOne, Seed, ranged

_SEASONS = ("winter", "spring", "summer", "autumn")
_GOODS = ("drink", "soup", "fruit", "cake", "candle", "toy")
_WEEKDAY_SHARE = np.array([0.12, 0.12, 0.13, 0.13, 0.15, 0.20, 0.15])
_VISITS_AT_ONCE = 20_000
"""Visits whose baskets are drawn at once."""


@ranged("data")
@dataclass
class Synthetic:
    """Generated visits by weekday, with baskets drawn from seasonal shares and the user's habits.

    The text of an item names its season or holiday and its kind. The category is the kind.

    Args:
        num_users: Users, at least 2.
        num_items: Items, at least 10.
        num_days: Days of the log, at least 7.
        seed: Seed of the truth and of the draws.
        first_date: Local date of the first day, ``YYYY-MM-DD``.
        visits_per_week: Mean visits of a user.
        basket_size: Mean items of a visit, at least 1.
        habit_share: Probability that an item is drawn from the user's favourites, from 0 to below 1.
        seasonal_share: Share of the items whose popularity swings with the year.
        cold_share: Share of the items that appear in the last 40% of the log.
        gone_share: Share of the other items that are sold no longer from a day in the last half of the log.
        promoted_share: Share of the items without a season that are on promotion for four weeks now and then, at no
            recurring time of the year.
        born_share: Share of the items without a season, a promotion or an end that appear in the last 40% of the log.
            With ``cold_share``, items with a season appear too, and nobody can know their first one.

    Raises:
        ValueError: If a size is too small or a share is out of range.
    """

    num_users: Annotated[int, AtLeast(2, 10_000_000)] = 200
    num_items: Annotated[int, AtLeast(10, 10_000_000)] = 60
    num_days: Annotated[int, AtLeast(7, 36_525)] = 730
    seed: Seed = 0
    first_date: str = "2016-01-01"
    visits_per_week: Annotated[float, Above(0, 4)] = 1.0
    basket_size: Annotated[float, AtLeast(1, 1_000)] = 3.0
    habit_share: BelowOne = 0.4
    seasonal_share: BelowOne = 0.5
    cold_share: BelowOne = 0.1
    gone_share: BelowOne = 0.0
    promoted_share: BelowOne = 0.0
    born_share: BelowOne = 0.0

    def __post_init__(self) -> None:
        self.country: str | None = "US"
        self.timezone: str = "America/New_York"

    def identity(self) -> dict[str, object]:
        return {"dataset": "synthetic", "rules": 1, **asdict(self)}

    def truth(self) -> SyntheticTruth:
        """Returns the parameters that generate the events; row 7 belongs to ``item_00007`` or ``user_00007``."""
        draw = np.random.default_rng([self.seed, 0])
        count = self.num_items
        seasonal = _some(draw, count, self.seasonal_share)
        free = np.flatnonzero(~seasonal)
        holiday = np.full(count, -1)
        holiday[free[: len(free) // 3]] = np.arange(len(free) // 3) % len(HOLIDAYS)
        cold = _some(draw, count, self.cold_share)
        appears = draw.integers(int(0.6 * self.num_days), max(int(0.9 * self.num_days), 1), count)
        later = np.random.default_rng([self.seed, 2])  # a stream of its own: a log without these is as before
        gone = _of_these(later, ~cold, self.gone_share)
        ends = later.integers(int(0.5 * self.num_days), max(int(0.95 * self.num_days), 1), count)
        promoted = _of_these(later, ~seasonal & (holiday < 0), self.promoted_share)
        starts = later.integers(0, PROMOTION_EVERY_DAYS, count)
        cold |= _of_these(later, ~(seasonal | (holiday >= 0) | promoted | gone | cold), self.born_share)
        return SyntheticTruth(
            phase=draw.random(count),
            amplitude=np.where(seasonal, draw.uniform(1.0, 2.0, count), 0.0),
            base=draw.permutation(1.0 / np.arange(3, count + 3)),
            holiday=holiday,
            first_day=np.where(cold, appears, 0),
            last_day=np.where(gone, ends, self.num_days),
            promotion=np.where(promoted, starts, -1),
            favourites=draw.permuted(np.tile(np.arange(count), (self.num_users, 1)), axis=1)[:, :5],
            habit_share=self.habit_share,
            weekday_share=_WEEKDAY_SHARE,
            basket_size=self.basket_size,
            first_date=date.fromisoformat(self.first_date),
        )

    def tables(self) -> SourceTables:
        truth = self.truth()
        draw = np.random.default_rng([self.seed, 1])
        users, days = self._visits(truth, draw)
        times_s = _opening_times_s(truth.first_date, self.num_days, self.timezone)[days]
        times_s = times_s + draw.integers(0, 12 * 3600, len(days))
        sizes = 1 + draw.poisson(self.basket_size - 1, len(days))
        visit, items = _baskets(truth, users, days, np.minimum(sizes, self.num_items // 2), draw)
        events = pl.DataFrame(
            {
                "user_id": [f"user_{user:05d}" for user in users[visit]],
                "item_id": [f"item_{item:05d}" for item in items],
                "timestamp_s": times_s[visit].astype(np.int64),
                "value": draw.gamma(2.0, 2.0, len(items)).astype(np.float32),
            }
        )
        return SourceTables(events, _item_table(truth), notes=("generated data with known seasonal truth",))

    def _visits(self, truth: SyntheticTruth, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns users and days of all visits, at most one per user and day, ``(N,)`` each."""
        weekday = (truth.first_date.weekday() + np.arange(self.num_days)) % 7
        chance = np.minimum(self.visits_per_week * truth.weekday_share[weekday], 1.0)
        users, days = np.nonzero(draw.random((self.num_users, self.num_days)) < chance)
        return users, days


def _some(draw: np.random.Generator, count: int, share: float) -> NDArray[np.bool_]:
    """Returns ``(count,)`` bool with the given share of True, at random places."""
    return draw.permutation(np.arange(count) < round(share * count))


def _of_these(draw: np.random.Generator, chosen: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Returns ``(count,)`` bool: the given share of the chosen places, at random."""
    places = draw.permutation(np.flatnonzero(chosen))
    picked = np.zeros_like(chosen)
    picked[places[: round(share * len(places))]] = True
    return picked


def _opening_times_s(first_date: date, num_days: int, timezone: str) -> NDArray[np.int64]:
    """Returns nine o'clock local time of each day, seconds since 1970-01-01 UTC."""
    opening = datetime(first_date.year, first_date.month, first_date.day, 9, tzinfo=ZoneInfo(timezone))
    return np.array([int((opening + timedelta(day)).timestamp()) for day in range(num_days)])


def _baskets(
    truth: SyntheticTruth,
    users: NDArray[np.int64],
    days: NDArray[np.int64],
    sizes: NDArray[np.int64],
    draw: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws ``sizes[i]`` distinct items for visit ``i`` and returns the visit and item of every event."""
    visits, items = [], []
    for start in range(0, len(users), _VISITS_AT_ONCE):
        part = slice(start, start + _VISITS_AT_ONCE)
        chance = truth.chances(users[part], days[part])
        with np.errstate(divide="ignore"):
            keys = np.log(chance) + draw.gumbel(size=chance.shape)  # the largest keys are a draw without replacement
        rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
        visit, item = np.nonzero((rank < sizes[part, None]) & (chance > 0))
        visits.append(visit + start)
        items.append(item)
    return np.concatenate(visits), np.concatenate(items)


def _item_table(truth: SyntheticTruth) -> pl.DataFrame:
    rows = range(len(truth.phase))
    kinds = [_GOODS[row % len(_GOODS)] for row in rows]
    return pl.DataFrame(
        {
            "item_id": [f"item_{row:05d}" for row in rows],
            "text": [f"{_time_of_year(truth, row)} {kind} number {row}" for row, kind in zip(rows, kinds, strict=True)],
            "category": kinds,
        }
    )


def _time_of_year(truth: SyntheticTruth, item: int) -> str:
    if truth.holiday[item] >= 0:
        return HOLIDAYS[truth.holiday[item]]
    if truth.amplitude[item] == 0:
        return "everyday"
    return _SEASONS[int(truth.phase[item] * 4 + 1 / 3) % 4]  # winter from December on
