"""Flickr visits: photographed places of five cities, from a file of the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.files.calendar_file import calendar_identity
from seasonrec.data.files.reading import (
    check_file,
    column_names,
    known_columns,
    read_columns,
    read_ids,
    read_numbers,
    read_text,
)
from seasonrec.data.files.times import TimeReader
from seasonrec.data.tables import DataError, RuleReport, SourceTables
from seasonrec.errors import UserError

CITIES = {
    "Edinburgh": ("GB", "Europe/London"),
    "Glasgow": ("GB", "Europe/London"),
    "Melbourne": ("AU", "Australia/Melbourne"),
    "Osaka": ("JP", "Asia/Tokyo"),
    "Toronto": ("CA", "America/Toronto"),
}
"""Country and time zone of each city."""

COLUMNS = ("user_id", "city", "poi_id", "poi_name", "poi_category", "arrived", "num_photos")
"""Columns that are read; a file may have further ones."""


@dataclass
class Flickr:
    """Visits to 196 places of five cities, 2004 to 2014, derived from times and places of photographs.

    An event is a visit: the user, the place, and ``arrived``, the time of the first photograph there. Its value is the
    number of photographs. The text of an item is the place's name, its kind, and the city.
    The source has names only for Melbourne; the other texts are kind and city, so that several places have one text.

    **Zones.** The source gives the time of the camera's clock without a zone. With all cities, these times are used
    unchanged: days and weekdays are those of the visitor. Between two cities, events can then appear up to 16 hours too
    early or too late; this affects the order of a user's visits to several cities (392 of 4,412 users) and the known
    events of other cities. With ``city``, times are exact and the holidays of the country are used.

    Args:
        path: The file, one row per visit: ``.parquet``, ``.csv`` or ``.tsv`` with the columns ``user_id city poi_id
            poi_name poi_category arrived num_photos``.
        city: City whose visits are used: Edinburgh, Glasgow, Melbourne, Osaka or Toronto; None for all.
        calendar: File of occasions, further holidays of your own; None without one.

    Raises:
        ValueError: If there is no such city.

    References:
        Lim, Chan, Leckie and Karunasekera, Personalized Tour Recommendation Based on User Interests and Points of
        Interest Visit Durations, IJCAI 2015 (Edinburgh, Glasgow, Osaka, Toronto). Chen, Ong and Xie, Learning Points
        and Routes to Recommend Trajectories, CIKM 2016 (Melbourne). Users of the data should cite both.
    """

    path: str
    city: str | None = None
    calendar: str | None = None

    def __post_init__(self) -> None:
        if self.city is not None and self.city not in CITIES:
            raise UserError(f"data.city must be one of {', '.join(CITIES)}, or null for all, got {self.city!r}.")

    @property
    def country(self) -> str | None:
        return None if self.city is None else CITIES[self.city][0]

    @property
    def timezone(self) -> str:
        return "UTC" if self.city is None else CITIES[self.city][1]

    def identity(self) -> dict[str, object]:
        own = {"path": file_sha256(self._file()), "city": self.city, **calendar_identity(self.calendar)}
        return {"dataset": "flickr", "rules": 1, **own}

    def tables(self) -> SourceTables:
        path, report = self._file(), RuleReport()
        visits = self._visits(path, report)
        times = TimeReader("auto", self.timezone, f"{path}: column arrived")
        seconds, read_as = times.read(visits["arrived"]), times.finish()
        zones = "clocks of all cities, unchanged" if self.city is None else f"{self.city}'s clock"
        return SourceTables(
            events=visits.select(
                "user_id",
                pl.col("poi_id").alias("item_id"),
                seconds.alias("timestamp_s"),
                pl.col("num_photos").alias("value"),
            ),
            items=_places(visits, path),
            rules=tuple(report.rules),
            notes=(*read_as, f"items are places; {zones}"),
        )

    def _file(self) -> Path:
        path = Path(self.path).expanduser().resolve()
        check_file(path, "data.path")
        return path

    def _visits(self, path: Path, report: RuleReport) -> pl.DataFrame:
        """Returns the checked columns with their types."""
        known_columns(
            column_names(path),
            {column: (column,) for column in COLUMNS},
            f"{path} must have the columns of the Flickr visits",
            "give the file of the visits, or read another log with data=table",
        )
        raw = read_columns(path, COLUMNS)
        keys = [read_ids(raw, column, path).alias(column) for column in ("user_id", "city", "poi_id")]
        words = [read_text(raw, column, path).alias(column) for column in ("poi_name", "poi_category")]
        visits = raw.with_columns(*keys, *words, read_numbers(raw, "num_photos", path).cast(pl.Float32))
        if self.city is None:
            return visits
        cities = visits["city"].unique().sort()
        if self.city not in cities:
            raise DataError(
                f"{path}: data.city={self.city} must be in the column city, which has {', '.join(cities)}; choose one "
                "of these, or null for all."
            )
        return report.keep(visits, pl.col("city") == self.city, f"visit to another city than {self.city}")


def _places(visits: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Returns one row per place with its most frequent name and kind; ties are broken by alphabetical order."""
    words = [pl.col(column).drop_nulls().mode().sort().first() for column in ("poi_name", "poi_category")]
    cities = pl.col("city").unique().sort().alias("cities")
    places = visits.group_by(pl.col("poi_id").alias("item_id")).agg(cities, *words)
    twice = places.filter(pl.col("cities").list.len() > 1).sort("item_id")
    if twice.height:
        raise DataError(
            f"{path}: a poi_id must belong to one city, got {twice['item_id'][0]!r} in "
            f"{', '.join(twice['cities'][0])}; put the city before the ids, as in Edin-17."
        )
    parts = (pl.col("poi_name"), pl.col("poi_category").str.to_lowercase(), pl.col("cities").list.first())
    text = pl.concat_str(*parts, separator=", ", ignore_nulls=True)
    return places.sort("item_id").select("item_id", text.alias("text"), pl.col("poi_category").alias("category"))
