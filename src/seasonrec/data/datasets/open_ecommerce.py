"""Open e-commerce 1.0: five years of purchases on Amazon, from the file of its authors."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.files.calendar_file import calendar_identity
from seasonrec.data.files.reading import check_file, column_names, known_columns, read_columns
from seasonrec.data.files.times import TimeReader
from seasonrec.data.files.values import read_ids, read_numbers, read_text
from seasonrec.data.tables import DataError, RuleReport, SourceTables
from seasonrec.ranges import Count, ranged

SOURCE = "https://doi.org/10.7910/DVN/YGLYDY"
"""Page that gives out the files."""

COLUMNS = {
    "user_id": ("Survey ResponseID",),
    "item_id": ("ASIN/ISBN (Product Code)",),
    "time": ("Order Date",),
    "price": ("Purchase Price Per Unit",),
    "quantity": ("Quantity",),
    "text": ("Title",),
    "category": ("Category",),
}
"""Name of each column in ``amazon-purchases.csv``."""

WORDS = ("item_id", "text", "category")
"""Columns of text that may be empty."""

ANSWERS_OF = "Survey ResponseID"
"""Column of the person in ``survey.csv``."""


@ranged("data")
class OpenEcommerce:
    """Purchases of 5,027 people in the United States on Amazon, 2018 to 2022, shared by them for research.

    An event is a product of an order: the person, the product code and the day. Its value is quantity times price, in
    dollars. The text of an item is its most frequent title, its category Amazon's. Orders carry days without a time, so
    that all purchases of a day are one basket. Answers of the survey (age, income, state) make slices.

    The cleaning counts and leaves out, in this order: rows without a product code, rows whose quantity is not above
    zero, and items with fewer than ``min_item_events`` rows.

    Args:
        path: The file ``amazon-purchases.csv`` of Harvard Dataverse (or a ``.tsv`` or ``.parquet`` of it).
        users: The file ``survey.csv`` with the answers of each person, columns of the users; None without.
        min_item_events: Least number of rows of an item over all years, test weeks included. The catalogue thus belongs
            to the protocol and its fingerprint; it is no fitted statistic. Most products are bought once.
        calendar: File of occasions, further holidays of your own; None without one.

    Raises:
        ValueError: If ``min_item_events`` is below 1.

    References:
        Berke, Calacci, Mahari, Yabe, Larson and Pentland, Open e-commerce 1.0, five years of crowdsourced U.S. Amazon
        purchase histories with user demographics, Scientific Data 2024, https://doi.org/10.7910/DVN/YGLYDY.
    """

    country: str | None = "US"
    timezone: str = "America/New_York"

    def __init__(
        self, path: str, users: str | None = None, min_item_events: Count = 5, calendar: str | None = None
    ) -> None:
        self.path = path
        self.users = users
        self.min_item_events = min_item_events
        self.calendar = calendar

    def identity(self) -> dict[str, object]:
        return {
            "dataset": "open_ecommerce",
            "rules": 1,
            "path": file_sha256(_file(self.path, "data.path")),
            "users": None if self.users is None else file_sha256(_file(self.users, "data.users")),
            "min_item_events": self.min_item_events,
            **calendar_identity(self.calendar),
        }

    def tables(self) -> SourceTables:
        path, report = _file(self.path, "data.path"), RuleReport()
        lines, read_as = _lines(path)
        lines = report.keep(lines, pl.col("item_id").is_not_null(), "no product code")
        lines = report.keep(lines, pl.col("quantity") > 0, "quantity not above zero, or not known")
        enough = pl.len().over("item_id") >= self.min_item_events
        lines = report.keep(lines, enough, f"item with fewer than {self.min_item_events} rows")
        if lines.is_empty():
            raise DataError(
                f"{path}: no item has {self.min_item_events} rows; choose a smaller data.min_item_events, or give the "
                "whole file."
            )
        words = [pl.col(column).drop_nulls().mode().sort().first() for column in ("text", "category")]
        value = (pl.col("quantity") * pl.col("price")).cast(pl.Float32).alias("value")
        return SourceTables(
            events=lines.select("user_id", "item_id", "timestamp_s", value),
            items=lines.group_by("item_id").agg(*words).sort("item_id"),
            users=None if self.users is None else _people(_file(self.users, "data.users"), lines["user_id"]),
            rules=tuple(report.rules),
            notes=(*read_as, "orders carry days: all purchases of a day are one basket"),
        )


def _file(name: str, key: str) -> Path:
    path = Path(name).expanduser().resolve()
    check_file(path, key)
    return path


def _lines(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Returns all rows with the columns of this module, and how their times were read."""
    names = known_columns(
        column_names(path),
        COLUMNS,
        f"{path} must have the columns of Open e-commerce 1.0",
        "give amazon-purchases.csv, or read another log with data=table",
    )
    raw = read_columns(path, names.values())
    times = TimeReader("auto", OpenEcommerce.timezone, f"{path}: column {names['time']}")
    seconds = times.read(raw[names["time"]])
    words = {key: read_text(raw, names[key], path).str.strip_chars() for key in WORDS}
    numbers = {key: read_numbers(raw, names[key], path) for key in ("quantity", "price")}
    people = read_ids(raw, names["user_id"], path)
    return pl.DataFrame({"user_id": people, **words, **numbers, "timestamp_s": seconds}), times.finish()


def _people(path: Path, known: pl.Series) -> pl.DataFrame:
    """Returns the answers of the people who have events."""
    if ANSWERS_OF not in column_names(path):
        raise DataError(f"{path} must have the column {ANSWERS_OF}; give survey.csv of the same release.")
    answers = read_columns(path, column_names(path))
    answers = answers.with_columns(read_ids(answers, ANSWERS_OF, path).alias("user_id"))
    people = answers.unique("user_id", keep="first", maintain_order=True).drop(ANSWERS_OF)
    if not known.is_in(people["user_id"].implode()).any():
        raise DataError(f"{path}: none of its people occurs in the purchases; give survey.csv of the same release.")
    return people.select("user_id", pl.exclude("user_id"))
