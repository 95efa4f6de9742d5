"""Weekly charts: ten places for a user, places as values, and what is left out."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from seasonrec.data.datasets.hot100 import Hot100
from seasonrec.data.tables import DataError
from seasonrec.errors import UserError

ROWS = pl.DataFrame(
    [
        (date(2016, 12, 24), "All I Want", "M. Carey", 1),
        (date(2016, 12, 24), "Other", "A Band", 100),
        (date(2017, 12, 23), "All I Want ", "M. Carey", 11),
        (date(2017, 12, 23), "Too low", "A Band", 101),
        (date(2017, 12, 23), None, "A Band", 4),
    ],
    ["week", "title", "artist", "rank"],
    orient="row",
)


def test_a_week_in_the_chart_is_an_event_at_noon(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "chart.parquet")
    tables = Hot100(str(tmp_path / "chart.parquet")).tables()
    assert tables.events["item_id"].to_list() == ["All I Want, M. Carey", "Other, A Band", "All I Want, M. Carey"]
    assert tables.events["value"].to_list() == [100, 1, 90]
    assert tables.events["timestamp_s"][0] == 1_482_598_800, "2016-12-24 12:00 in New York"
    assert tables.events["user_id"].to_list() == ["places from 1", "places from 91", "places from 11"]
    assert tables.items["text"].to_list() == ["All I Want, M. Carey", "Other, A Band"]
    assert [(rule.name, rule.rows) for rule in tables.rules] == [
        ("no title or artist", 1),
        ("place outside 1 to 100", 1),
    ]


def test_later_years_alone(tmp_path: Path) -> None:
    path = tmp_path / "chart.csv"
    ROWS.write_csv(path)
    later = Hot100(str(path), first_year=2017)
    assert len(later.tables().events) == 1
    assert later.identity() != Hot100(str(path)).identity()
    with pytest.raises(DataError, match=r"no row is left after the cleaning"):
        Hot100(str(path), first_year=2020).tables()
    with pytest.raises(UserError, match=r"data.first_year must be at least 1900, got 17"):
        Hot100(str(path), first_year=17)


def test_a_file_without_places_is_refused(tmp_path: Path) -> None:
    ROWS.drop("rank").write_parquet(tmp_path / "chart.parquet")
    with pytest.raises(DataError, match=r"must have the columns of a chart \(week, title, artist, rank\), lacks rank"):
        Hot100(str(tmp_path / "chart.parquet")).tables()
