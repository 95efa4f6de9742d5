"""First and last time of a file, and rows that lie years away from all others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from seasonrec.data.files.row_faults import RowFault, shown_time
from seasonrec.data.spec import DAYS_PER_YEAR, SECONDS_PER_DAY
from seasonrec.data.tables import DataError

_YEAR_S = round(DAYS_PER_YEAR * SECONDS_PER_DAY)
_START_OF_1900_S = -2_208_988_800

_PLACEHOLDERS_S = (0, _START_OF_1900_S)
"""Times that stand for an unknown one: zero, and the first day of many calendars; within a day, for any zone."""

_FEW = 0.05
"""Share of the rows up to which those that lie apart are told."""

_APART_YEARS = 3


@dataclass(frozen=True)
class _End:
    """First or last time of a file, with its row counted from 1 without the header."""

    seconds: int
    row: int
    value: Any

    def __str__(self) -> str:
        return f"{self.value} = {shown_time(self.seconds)} in row {self.row:,} (header not counted)"


class TimeSpan:
    """Facts on the times of a file, collected chunk by chunk.

    Attributes:
        first_s: Earliest time, seconds since 1970-01-01 UTC; 0 without any.
        last_s: Latest time.
    """

    def __init__(self) -> None:
        self.first_s = self.last_s = 0
        self._first: _End | None = None
        self._last: _End | None = None
        self._years = Counter[int]()
        self._old, self._placeholders = RowFault(), RowFault()
        self._placeholder_s = 0
        self._after_s: int | None = None

    def look(self, seconds: pl.Series, column: pl.Series, rows_before: int) -> None:
        """Adds one chunk: ``(E,)`` seconds, null where unread, the values, and the number of rows before it."""
        low, high = seconds.arg_min(), seconds.arg_max()
        if low is None or high is None:
            return
        first, last = (_End(int(seconds[at]), rows_before + at + 1, column[at]) for at in (low, high))
        if self._first is None or first.seconds < self._first.seconds:
            self._first, self.first_s = first, first.seconds
        if self._last is None or last.seconds > self._last.seconds:
            self._last, self.last_s = last, last.seconds
        if first.seconds < SECONDS_PER_DAY:
            self._look_at_old(seconds, column, rows_before)
        else:
            self._after_s = first.seconds if self._after_s is None else min(first.seconds, self._after_s)
        start, end = first.seconds // _YEAR_S, last.seconds // _YEAR_S
        if end - start <= _APART_YEARS:  # no gap, and faster
            self._years.update({end: 0})
            self._years.update({start: len(seconds) - seconds.null_count()})
        else:
            years = (seconds.drop_nulls() // _YEAR_S).to_numpy()
            self._years.update({start + place: rows for place, rows in enumerate(np.bincount(years - start)) if rows})

    def check(self, place: str, read_as: str, remedy: str) -> None:
        """Raises a DataError if a time lies before 1900, or stands for an unknown one.

        Args:
            place: File and column.
            read_as: Description of the format.
            remedy: What to do with times before 1900.
        """
        old, empty = self._old, self._placeholders
        if old.count and self._first is not None:
            raise DataError(
                f"{place}: a time must not lie before 1900, got {self._first} and {old.count:,} such rows in all, read "
                f"as {read_as}; {remedy}."
            )
        if empty.count and self._after_s is not None and self._after_s > self._placeholder_s + _YEAR_S:
            raise DataError(
                f"{place}: an unknown time must not be written as a date, got {empty.value} = "
                f"{shown_time(self._placeholder_s)} {empty.place}, while all others begin on "
                f"{shown_time(self._after_s)[:10]}; correct or remove these rows."
            )

    def notes(self, place: str, are_numbers: bool) -> list[str]:
        """Returns notes on few rows that lie years before or after all others, and on numbers before 1970."""
        total, found = sum(self._years.values()), []
        if are_numbers and (early := sum(rows for year, rows in self._years.items() if year < 0)):
            return [f"{place}: {early:,} of {total:,} rows lie before 1970, the first {self._first}"]
        years = sorted(self._years)
        gaps = [number for number in range(1, len(years)) if years[number] - years[number - 1] > _APART_YEARS]
        for gap in gaps[:1]:
            if (few := sum(self._years[year] for year in years[:gap])) <= _FEW * total:
                found.append(f"{place}: {few:,} of {total:,} rows lie years before all others, the first {self._first}")
        for gap in gaps[-1:]:
            if (few := sum(self._years[year] for year in years[gap:])) <= _FEW * total:
                found.append(f"{place}: {few:,} of {total:,} rows lie years after all others, the last {self._last}")
        return found

    def _look_at_old(self, seconds: pl.Series, column: pl.Series, rows_before: int) -> None:
        self._old.add((seconds < _START_OF_1900_S - SECONDS_PER_DAY).fill_null(False), column, rows_before)
        empty = pl.Series([False]).new_from_index(0, len(seconds))
        for placeholder_s in _PLACEHOLDERS_S:
            empty = empty | ((seconds - placeholder_s).abs() < SECONDS_PER_DAY).fill_null(False)
        if empty.any() and not self._placeholders.count:
            self._placeholder_s = int(seconds[int(empty.arg_true()[0])])
        self._placeholders.add(empty, column, rows_before)
        after_s = seconds.filter(~empty & seconds.is_not_null()).min()
        if isinstance(after_s, int):
            self._after_s = after_s if self._after_s is None else min(after_s, self._after_s)
