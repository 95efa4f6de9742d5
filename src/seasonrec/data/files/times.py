"""Conversion of a time column of any supported format to seconds since 1970-01-01 UTC."""

from __future__ import annotations

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from seasonrec.data.files.number_times import UNITS, NumberTimes, starts_with_number
from seasonrec.data.files.pattern_times import PatternTimes, check_zone
from seasonrec.data.files.row_faults import BlankFault, RowFault, shown_time
from seasonrec.data.files.time_formats import from_iso, from_typed
from seasonrec.data.files.time_patterns import EXAMPLE, check_pattern
from seasonrec.data.files.time_proposals import Proposals, quoted
from seasonrec.data.files.time_span import TimeSpan
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError


def check_time_options(time_format: str, timezone: str) -> None:
    """Checks the time format and the zone, before any data is read.

    Raises:
        ValueError: If one is invalid; the message names the option.
    """
    is_pattern = "%" in time_format
    if time_format not in ("auto", *UNITS, "iso") and not is_pattern:
        raise UserError(
            f"time_format must be auto, {', '.join(UNITS)}, iso or a pattern such as {EXAMPLE}, got {time_format!r}."
        )
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(f"timezone must be an IANA name such as Europe/London, got {timezone!r}.") from error
    if is_pattern:
        check_pattern(time_format)
        check_zone(time_format, timezone)


def time_identity(time_format: str) -> dict[str, object]:
    """Returns what a time format adds to the identity of prepared data: a mark where a zone in the text counts.

    Version 0.1 read only ``%z``; logs that it has prepared with another zone in the pattern must not be used.
    """
    is_new = "%" in time_format and "%z" not in time_format and PatternTimes(time_format, "UTC").states_zone
    return {"stated_zone": True} if is_new else {}


class TimeReader:
    """Reader of the times of a file, chunk by chunk; all chunks have the same format.

    Numbers and times with an offset are absolute. Times without an offset, and days, are local to ``timezone``. A local
    time that occurs twice means the first occurrence; one that the clock change skips is moved forward by an hour, one
    on a day that a zone left out (Samoa, 30 December 2011) by a day.

    Args:
        time_format: ``auto``, ``s``, ``ms``, ``us``, ``ns``, ``iso``, or a strptime pattern. With ``auto``, the first
            chunk decides; :meth:`finish` raises an error if a later chunk does not fit.
        timezone: IANA zone of times that carry no offset.
        place: File and column, for messages.
    """

    def __init__(self, time_format: str, timezone: str, place: str) -> None:
        self._format, self._timezone, self._place = time_format, timezone, place
        self._latest_s = int(time.time()) + SECONDS_PER_DAY
        self._read: Callable[[pl.Series], pl.Series] | None = None
        self._read_as, self._first = "", ""
        self._numbers: NumberTimes | None = None
        self._pattern: PatternTimes | None = None
        self._rows = 0
        self._blank, self._unread, self._future = BlankFault(), RowFault(), RowFault()
        self._future_s = 0
        self._proposals = Proposals()
        self._span = TimeSpan()

    def read(self, column: pl.Series) -> pl.Series:
        """Returns ``(E,)`` Int64 seconds since 1970-01-01 UTC of the next chunk, null for unreadable times.

        Raises:
            DataError: If the type of the column and the format do not fit.
        """
        if isinstance(column.dtype, pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        if self._read is None:
            self._read, self._read_as = self._first_reading(column)
        seconds = self._read(column)
        if not self._rows and len(column) and seconds[0] is not None:
            self._first = f"{column[0]} = {shown_time(int(seconds[0]))}"
        if seconds.null_count():
            self._blank.look(column, self._rows)
            self._unread.add(seconds.is_null(), column, self._rows)
        if self._unread.count and not self._blank.count:
            self._proposals.look(column, self._rows)
        bad = (seconds > self._latest_s).fill_null(False)
        if bad.any():
            self._note_future(bad, seconds, column)
        self._span.look(seconds, column, self._rows)
        self._rows += len(column)
        return seconds

    def finish(self) -> list[str]:
        """Returns notes on how the times were read.

        Raises:
            DataError: If a time was null, could not be read, has a second reading or lost digits, lies more than a day
                in the future or before 1900, or stands for an unknown one.
        """
        if self._blank.count:
            raise DataError(self._blank.message(self._place))
        if self._numbers is not None:
            self._read_as = self._numbers.description(self._place)
        if self._pattern is not None:
            self._pattern.finish(self._place)
        self._refuse_unread()
        chosen = "recognised as" if self._format == "auto" else "read as"
        notes = [f"{self._place}: times {chosen} {self._read_as}, the first being {self._first}"]
        if self._numbers is not None:
            notes += self._numbers.finish(self._place, self._span.last_s, self._latest_s)
        self._refuse_future()
        self._span.check(self._place, self._read_as, self._remedy_of_old())
        return [*notes, *self._span.notes(self._place, self._numbers is not None)]

    def _first_reading(self, column: pl.Series) -> tuple[Callable[[pl.Series], pl.Series], str]:
        try:
            return self._reading(column)
        except DataError:
            self._blank.look(column, 0)  # a null is the likelier cause and is reported first
            if self._blank.count:
                raise DataError(self._blank.message(self._place)) from None
            raise

    def _reading(self, column: pl.Series) -> tuple[Callable[[pl.Series], pl.Series], str]:
        """Returns the function that reads the column, and a description of the format."""
        chosen, zone, place = self._format, self._timezone, self._place
        if not (column.dtype.is_temporal() or column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)):
            raise DataError(
                f"{place}: times must be numbers, text, dates or date-times, got {column.dtype}; convert them."
            )
        if column.dtype.is_temporal():
            return from_typed(column.dtype, chosen, zone, place)
        if chosen in UNITS or (chosen == "auto" and starts_with_number(column)):
            self._numbers = NumberTimes(None if chosen == "auto" else chosen)
            return self._numbers.seconds, ""  # described at the end, when the unit is known
        if "%" in chosen and (column.dtype == pl.String or column.dtype.is_numeric()):
            self._pattern = PatternTimes(chosen, zone)
            return self._pattern.seconds, self._pattern.read_as
        if column.dtype != pl.String:
            raise DataError(f"{place}: time_format {chosen} reads text, got {column.dtype}; use auto, s or ms.")
        return lambda part: from_iso(part, zone), f"ISO 8601 (without an offset: {zone})"

    def _note_future(self, bad: pl.Series, seconds: pl.Series, column: pl.Series) -> None:
        if not self._future.count:
            self._future_s = int(seconds[int(bad.arg_true()[0])])
        self._future.add(bad, column, self._rows)

    def _refuse_unread(self) -> None:
        bad = self._unread
        if bad.count:
            raise DataError(
                f"{self._place}: times are read as {self._read_as}, got {bad.value!r} {bad.place}; "
                f"{self._proposals.remedy()}."
            )

    def _refuse_future(self) -> None:
        bad = self._future
        if bad.count:
            raise DataError(
                f"{self._place}: a time must not lie in the future, got {bad.value} = {shown_time(self._future_s)} "
                f"{bad.place}, read as {self._read_as}; correct them or set another time_format."
            )

    def _remedy_of_old(self) -> str:
        if "%Y" in self._format and self._span.first_s < _YEAR_100_S:
            return f"%Y reads years of four digits, %y of two: set {quoted(self._format.replace('%Y', '%y'))}"
        return "correct them or set another time_format"


_YEAR_100_S = -59_011_459_200
"""Second at which the year 100 begins."""
