"""Flickr visits: tables of a file, clocks, and refused files."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from small_visits import write_visits

from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.flickr import CITIES, Flickr
from seasonrec.data.events import prepare
from seasonrec.data.tables import DataError

VISITS = Path(__file__).parents[3] / "shared" / "data" / "flickr_poi.parquet"
"""The real file, where a copy lies beside the repository; users bring their own."""
COLUMNS = ("user_id", "city", "poi_id", "poi_name", "poi_category", "arrived", "num_photos")
ROWS = [
    ("u2", "Osaka", "Osak-1", None, "Park", datetime(2011, 7, 1, 8, 30), 3),
    ("u1", "Melbourne", "Melb-2", "Bourke Street", "Shopping", datetime(2011, 7, 1, 9, 0), 1),
    ("u1", "Melbourne", "Melb-7", None, None, datetime(2011, 7, 1, 9, 0), 2),
    ("u1", "Osaka", "Osak-1", None, "Park", datetime(2011, 7, 3, 10, 0, 5), 4),
    ("u2", "Osaka", "Osak-1", "Castle", "Park", datetime(2011, 7, 4, 0, 0), 1),
]

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the rows above, changed by expressions, and returns the path."""

    def made(*changes: pl.Expr, name: str = "V.parquet", without: tuple[str, ...] = ()) -> str:
        frame = pl.DataFrame(ROWS, COLUMNS, orient="row").with_columns(*changes).drop(*without)
        path = tmp_path / name
        if path.suffix == ".csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
        return str(path)

    return made


def seconds(*moment: int, zone: str = "UTC") -> int:
    return int(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp())  # type: ignore[misc, arg-type]


def test_a_visit_is_an_event_at_its_arrival(write: Write) -> None:
    tables = Flickr(write()).tables()
    assert tables.events.rows() == [
        ("u2", "Osak-1", seconds(2011, 7, 1, 8, 30), 3.0),
        ("u1", "Melb-2", seconds(2011, 7, 1, 9), 1.0),
        ("u1", "Melb-7", seconds(2011, 7, 1, 9), 2.0),
        ("u1", "Osak-1", seconds(2011, 7, 3, 10, 0, 5), 4.0),
        ("u2", "Osak-1", seconds(2011, 7, 4), 1.0),
    ]


def test_a_place_is_told_by_name_kind_and_city_as_far_as_they_are_known(write: Write) -> None:
    assert Flickr(write()).tables().items.rows() == [
        ("Melb-2", "Bourke Street, shopping, Melbourne", "Shopping"),
        ("Melb-7", "Melbourne", None),
        ("Osak-1", "Castle, park, Osaka", "Park"),
    ]


def test_of_two_kinds_of_one_place_the_more_frequent_counts(write: Write) -> None:
    last_is_other = pl.when(pl.col("user_id") == "u1").then(pl.lit("Castle")).otherwise("poi_category")
    items = Flickr(write(last_is_other.alias("poi_category"))).tables().items
    assert items["category"].to_list() == ["Castle", "Castle", "Park"]


def test_visits_at_one_time_are_a_basket(write: Write, tmp_path: Path) -> None:
    log = prepare(Flickr(write()), tmp_path / "cache", progress=lambda line: None)
    assert sorted(np.diff(log.basket_offsets).tolist()) == [1, 1, 1, 2]


def test_all_cities_together_keep_their_clocks_and_no_holidays(write: Write) -> None:
    dataset = Flickr(write())
    assert (dataset.timezone, dataset.country) == ("UTC", None)
    events = dataset.tables().events
    osaka = events.filter(pl.col("item_id").is_in([row[2] for row in ROWS if row[1] == "Osaka"]))["timestamp_s"]
    shown = [datetime.fromtimestamp(second, UTC).replace(tzinfo=None) for second in osaka]
    assert shown == [row[5] for row in ROWS if row[1] == "Osaka"], "the day and the hour are the visitor's"


def test_one_city_has_its_zone_and_its_holidays(write: Write) -> None:
    dataset = Flickr(write(), city="Osaka")
    assert (dataset.timezone, dataset.country) == ("Asia/Tokyo", "JP")
    tables = dataset.tables()
    assert tables.events["timestamp_s"].to_list() == [
        seconds(*moment, zone="Asia/Tokyo") for moment in ((2011, 7, 1, 8, 30), (2011, 7, 3, 10, 0, 5), (2011, 7, 4))
    ]
    assert [(rule.name, rule.rows) for rule in tables.rules] == [("visit to another city than Osaka", 2)]
    assert all(ZoneInfo(zone) for _, zone in CITIES.values())


def test_a_csv_file_says_the_same(write: Write) -> None:
    typed, written = Flickr(write()).tables(), Flickr(write(name="V.csv")).tables()
    assert written.events.equals(typed.events)
    assert written.items.equals(typed.items)


def test_content_and_city_decide_the_identity(write: Write) -> None:
    path = write()
    before = Flickr(path).identity()
    assert Flickr(path).identity() == before != Flickr(path, city="Osaka").identity()
    write(pl.col("num_photos") + 1)
    assert Flickr(path).identity() != before


NULL = pl.lit(None)
LAST = pl.int_range(pl.len()) == 4
FAULTS = {
    "wrong file": (
        (),
        ("city", "arrived"),
        "must have the columns of the Flickr visits (user_id, city, poi_id, poi_name, poi_category, arrived, "
        "num_photos), lacks city, arrived and has user_id, poi_id, poi_name, poi_category, num_photos; give the file "
        "of the visits, or read another log with data=table.",
    ),
    "no user": (
        (pl.when(LAST).then(NULL).otherwise("user_id").alias("user_id"),),
        (),
        "column user_id is a key and must not be null, got 1 null or blank values, the first in row 5",
    ),
    "no city": ((pl.lit(" ").alias("city"),), (), "column city is a key and must not be null, got 5 null or blank"),
    "one place in two cities": (
        (pl.when(LAST).then(pl.lit("Melb-2")).otherwise("poi_id").alias("poi_id"),),
        (),
        "a poi_id must belong to one city, got 'Melb-2' in Melbourne, Osaka; put the city before the ids",
    ),
    "time that is none": (
        (pl.lit("yesterday").alias("arrived"),),
        (),
        "column arrived: times are read as ISO 8601 (without an offset: UTC), got 'yesterday' in row 1",
    ),
    "time in the future": (
        (pl.col("arrived") + timedelta(days=365 * 90),),
        (),
        "column arrived: a time must not lie in the future",
    ),
    "photographs that are no number": (
        (pl.lit("many").alias("num_photos"),),
        (),
        "column num_photos must hold numbers, got 'many' in row 1",
    ),
}


@pytest.mark.parametrize(("changes", "without", "message"), FAULTS.values(), ids=list(FAULTS))
def test_a_faulty_file_is_refused(
    write: Write, changes: tuple[pl.Expr, ...], without: tuple[str, ...], message: str
) -> None:
    path = write(*changes, without=without)
    with pytest.raises(DataError) as error:
        Flickr(path).tables()
    assert message in str(error.value)
    assert path in str(error.value)


def test_a_missing_file_is_named_by_its_key() -> None:
    with pytest.raises(DataError, match=r"data\.path must name a file that exists, got .*nowhere\.parquet; check"):
        Flickr("nowhere.parquet").identity()


def test_a_city_without_visits_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"data\.city=Toronto must be in the column city, which has Melbourne, Osaka"):
        Flickr(write(), city="Toronto").tables()
    with pytest.raises(ValueError, match=r"data\.city must be one of Edinburgh, .*, or null for all, got 'Leeds'"):
        Flickr("V.parquet", city="Leeds")


def test_the_miniature_can_be_split(tmp_path: Path) -> None:
    log = prepare(Flickr(str(write_visits(tmp_path / "V.parquet"))), tmp_path / "cache", progress=lambda line: None)
    spec = spec_of(log, TimeSplit().resolve(log))
    assert (spec.num_users, spec.num_items, spec.num_events) == (12, 12, 288)
    assert spec.has_text
    assert spec.country is None


@pytest.mark.skipif(not VISITS.is_file(), reason="the visits are a file of the user's")
def test_the_figures_of_the_real_file(tmp_path: Path) -> None:
    log = prepare(Flickr(str(VISITS)), tmp_path / "cache", progress=lambda line: None)
    assert (log.num_events, log.num_users, log.num_items) == (26_459, 4_412, 196)
    assert log.num_baskets == 26_367, "92 visits share user and second with another"
    cities = [text.rpartition(", ")[2] for text in log.items["text"]]
    assert sorted(set(cities)) == sorted(CITIES)
    assert spec_of(log, TimeSplit().resolve(log)).training_cycles > 7
    nameless = (log.items["text"].str.count_matches(", ") == 1).to_numpy()
    assert nameless.sum() == sum(city != "Melbourne" for city in cities)
