from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.extend import Added, with_events, with_users
from seasonrec.data.log import EventLog

NEW_S = 1_500_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    dataset = Synthetic(num_users=12, num_items=20, num_days=90)
    return prepare(dataset, tmp_path_factory.mktemp("cache"), lambda line: None)


def _events(*rows: tuple[str, str, int], **more: list[float | None]) -> pl.DataFrame:
    columns = dict(zip(("user_id", "item_id", "timestamp_s"), map(list, zip(*rows, strict=True)), strict=True))
    return pl.DataFrame({**columns, **more})


def _frame(log: EventLog) -> pl.DataFrame:
    users = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))
    baskets = np.repeat(np.arange(log.num_baskets), np.diff(log.basket_offsets))
    assert (log.basket_users[baskets] == users).all()
    assert (log.basket_times_s[baskets] == log.event_times_s).all()
    return pl.DataFrame(
        {
            "user_id": log.users["user_id"][users],
            "item_id": log.items["item_id"][log.event_items],
            "timestamp_s": log.event_times_s,
            "value": log.event_values,
        }
    )


def test_users_without_events_come_behind(log: EventLog) -> None:
    known = log.users["user_id"][3]
    longer = with_users(log, ["zoe", known, "adam", "zoe"])
    assert longer.users["user_id"].to_list() == [*log.users["user_id"], "zoe", "adam"]
    assert longer.num_events == log.num_events
    new = np.array([log.num_users, log.num_users + 1])
    assert (np.diff(longer.user_offsets)[new] == 0).all()
    late_s = np.full(2, NEW_S)
    assert (longer.baskets_before(new, late_s) == longer.user_baskets[new]).all(), "no basket is known of them"


def test_new_events_join_and_old_ones_stay_as_they_are(log: EventLog) -> None:
    old = _frame(log)
    first = old.row(0, named=True)
    known = (first["user_id"], first["item_id"], first["timestamp_s"])
    other_item = next(item for item in log.items["item_id"] if item not in old.head(10)["item_id"])
    rows = (known, (first["user_id"], other_item, first["timestamp_s"]), ("zoe", other_item, NEW_S))
    rows = (*rows, ("zoe", other_item, NEW_S), ("adam", "unheard", NEW_S))
    longer, added = with_events(log, _events(*rows, value=[9.0, 2.0, 3.0, None, 1.0]))
    assert added == Added(new=2, known=2, unknown_items=1, new_users=1)
    frame = _frame(longer)
    fresh = frame.join(old, on=["user_id", "item_id", "timestamp_s"], how="anti")
    assert sorted(fresh.rows()) == sorted([(*rows[1], 2.0), (*rows[2], 3.0)])
    kept = frame.join(fresh, on=["user_id", "item_id", "timestamp_s"], how="anti", maintain_order="left")
    assert_frame_equal(kept, old)
    assert longer.num_baskets == log.num_baskets + 1, "one joins a basket that was there"
    assert longer.digest != log.digest


def test_an_earlier_event_moves_the_time_at_which_an_item_is_first_seen(log: EventLog) -> None:
    item = int(np.argmax(log.item_first_seen_s))
    early_s = int(log.item_first_seen_s.min())
    user, item_id = log.users["user_id"][0], log.items["item_id"][item]
    longer, _ = with_events(log, _events((user, item_id, early_s)))
    assert longer.item_first_seen_s[item] == early_s
    assert log.item_first_seen_s[item] > early_s, "the log itself is as it was"


def test_nothing_new_changes_nothing(log: EventLog, tmp_path: Path) -> None:
    again, added = with_events(log, _frame(log))
    assert added == Added(new=0, known=log.num_events, unknown_items=0, new_users=0)
    assert again.digest == log.digest
