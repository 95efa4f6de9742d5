"""Online Retail II: two years of a gift shop, from the file that UCI gives out or from a cleaned copy."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from seasonrec.data.cache import file_sha256
from seasonrec.data.files.calendar_file import calendar_identity
from seasonrec.data.files.reading import check_file, column_names, known_columns, read_columns
from seasonrec.data.files.times import TimeReader, check_time_options, time_identity
from seasonrec.data.files.values import read_numbers, read_text
from seasonrec.data.files.workbook import read_workbook
from seasonrec.data.tables import DataError, RuleReport, SourceTables

SOURCE = "https://doi.org/10.24432/C5CG6D"
"""Page that gives out the file."""

COLUMNS = {
    "invoice": ("Invoice", "invoice"),
    "item_id": ("StockCode", "stock_code"),
    "text": ("Description", "description"),
    "quantity": ("Quantity", "quantity"),
    "time": ("InvoiceDate", "ts"),
    "price": ("Price", "price"),
    "user_id": ("Customer ID", "customer_id"),
    "country": ("Country", "country"),
}
"""Names of each column: in UCI's workbook, and in cleaned copies."""

WORDS = ("invoice", "item_id", "text", "user_id", "country")
"""Columns of text."""

PRODUCT = r"^\d{5}[A-Z]*$"
"""Code of a product: five digits and perhaps letters. Others are postage, fees, samples and vouchers."""


class OnlineRetailII:
    """Purchases of a British gift shop, many of whose customers are shops, December 2009 to December 2011.

    An event is a line of an invoice: the customer, the product and the minute. Its value is quantity times price, in
    pounds. The text of an item is its most frequent description in lower case; items have no category. Codes are read
    in capital letters: ``85123a`` and ``85123A`` are one product. The customer's country makes slices.

    The cleaning counts and leaves out, in this order: rows that equal an earlier one in all columns (the sheets of the
    workbook overlap in December 2010), invoices that are no sale (cancellations and adjustments, whose number begins
    with a letter), rows without a customer, codes that are no product, and rows whose quantity or price is not above
    zero.

    Args:
        path: UCI's workbook ``online_retail_II.xlsx`` with its two sheets (needs the extra ``excel``), a ``.csv`` or
            ``.tsv`` of both sheets, or a ``.parquet``.
        time_format: How the times of a text file are written: as in ``data=table``.
        calendar: File of occasions, further holidays of your own; None without one.

    Raises:
        ValueError: If the time format is invalid.

    References:
        Chen, Online Retail II, UCI Machine Learning Repository 2019, https://doi.org/10.24432/C5CG6D, CC BY 4.0.
    """

    country: str | None = "GB"
    timezone: str = "Europe/London"

    def __init__(self, path: str, time_format: str = "auto", calendar: str | None = None) -> None:
        check_time_options(time_format, self.timezone)
        self.path = path
        self.time_format = time_format
        self.calendar = calendar

    def identity(self) -> dict[str, object]:
        own = {"path": file_sha256(self._file()), "time_format": self.time_format}
        further = {**time_identity(self.time_format), **calendar_identity(self.calendar)}
        return {"dataset": "online_retail_ii", "rules": 1, **own, **further}

    def tables(self) -> SourceTables:
        path, report = self._file(), RuleReport()
        lines, read_as = self._lines(path)
        lines = _cleaned(lines, report)
        if lines.is_empty():
            raise DataError(f"{path}: no row is left after the cleaning; {_counted(report)}; give UCI's own file.")
        items = lines.group_by("item_id").agg(_most_frequent("text")).sort("item_id")
        value = (pl.col("quantity") * pl.col("price")).cast(pl.Float32).alias("value")
        return SourceTables(
            events=lines.select("user_id", "item_id", "timestamp_s", value),
            items=items.with_columns(category=pl.lit(None, pl.String)),
            users=lines.group_by("user_id").agg(_most_frequent("country")).sort("user_id"),
            rules=tuple(report.rules),
            notes=tuple(read_as),
        )

    def _file(self) -> Path:
        path = Path(self.path).expanduser().resolve()
        check_file(path, "data.path", also=(".xlsx",))
        return path

    def _lines(self, path: Path) -> tuple[pl.DataFrame, list[str]]:
        """Returns all rows of the file with the columns of this module, and how their times were read."""
        workbook = read_workbook(path) if path.suffix.lower() == ".xlsx" else None
        names = known_columns(
            column_names(path) if workbook is None else workbook.columns,
            COLUMNS,
            f"{path} must have the columns of Online Retail II",
            "give UCI's online_retail_II.xlsx, or read another log with data=table",
        )
        raw = read_columns(path, names.values()) if workbook is None else workbook
        times = TimeReader(self.time_format, self.timezone, f"{path}: column {names['time']}")
        seconds = times.read(raw[names["time"]])
        words = {key: read_text(raw, name, path).str.strip_chars() for key, name in names.items() if key in WORDS}
        numbers = {key: read_numbers(raw, names[key], path) for key in ("quantity", "price")}
        return pl.DataFrame({**words, **numbers, "timestamp_s": seconds}), times.finish()


def _cleaned(lines: pl.DataFrame, report: RuleReport) -> pl.DataFrame:
    lines = lines.with_columns(
        pl.col("item_id").str.to_uppercase(),
        pl.col("user_id").str.strip_suffix(".0"),  # pandas writes the ids of a column with gaps as 13085.0
        pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " "),
    )
    lines = report.keep(lines, pl.struct(lines.columns).is_first_distinct(), "row that equals an earlier one")
    is_sale = pl.col("invoice").str.contains(r"^\d")
    lines = report.keep(lines, is_sale, "cancellation or adjustment (invoice number with a letter)")
    lines = report.keep(lines, pl.col("user_id").is_not_null(), "no customer")
    lines = report.keep(lines, pl.col("item_id").str.contains(PRODUCT), "code that is no product (postage, fees, ...)")
    lines = report.keep(lines, pl.col("quantity") > 0, "quantity not above zero")
    return report.keep(lines, pl.col("price") > 0, "price not above zero")


def _most_frequent(column: str) -> pl.Expr:
    """Returns the most frequent known value of a group; ties are broken by alphabetical order."""
    return pl.col(column).drop_nulls().mode().sort().first()


def _counted(report: RuleReport) -> str:
    return ", ".join(f"{rule.rows:,} rows: {rule.name}" for rule in report.rules if rule.rows)
