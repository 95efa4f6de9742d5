"""Conversion of each supported time format to seconds since 1970-01-01 UTC."""

from __future__ import annotations

import math
from collections.abc import Callable

import polars as pl

from seasonrec.data.tables import DataError

_SECONDS_FROM, _MILLISECONDS_FROM, _TOO_LARGE = 1e8, 1e11, 1e14
"""Limits by which units are recognised: seconds from 1973-03-03 to the year 5138, and milliseconds of this period."""

_ISO = (
    r"^\s*(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2})(?::(?<second>\d{2})(?:[.,]\d+)?)?\s?"
    r"(?:(?<utc>Z)|(?<sign>[+-])(?<hours>\d{2}):?(?<minutes>\d{2})?)?)?\s*$"
)
_PLAIN = {
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$": "%Y-%m-%d %H:%M:%S",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$": "%Y-%m-%dT%H:%M:%S",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$": "%Y-%m-%dT%H:%M:%SZ",
}
"""Forms of ISO 8601 with a fast path, used if all times of a chunk have the same form."""

_CLOCK_DIRECTIVES = ("%H", "%I", "%M", "%S", "%T", "%R", "%X", "%c", "%s", "%k", "%l")


def starts_with_number(column: pl.Series) -> bool:
    """Checks whether the first row is a number or the text of one."""
    return column.dtype.is_numeric() or column.head(1).cast(pl.Float64, strict=False).null_count() == 0


class NumberTimes:
    """Reader of times that are numbers of a unit ``s`` or ``ms``; None recognises the unit from the numbers."""

    def __init__(self, unit: str | None) -> None:
        self._recognise = unit is None
        self._scale = {"s": 1, "ms": 1000, None: None}[unit]
        self._low, self._high = math.inf, -math.inf

    def seconds(self, column: pl.Series) -> pl.Series:
        """Returns ``(E,)`` Int64 seconds of the next chunk, null where it holds no number.

        The first chunk decides the unit. :meth:`description` raises an error if it is unclear or changes.
        """
        numbers = column.cast(pl.Int64, strict=False)  # exact and faster; most logs hold whole seconds
        if numbers.null_count() or column.dtype.is_float():
            numbers = column.cast(pl.Float64, strict=False)
        low, high = numbers.min(), numbers.max()
        if low is not None and high is not None:
            self._low, self._high = min(self._low, float(low)), max(self._high, float(high))  # type: ignore[arg-type]  # numbers
        if self._scale is None:
            self._scale = 1000 if _unit(self._low, self._high) == "ms" else 1
        if numbers.dtype == pl.Int64:
            return numbers if self._scale == 1 else numbers // self._scale
        return (numbers / self._scale).floor().cast(pl.Int64, strict=False)

    def description(self, place: str) -> str:
        """Returns the description of the unit.

        Raises:
            DataError: If the unit cannot be recognised from the numbers.
        """
        if self._recognise and _unit(self._low, self._high) is None:
            raise DataError(
                f"{place}: times must be recognisable as seconds (1e8 to 1e11) or milliseconds (1e11 to 1e14) since "
                f"1970, got numbers from {self._low:.15g} to {self._high:.15g}; set time_format=s, time_format=ms, or "
                "a pattern such as %Y%m%d."
            )
        return f"{'milliseconds' if self._scale == 1000 else 'seconds'} since 1970 UTC"


def _unit(low: float, high: float) -> str | None:
    if low >= _SECONDS_FROM and high < _MILLISECONDS_FROM:
        return "s"
    return "ms" if low >= _MILLISECONDS_FROM and high < _TOO_LARGE else None


def from_typed(
    dtype: pl.DataType, time_format: str, timezone: str, place: str
) -> tuple[Callable[[pl.Series], pl.Series], str]:
    """Returns the function that reads a column of dates or date-times, and its description.

    Raises:
        DataError: If the type and the format do not fit.
    """
    if time_format not in ("auto", "iso"):
        raise DataError(f"{place}: the column already holds {dtype}, got time_format={time_format}; use auto.")
    if dtype == pl.Date:
        return lambda part: _local_seconds(part.cast(pl.Datetime("us")), timezone), f"days of {timezone}"
    if not isinstance(dtype, pl.Datetime):
        raise DataError(f"{place}: times must be dates or date-times, got {dtype}; add the day.")
    if dtype.time_zone is not None:
        return lambda part: part.dt.epoch("s").cast(pl.Int64), f"date-times of zone {dtype.time_zone}"
    return lambda part: _local_seconds(part, timezone), f"date-times without a zone ({timezone})"


def from_iso(column: pl.Series, timezone: str) -> pl.Series:
    """Returns ``(E,)`` Int64 seconds of times in ISO 8601, null for other values."""
    for spelling, pattern in _PLAIN.items():
        if column.head(1).str.contains(spelling).all() and column.str.contains(spelling).fill_null(False).all():
            naive = column.str.to_datetime(pattern, time_unit="us", strict=False)
            return naive.dt.epoch("s") if pattern.endswith("Z") else _local_seconds(naive, timezone)
    return _from_any_iso(column, timezone)


def _from_any_iso(column: pl.Series, timezone: str) -> pl.Series:
    parts = column.str.extract_groups(_ISO).struct.unnest()
    written = parts.select(
        pl.concat_str(
            "day", pl.lit(" "), pl.col("clock").fill_null("00:00"), pl.lit(":"), pl.col("second").fill_null("00")
        )
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        .alias("naive"),
        has_offset=pl.col("utc").is_not_null() | pl.col("sign").is_not_null(),
        offset_s=(
            pl.col("hours").cast(pl.Int64) * 3600 + pl.col("minutes").fill_null("0").cast(pl.Int64) * 60
        ).fill_null(0)
        * pl.when(pl.col("sign") == "-").then(-1).otherwise(1),
    )
    written = written.with_columns(local_s=_local_seconds(written["naive"], timezone))
    absolute = pl.col("naive").dt.epoch("s") - pl.col("offset_s")
    return written.select(pl.when("has_offset").then(absolute).otherwise("local_s").cast(pl.Int64)).to_series()


def from_pattern(column: pl.Series, pattern: str, timezone: str, place: str) -> pl.Series:
    """Returns ``(E,)`` Int64 seconds of times in a strptime pattern, null where it does not fit.

    Raises:
        DataError: If the pattern is invalid.
    """
    try:
        if "%z" in pattern:
            return column.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC").dt.epoch("s")
        if any(directive in pattern for directive in _CLOCK_DIRECTIVES):
            naive = column.str.to_datetime(pattern, time_unit="us", strict=False)
        else:
            naive = column.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{place}: time_format {pattern!r} is not a pattern ({str(error).splitlines()[0]}).") from error
    return _local_seconds(naive, timezone)


def _local_seconds(naive: pl.Series, timezone: str) -> pl.Series:
    """Returns the seconds of local wall-clock times, null where those are null."""
    found = naive.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null").dt.epoch("s")
    if found.null_count() > naive.null_count():
        moved = naive.dt.offset_by("1h").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        found = found.fill_null(moved.dt.epoch("s"))
    return found.cast(pl.Int64)
