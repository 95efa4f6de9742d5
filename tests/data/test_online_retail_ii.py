"""Online Retail II: UCI's workbook and its copies give the same tables; the cleaning is counted."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from seasonrec.data.datasets.online_retail_ii import OnlineRetailII
from seasonrec.data.tables import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii.parquet"
"""The real log, cleaned, where a copy lies beside the repository; users bring their own."""
HEADER = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
FIRST_SHEET = [
    ("489434", "85123a", "WHITE HANGING  HEART", 6, datetime(2009, 12, 1, 7, 45), 2.5, 13085, "United Kingdom"),
    ("489434", "21232", "TRINKET BOX", 24, datetime(2009, 12, 1, 7, 45), 1.25, 13085, "United Kingdom"),
    ("489435", "POST", "POSTAGE", 1, datetime(2010, 6, 1, 9, 0), 18.0, 13085, "United Kingdom"),
    ("C489436", "21232", "TRINKET BOX", -24, datetime(2010, 6, 1, 9, 1), 1.25, 13085, "United Kingdom"),
    ("A506401", "B", "Adjust bad debt", 1, datetime(2010, 6, 1, 9, 2), -53594.36, None, "United Kingdom"),
    ("489437", "21232", None, 1, datetime(2010, 6, 1, 9, 3), 0.0, 13085, "France"),
    ("489438", "21232", "damaged", -5, datetime(2010, 6, 1, 9, 4), 1.25, 13085, "France"),
    ("536365", "85123A", "White hanging heart", 2, datetime(2010, 12, 1, 8, 26), 2.75, 17850, "EIRE"),
]
SECOND_SHEET = [
    ("536365", "85123A", "White hanging heart", 2, datetime(2010, 12, 1, 8, 26), 2.75, 17850, "EIRE"),  # in both sheets
    ("536370", "21232", "TRINKET BOX", 3, datetime(2011, 7, 1, 9, 0), 1.25, None, "France"),
    ("536371", "85123A", "white hanging heart", 1, datetime(2011, 7, 1, 9, 1), 3.0, 17850, "EIRE"),
]
COUNTS = [1, 2, 1, 1, 1, 1]
"""Rows that each rule of the cleaning leaves out, in order."""


def sheet(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, HEADER, orient="row", infer_schema_length=None)


def written(folder: Path, suffix: str) -> str:
    """Writes the log of this module as UCI does (``.xlsx``), as pandas exports it (``.csv``), or cleaned."""
    path = folder / f"online_retail_II{suffix}"
    first, second = sheet(FIRST_SHEET), sheet(SECOND_SHEET)
    if suffix == ".xlsx":
        workbook = pytest.importorskip("xlsxwriter").Workbook(path)
        for name, rows in (("Year 2009-2010", first), ("Year 2010-2011", second)):
            rows.write_excel(workbook, name)
        workbook.close()
    elif suffix == ".csv":
        both = pl.concat([first, second])
        both.with_columns(pl.col("Customer ID").cast(pl.Float64), pl.col("InvoiceDate").dt.to_string()).write_csv(path)
    else:
        both = pl.concat([first, second]).with_columns(pl.col("Description").str.replace_all(r"\s+", " "))
        both = both.filter(pl.col("Invoice").str.contains(r"^\d"), pl.col("Customer ID").is_not_null())
        both = both.filter(pl.col("StockCode") != "POST", pl.col("Quantity") > 0, pl.col("Price") > 0).unique(
            maintain_order=True
        )
        names = ("invoice", "stock_code", "description", "quantity", "ts", "price", "customer_id", "country")
        both.with_columns(pl.col("StockCode").str.to_uppercase()).rename(
            dict(zip(HEADER, names, strict=True))
        ).write_parquet(path)
    return str(path)


def seconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=ZoneInfo("Europe/London")).timestamp())  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".parquet"])
def test_every_form_of_the_file_gives_the_same_tables(suffix: str, tmp_path: Path) -> None:
    tables = OnlineRetailII(written(tmp_path, suffix)).tables()
    assert tables.events.rows() == [
        ("13085", "85123A", seconds(2009, 12, 1, 7, 45), 15.0),
        ("13085", "21232", seconds(2009, 12, 1, 7, 45), 30.0),
        ("17850", "85123A", seconds(2010, 12, 1, 8, 26), 5.5),
        ("17850", "85123A", seconds(2011, 7, 1, 9, 1), 3.0),  # in summer, an hour before UTC's
    ]
    assert tables.items.rows() == [("21232", "trinket box", None), ("85123A", "white hanging heart", None)]
    assert tables.users is not None
    assert tables.users.rows() == [("13085", "United Kingdom"), ("17850", "EIRE")]
    assert [rule.rows for rule in tables.rules] == (COUNTS if suffix != ".parquet" else [0] * 6)


def test_another_file_is_another_log(tmp_path: Path) -> None:
    first, second = OnlineRetailII(written(tmp_path, ".csv")), OnlineRetailII(written(tmp_path, ".parquet"))
    assert first.identity() != second.identity()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ["Price"]}, "lacks Price and has Invoice, StockCode"),
        ({"Quantity": "six"}, "column Quantity must hold numbers, got 'six' in row 1"),
        ({"InvoiceDate": "yesterday"}, "set time_format"),
        ({"Invoice": "C1"}, "no row is left after the cleaning; 1 rows: .*, 10 rows: cancellation"),
    ],
)
def test_a_wrong_file_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    frame = pl.read_csv(written(tmp_path, ".csv"), infer_schema=False)
    for column, value in change.items():
        frame = frame.drop(value) if column == "drop" else frame.with_columns(pl.lit(value).alias(column))  # type: ignore[arg-type]
    path = tmp_path / "wrong.csv"
    frame.write_csv(path)
    with pytest.raises(DataError, match=message):
        OnlineRetailII(str(path)).tables()


def test_a_sheet_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    workbook = pytest.importorskip("xlsxwriter").Workbook(path)
    sheet(FIRST_SHEET).write_excel(workbook, "lines")
    pl.DataFrame({"note": ["about"]}).write_excel(workbook, "notes")
    workbook.close()
    with pytest.raises(DataError, match=r"got Invoice, .* in lines and note in notes; remove the sheet"):
        OnlineRetailII(str(path)).tables()


@pytest.mark.parametrize("content", [b"PK\x03\x04 no workbook", b"Invoice,StockCode\n"])
def test_what_is_no_workbook_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken.xlsx cannot be read as xlsx"):
        OnlineRetailII(str(path)).tables()


def test_without_the_extra_a_workbook_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'seasonrec\[excel\]'"):
        OnlineRetailII(written(tmp_path, ".xlsx")).tables()


@pytest.mark.skipif(not SHARED.is_file(), reason="the real file is not there; each user has an own copy")
def test_the_cleaned_file_needs_no_cleaning() -> None:
    tables = OnlineRetailII(str(SHARED)).tables()
    assert (tables.events.height, tables.items.height) == (776_577, 4_619)
    assert [rule.rows for rule in tables.rules] == [0] * 6
    raw = pl.read_parquet(SHARED)
    assert_frame_equal(
        tables.events.select("user_id", "item_id"),
        raw.select(pl.col("customer_id").cast(pl.String).alias("user_id"), pl.col("stock_code").alias("item_id")),
    )
