"""Faults in the rows of a file, collected over all chunks of the file for one message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

_LONGEST = 100
"""Characters of a text that a message shows."""


@dataclass
class RowFault:
    """Rows of a whole file that break one rule.

    Args:
        count: Number of such rows.
        row: Number of the first such row, counted from 1 without the header.
        value: Value in that row.
    """

    count: int = 0
    row: int = 0
    value: Any = None

    @property
    def place(self) -> str:
        """Text of the first row and the number of rows, for messages."""
        return f"in row {self.row:,} (header not counted) and {self.count:,} such rows in all"

    def add(self, bad: pl.Series, values: pl.Series, rows_before: int) -> None:
        """Adds one chunk of the file: ``(E,)`` bad rows (bool), ``(E,)`` values, and the number of rows before it."""
        count = int(bad.sum())
        if count and not self.count:
            first = int(bad.arg_true()[0])
            self.row, self.value = rows_before + first + 1, _short(values[first])
        self.count += count


@dataclass
class BlankFault(RowFault):
    """Rows in which a key is null or blank text."""

    def look(self, values: pl.Series, rows_before: int) -> None:
        """Adds the null and blank values of one chunk of the file."""
        blank = values.is_null()
        if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
            blank = blank | (values.cast(pl.String).str.strip_chars() == "").fill_null(False)
        self.add(blank, values, rows_before)

    def message(self, place: str) -> str:
        return (
            f"{place} is a key and must not be null, got {self.count:,} null or blank values, the first in row "
            f"{self.row:,} (header not counted); fill or remove these rows."
        )


def _short(value: Any) -> Any:
    """Returns a value; of a long text, its beginning."""
    return f"{value[:_LONGEST]}..." if isinstance(value, str) and len(value) > _LONGEST else value


def shown_time(seconds: int) -> str:
    """Returns a time as ``YYYY-MM-DD HH:MM:SS UTC``, or the seconds where the calendar ends."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC".rjust(23, "0")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"
