"""Times of 2014 in any spelling, and their reading as that of a file."""

from datetime import UTC, datetime

import polars as pl
import pytest

from seasonrec.data.files.times import TimeReader, check_time_options
from seasonrec.data.tables import DataError

NEW_YEAR = 1_388_581_393
"""2014-01-01 13:03:13 UTC."""

TIMES = [NEW_YEAR + 416_000 * number + 7919 * number % 3600 for number in range(60)]


def written(form: str, times: list[int] = TIMES) -> list[str]:
    """Returns times in a strftime form."""
    return [f"{datetime.fromtimestamp(time, UTC):{form}}" for time in times]


def read(column: pl.Series, time_format: str = "auto", timezone: str = "UTC") -> tuple[list[int], str]:
    """Returns the seconds of a column, and the notes on how it was read."""
    check_time_options(time_format, timezone)
    times = TimeReader(time_format, timezone, "f.csv: column t")
    return times.read(column).to_list(), "\n".join(times.finish())


def refusal(values: list[object] | pl.Series, time_format: str = "auto", timezone: str = "UTC") -> str:
    """Returns the message with which a column is refused."""
    with pytest.raises(DataError) as error:
        read(pl.Series(values), time_format, timezone)
    return str(error.value)
