"""Reader of times that are numbers since 1970."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from seasonrec.data.files.compact_dates import CompactDates
from seasonrec.data.files.row_faults import RowFault, shown_time
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.data.tables import DataError

UNITS = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
"""Parts of a second of each unit."""

_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

_FROM = {"s": 1e8, "ms": 1e11, "us": 1e14, "ns": 1e17}
"""Least number of each unit: from 1973-03-03, up to the year 5138 where the next unit begins."""

_COARSE_S = 10
"""Step in seconds from which on all times being its multiples is told."""

_ENOUGH_ROWS = 20

_SHEET_FROM, _SHEET_TO = 20_000, 80_000
"""Days since 1900 by which spreadsheets count dates of 1954 to 2118."""

_UNLIKELY_BEFORE_S = 10 * 365 * 86_400
"""End of the years in which only dates that are taken for milliseconds lie."""


def starts_with_number(column: pl.Series) -> bool:
    """Checks whether the first row is a number or the text of one."""
    return column.dtype.is_numeric() or bool(_numbers(column.head(1)).is_finite().fill_null(False).all())


class NumberTimes:
    """Reader of times that are numbers of a unit; None recognises the unit from the numbers."""

    def __init__(self, unit: str | None) -> None:
        self._is_told = unit is not None
        self._unit = unit
        self._low, self._high = math.inf, -math.inf
        self._low_row = self._high_row = 0
        self._lost, self._step = RowFault(), 0.0
        self._divisor = 0
        self._first: int | float | None = None
        self._rows = 0
        self._dates = CompactDates()

    def seconds(self, column: pl.Series) -> pl.Series:
        """Returns ``(E,)`` Int64 seconds of the next chunk, null where it holds no number.

        The first chunk decides the unit. :meth:`description` raises an error if it is unclear or changes.
        """
        numbers = column.cast(pl.Int64, strict=False)  # exact and faster; most logs hold whole seconds
        if numbers.null_count() or column.dtype.is_float():
            numbers = _numbers(column)
            self._look_at_digits(column, numbers)
        self._look_at_ends(numbers)
        if self._unit is None:
            self._unit = _unit(self._low, self._high) or "s"
        if not self._is_told:
            self._dates.look(numbers)
        self._look_at_divisor(numbers)
        if self._first is None and numbers.null_count() < len(numbers):
            self._first = numbers.drop_nulls()[0]
        self._rows += len(column)
        scale = UNITS[self._unit]
        if numbers.dtype == pl.Int64:
            return numbers if scale == 1 else numbers // scale
        return (numbers / scale).floor().cast(pl.Int64, strict=False)

    def description(self, place: str) -> str:
        """Returns the description of the unit.

        Raises:
            DataError: If the unit cannot be recognised from the numbers.
        """
        if not self._is_told and self._low <= self._high and _unit(self._low, self._high) is None:
            raise DataError(
                f"{place}: times must be recognisable as seconds (1e8 to 1e11), milliseconds (to 1e14), microseconds "
                f"(to 1e17) or nanoseconds since 1970, got numbers from {self._low:.15g} to {self._high:.15g} (rows "
                f"{self._low_row:,} and {self._high_row:,}, header not counted); {self._remedy()}."
            )
        return f"{_NAMES[self._unit or 's']} since 1970 UTC"

    def finish(self, place: str, last_s: int, limit_s: int) -> list[str]:
        """Returns notes on numbers that may mean something else.

        Args:
            place: File and column, for messages.
            last_s: Latest time.
            limit_s: Latest possible time.

        Raises:
            DataError: If all numbers are also calendar dates, or have lost digits.
        """
        unit, likely = self._unit or "s", _unit(self._low, self._high)
        notes = self._date_notes(place, last_s, limit_s)
        if self._is_told and likely not in (None, unit):
            seen = f"numbers from {self._low:.15g} to {self._high:.15g} look like {_NAMES[likely]} since 1970"
            notes.append(f"{place}: {seen}; set data.time_format={likely} if they are")
        if self._step > UNITS[unit]:
            lost = self._lost
            step = _duration(self._step / UNITS[unit])
            told = f"{lost.value!r} {lost.place}, known to {step} only (32-bit floats and spreadsheets drop digits)"
            if not self._is_told:
                raise DataError(
                    f"{place}: times must have the digits of whole seconds, got {told}; write whole numbers, or set "
                    f"data.time_format={unit} to read them as they are."
                )
            notes.append(f"{place}: times have lost digits, {told}")
        elif self._rows >= _ENOUGH_ROWS and self._divisor % (60 * UNITS[unit]):
            divisor_s = self._divisor / UNITS[unit]
            if _COARSE_S <= divisor_s < SECONDS_PER_DAY:
                notes.append(f"{place}: all times are multiples of {divisor_s:g} s; digits may have been lost before")
        return notes

    def _date_notes(self, place: str, last_s: int, limit_s: int) -> list[str]:
        unit, fitting = self._unit or "s", self._dates.fitting()
        if not fitting or self._first is None:
            return []
        layout = fitting[0]
        told = (
            f"got {self._first:.0f}, which is {shown_time(int(self._first // UNITS[unit]))} as {_NAMES[unit]} since "
            f"1970 and {self._date(layout)} as a date of {layout}, and all rows have both readings"
        )
        remedy = f"set data.time_format={layout}" + (f" or data.time_format={unit}" if last_s <= limit_s else "")
        if self._dates.is_certain(layout) or not _UNLIKELY_BEFORE_S < last_s <= limit_s:
            raise DataError(f"{place}: numbers must have one reading, {told}; {remedy}.")
        return [f"{place}: numbers have two readings, {told}; the first is used, {remedy} to choose"]

    def _date(self, layout: str) -> str:
        return shown_time(self._dates.first(layout)).removesuffix(" UTC").removesuffix(" 00:00:00")

    def _remedy(self) -> str:
        fitting = self._dates.fitting()
        if fitting:
            first = " or ".join(f"{layout} ({self._date(layout)})" for layout in fitting)
            return f"all are dates of {first}; set data.time_format={fitting[0]}"
        if self._low >= _SHEET_FROM and self._high < _SHEET_TO:
            return "they look like the days of a spreadsheet; write them as dates there"
        if self._low >= _FROM["s"]:
            return "they have several units; write all in one"
        return "set data.time_format=s or data.time_format=ms, or a pattern such as %Y%m%d"

    def _look_at_ends(self, numbers: pl.Series) -> None:
        """Keeps the lowest and the highest number with their rows, but numbers that may stand for an unknown time."""
        if numbers.dtype.is_float():
            numbers = numbers.set(~numbers.is_finite().fill_null(False), None)
        low = numbers.arg_min()
        if low is None:
            return
        if numbers[low] < SECONDS_PER_DAY:
            known = numbers.set((numbers.abs() < SECONDS_PER_DAY).fill_null(False), None)
            numbers = known if known.null_count() < len(known) else numbers
        for at in (numbers.arg_min(), numbers.arg_max()):
            number, row = float(numbers[at or 0]), self._rows + (at or 0) + 1
            if number < self._low:
                self._low, self._low_row = number, row
            if number > self._high:
                self._high, self._high_row = number, row

    def _look_at_digits(self, column: pl.Series, numbers: pl.Series) -> None:
        """Keeps the rows whose numbers are not exact, and the distance of the numbers that they can hold."""
        steps = _steps(column, numbers)
        if steps is not None and steps.null_count() < len(steps):
            self._lost.add(steps.is_not_null(), column, self._rows)
            self._step = max(self._step, float(steps.min()))  # type: ignore[arg-type]  # a number; shorter ones end in 0

    def _look_at_divisor(self, numbers: pl.Series) -> None:
        """Keeps the greatest common divisor of all numbers while it is coarse."""
        if self._divisor == 1:
            return
        for part in (numbers.head(100), numbers):
            whole = part.cast(pl.Int64, strict=False).drop_nulls()
            self._divisor = int(np.gcd.reduce(whole.to_numpy(), initial=self._divisor))
            if self._divisor < _COARSE_S:
                self._divisor = 1
                return


def _numbers(column: pl.Series) -> pl.Series:
    """Returns a column as Float64, null where it holds no number; the decimal sign may be a comma."""
    if column.dtype == pl.String:
        column = column.str.strip_chars().str.replace(r"^(\d{9,}),(\d+)$", "$1.$2")
    return column.cast(pl.Float64, strict=False)


def _steps(column: pl.Series, numbers: pl.Series) -> pl.Series | None:
    """Returns the ``(E,)`` distance to the next number that can be written so, null where it is 1 or less."""
    if column.dtype in (pl.Float32, pl.Float16):
        digits = 2.0 ** (23 if column.dtype == pl.Float32 else 10)
        steps = 2.0 ** (numbers.abs().log(2).floor()) / digits
    elif column.dtype == pl.String:
        parts = column.str.extract_groups(r"^\s*[+-]?\d+[.,]?(?<decimals>\d*)[eE]\+?(?<power>\d+)\s*$").struct.unnest()
        power = parts["power"].cast(pl.Int64) - parts["decimals"].str.len_chars().cast(pl.Int64)
        steps = 10.0 ** power.cast(pl.Float64)
    else:
        return None
    return steps.set(~(steps > 1).fill_null(False), None)


def _duration(seconds: float) -> str:
    """Returns a duration with a unit that a reader can imagine."""
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds:,.0f} s ({seconds / length:.3g} {unit})"
    return f"{seconds:g} s"


def _unit(low: float, high: float) -> str | None:
    if not _FROM["s"] <= low <= high < 1e20:
        return None
    unit = max((name for name in _FROM if low >= _FROM[name]), key=lambda name: _FROM[name])
    return unit if high < _FROM[unit] * 1000 else None
