"""Open e-commerce 1.0: tables of rows in its form, the cleaning, and refused files."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from seasonrec.data.datasets.open_ecommerce import OpenEcommerce
from seasonrec.data.tables import DataError

PURCHASES = """\
Order Date,Purchase Price Per Unit,Quantity,Shipping Address State,Title,ASIN/ISBN (Product Code),Category,\
Survey ResponseID
2018-12-04,7.98,2,NJ,"SanDisk 16GB Card, Class 4",B0143RTB1E,FLASH_MEMORY,R_01
2018-12-04,19.5,1,NJ,Advent Calendar,B01MA1MJ6H,,R_01
2022-10-29,8,1,,SanDisk 16GB Card,B0143RTB1E,FLASH_MEMORY,R_02
2022-12-01,8,1,CA,SanDisk 16GB Card,B0143RTB1E,FLASH_MEMORY,R_02
2022-12-01,8,0,CA,Advent Calendar,B01MA1MJ6H,CALENDAR,R_02
2022-12-02,8,1,CA,,,GIFT_CARD,R_02
"""
SURVEY = """\
Survey ResponseID,Q-demos-age,Q-demos-state
R_01,35 - 44 years,New Jersey
R_01,18 - 24 years,New Jersey
R_09,25 - 34 years,Ohio
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "amazon-purchases.csv").write_text(PURCHASES, encoding="utf-8")
    return str(tmp_path / "amazon-purchases.csv")


def seconds(*day: int) -> int:
    return int(datetime(*day, tzinfo=ZoneInfo("America/New_York")).timestamp())  # type: ignore[misc, arg-type]


def test_a_row_is_an_event_of_its_local_day(path: str) -> None:
    tables = OpenEcommerce(path, min_item_events=1).tables()
    first, second = "B0143RTB1E", "B01MA1MJ6H"
    assert [(*row[:3], round(row[3], 4)) for row in tables.events.rows()] == [
        ("R_01", first, seconds(2018, 12, 4), 15.96),
        ("R_01", second, seconds(2018, 12, 4), 19.5),
        ("R_02", first, seconds(2022, 10, 29), 8.0),
        ("R_02", first, seconds(2022, 12, 1), 8.0),
    ]
    assert tables.items.rows() == [
        (first, "SanDisk 16GB Card", "FLASH_MEMORY"),
        (second, "Advent Calendar", None),
    ]
    assert [rule.rows for rule in tables.rules] == [1, 1, 0]
    assert tables.users is None


def test_rare_items_are_left_out_and_counted(path: str) -> None:
    tables = OpenEcommerce(path, min_item_events=2).tables()
    assert tables.items["item_id"].to_list() == ["B0143RTB1E"]
    assert [rule.rows for rule in tables.rules] == [1, 1, 1]
    with pytest.raises(DataError, match="no item has 5 rows"):
        OpenEcommerce(path).tables()


def test_answers_become_columns_of_the_users(path: str, tmp_path: Path) -> None:
    survey = tmp_path / "survey.csv"
    survey.write_text(SURVEY, encoding="utf-8")
    dataset = OpenEcommerce(path, str(survey), min_item_events=1)
    users = dataset.tables().users
    assert users is not None
    assert users.columns == ["user_id", "Q-demos-age", "Q-demos-state"]
    assert users.rows()[0] == ("R_01", "35 - 44 years", "New Jersey")  # the first of two answers
    assert dataset.identity() != OpenEcommerce(path, min_item_events=1).identity()


@pytest.mark.parametrize(
    ("survey", "message"),
    [
        ("id,age\nR_01,35\n", "must have the column Survey ResponseID"),
        (SURVEY.replace("R_01", "R_07"), "none of its people"),
    ],
)
def test_answers_of_other_people_are_refused(survey: str, message: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "survey.csv").write_text(survey, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        OpenEcommerce(path, str(tmp_path / "survey.csv"), min_item_events=1).tables()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.exclude("Title"), "lacks Title and has Order Date"),
        (pl.col("*").replace("7.98", "$7.98"), r"must hold numbers, got '\$7.98' in row 1"),
        (pl.col("*").replace("R_02", ""), "column Survey ResponseID is a key and must not be null, got 4"),
    ],
)
def test_a_wrong_file_is_refused(change: pl.Expr, message: str, path: str) -> None:
    pl.read_csv(path, infer_schema=False).select(change).write_csv(path)
    with pytest.raises(DataError, match=message):
        OpenEcommerce(path).tables()
