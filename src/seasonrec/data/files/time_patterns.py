"""Patterns of time such as ``%d/%m/%Y %H:%M``: their directives, and what a pattern must name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from seasonrec.errors import UserError

EXAMPLE = "'%d/%m/%Y %H:%M'"

_SHORT = {
    "%F": "%Y-%m-%d",
    "%D": "%m/%d/%y",
    "%x": "%m/%d/%y",
    "%v": "%e-%b-%Y",
    "%T": "%H:%M:%S",
    "%X": "%H:%M:%S",
    "%R": "%H:%M",
    "%r": "%I:%M:%S %p",
    "%c": "%a %b %e %H:%M:%S %Y",
    "%+": "%Y-%m-%dT%H:%M:%S%.f%z",
    "%t": " ",
    "%n": " ",
}
"""Directives that stand for others."""

_TOKEN = re.compile(r"%(?P<directive>%|[-_0]?[A-Za-z]|\.?[369]?f|[:#]{1,3}z)|(?P<literal>[^%]+)|(?P<stray>%.?)")
_KNOWN = frozenset("YCymbBhdeaAwuUWGgVjHkIlPpMSfZzs%")
_WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "3f": 3, "6f": 6, "9f": 9}

_YEARS, _MONTHS, _DAYS = ("Y", "y", "G", "g"), ("m", "b", "B", "h"), ("d", "e")
_WEEKS, _WEEKDAYS = ("U", "W", "V"), ("a", "A", "w", "u")
_HOURS_OF_12, _HALVES = ("I", "l"), ("p", "P")
_HOURS = ("H", "k", *_HOURS_OF_12)

_OFFSET = re.compile(r"(?P<before>.*?)[+-]\d\d:?\d\d(?P<after>.*)", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """Piece of a pattern.

    Args:
        text: The piece as written.
        directive: Letter of the directive with its modifier, for example ``Y`` or ``3f``; empty for literal text.
    """

    text: str
    directive: str = ""

    @property
    def letter(self) -> str:
        """Letter of the directive without its modifier."""
        return self.directive[-1:]


def tokens_of(pattern: str) -> list[Token]:
    """Returns the pieces of a pattern; directives that stand for others are replaced.

    An offset that is written out after the clock time, as in ``%H:%M:%S+00:00``, becomes ``%z``.

    Raises:
        UserError: If a directive is unknown.
    """
    for short, long in _SHORT.items():
        pattern = re.sub(rf"(?<!%)((?:%%)*){re.escape(short)}", rf"\g<1>{long}", pattern)
    tokens: list[Token] = []
    for found in _TOKEN.finditer(pattern):
        directive = found["directive"] or ""
        if found["stray"] or (directive and directive[-1] not in _KNOWN):
            raise UserError(
                f"time_format knows no directive {found[0]}, got {pattern!r}; use those of strftime, e.g. {EXAMPLE}."
            )
        offset = _OFFSET.fullmatch(found[0]) if _any([token.letter for token in tokens], _HOURS) else None
        if offset and not directive:
            tokens += [Token(offset["before"]), Token("%z", "z"), Token(offset["after"])]
        else:
            tokens.append(Token(found[0], directive))
    return [token for token in tokens if token.text]


def check_pattern(pattern: str) -> None:
    """Checks that a pattern names a day, and can be read.

    Raises:
        UserError: If it cannot be right; the message names what is missing or told twice.
    """
    tokens = tokens_of(pattern)
    letters = [token.letter for token in tokens if token.directive]
    fault = next(_faults(letters), None)
    if fault is not None:
        remedy = _corrected(pattern)
        shown = f"did you mean {remedy!r}?" if remedy else f"e.g. {EXAMPLE}."
        raise UserError(
            f"time_format must name year, month, day and clock once each, got {pattern!r}: {fault}; {shown}"
        )
    if "s" not in letters and not _reads_itself(tokens):
        raise UserError(f"time_format {pattern!r} cannot be read back; use another pattern, e.g. {EXAMPLE}.")


def _faults(letters: list[str]) -> Iterator[str]:
    """Yields the faults of a pattern, the most telling first."""
    if "s" in letters:
        return
    missing = _missing(letters)
    if missing == "month" and "M" in letters:
        yield "%M is minutes, %m is months"
    if letters.count("m") > 1 and "M" not in letters and _any(letters, _HOURS):
        yield "%m is months and occurs twice, %M is minutes"
    if "h" in letters and "m" in letters:
        yield "%h is the name of a month, %H is hours"
    if missing:
        yield f"it names no {missing}"
    for letter in letters:
        if letter not in "%f" and letters.count(letter) > 1:
            yield f"%{letter} occurs twice"
    yield from _clock_faults(letters)


def _missing(letters: list[str]) -> str:
    """Returns the first of year, month and day that a pattern does not name, or an empty text."""
    if not _any(letters, _YEARS):
        return "year"
    if "j" in letters or (_any(letters, _WEEKS) and _any(letters, _WEEKDAYS)):
        return ""
    if not _any(letters, _MONTHS):
        return "month"
    return "" if _any(letters, _DAYS) else "day"


def _clock_faults(letters: list[str]) -> Iterator[str]:
    hour, half = _any(letters, _HOURS), _any(letters, _HALVES)
    if _any(letters, _HOURS_OF_12) and not half:
        yield "hours of %I need %p (am or pm), hours from 0 to 23 are %H"
    if half and not _any(letters, _HOURS_OF_12):
        yield "%p (am or pm) needs hours of %I"
    if "M" in letters and not hour:
        yield "minutes (%M) need hours (%H)"
    if "S" in letters and "M" not in letters:
        yield "seconds (%S) need minutes (%M)"


def _any(letters: list[str], wanted: tuple[str, ...]) -> bool:
    return any(letter in wanted for letter in letters)


def _corrected(pattern: str) -> str | None:
    """Returns a pattern with a usual mistake mended, or None."""
    last_m = pattern.rfind("%m")
    for other in (
        pattern.replace("%M", "%m", 1),
        pattern[:last_m] + pattern[last_m:].replace("%m", "%M"),
        pattern.replace("%h", "%H"),
        pattern.replace("%D", "%d"),
        pattern.replace("%I", "%H"),
        pattern.replace("%H", "%I"),
    ):
        letters = [token.letter for token in tokens_of(other) if token.directive]
        if next(_faults(letters), None) is None and _reads_itself(tokens_of(other)):
            return other
    return None


def _reads_itself(tokens: list[Token]) -> bool:
    """Checks that a time written in a pattern is read as the same day."""
    moment = datetime(2013, 5, 17, 13, 58, 49, 123_000, tzinfo=UTC)
    written = pl.Series([moment]).dt.strftime("".join(token.text for token in tokens))
    try:
        read = readable(tokens).read(written)
    except pl.exceptions.PolarsError:
        return False
    return bool((read.dt.date() == moment.date()).fill_null(False).all())


@dataclass(frozen=True)
class Readable:
    """Pattern in the form that polars reads.

    Args:
        text: The pattern.
        has_clock: Whether it names hours or is ``%s``; without, it is read as a day.
        has_offset: Whether it names an offset; the times are then absolute.
        lacks_minutes: Whether it names hours without minutes; ``" 00"`` must then be added to each time.
    """

    text: str
    has_clock: bool
    has_offset: bool
    lacks_minutes: bool

    def read(self, column: pl.Series) -> pl.Series:
        """Returns the ``(E,)`` date-times of text, null where it does not fit; with an offset, in UTC."""
        written = column + " 00" if self.lacks_minutes else column
        with warnings.catch_warnings(action="ignore", category=pl.exceptions.ChronoFormatWarning):
            if self.has_offset:
                return written.str.to_datetime(self.text, time_unit="us", strict=False, time_zone="UTC")
            if self.has_clock:
                return written.str.to_datetime(self.text, time_unit="us", strict=False)
            return written.str.to_date(self.text, strict=False).cast(pl.Datetime("us"))


def readable(tokens: list[Token]) -> Readable:
    """Returns a pattern for polars: offsets of any form, decimals of any length, and minutes with the hours."""
    text = ""
    for token in tokens:
        if token.letter == "z":
            text += "%#z"
        elif token.directive == "f" and text.endswith("."):
            text = text[:-1] + "%.f"
        else:
            text += token.text
    letters = [token.letter for token in tokens]
    has_hours = _any(letters, _HOURS)
    lacks_minutes = has_hours and "M" not in letters
    text = f"{text} %M" if lacks_minutes else text
    return Readable(text, has_hours or "s" in letters, "z" in letters, lacks_minutes)


def fixed_width(tokens: list[Token]) -> int:
    """Returns the number of digits of a pattern of digits alone, for example 8 for ``%Y%m%d``; 0 for others."""
    widths = [_WIDTHS.get(token.directive, 0) for token in tokens]
    return sum(widths) if all(widths) else 0
