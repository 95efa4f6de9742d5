"""Behaviours of events: reading, purchases of the target alone, additions, errors."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seasonrec.data.behaviours import with_target
from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.extend import Added, with_events, with_users
from seasonrec.data.log import EventLog
from seasonrec.data.preparation import arrays
from seasonrec.data.preparation.checks import MOST_BEHAVIOURS
from seasonrec.data.tables import DataError

ROWS = [
    ("u1", "i2", 1_500_000_000, "view", 1.0),
    ("u1", "i2", 1_500_000_000, "buy", 2.0),
    ("u1", "i2", 1_500_000_000, "buy", 3.0),  # merged
    ("u1", "i1", 1_500_000_100, "view", 4.0),
    ("u1", "i1", 1_500_000_200, "cart", 5.0),
    ("u2", "i3", 1_500_000_050, "view", 6.0),
    ("u2", "i1", 1_500_000_300, "buy", 7.0),
]


def written(folder: Path, rows: list[tuple[object, ...]] = ROWS) -> Table:
    names = ("user_id", "item_id", "timestamp", "kind", "price")
    pl.DataFrame(rows, schema=names, orient="row").write_csv(folder / "events.csv")
    return Table(str(folder / "events.csv"), behaviour_column="kind", value_column="price")


def prepared(folder: Path, rows: list[tuple[object, ...]] = ROWS) -> EventLog:
    return prepare(written(folder, rows), folder / "cache", lambda line: None)


def listed(log: EventLog) -> list[tuple[object, ...]]:
    """Returns user, item, second, behaviour and value of each event, sorted."""
    users = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))
    told = [None] * log.num_events if log.event_behaviours is None else log.event_behaviours.tolist()
    names = [None if number is None else log.behaviours[number] for number in told]
    ids = log.users["user_id"].gather(users), log.items["item_id"].gather(np.asarray(log.event_items))
    columns = (*(each.to_list() for each in ids), log.event_times_s.tolist(), names, log.event_values.tolist())
    return sorted(zip(*columns, strict=True), key=str)


MERGED = [*ROWS[:1], ("u1", "i2", 1_500_000_000, "buy", 5.0), *ROWS[3:]]


def test_the_same_item_in_two_behaviours_is_two_events(tmp_path: Path) -> None:
    log = prepared(tmp_path)
    assert listed(log) == sorted(MERGED, key=str)
    assert log.behaviours == ("buy", "cart", "view")
    assert {rule["rule"]: rule["rows"] for rule in log.report["rules"]} == {
        "same user, item, behaviour and second: merged, values added": 1
    }
    frame = written(tmp_path).tables().events
    assert sorted(frame["behaviour"]) == sorted(row[3] for row in ROWS)


def test_buckets_on_disk_give_the_same_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepared(tmp_path).digest
    monkeypatch.setattr(arrays, "WHOLE_ROWS", 1)
    monkeypatch.setattr(arrays, "BUCKET_ROWS", 2)
    assert prepare(written(tmp_path), tmp_path / "other", lambda line: None).digest == whole


def test_purchases_are_the_events_of_the_target(tmp_path: Path) -> None:
    whole = prepared(tmp_path)
    log = with_target(whole, "buy")
    assert [row[:3] for row in listed(log)] == [("u1", "i2", 1_500_000_000), ("u2", "i1", 1_500_000_300)]
    assert log.event_values.tolist() == [5.0, 7.0]
    assert log.user_offsets.tolist() == log.user_baskets.tolist() == log.basket_offsets.tolist() == [0, 1, 2]
    assert log.basket_users.tolist() == [0, 1]
    assert log.basket_times_s.tolist() == [1_500_000_000, 1_500_000_300]
    assert log.sequences is whole
    assert log.item_first_seen_s.tolist() == [1_500_000_100, 1_500_000_000, 1_500_000_050], "a view is a first event"
    views = with_target(whole, "view")
    assert views.user_offsets.tolist() == [0, 2, 3]
    assert views.user_baskets.tolist() == [0, 2, 3]


def test_errors_list_the_behaviours_of_the_log(tmp_path: Path) -> None:
    log = prepared(tmp_path)
    kinds = r"the events of this log are buy \(2 events\), cart \(1 events\), view \(3 events\); "
    with pytest.raises(DataError, match=f"target_behaviour must name .*; {kinds}set it to one of these"):
        with_target(log, None)
    with pytest.raises(DataError, match=f"must name .*, got 'purchase'; {kinds}choose one of these"):
        with_target(log, "purchase")
    plain = prepare(Table(str(tmp_path / "events.csv")), tmp_path / "cache", lambda line: None)
    assert with_target(plain, None) is plain
    with pytest.raises(DataError, match="target_behaviour=buy needs events with a behaviour, and this log has none"):
        with_target(plain, "buy")


def test_bad_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column kind is a key .* got 1 null or blank values, the first in row 2 "):
        prepared(tmp_path, [ROWS[0], (*ROWS[1][:3], " ", 1.0)])
    many = [(*ROWS[number % 7][:3], f"k{number}", 1.0) for number in range(MOST_BEHAVIOURS + 1)]
    with pytest.raises(DataError, match=r"at most 100 kinds, .* got 101 different names, the first 'k0'; check"):
        prepared(tmp_path, many)


def test_newer_events_and_users(tmp_path: Path) -> None:
    log = with_target(prepared(tmp_path), "buy")
    columns = {"user_id": ["u3"] * 3, "item_id": ["i1", "i1", "i9"], "timestamp_s": [1_600_000_000] * 3}
    newer = pl.DataFrame({**columns, "behaviour": ["buy", "view", "buy"]})
    longer, added = with_events(log, newer)
    assert added == Added(new=2, known=0, unknown_items=1, new_users=1)
    assert (longer.num_events, longer.sequences.num_events) == (3, 8)
    assert ("u3", "i1", 1_600_000_000, "view") in [row[:4] for row in listed(longer.sequences)]
    assert with_users(log, ["zoe"]).sequences.num_users == 3
    with pytest.raises(DataError, match="must be of the behaviours buy, cart, view, got 'gift' in 2 rows"):
        with_events(log, newer.with_columns(behaviour=pl.lit("gift")))
