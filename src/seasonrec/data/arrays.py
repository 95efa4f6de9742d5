"""From tables to flat arrays: numbering, merging, the shuffling of ties, offsets."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.tables import Rule, SourceTables

TIE_SEED = 20_170_101
"""Seed of the order within a basket. Sources list a basket's items in rising id order, which a model could read."""

EventArrays = dict[str, NDArray[np.generic]]
"""The arrays of :class:`~seasonrec.data.log.EventLog` by name."""


def build_arrays(tables: SourceTables) -> tuple[EventArrays, pl.DataFrame, pl.DataFrame, tuple[Rule, ...]]:
    """Numbers users and items in id order and lays the events out user by user in time order.

    The result depends on the set of rows alone, not on their order in the source.

    Returns:
        ``(arrays, items, users, rules)``; items and users are those with an event, in number order.
    """
    users = _numbered(tables.events, "user_id")
    items = _numbered(tables.events, "item_id")
    codes = tables.events.join(users, on="user_id", maintain_order="left").rename({"number": "user"})
    codes = codes.join(items, on="item_id", maintain_order="left").rename({"number": "item"})
    user, time_s, item, value = _merged(codes)
    order = _shuffled_ties(user, time_s)
    user, time_s, item, value = user[order], time_s[order], item[order], value[order]
    item_table = items.select("item_id").join(tables.items, on="item_id", how="left", maintain_order="left")
    item_table = item_table.select("item_id", "text", "category")
    arrays: EventArrays = {
        "event_items": item.astype(np.int32),
        "event_times_s": time_s,
        "event_values": value.astype(np.float32),
        **offsets(user, time_s, users.height),
        "item_first_seen_s": _first_seen(item, time_s, items.height),
        "item_categories": _category_codes(item_table),
    }
    rules = (Rule("same user, item and second: merged, values added", tables.events.height - len(user)),)
    return arrays, item_table, _user_table(users, tables.users), rules


def _numbered(events: pl.DataFrame, column: str) -> pl.DataFrame:
    """``(N, 2)`` table of the distinct ids in rising order with their numbers."""
    return events.select(pl.col(column).unique().sort()).with_row_index("number")


def _user_table(numbered: pl.DataFrame, users: pl.DataFrame | None) -> pl.DataFrame:
    ids = numbered.select("user_id")
    return ids if users is None else ids.join(users, on="user_id", how="left", maintain_order="left")


def _merged(
    codes: pl.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Events with the same (user, time, item) as one, values added; sorted by (user, time, item), all ``(E,)``.

    Unknown values add nothing; an event none of whose rows has a value gets NaN.
    """
    user = codes["user"].to_numpy().astype(np.int64)
    item = codes["item"].to_numpy().astype(np.int64)
    time_s = codes["timestamp_s"].to_numpy().astype(np.int64)
    value = codes["value"].cast(pl.Float64) if "value" in codes.columns else pl.repeat(None, len(user), eager=True)
    amount = value.cast(pl.Float64).fill_null(np.nan).to_numpy()
    order = np.lexsort((amount, item, time_s, user))  # by value too: the sum then does not depend on the row order
    user, item, time_s, amount = user[order], item[order], time_s[order], amount[order]
    first = np.flatnonzero(_changes(user, time_s, item))
    known = np.add.reduceat((~np.isnan(amount)).astype(np.int64), first)
    total = np.add.reduceat(np.nan_to_num(amount, nan=0.0), first)
    return user[first], time_s[first], item[first], np.where(known > 0, total, np.nan)


def _changes(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(E,)`` bool: True where a row differs from the row before in any column; True at the first row."""
    changed = np.ones(len(columns[0]), dtype=np.bool_)
    changed[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return changed


def _shuffled_ties(user: NDArray[np.int64], time_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order of the events by (user, time), and by a random number of fixed seed within a basket."""
    lots = np.random.default_rng(TIE_SEED).random(len(user))
    return np.lexsort((lots, time_s, user))


def offsets(user: NDArray[np.int64], time_s: NDArray[np.int64], num_users: int) -> EventArrays:
    """Where users and baskets begin, for events sorted by (user, time): the offset arrays of ``EventLog`` by name."""
    first = np.flatnonzero(_changes(user, time_s))
    numbers = np.arange(num_users + 1)
    return {
        "user_offsets": np.searchsorted(user, numbers).astype(np.int64),
        "user_baskets": np.searchsorted(user[first], numbers).astype(np.int64),
        "basket_offsets": np.append(first, len(user)).astype(np.int64),
        "basket_users": user[first].astype(np.int32),
        "basket_times_s": time_s[first],
    }


def _first_seen(item: NDArray[np.int64], time_s: NDArray[np.int64], num_items: int) -> NDArray[np.int64]:
    first_seen_s = np.full(num_items, np.iinfo(np.int64).max)
    np.minimum.at(first_seen_s, item, time_s)
    return first_seen_s


def _category_codes(items: pl.DataFrame) -> NDArray[np.int32]:
    """Categories numbered in name order; items without one share the first number."""
    return (items["category"].fill_null("").rank("dense").cast(pl.Int32) - 1).to_numpy()
