"""Holiday windows: the weeks in which people shop for a holiday, and the week after Christmas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.calendar import holiday_days, weekdays
from seasonrec.data.occasions import Occasion
from seasonrec.holiday_names import plain_name, snake_case

CHRISTMAS = "christmas"
DAYS_PER_WEEK = 7


def window_names(
    days: NDArray[np.int64], holidays: tuple[str, ...], country: str | None, occasions: Sequence[Occasion] = ()
) -> list[str | None]:
    """Returns the name of the holiday window of every local day; None for an ordinary day.

    A holiday window is the local Monday-to-Sunday week that holds the holiday's eve, and the week before it. The seven
    days after the Christmas window are ``after_christmas``. In the US of 2017 Thanksgiving is 13-26 November, Christmas
    11-24 December and after_christmas 25-31 December. If windows overlap, the day belongs to the holiday named first;
    ``after_christmas`` comes last. An occasion of the user's own calendar has a window in the same way; one of several
    days has the week before the week of its first day's eve, and all weeks up to that of its last day.

    Args:
        days: ``(N,)`` local day numbers, days since 1970-01-01.
        holidays: Names as in :class:`~seasonrec.evaluation.protocol.Protocol`; a window has the name of its
            holiday in snake case.
        country: ISO 3166 code; None gives no windows of public holidays.
        occasions: The user's own calendar. A window is fixed by the dates alone, so ``known_from`` has no effect here.

    Raises:
        ValueError: If the ``holidays`` package does not know the country.
    """
    distinct, place = np.unique(days, return_inverse=True)
    if not len(distinct):
        return []
    windows = _windows(distinct, holidays, country, occasions)
    names = np.array([windows.get(int(day)) for day in distinct], dtype=object)
    return names[place].tolist()


def slice_names(holidays: Sequence[str]) -> list[str]:
    """Returns the names of the slices that the windows of these holidays make."""
    after = [f"after_{CHRISTMAS}"] if CHRISTMAS in map(plain_name, holidays) else []
    return [*map(snake_case, holidays), *after]


def _windows(
    distinct: NDArray[np.int64], holidays: tuple[str, ...], country: str | None, occasions: Sequence[Occasion]
) -> dict[int, str]:
    """Returns window names by day number; the given days are distinct and ascending."""
    years = pl.Series(distinct[[0, -1]].astype(np.int32)).cast(pl.Date).dt.year()
    public = holiday_days(country, years[0] - 1, years[1] + 1)
    dates = [(name, day, day) for name, days in public.items() for day in days]
    dates += [(one.name, one.first_day, one.last_day) for one in occasions]
    windows: dict[int, str] = {}
    after: dict[int, str] = {}
    for holiday in holidays:
        for _, first, last in (date for date in dates if plain_name(date[0]) == plain_name(holiday)):
            monday = _monday(first - 1)
            stop = (monday if first == last else _monday(last)) + DAYS_PER_WEEK
            _claim(windows, range(monday - DAYS_PER_WEEK, stop), snake_case(holiday))
            if plain_name(holiday) == CHRISTMAS:
                _claim(after, range(stop, stop + DAYS_PER_WEEK), f"after_{CHRISTMAS}")
    return after | windows


def _monday(day: int) -> int:
    """Returns the first day of the week of a day."""
    return day - int(weekdays(np.array(day)))


def _claim(windows: dict[int, str], days: range, name: str) -> None:
    for day in days:
        windows.setdefault(day, name)
