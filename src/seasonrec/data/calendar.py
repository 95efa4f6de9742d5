"""Local days and holidays: the clock by which customers live, not the one by which servers log."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import holidays
import numpy as np
import polars as pl
from numpy.typing import NDArray

EPOCH = dt.date(1970, 1, 1)
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def local_days(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Days since 1970-01-01 of the local calendar, for times in UTC seconds.

    Args:
        times_s: ``(N,)`` int64, seconds since 1970-01-01 UTC.
        timezone: IANA name, for example ``"America/New_York"``.

    Returns:
        ``(N,)`` int64 day numbers; a daylight-saving change moves no event into another day.
    """
    zoned = pl.from_epoch(pl.Series(np.asarray(times_s, dtype=np.int64)), time_unit="s").dt.replace_time_zone("UTC")
    return zoned.dt.convert_time_zone(timezone).dt.date().to_physical().to_numpy().astype(np.int64)


def weekdays(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weekday of day numbers, Monday = 0."""
    return (days + EPOCH_WEEKDAY) % 7


@lru_cache(maxsize=32)
def holiday_days(country: str | None, first_year: int, last_year: int) -> dict[str, tuple[int, ...]]:
    """Day numbers of every public and, where the country has them, unofficial holiday, by name.

    A holiday that is observed on another day is left out: people shop for the feast, not for the day off.

    Args:
        country: ISO 3166 code, or None for no holidays.
        first_year: First calendar year.
        last_year: Last calendar year, included.

    Returns:
        Name to rising day numbers (days since 1970-01-01), ordered by name.

    Raises:
        ValueError: If the country is not known to the ``holidays`` package.
    """
    if country is None:
        return {}
    supported = holidays.list_supported_countries()
    if country not in supported:
        raise ValueError(
            f"country must be an ISO 3166 code that the holidays package knows, got {country!r}; "
            "set data.country, for example to US, or to null for no holidays."
        )
    categories = tuple(
        c for c in ("public", "unofficial") if c in holidays.country_holidays(country).supported_categories
    )
    calendar = holidays.country_holidays(
        country, years=range(first_year, last_year + 1), categories=categories, language="en_US", observed=False
    )
    found: dict[str, list[int]] = {}
    for date in sorted(calendar):
        for name in calendar.get_list(date):
            found.setdefault(name, []).append((date - EPOCH).days)
    return {name: tuple(found[name]) for name in sorted(found)}


def signed_distances(days: NDArray[np.int64], occurrences: tuple[int, ...]) -> NDArray[np.int64]:
    """Days from the nearest occurrence to each day: negative before the feast, 0 on it, positive after it.

    Args:
        days: ``(N,)`` day numbers.
        occurrences: Rising day numbers of one holiday, at least one.

    Returns:
        ``(N,)`` int64.
    """
    table = np.asarray(occurrences, dtype=np.int64)
    right = np.clip(np.searchsorted(table, days), 0, len(table) - 1)
    left = np.clip(right - 1, 0, None)
    to_right, to_left = days - table[right], days - table[left]
    return np.where(np.abs(to_left) <= np.abs(to_right), to_left, to_right)
