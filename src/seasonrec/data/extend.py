"""Addition of users and newer events to a prepared log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.behaviours import with_target
from seasonrec.data.log import EventLog
from seasonrec.data.preparation.digest import content_digest
from seasonrec.data.preparation.merging import TIE_SEED, changes
from seasonrec.data.tables import DataError


@dataclass(frozen=True)
class Added:
    """Result of the addition of events.

    Args:
        new: Number of events that were added.
        known: Number of events that the log already had or that repeat another new one; they are left out.
        unknown_items: Number of events of items outside the catalogue; they are left out.
        new_users: Number of users that were added.
    """

    new: int
    known: int
    unknown_items: int
    new_users: int


def with_users(log: EventLog, user_ids: Sequence[str]) -> EventLog:
    """Returns the log with new users, who have no events, after its own; known ids are skipped."""
    if log.all_behaviours is not None:
        return with_target(with_users(log.all_behaviours, user_ids), log.target_behaviour)
    known = set(log.users["user_id"])
    new = [user for user in dict.fromkeys(user_ids) if user not in known]
    users = pl.concat([log.users, pl.DataFrame({"user_id": new}, {"user_id": pl.String})], how="diagonal")
    return replace(
        log,
        users=users,
        user_offsets=np.append(log.user_offsets, np.full(len(new), log.num_events)).astype(np.int64),
        user_baskets=np.append(log.user_baskets, np.full(len(new), log.num_baskets)).astype(np.int64),
    )


def with_events(log: EventLog, events: pl.DataFrame) -> tuple[EventLog, Added]:
    """Returns the log with more events of the items of its catalogue, and counts of the addition.

    Users and items keep their numbers, and the old events keep their order. New users come last, in the order of their
    ids.

    Args:
        events: ``user_id, item_id, timestamp_s`` and, if known, ``value``, as in
            :class:`~seasonrec.data.tables.SourceTables`. Rows that repeat a (user, item, second) of the log are
            dropped; rows that repeat each other are merged and their values added. A log with behaviours needs the
            column ``behaviour``, and the same item and second in two behaviours are two events.

    Raises:
        DataError: If a behaviour is not one of the log's.
    """
    if log.all_behaviours is not None:
        longer, added = with_events(log.all_behaviours, events)
        return with_target(longer, log.target_behaviour), added
    items = log.items.select("item_id").with_row_index("item")
    sold = events.join(items, on="item_id")
    longer = with_users(log, sold["user_id"].unique().sort().to_list())
    users = longer.users.select("user_id").with_row_index("user")
    new = _new_events(log, sold.join(users, on="user_id"))
    added = Added(len(new), len(sold) - len(new), len(events) - len(sold), longer.num_users - log.num_users)
    return _merged(longer, new), added


def _new_events(log: EventLog, rows: pl.DataFrame) -> pl.DataFrame:
    """Returns ``user, item, behaviour, timestamp_s, value`` of the distinct events that the log lacks, in random order.

    The behaviour is a number; 0 in a log without behaviours.
    """
    key = ["user", "item", "behaviour", "timestamp_s"]
    rows = rows.with_columns(behaviour=_behaviour_numbers(log, rows))
    value = pl.col("value").cast(pl.Float64) if "value" in rows.columns else pl.lit(None, pl.Float64).alias("value")
    total = pl.when(pl.col("value").count() > 0).then(pl.col("value").sum()).otherwise(None).alias("value")
    rows = rows.select(pl.col(key).cast(pl.Int64), value).group_by(key).agg(total)
    told = np.zeros(log.num_events, np.uint8) if log.event_behaviours is None else log.event_behaviours
    held = pl.DataFrame(dict(zip(key, (_users(log), log.event_items, told, log.event_times_s), strict=True)))
    rows = rows.join(held.cast(pl.Int64), on=key, how="anti").sort(key)
    return rows[np.random.default_rng(TIE_SEED).permutation(len(rows))]


def _merged(log: EventLog, new: pl.DataFrame) -> EventLog:
    user = np.append(_users(log), new["user"].to_numpy())
    time_s = np.append(log.event_times_s, new["timestamp_s"].to_numpy())
    item = np.append(log.event_items, new["item"].to_numpy()).astype(np.int32)
    value = np.append(log.event_values, new["value"].fill_null(np.nan).to_numpy()).astype(np.float32)
    order = np.lexsort((time_s, user))  # stable: within a basket, old events come first and keep their order
    first_seen_s = np.array(log.item_first_seen_s)
    np.minimum.at(first_seen_s, item, time_s)
    arrays: dict[str, NDArray[Any]] = {
        "event_items": item[order],
        "event_times_s": time_s[order],
        "event_values": value[order],
        "item_first_seen_s": first_seen_s,
        "item_categories": log.item_categories,
        **_offsets(user[order], time_s[order], log.num_users),
    }
    if log.event_behaviours is not None:
        arrays["event_behaviours"] = np.append(log.event_behaviours, new["behaviour"].to_numpy()).astype(np.uint8)[
            order
        ]
    changed: dict[str, Any] = {**arrays, "digest": content_digest(arrays, log.items, log.users, log.occasions)}
    return replace(log, **changed)


def _behaviour_numbers(log: EventLog, rows: pl.DataFrame) -> pl.Series:
    """Returns the number of each row's behaviour; 0 in a log without behaviours."""
    if log.event_behaviours is None:
        return pl.Series([0] * rows.height, dtype=pl.Int64)
    numbers = {name: number for number, name in enumerate(log.behaviours)}
    strangers = rows.filter(~pl.col("behaviour").is_in(list(numbers)))
    if strangers.height:
        raise DataError(
            f"newer events must be of the behaviours {', '.join(log.behaviours)}, got {strangers['behaviour'][0]!r} in "
            f"{strangers.height:,} rows; rename or remove them."
        )
    return rows["behaviour"].replace_strict(numbers, return_dtype=pl.Int64)


def _users(log: EventLog) -> NDArray[np.int64]:
    """Returns the ``(E,)`` user of every event."""
    return np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))


def _offsets(user: NDArray[np.int64], time_s: NDArray[np.int64], num_users: int) -> dict[str, NDArray[Any]]:
    """Returns the offset arrays of ``EventLog`` by name, for events sorted by (user, time)."""
    first = np.flatnonzero(changes(user, time_s))
    numbers = np.arange(num_users + 1)
    return {
        "user_offsets": np.searchsorted(user, numbers).astype(np.int64),
        "user_baskets": np.searchsorted(user[first], numbers).astype(np.int64),
        "basket_offsets": np.append(first, len(user)).astype(np.int64),
        "basket_users": user[first].astype(np.int32),
        "basket_times_s": time_s[first],
    }
