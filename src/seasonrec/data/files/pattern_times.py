"""Reader of times in a pattern such as ``%d/%m/%Y %H:%M``."""

from __future__ import annotations

import re

import polars as pl

from seasonrec.data.files.row_faults import RowFault
from seasonrec.data.files.time_formats import utc_seconds
from seasonrec.data.files.time_patterns import Token, fixed_width, readable, tokens_of
from seasonrec.data.files.zones import UTC_NAMES, ZONE_EXAMPLES, offsets_by_name
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError

_EXACT_IN_32_BITS = 1 << 24


def check_zone(pattern: str, timezone: str) -> None:
    """Checks that a zone whose name a pattern holds as text, as in ``%H:%M EST``, is known.

    Raises:
        UserError: If neither UTC nor ``timezone`` has this name.
    """
    name = _written_zone(tokens_of(pattern))
    if name is not None and name not in offsets_by_name(timezone):
        raise UserError(
            f"time_format states the zone {name}, which data.timezone={timezone} does not have, got {pattern!r}; set "
            f"data.timezone={ZONE_EXAMPLES[name]}, or write offsets into the file and read them with %z."
        )


class PatternTimes:
    """Reader of times in a pattern; whole numbers are read as their digits.

    An offset (``%z``), seconds since 1970 (``%s``) and the name of a zone, as text in the pattern or as ``%Z``, make
    the times absolute. Names are those of UTC and of ``timezone``: EST and EDT in ``America/New_York``. Leading zeros
    that a number has lost are added where the pattern has digits alone.

    Args:
        pattern: The pattern, checked by :func:`~seasonrec.data.files.time_patterns.check_pattern`.
        timezone: IANA zone of times that state none.
    """

    def __init__(self, pattern: str, timezone: str) -> None:
        tokens = tokens_of(pattern)
        self._readable, self._width = readable(tokens), fixed_width(tokens)
        self._timezone = timezone
        self._is_absolute = self._readable.has_offset or any(token.letter == "s" for token in tokens)
        self._written_zone = _written_zone(tokens)
        self._zone = _zone_expression(tokens) if any(token.letter == "Z" for token in tokens) else None
        self._pattern = pattern
        self._rows = 0
        self._strange, self._inexact = RowFault(), RowFault()

    @property
    def read_as(self) -> str:
        """Description of the pattern, with the zone of times that state none."""
        return self._pattern if self.states_zone else f"{self._pattern} ({self._timezone})"

    @property
    def states_zone(self) -> bool:
        """True if the times state their zone, so that they are not local to ``timezone``."""
        return self._is_absolute or self._written_zone is not None or self._zone is not None

    def seconds(self, column: pl.Series) -> pl.Series:
        """Returns ``(E,)`` Int64 seconds of the next chunk, null where the pattern does not fit."""
        text = self._text(column)
        naive = self._readable.read(text)
        if naive.null_count() > text.null_count():
            naive = self._readable.read(self._tidied(text))
        seconds = self._seconds(naive, text)
        self._rows += len(column)
        return seconds

    def finish(self, place: str) -> None:
        """Raises a DataError if a time states an unknown zone, or is a number without all its digits."""
        strange, inexact = self._strange, self._inexact
        if inexact.count:
            raise DataError(
                f"{place}: 32-bit floats hold whole numbers up to {_EXACT_IN_32_BITS:,} only, got "
                f"{inexact.value:.0f} {inexact.place}; write whole numbers."
            )
        if strange.count:
            zone = ZONE_EXAMPLES.get(str(strange.value), "Europe/London")
            told = f"{strange.value!r} {strange.place}"
            raise DataError(
                f"{place}: %Z of time_format reads the names of UTC and of data.timezone={self._timezone}, got "
                f"{told}; set data.timezone to the zone of these times, e.g. {zone}, or write offsets such as -0500 "
                "and read them with %z."
            )

    def _text(self, column: pl.Series) -> pl.Series:
        if column.dtype.is_float():
            if column.dtype != pl.Float64:
                self._inexact.add((column > _EXACT_IN_32_BITS).fill_null(False), column, self._rows)
            whole = column.cast(pl.Int64, strict=False)
            column = whole.set((whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(True), None)
        text = column.cast(pl.String)
        return text.str.strip_suffix(".0").str.zfill(self._width) if self._width else text

    def _tidied(self, text: pl.Series) -> pl.Series:
        """Returns text without blanks at its ends; am, pm and UTC in the spelling that polars knows."""
        tidy = text.str.strip_chars().str.replace(r"(?i)\b([ap])\.\s?m\.", "${1}m")
        return tidy.str.replace(r"\s*(?:UTC|GMT|UT)$", " Z") if self._readable.has_offset else tidy

    def _seconds(self, naive: pl.Series, text: pl.Series) -> pl.Series:
        if self._is_absolute:
            return naive.dt.epoch("s")
        if self._written_zone is not None:
            return naive.dt.epoch("s") - offsets_by_name(self._timezone)[self._written_zone]
        if self._zone is None:
            return utc_seconds(naive, self._timezone)
        names = text.str.extract(self._zone, 1)
        offsets = names.str.to_uppercase().replace_strict(
            offsets_by_name(self._timezone), default=None, return_dtype=pl.Int64
        )
        seconds = naive.dt.epoch("s") - offsets
        local = names == self._timezone
        if local.any():
            seconds = seconds.zip_with(~local.fill_null(False), utc_seconds(naive, self._timezone))
        self._strange.add(seconds.is_null() & naive.is_not_null(), names, self._rows)
        return seconds


def _written_zone(tokens: list[Token]) -> str | None:
    """Returns the name of a zone that a pattern holds as text, or None; an offset or ``%s`` takes precedence."""
    if any(token.letter in ("z", "s") for token in tokens if token.directive):
        return None
    words = [word for token in tokens if not token.directive for word in re.findall(r"[A-Za-z]+", token.text)]
    return next((word for word in words if word in UTC_NAMES or word in ZONE_EXAMPLES), None)


def _zone_expression(tokens: list[Token]) -> str:
    """Returns the regular expression whose first group is the text of ``%Z``."""
    parts = []
    for token in tokens:
        if not token.directive:
            parts.append(re.sub(r"\\?\s+", r"\\s+", re.escape(token.text)))
        elif token.letter == "Z":
            parts.append(r"([A-Za-z][\w/+-]*)")
        else:
            parts.append(r"\pL+\.?" if token.letter in "aAbBhpP" else r"\s*[\d.,]+")
    return rf"^\s*{''.join(parts)}\s*$"
