"""Local days and holidays: times on the clock of the customers, not of the servers."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import holidays
import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError

EPOCH = dt.date(1970, 1, 1)
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def local_days(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Converts times in UTC seconds to days of the local calendar since 1970-01-01.

    Args:
        times_s: ``(N,)`` int64, seconds since 1970-01-01 UTC.
        timezone: IANA name, for example ``"America/New_York"``.

    Returns:
        ``(N,)`` int64 day numbers; a daylight-saving change moves no event into another day.
    """
    times_s = np.asarray(times_s, dtype=np.int64)
    if len(times_s) and not (times_s.min() >= 0 and times_s.max() < _CLOCK_END_S):
        return (times_s + _offsets_s(times_s, timezone)) // SECONDS_PER_DAY
    changes_s, offsets_s = clock(timezone)
    return (times_s + offsets_s[np.searchsorted(changes_s, times_s, side="right") - 1]) // SECONDS_PER_DAY


_CLOCK_END_S = 4_102_444_800
"""2100-01-01 UTC."""


@lru_cache(maxsize=32)
def clock(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the seconds from 1970 to 2100 at which the UTC offset of a zone changes, and the offsets in seconds.

    Both are ``(K,)`` int64; the first period begins at 0. A table of some hundred rows replaces a call of a calendar
    library per batch. It assumes that no zone changes twice in a day.
    """
    days_s = np.arange(0, _CLOCK_END_S + SECONDS_PER_DAY, SECONDS_PER_DAY)
    offsets_s = _offsets_s(days_s, timezone)
    change = np.flatnonzero(np.diff(offsets_s))
    low, high, new_s = days_s[change], days_s[change + 1], offsets_s[change + 1]
    while ((high - low) > 1).any():
        middle = (low + high) // 2
        changed = _offsets_s(middle, timezone) == new_s
        low, high = np.where(changed, low, middle), np.where(changed, middle, high)
    return np.append(0, high), np.append(offsets_s[0], new_s)


def _offsets_s(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Returns ``(N,)`` seconds by which the local clock is ahead of UTC."""
    utc = pl.from_epoch(pl.Series(times_s), time_unit="s").dt.replace_time_zone("UTC")
    local = utc.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    return local.dt.epoch("s").to_numpy().astype(np.int64) - times_s


def weekdays(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the weekdays of day numbers, Monday = 0."""
    return (days + EPOCH_WEEKDAY) % 7


def check_country(country: str) -> None:
    """Checks that the holidays of a country are known.

    Raises:
        ValueError: If the ``holidays`` package does not know the country.
    """
    if country not in holidays.list_supported_countries():
        raise UserError(
            f"country must be an ISO 3166 code that the holidays package knows, got {country!r}; "
            "set data.country, for example to US, or to null for no holidays."
        )


@lru_cache(maxsize=32)
def holiday_days(country: str | None, first_year: int, last_year: int) -> dict[str, tuple[int, ...]]:
    """Returns the day numbers of every public and, if the country has them, unofficial holiday, by name.

    Substitute days off are left out: people shop for the holiday itself.

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
    check_country(country)
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
    """Returns days since the nearest occurrence: negative before the holiday, 0 on it, positive after it.

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
