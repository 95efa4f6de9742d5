"""Weekly charts: songs and their places, from a file of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.files.reading import check_file, column_names, known_columns, read_columns
from seasonrec.data.files.times import TimeReader
from seasonrec.data.files.values import read_numbers, read_text
from seasonrec.data.tables import DataError, RuleReport, SourceTables
from seasonrec.ranges import AtLeast, ranged

COLUMNS = {"week": ("week", "chart_week", "date"), "title": ("title", "song"), "artist": ("artist", "performer"),
           "rank": ("rank", "current_week")}  # fmt: skip
"""Names of each column."""

BAND = 10
"""Places that stand together for one user."""

NOON_S = 12 * 3600
PLACES = 100


@ranged("data")
class Hot100:
    """Weeks of songs in a chart, such as the Billboard Hot 100.

    It has no users, and serves the demand alone: ``seasonrec forecast``. An event is a week of a song in the chart, at
    noon of the chart's date. Its value is 101 less the place. In place of users, which a log must have, each ten places
    of the chart are one. A song is a title and an artist, which are its text; songs have no category.

    Args:
        path: A ``.parquet``, ``.csv`` or ``.tsv`` with the columns ``week title artist rank``.
        first_year: Year before which weeks are left out; None for all.

    Raises:
        ValueError: If the year is below 1900.
    """

    country: str | None = "US"
    timezone: str = "America/New_York"

    def __init__(self, path: str, first_year: Annotated[int, AtLeast(1900, 2100)] | None = None) -> None:
        self.path = path
        self.first_year = first_year

    def identity(self) -> dict[str, object]:
        return {"dataset": "hot100", "rules": 1, "path": file_sha256(self._file()), "first_year": self.first_year}

    def tables(self) -> SourceTables:
        path, report = self._file(), RuleReport()
        names = known_columns(
            column_names(path), COLUMNS, f"{path} must have the columns of a chart", "or read a log with data=table"
        )
        raw = read_columns(path, names.values())
        times = TimeReader("auto", self.timezone, f"{path}: column {names['week']}")
        words = {key: read_text(raw, names[key], path).str.strip_chars() for key in ("title", "artist")}
        places = read_numbers(raw, names["rank"], path)
        rows = pl.DataFrame({**words, "rank": places, "timestamp_s": times.read(raw[names["week"]])})
        rows = report.keep(rows, pl.col("title").is_not_null() & pl.col("artist").is_not_null(), "no title or artist")
        rows = report.keep(rows, pl.col("rank").is_between(1, PLACES), f"place outside 1 to {PLACES}")
        if self.first_year is not None:
            year = pl.from_epoch("timestamp_s", time_unit="s").dt.year()
            rows = report.keep(rows, year >= self.first_year, f"week before {self.first_year}")
        if rows.is_empty():
            raise DataError(f"{path}: no row is left after the cleaning; give a chart, or a lower data.first_year.")
        rows = rows.with_columns(item_id=pl.format("{}, {}", "title", "artist"))
        return SourceTables(
            events=rows.select(
                pl.format("places from {}", (rows["rank"].cast(pl.Int64) - 1) // BAND * BAND + 1).alias("user_id"),
                "item_id",
                pl.col("timestamp_s") + NOON_S,
                (PLACES + 1 - pl.col("rank")).cast(pl.Float32).alias("value"),
            ),
            items=rows.select("item_id", text="item_id", category=pl.lit(None, pl.String))
            .unique("item_id")
            .sort("item_id"),
            rules=tuple(report.rules),
            notes=(*times.finish(), "no users: each ten places stand for one; for seasonrec forecast"),
        )

    def _file(self) -> Path:
        path = Path(self.path).expanduser().resolve()
        check_file(path, "data.path")
        return path
