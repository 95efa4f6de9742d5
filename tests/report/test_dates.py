"""Lists of several dates, compared: tables by hand, and their files."""

from pathlib import Path

import polars as pl
import pytest

from seasonrec.report.dates import OTHERS, category_table, overlap_table, rising_table, write_dates

ITEMS = pl.DataFrame(
    {"item_id": ["tree", "lamp", "fan"], "text": ["fir tree", None, "desk fan"], "category": ["winter", None, "summer"]}
)
LISTS = pl.DataFrame(
    {
        "date": ["2017-12-20"] * 4 + ["2017-07-01"] * 4,
        "user_id": ["a", "a", "b", "b"] * 2,
        "item_id": ["tree", "lamp", "tree", "lamp", "fan", "lamp", "fan", "tree"],
    }
)


def test_the_overlap_is_a_mean_over_users() -> None:
    assert overlap_table(LISTS).rows() == [
        ("2017-12-20", "2017-12-20", 1.0),
        ("2017-12-20", "2017-07-01", 0.5),
        ("2017-07-01", "2017-12-20", 0.5),
        ("2017-07-01", "2017-07-01", 1.0),
    ]


def test_the_categories_share_all_places() -> None:
    table = category_table(LISTS, ITEMS)
    found = {(date, category): share for date, category, share in table.iter_rows()}
    assert found["2017-12-20", "winter"] == found["2017-12-20", OTHERS] == 0.5
    assert found["2017-12-20", "summer"] == 0.0
    assert found["2017-07-01", "summer"] == 0.5
    assert table.group_by("date").agg(pl.col("share").sum())["share"].to_list() == [1.0, 1.0]


def test_an_item_rises_where_more_users_have_it_than_on_an_average_date() -> None:
    table = rising_table(LISTS, ITEMS)
    assert table.filter(date="2017-12-20").rows()[0] == ("2017-12-20", "lamp", None, 1.0, 0.25)
    assert table.filter(date="2017-07-01").rows()[0] == ("2017-07-01", "fan", "desk fan", 1.0, 0.5)
    assert table["date"].unique(maintain_order=True).to_list() == ["2017-12-20", "2017-07-01"]
    summer = table.filter(date="2017-07-01", item_id="lamp")
    assert summer["rise"].to_list() == [pytest.approx(0.5 - 0.75)]


@pytest.mark.parametrize("categories", [["winter", None, "summer"], [None, None, None]])
def test_the_files_lie_beside_the_lists(categories: list[str | None], tmp_path: Path) -> None:
    items = ITEMS.with_columns(pl.Series("category", categories, dtype=pl.String))
    paths = write_dates(tmp_path / "lists", LISTS, items)
    names = [path.name for path in paths]
    assert names[:3] == ["lists_overlap.csv", "lists_categories.csv", "lists_rising.csv"]
    assert names[3:] == ["lists_dates.png", "lists_dates.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert pl.read_csv(paths[0]).height == 4
    assert all(path.stat().st_size for path in paths)
