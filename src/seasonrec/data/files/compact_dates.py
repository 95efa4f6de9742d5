"""Numbers that are the digits of a calendar date, such as 20140701 or 1407011303."""

from __future__ import annotations

import time

import polars as pl

from seasonrec.data.files.pattern_times import PatternTimes
from seasonrec.data.files.time_patterns import fixed_width, tokens_of
from seasonrec.data.spec import SECONDS_PER_DAY

LAYOUTS = (
    "%Y%m%d%H%M%S%3f",
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M",
    "%Y%m%d%H",
    "%Y%m%d",
    "%y%m%d%H%M%S",
    "%y%m%d%H%M",
    "%y%m%d",
    "%d%m%Y%H%M%S",
    "%m%d%Y%H%M%S",
    "%d%m%Y%H%M",
    "%m%d%Y%H%M",
    "%d%m%Y",
    "%m%d%Y",
    "%d%m%y%H%M",
    "%d%m%y",
    "%m%d%y",
)
"""Patterns of dates in digits alone."""

_FEW_ROWS = 1000
_LOST_ZEROS = 3


class CompactDates:
    """Layouts of dates that all numbers of a file fit, with dates from 1970 to tomorrow.

    Seconds since 1970 fit one by accident: of two million random ones of 2001 to 2025, 0.55% read as ``%y%m%d%H%M``.
    Three times on two dates hardly do, nor do 20 times within one date.
    """

    def __init__(self) -> None:
        self._left: list[str] | None = None
        self._numbers: pl.Series | None = None

    def look(self, numbers: pl.Series) -> None:
        """Adds the next chunk: ``(E,)`` Int64, or whole Float64; null where there is no number."""
        if self._left == [] or not len(numbers):
            return
        left = _of_width(numbers) if self._left is None else self._left
        for rows in (1, _FEW_ROWS, len(numbers)):
            left = [layout for layout in left if _fits(numbers.head(rows), layout)]
        self._left = left
        if self._numbers is None and self._left:
            self._numbers = numbers

    def fitting(self) -> list[str]:
        """Returns the layouts that all numbers fit."""
        return self._left or []

    def is_certain(self, layout: str) -> bool:
        """Checks that the numbers of the first chunk do not fit a layout by accident."""
        if self._numbers is None:
            return False
        seconds = _read(self._numbers, layout)
        times, days = seconds.n_unique(), (seconds // SECONDS_PER_DAY).n_unique()
        return (times >= 3 and days >= 2) or times >= 20

    def first(self, layout: str) -> int:
        """Returns the first time in a layout, in seconds since 1970-01-01 UTC."""
        assert self._numbers is not None  # a layout that fits has been looked at
        return int(_read(self._numbers.drop_nulls().head(1), layout)[0])


def _of_width(numbers: pl.Series) -> list[str]:
    """Returns the layouts with as many digits as the largest number, or with a few zeros before them."""
    largest = numbers.max()
    if not isinstance(largest, int | float) or not 0 < largest < 1e18:
        return []
    digits = len(str(int(largest)))
    return [layout for layout in LAYOUTS if 0 <= fixed_width(tokens_of(layout)) - digits <= _LOST_ZEROS]


def _read(numbers: pl.Series, layout: str) -> pl.Series:
    return PatternTimes(layout, "UTC").seconds(numbers)


def _fits(numbers: pl.Series, layout: str) -> bool:
    if numbers.null_count():
        return False
    seconds = _read(numbers, layout)
    inside = (seconds >= 0) & (seconds < time.time() + SECONDS_PER_DAY)
    return bool(inside.fill_null(False).all())
