"""Errors of bad input: each names place, rule, value and remedy."""

import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.tables import DataError

HEADER = "user_id,item_id,timestamp\n"
GOOD = HEADER + "u1,i1,1500000000\nu2,i2,1500000001\n"


def table(folder: Path, text: str = GOOD, items: str | None = None, **options) -> Table:
    (folder / "events.csv").write_text(text, encoding="utf-8")
    if items is not None:
        (folder / "items.csv").write_text(items, encoding="utf-8")
        options["items"] = str(folder / "items.csv")
    return Table(str(folder / "events.csv"), **options)


EVENT_CASES = {
    "missing column": (
        "user_id,item_id,time_stamp\nu1,i1,1500000000\n",
        {},
        r"events.csv lacks a column that the mapping names: data.time_column=timestamp \(did you mean time_stamp\?\). "
        "Its columns: user_id, item_id, time_stamp",
    ),
    "two missing columns": (
        GOOD,
        {"user_column": "customer", "value_column": "price"},
        "data.user_column=customer; data.value_column=price",
    ),
    "null user": (
        HEADER + "u1,i1,1500000000\n,i2,1500000001\n ,i2,1500000001\n",
        {},
        r"column user_id is a key and must not be null, got 2 null or blank values, the first in row 2 \(header",
    ),
    "null item": (HEADER + "u1,,1500000000\nu2,i2,1500000001\n", {}, "column item_id is a key.*got 1 .*row 1 "),
    "null time": (HEADER + "u1,i1,1500000000\nu2,i2,\n", {}, "column timestamp is a key.*got 1 .*row 2 "),
    "unparsable time": (
        HEADER + "u1,i1,1500000000\nu2,i2,yesterday\nu2,i2,today\n",
        {},
        r"column timestamp: times are read as seconds since 1970 UTC, got 'yesterday' in row 2 \(header not counted\) "
        "and 2 such rows in all; correct them or set time_format",
    ),
    "unparsable date": (
        HEADER + "u1,i1,2017-02-28\nu2,i2,2017-02-30\n",
        {},
        "times are read as ISO 8601 .*got '2017-02-30' in row 2",
    ),
    "a format that does not fit": (
        HEADER + "u1,i1,28/02/2017\nu2,i2,02/28/2017\n",
        {"time_format": "%d/%m/%Y"},
        "times are read as %d/%m/%Y .*got '02/28/2017' in row 2",
    ),
    "numbers that are no times": (
        HEADER + "u1,i1,20170228\nu2,i2,20170301\n",
        {},
        r"must be recognisable as seconds .* got numbers from 20170228 to 20170301 \(rows 1 and 2, header not "
        r"counted\); all are dates of %Y%m%d \(2017-02-28\); set data.time_format=%Y%m%d",
    ),
    "seconds among milliseconds": (
        HEADER + "u1,i1,1500000000\nu2,i2,1500000000000\n",
        {},
        "must be recognisable as seconds .* got numbers from 1500000000 to 1500000000000",
    ),
    "future time": (
        HEADER + f"u1,i1,1500000000\nu2,i2,{int(time.time()) + 3 * 86_400}\n",
        {},
        "must not lie in the future, got .* in row 2 .*and 1 such rows in all, read as seconds",
    ),
    "milliseconds taken for seconds": (
        HEADER + "u1,i1,1500000000000\nu2,i2,1500000000001\n",
        {"time_format": "s"},
        "must not lie in the future, got 1500000000000 = ",
    ),
    "header alone": (HEADER, {}, "events.csv is empty: it has a header and no rows"),
    "no bytes": ("", {}, r"events.csv is empty \(0 bytes\)"),
    "one user": (
        HEADER + "u1,i1,1500000000\nu1,i2,1500000001\n",
        {},
        "events.csv: a log needs at least two different users, got only 'u1' in all 2 events",
    ),
    "one item": (HEADER + "u1,i1,1500000000\nu2,i1,1500000001\n", {}, "two different items, got only 'i1'"),
    "all at one time": (
        HEADER + "u1,i1,1500000000\nu2,i2,1500000000\n",
        {},
        "two different times, got only 1500000000",
    ),
    "nothing left": (GOOD, {"min_item_events": 5}, "events.csv: no event is left after cleaning"),
    "a value that is no number": (
        "user_id,item_id,timestamp,price\nu1,i1,1500000000,1\nu2,i2,1500000001,2 EUR\n",
        {"value_column": "price"},
        "column price must hold numbers, got '2 EUR' in row 2 .*and 1 such rows",
    ),
    "too many fields": (
        HEADER + "u1,i1,1500000000,x,y\n",
        {},
        "events.csv must have 3 fields in every row, as its header has, got 5 in line 2; put fields that",
    ),
}


@pytest.mark.parametrize(("text", "options", "message"), EVENT_CASES.values(), ids=EVENT_CASES)
def test_bad_events(tmp_path, text, options, message):
    data = table(tmp_path, text, **options)
    with pytest.raises(DataError, match=message):
        prepare(data, tmp_path / "cache", progress=lambda line: None)
    assert not list(tmp_path.glob("cache/prepared/[!.]*"))  # a refused source leaves nothing behind


ITEM_CASES = {
    "missing column by name": (
        "item_id,title\ni1,milk\n",
        {"text_column": "titel"},
        r"items.csv lacks a column that the mapping names: data.text_column=titel \(did you mean title\?\)",
    ),
    "missing key": ("sku,text\ni1,milk\n", {}, "items.csv lacks .*data.item_column=item_id"),
    "null key": ("item_id,text\ni1,milk\n,egg\n", {}, "items.csv: column item_id is a key.*got 1 .*row 2"),
    "ids that never match": (
        "item_id,text\n1,milk\n2,egg\n",
        {},
        "items.csv: none of the 2 item ids occurs in the events; the events have 'i1', this file has '1'",
    ),
    "empty": ("item_id,text\n", {}, "items.csv is empty: it has a header and no rows"),
}


@pytest.mark.parametrize(("items", "options", "message"), ITEM_CASES.values(), ids=ITEM_CASES)
def test_bad_items(tmp_path, items, options, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path, GOOD, items, **options).tables()


def test_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "events.csv"
    path.write_bytes(GOOD.encode() + "u3,café,1500000002\n".encode("latin1"))
    with pytest.raises(DataError, match=r"events.csv must be UTF-8, got other bytes in line 4; convert it, e.g. iconv"):
        Table(str(path)).tables()


def test_paths_that_are_no_table(tmp_path):
    (tmp_path / "events.xlsx").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    cases = {
        "absent.csv": "data.events must name a file that exists, got .*absent.csv; check the path",
        "folder.csv": "data.events must name a file, got the folder .*folder.csv; give the file itself",
        "events.xlsx": "data.events must end in .csv, .*.feather, .zip, or in .csv.gz and the like, got .*events.xlsx",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message):
            Table(str(tmp_path / name)).identity()


def test_a_parquet_name_on_other_bytes(tmp_path):
    (tmp_path / "events.parquet").write_text(GOOD)
    with pytest.raises(DataError, match=r"events.parquet cannot be read as parquet: "):
        Table(str(tmp_path / "events.parquet")).tables()


def test_ids_of_two_types_in_parquet(tmp_path):
    events = {"user_id": ["a", "b"], "item_id": [1, 2], "timestamp": [1_500_000_000, 1_500_000_001]}
    pl.DataFrame(events).write_parquet(tmp_path / "e.parquet")
    pl.DataFrame({"item_id": ["1", "2"]}).write_parquet(tmp_path / "i.parquet")
    with pytest.raises(DataError, match="item_id must be of one type in both files, got String here and Int64 in the"):
        Table(str(tmp_path / "e.parquet"), str(tmp_path / "i.parquet")).tables()


def test_ids_that_are_fractions(tmp_path):
    events = {"user_id": ["a", "b"], "item_id": [1.0, 2.0], "timestamp": [1_500_000_000, 1_500_000_001]}
    pl.DataFrame(events).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match="column item_id must hold text or whole numbers, got Float64; cast it"):
        Table(str(tmp_path / "e.parquet")).tables()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_format": "unix"}, "time_format must be auto, s, ms, us, ns, iso or a pattern.*got 'unix'"),
        ({"timezone": "Europe/Atlantis"}, "timezone must be an IANA name.*got 'Europe/Atlantis'"),
        ({"min_item_events": 0}, "min_item_events must be at least 1, got 0"),
        ({"user_column": "item_id"}, "three different columns, got data.user_column=item_id, data.item_column=item_id"),
        ({"text_column": "title"}, "text_column is a column of the items' file, got 'title' without data.items"),
    ],
)
def test_options_that_can_never_work(options, message):
    with pytest.raises(ValueError, match=message):
        Table("events.csv", **options)


VALUES = {
    "infinity": (
        [1.0, float("inf")],
        r"column price must hold finite numbers up to 3.4e38, got inf in row 2 .*and 1 such",
    ),
    "minus infinity as text": (["1", "-inf"], r"finite numbers up to 3.4e38, got '-inf' in row 2"),
    "a number beyond 32 bits": (
        ["1e300", " 1e39"],
        r"finite numbers up to 3.4e38, got '1e300' in row 1 .*and 2 such rows",
    ),
    "dates": ([date(2017, 1, 1)] * 2, "column price must hold numbers, got Date; write one number a row, or take"),
    "structures": ([{"a": 1}] * 2, "column price must hold numbers, got Struct"),
    "lists": ([[1.0]] * 2, "column price must hold numbers, got List"),
    "truth values": ([True, False], "column price must hold numbers, got Boolean"),
    "bytes": ([b"1", b"2"], "column price must hold numbers, got Binary"),
    "durations": ([timedelta(1)] * 2, "column price must hold numbers, got Duration"),
    "decimal commas": (["1,5", "2"], "column price must hold numbers, got '1,5' in row 1 .*and 1 such rows"),
}


@pytest.mark.parametrize("key", ["value_column", "quantity_column"])
@pytest.mark.parametrize(("values", "message"), VALUES.values(), ids=VALUES)
def test_values_that_are_no_numbers(tmp_path, values, message, key):
    events = {"user_id": ["a", "b"], "item_id": ["1", "2"], "timestamp": [1_500_000_000, 1_500_000_001]}
    pl.DataFrame(events | {"price": values}).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=message):
        Table(str(tmp_path / "e.parquet"), **{key: "price"}).tables()


@pytest.mark.parametrize("written", [" 2.5", "2.5\u00a0", "\t2.50 "])
def test_blanks_around_numbers_and_times_do_not_count(tmp_path, written):
    text = f"user_id,item_id,timestamp,price\nu1,i1, 2017-07-14 ,{written}\nu2,i2,2017-07-15\u00a0,  \n"
    assert table(tmp_path, text, value_column="price").tables().events["value"].to_list() == [2.5, None]


def test_values_that_are_categories_or_missing(tmp_path):
    events = {"user_id": ["a", "b"], "item_id": ["1", "2"], "timestamp": [1_500_000_000, 1_500_000_001]}
    frame = pl.DataFrame(events | {"price": pl.Series(["1.5", "2"], dtype=pl.Categorical), "none": [None, None]})
    frame.write_parquet(tmp_path / "e.parquet")
    path = str(tmp_path / "e.parquet")
    assert Table(path, value_column="price").tables().events["value"].to_list() == [1.5, 2.0]
    assert Table(path, value_column="none").tables().events["value"].to_list() == [None, None]
