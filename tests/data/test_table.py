"""A user's own files: formats of file and time, mapping, counted rules, notes."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.files.item_file import MAX_TEXT_CHARACTERS
from seasonrec.data.files.time_formats import _from_any_iso, from_iso
from seasonrec.data.files.times import TimeReader

ROWS = {
    "user_id": ["u1", "u1", "u2", "u2"],
    "item_id": ["i1", "i2", "i1", "i3"],
    "timestamp": [1_500_000_000, 1_500_000_000, 1_500_086_400, 1_500_172_800],
}


def write(folder: Path, name: str, columns: dict[str, list[object]]) -> str:
    frame, path = pl.DataFrame(columns), folder / name
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return str(path)


def quiet(_: str) -> None:
    pass


def read_times(column: pl.Series, time_format: str, timezone: str) -> tuple[pl.Series, str]:
    times = TimeReader(time_format, timezone, "f.csv: column t")
    return times.read(column), "\n".join(times.finish())


def test_the_same_table_as_csv_tsv_and_parquet_gives_the_same_log(tmp_path):
    items = {"item_id": ["i3", "i1", "i2"], "text": ["egg", "milk", None], "category": ["a", "b", "b"]}
    digests = set()
    for suffix in ("csv", "tsv", "parquet"):
        events = write(tmp_path, f"events.{suffix}", ROWS | {"value": [1.5, None, 2.0, 3.0]})
        table = Table(events, write(tmp_path, f"items.{suffix}", items), value_column="value")
        log = prepare(table, tmp_path / suffix, quiet)
        digests.add(log.digest)
    assert len(digests) == 1
    assert log.items["text"].to_list() == ["milk", None, "egg"]
    assert log.item_categories.tolist() == [1, 1, 0]


def test_identity_follows_the_bytes_and_not_the_place(tmp_path):
    (tmp_path / "b").mkdir()
    one = Table(write(tmp_path, "e.csv", ROWS)).identity()
    assert Table(write(tmp_path / "b", "other.csv", ROWS)).identity() == one
    assert Table(write(tmp_path, "e.csv", ROWS | {"item_id": ["i1", "i2", "i1", "i4"]})).identity() != one
    assert Table(write(tmp_path, "e.csv", ROWS), min_item_events=2).identity() != one


def test_columns_are_mapped(tmp_path):
    renamed = dict(zip(("who", "what", "when"), ROWS.values(), strict=True))
    table = Table(write(tmp_path, "e.csv", renamed), user_column="who", item_column="what", time_column="when")
    assert table.tables().events["timestamp_s"].to_list() == ROWS["timestamp"]


TIME_CASES = [
    ([1_500_000_000, 1_500_000_001], "auto", "UTC", 1_500_000_000, "seconds"),
    (["1500000000", "1500000001"], "auto", "UTC", 1_500_000_000, "seconds"),
    (["1500000000.7", "1500000001"], "auto", "UTC", 1_500_000_000, "seconds"),
    (["1500000000999", "1500000001000"], "auto", "UTC", 1_500_000_000, "milliseconds"),
    ([5, 6], "s", "UTC", 5, "seconds"),
    ([5999, 6000], "ms", "UTC", 5, "milliseconds"),
    (["2017-07-14T02:40:00Z", "2017-07-15"], "auto", "UTC", 1_500_000_000, "ISO 8601"),
    (["2017-07-14 04:40:00.25+02:00", "2017-07-15"], "auto", "UTC", 1_500_000_000, "ISO 8601"),
    (["2017-07-13T22:40-0400", "2017-07-15"], "iso", "UTC", 1_500_000_000, "ISO 8601"),
    (["2017-07-13 22:40", "2017-07-15"], "auto", "America/New_York", 1_500_000_000, "ISO 8601"),
    (["2017-07-14", "2017-07-15"], "auto", "UTC", 1_499_990_400, "ISO 8601"),
    (["2017-07-14", "2017-07-15"], "auto", "America/New_York", 1_499_990_400 + 4 * 3600, "ISO 8601"),
    (["14/07/2017 02:40", "15/07/2017 00:00"], "%d/%m/%Y %H:%M", "UTC", 1_500_000_000, "%d/%m/%Y %H:%M"),
    (["20170714", "20170715"], "%Y%m%d", "UTC", 1_499_990_400, "%Y%m%d"),
    (["14.07.2017 04:40 +0200", "15.07.2017 00:00 +0200"], "%d.%m.%Y %H:%M %z", "UTC", 1_500_000_000, "%z"),
    ([date(2017, 7, 14), date(2017, 7, 15)], "auto", "UTC", 1_499_990_400, "days"),
    ([datetime(2017, 7, 14, 2, 40), datetime(2017, 7, 15)], "auto", "UTC", 1_500_000_000, "without a zone"),
    ([datetime(2017, 7, 14, 2, 40, tzinfo=UTC)] * 2, "auto", "America/New_York", 1_500_000_000, "zone UTC"),
]


@pytest.mark.parametrize(("written", "time_format", "timezone", "first_s", "said"), TIME_CASES)
def test_times_are_read_and_the_way_is_said(written, time_format, timezone, first_s, said):
    seconds, note = read_times(pl.Series(written), time_format, timezone)
    assert seconds[0] == first_s
    assert seconds.dtype == pl.Int64
    assert said in note
    assert ("recognised as" if time_format == "auto" else "read as") in note


def test_times_around_a_clock_change():
    written = pl.Series(["2017-03-12 02:30", "2017-11-05 01:30"])  # skipped; occurs twice
    seconds, _ = read_times(written, "auto", "America/New_York")
    assert seconds[0] == int(datetime(2017, 3, 12, 7, 30, tzinfo=UTC).timestamp())
    assert seconds[1] == int(datetime(2017, 11, 5, 5, 30, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("spelling", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
def test_the_fast_way_to_read_a_plain_spelling_is_the_general_one(spelling, zone):
    seconds = pl.Series(range(1_488_000_000, 1_520_000_000, 1_000_003))  # over two clock changes
    written = pl.from_epoch(seconds).dt.strftime(spelling)
    assert from_iso(written, zone).to_list() == _from_any_iso(written, zone).to_list()
    odd = pl.Series(["2017-02-30 10:00:00", "2017-1-001 10:00:00", "2017-01-1  10:00:00", "2017-01-01 10:00:60"])
    for other in odd:
        both = pl.Series([written[0], other])
        assert from_iso(both, zone).to_list() == _from_any_iso(both, zone).to_list()


def test_the_time_note_is_printed_by_prepare(tmp_path):
    lines: list[str] = []
    prepare(Table(write(tmp_path, "e.csv", ROWS)), tmp_path, lines.append)
    assert any("times recognised as seconds" in line and "2017-07-14 02:40:00 UTC" in line for line in lines)


def test_quantities_and_duplicates_follow_counted_rules(tmp_path):
    rows = {name: [*column, column[0], column[0], column[0]] for name, column in ROWS.items()}
    events = write(tmp_path, "e.csv", rows | {"n": [1, 1, 1, 2, 3, -1, None], "price": [1, 2, 3, 4, 5, 6, 7]})
    log = prepare(Table(events, quantity_column="n", value_column="price"), tmp_path, quiet)
    assert log.report["rules"] == [
        {"rule": "quantity not above zero, or not known", "rows": 2},
        {"rule": "same user, item and second: merged, values added", "rows": 1},
    ]
    assert sorted(log.event_values.tolist()) == [2.0, 3.0, 4.0, 6.0]


def test_rare_items_are_left_out(tmp_path):
    rows = {name: [*column, column[1]] for name, column in ROWS.items()}
    table = Table(
        write(tmp_path, "e.csv", rows | {"timestamp": [*ROWS["timestamp"], 1_500_000_009]}), min_item_events=2
    )
    tables = table.tables()
    assert set(tables.events["item_id"]) == {"i1", "i2"}
    assert tables.items["item_id"].to_list() == ["i1", "i2"]
    assert tables.rules[0].rows == 1


def test_items_without_text_or_row_are_noted(tmp_path):
    items = write(tmp_path, "i.csv", {"item_id": ["i1", "i9", "i1"], "name": ["milk", "nut", "beer"]})
    events = write(tmp_path, "e.csv", ROWS)
    tables = Table(events, items).tables()
    notes = "\n".join(tables.notes)
    assert "no column text, so the items have none; its columns: item_id, name" in notes
    assert "2 items with events have no row in the items' file" in notes
    assert "1 rows of the items' file have no event" in notes
    assert {rule.name: rule.rows for rule in tables.rules}["further row of an item in the items' file"] == 1
    assert Table(events, items, text_column="name").tables().items["text"].to_list() == ["milk", None, None]


def test_users_keep_their_columns(tmp_path):
    users = write(tmp_path, "u.csv", {"age": [30, 40, 50], "user_id": ["u2", "u1", "u7"]})
    log = prepare(Table(write(tmp_path, "e.csv", ROWS), users=users), tmp_path, quiet)
    assert log.users.to_dict(as_series=False) == {"user_id": ["u1", "u2"], "age": ["40", "30"]}


def test_a_text_of_a_million_characters_is_cut_and_noted(tmp_path):
    items = write(tmp_path, "i.csv", {"item_id": ["i1", "i2"], "text": ["x" * 1_000_000, "short"]})
    tables = Table(write(tmp_path, "e.csv", ROWS), items).tables()
    assert tables.items["text"].str.len_chars().to_list()[:2] == [MAX_TEXT_CHARACTERS, 5]
    assert "1 item texts of more than 10,000 characters were cut to that length" in tables.notes


def test_mixed_ids_are_text_and_noted(tmp_path):
    tables = Table(write(tmp_path, "e.csv", ROWS | {"item_id": ["7", "07", "x", "7"]})).tables()
    assert sorted(set(tables.events["item_id"])) == ["07", "7", "x"]
    assert "item_id: 3 of 4 rows have a number, the others text; all are text" in tables.notes


def test_a_byte_order_mark_and_quotes_are_read(tmp_path):
    path = tmp_path / "e.csv"
    path.write_bytes('\ufeffuser_id,item_id,timestamp\n"u,1","é ""x""",1500000000\nu2,y,1500000001\n'.encode())
    events = Table(str(path)).tables().events
    assert events["user_id"].to_list() == ["u,1", "u2"]
    assert events["item_id"].to_list() == ['é "x"', "y"]
