"""Conversion of typed times and of ISO 8601 to seconds since 1970-01-01 UTC."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from seasonrec.data.tables import DataError

_ISO = (
    r"(?i)^\s*(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2})(?::(?<second>\d{2})(?:[.,]\d+)?)?\s?"
    r"(?:(?<utc>Z|UTC|GMT)|(?<sign>[+-])(?<hours>\d{2}):?(?<minutes>\d{2})?)?)?\s*$"
)
_PLAIN = {
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$": "%Y-%m-%d %H:%M:%S",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$": "%Y-%m-%dT%H:%M:%S",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$": "%Y-%m-%dT%H:%M:%SZ",
}
"""Forms of ISO 8601 with a fast path, used if all times of a chunk have the same form."""


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
        return lambda part: utc_seconds(part.cast(pl.Datetime("us")), timezone), f"days of {timezone}"
    if not isinstance(dtype, pl.Datetime):
        raise DataError(f"{place}: times must be dates or date-times, got {dtype}; add the day.")
    if dtype.time_zone is not None:
        return lambda part: part.dt.epoch("s").cast(pl.Int64), f"date-times of zone {dtype.time_zone}"
    return lambda part: utc_seconds(part, timezone), f"date-times without a zone ({timezone})"


def from_iso(column: pl.Series, timezone: str) -> pl.Series:
    """Returns ``(E,)`` Int64 seconds of times in ISO 8601, null for other values."""
    for spelling, pattern in _PLAIN.items():
        if column.head(1).str.contains(spelling).all() and column.str.contains(spelling).fill_null(False).all():
            naive = column.str.to_datetime(pattern, time_unit="us", strict=False)
            return naive.dt.epoch("s") if pattern.endswith("Z") else utc_seconds(naive, timezone)
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
    written = written.with_columns(local_s=utc_seconds(written["naive"], timezone))
    absolute = pl.col("naive").dt.epoch("s") - pl.col("offset_s")
    return written.select(pl.when("has_offset").then(absolute).otherwise("local_s").cast(pl.Int64)).to_series()


def utc_seconds(naive: pl.Series, timezone: str) -> pl.Series:
    """Returns the seconds of local wall-clock times, null where those are null.

    A time that a clock change skips is moved forward by an hour; a day that a zone has left out, by a day.
    """
    found = _seconds(naive, timezone)
    for step in ("1h", "24h"):
        if found.null_count() > naive.null_count():
            found = found.fill_null(_seconds(naive.dt.offset_by(step), timezone))
    return found


def _seconds(naive: pl.Series, timezone: str) -> pl.Series:
    local = naive.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return local.dt.epoch("s").cast(pl.Int64)
