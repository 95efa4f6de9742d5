"""Patterns that fit all times of a file, proposed where no other format does."""

from __future__ import annotations

import re
from itertools import product

import polars as pl

from seasonrec.data.files.pattern_times import PatternTimes
from seasonrec.data.files.time_patterns import EXAMPLE
from seasonrec.data.files.zones import ZONE_EXAMPLES

_DAYS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%Y-%m-%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%m.%d.%Y",
    "%Y.%m.%d",
    "%d/%m/%y",
    "%m/%d/%y",
    "%y/%m/%d",
    "%d-%m-%y",
    "%m-%d-%y",
    "%y-%m-%d",
    "%d.%m.%y",
    "%Y%m%d",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%Y",
    "%a, %d %b %Y",
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%H:%M:%S,%f", "%I:%M %p", "%I:%M:%S %p", "%H%M%S")
_JOINTS = (" ", "T", ":", ", ")
_OFFSETS = ("", "%z", " %z", " %Z")
_OTHERS = (
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Z %Y",
    "%b %d, %Y at %I:%M %p",
    "%Y-%j",
    "%G-W%V-%u",
)

CANDIDATES = (
    *_DAYS,
    *(f"{day}{joint}{clock}{offset}" for day, joint, clock, offset in product(_DAYS, _JOINTS, _CLOCKS, _OFFSETS)),
    *_OTHERS,
)

_FEW_ROWS = 200
_START_OF_1900_S = -2_208_988_800


class Proposals:
    """Patterns that all times of a file fit; of those that read all times alike, the first."""

    def __init__(self) -> None:
        self._left: dict[str, int] | None = None  # the pattern, and a hash of what it reads
        self._timezone = "UTC"

    def look(self, column: pl.Series, rows_before: int) -> None:
        """Adds a chunk of ``(E,)`` times; nothing is proposed unless the first chunk of the file is among them."""
        if column.dtype != pl.String or (self._left is None and rows_before):
            self._left = {}
            return
        marks = _marks(column[0] or "")
        if self._left is None:
            words = re.findall(r"[A-Z]+", column[0] or "")
            self._timezone = next((ZONE_EXAMPLES[word] for word in words if word in ZONE_EXAMPLES), "UTC")
        left = self._left or {pattern: 0 for pattern in CANDIDATES if marks.startswith(_marks_of(pattern))}
        for rows in (1, _FEW_ROWS):
            left = {
                pattern: seen for pattern, seen in left.items() if self._read(column.head(rows), pattern) is not None
            }
        read = {pattern: self._read(column, pattern) for pattern in left}
        hashes = {pattern: int(seconds.hash().sum()) for pattern, seconds in read.items() if seconds is not None}
        self._left = {pattern: hash((left[pattern], value)) for pattern, value in hashes.items()}

    def remedy(self) -> str:
        """Returns what to do about times that no format reads."""
        left = self._left or {}
        zone = "" if self._timezone == "UTC" else f" and data.timezone={self._timezone}"
        found = [quoted(name) + zone for name, seen in left.items() if name == next(o for o in left if left[o] == seen)]
        if not found:
            return f"correct them or set time_format, e.g. {EXAMPLE}"
        if len(found) == 1:
            return f"all rows fit one pattern: set {found[0]}"
        return f"all rows fit {len(found)} patterns: set the right one of {', '.join(found)}"

    def _read(self, column: pl.Series, pattern: str) -> pl.Series | None:
        """Returns the seconds of times that all fit a pattern and lie after 1900, else None."""
        try:
            seconds = PatternTimes(pattern, self._timezone).seconds(column)
        except pl.exceptions.PolarsError:
            return None
        fits = not seconds.null_count() and bool((seconds > _START_OF_1900_S).all())
        return seconds if fits else None


def _marks(text: str) -> str:
    return re.sub(r"\w", "", text)


def _marks_of(pattern: str) -> str:
    return _marks(re.sub(r"%\.?\w", "", pattern))


def quoted(pattern: str) -> str:
    """Returns the assignment of a pattern as it is typed on a command line."""
    return f"data.time_format=\"'{pattern}'\""
