"""Recognises how a column writes its times and turns them into seconds since 1970-01-01 UTC."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.data.tables import DataError

_SECONDS_FROM, _MILLISECONDS_FROM, _TOO_LARGE = 1e8, 1e11, 1e14
"""Recognised by size: seconds from 1973-03-03 to the year 5138, milliseconds of the same days."""

_ISO = (
    r"^\s*(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2})(?::(?<second>\d{2})(?:[.,]\d+)?)?\s?"
    r"(?:(?<utc>Z)|(?<sign>[+-])(?<hours>\d{2}):?(?<minutes>\d{2})?)?)?\s*$"
)
_CLOCK_DIRECTIVES = ("%H", "%I", "%M", "%S", "%T", "%R", "%X", "%c", "%s", "%k", "%l")


def check_time_options(time_format: str, timezone: str) -> None:
    """Refuses a time format or a zone that can never work.

    Raises:
        ValueError: Naming the option.
    """
    if time_format not in ("auto", "s", "ms", "iso") and "%" not in time_format:
        raise ValueError(
            f"time_format must be auto, s, ms, iso or a pattern such as '%d/%m/%Y %H:%M', got {time_format!r}."
        )
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"timezone must be an IANA name such as Europe/London, got {timezone!r}.") from error


def read_times(column: pl.Series, time_format: str, timezone: str, place: str) -> tuple[pl.Series, str]:
    """Times as whole seconds, and a note that says how they were read.

    Numbers and times with an offset are absolute. Times without an offset, and days, are local to ``timezone``; of an
    hour that occurs twice the first is meant, and a time skipped by the clock change is moved on by an hour.

    Args:
        column: ``(E,)`` strings, numbers, dates or date-times without null.
        time_format: ``auto``, ``s``, ``ms``, ``iso``, or a strptime pattern.
        timezone: IANA zone of times that carry no offset.
        place: File and column, for messages.

    Returns:
        ``(seconds, note)``: ``(E,)`` Int64, seconds since 1970-01-01 UTC.

    Raises:
        DataError: If a time cannot be read, or lies more than a day in the future.
    """
    if column.dtype.is_temporal():
        seconds, way = _from_typed(column, time_format, timezone, place)
    elif time_format in ("s", "ms") or (time_format == "auto" and _starts_with_number(column)):
        seconds, way = _from_numbers(column, time_format, place)
    elif column.dtype != pl.String:
        raise DataError(f"{place}: time_format {time_format} reads text, got {column.dtype}; use auto, s or ms.")
    elif time_format in ("auto", "iso"):
        seconds, way = _from_iso(column, timezone), f"ISO 8601 (without an offset: {timezone})"
    else:
        seconds, way = _from_pattern(column, time_format, timezone, place), f"{time_format} ({timezone})"
    _refuse_unread(column, seconds, way, place)
    _refuse_future(column, seconds, way, place)
    chosen = "recognised as" if time_format == "auto" else "read as"
    return seconds, f"{place}: times {chosen} {way}, the first being {column[0]} = {_shown(int(seconds[0]))}"


def _starts_with_number(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or column.head(1).cast(pl.Float64, strict=False).null_count() == 0


def _from_numbers(column: pl.Series, time_format: str, place: str) -> tuple[pl.Series, str]:
    numbers = column.cast(pl.Float64, strict=False)
    unit = time_format if time_format != "auto" else _recognised_unit(numbers.drop_nulls(), place)
    scale = 1000 if unit == "ms" else 1
    seconds = (numbers / scale).floor().cast(pl.Int64, strict=False)
    return seconds, {"s": "seconds since 1970 UTC", "ms": "milliseconds since 1970 UTC"}[unit]


def _recognised_unit(numbers: pl.Series, place: str) -> str:
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]  # numbers, never null here
    if low >= _SECONDS_FROM and high < _MILLISECONDS_FROM:
        return "s"
    if low >= _MILLISECONDS_FROM and high < _TOO_LARGE:
        return "ms"
    raise DataError(
        f"{place}: times must be recognisable as seconds (1e8 to 1e11) or milliseconds (1e11 to 1e14) since 1970, got "
        f"numbers from {low:.15g} to {high:.15g}; say time_format=s, time_format=ms, or a pattern such as %Y%m%d."
    )


def _from_typed(column: pl.Series, time_format: str, timezone: str, place: str) -> tuple[pl.Series, str]:
    if time_format not in ("auto", "iso"):
        raise DataError(f"{place}: the column already holds {column.dtype}, got time_format={time_format}; use auto.")
    if column.dtype == pl.Date:
        return _local_seconds(column.cast(pl.Datetime("us")), timezone), f"days of {timezone}"
    if not isinstance(column.dtype, pl.Datetime):
        raise DataError(f"{place}: times must be dates or date-times, got {column.dtype}; add the day.")
    zone = column.dtype.time_zone
    if zone is not None:
        return column.dt.epoch("s").cast(pl.Int64), f"date-times of zone {zone}"
    return _local_seconds(column, timezone), f"date-times without a zone ({timezone})"


def _from_iso(column: pl.Series, timezone: str) -> pl.Series:
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


def _from_pattern(column: pl.Series, pattern: str, timezone: str, place: str) -> pl.Series:
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
    """Seconds of local wall-clock times, null where those are null."""
    found = naive.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    moved = naive.dt.offset_by("1h").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return found.dt.epoch("s").fill_null(moved.dt.epoch("s")).cast(pl.Int64)


def _refuse_unread(column: pl.Series, seconds: pl.Series, way: str, place: str) -> None:
    bad = seconds.is_null().arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{place}: times are read as {way}, got {column[row]!r} in row {row + 1:,} (header not counted) and "
            f"{len(bad):,} such rows in all; correct them or say the time_format, e.g. '%d/%m/%Y %H:%M'."
        )


def _refuse_future(column: pl.Series, seconds: pl.Series, way: str, place: str) -> None:
    latest_s = int(time.time()) + SECONDS_PER_DAY
    bad = (seconds > latest_s).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{place}: a time must not lie in the future, got {column[row]} = {_shown(int(seconds[row]))} in row "
            f"{row + 1:,} (header not counted) and {len(bad):,} such rows in all, read as {way}; "
            "correct them or say another time_format."
        )


def _shown(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"
