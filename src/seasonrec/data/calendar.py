"""Local days and holidays in the time zone of the customers."""

from __future__ import annotations

import datetime as dt
import hashlib
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
    return local_seconds(times_s, timezone) // SECONDS_PER_DAY


def local_seconds(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Returns the ``(N,)`` seconds that a local clock without a time zone would have counted since 1970-01-01."""
    times_s = np.asarray(times_s, dtype=np.int64)
    if len(times_s) and not (times_s.min() >= 0 and times_s.max() < _CLOCK_END_S):
        return times_s + _offsets_s(times_s, timezone)
    changes_s, offsets_s = clock(timezone)
    return times_s + offsets_s[np.searchsorted(changes_s, times_s, side="right") - 1]


_CLOCK_END_S = 4_102_444_800
"""2100-01-01 UTC."""


@lru_cache(maxsize=32)
def clock(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the times from 1970 to 2100 at which the UTC offset of a zone changes, and the new offsets.

    Both are ``(K,)`` int64 seconds; the first time is 0. Looking up a time in this table is faster than a call of a
    calendar library per batch. The table assumes that no zone changes its offset twice in a day.
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


def clock_digest(timezone: str, until_s: int) -> str:
    """Returns 16 hexadecimal characters of a zone's offsets until a second.

    The days come from the time-zone database that is compiled into polars, whose version no program can ask for. Its
    content says more than a version: it changes only if the zone's own past does.
    """
    changes_s, offsets_s = clock(timezone)
    known = changes_s <= until_s
    return hashlib.sha256(changes_s[known].tobytes() + offsets_s[known].tobytes()).hexdigest()[:16]


def _offsets_s(times_s: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Returns ``(N,)`` seconds by which the local clock is ahead of UTC."""
    utc = pl.from_epoch(pl.Series(times_s), time_unit="s").dt.replace_time_zone("UTC")
    local = utc.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    return local.dt.epoch("s").to_numpy().astype(np.int64) - times_s


def days_earlier(times_s: NDArray[np.int64], days: int, timezone: str) -> NDArray[np.int64]:
    """Returns the ``(N,)`` times that the local clock showed ``days`` days earlier.

    A fixed number of seconds would cross midnight where daylight saving lies between the two dates.
    """
    moved_s = times_s - days * SECONDS_PER_DAY
    return moved_s + _offsets_s(times_s, timezone) - _offsets_s(moved_s, timezone)


def weekdays(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the weekdays of day numbers; Monday is 0."""
    return (days + EPOCH_WEEKDAY) % 7


def check_country(country: str) -> None:
    """Raises a ValueError if the ``holidays`` package does not know the country."""
    if country not in holidays.list_supported_countries():
        raise UserError(
            f"data.country must be an ISO 3166 code that the holidays package knows, got {country!r}; "
            "set data.country, for example to US, or to null for no holidays."
        )


@lru_cache(maxsize=32)
def holiday_days(country: str | None, first_year: int, last_year: int) -> dict[str, tuple[int, ...]]:
    """Returns the days of every public holiday, and of every unofficial one if the country has them, by name.

    Substitute days off are left out: people shop for the holiday itself.

    Returns:
        Rising days since 1970-01-01 by holiday, in the order of the names; ``last_year`` is included.

    Raises:
        ValueError: If the ``holidays`` package does not know the country.
    """
    if country is None:
        return {}
    check_country(country)
    supported = holidays.country_holidays(country).supported_categories
    categories = tuple(category for category in ("public", "unofficial") if category in supported)
    calendar = holidays.country_holidays(
        country, years=range(first_year, last_year + 1), categories=categories, language="en_US", observed=False
    )
    found: dict[str, list[int]] = {}
    for date in sorted(calendar):
        for name in calendar.get_list(date):
            found.setdefault(name, []).append((date - EPOCH).days)
    return {name: tuple(found[name]) for name in sorted(found)}


def signed_distances(days: NDArray[np.int64], occurrences: tuple[int, ...]) -> NDArray[np.int64]:
    """Returns ``(N,)`` int64 days since the nearest occurrence of a holiday; negative before it.

    Args:
        days: ``(N,)`` day numbers.
        occurrences: Rising day numbers of one holiday, at least one.
    """
    table = np.asarray(occurrences, dtype=np.int64)
    right = np.clip(np.searchsorted(table, days), 0, len(table) - 1)
    left = np.clip(right - 1, 0, None)
    to_right, to_left = days - table[right], days - table[left]
    return np.where(np.abs(to_left) <= np.abs(to_right), to_left, to_right)
