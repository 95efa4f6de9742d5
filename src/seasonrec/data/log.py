"""Prepared log: events, baskets and items as flat memory-mapped arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.data.occasions import Occasion


@dataclass(frozen=True)
class EventLog:
    """Events sorted by user and time, and the offsets of users and baskets. Ties have a fixed random order.

    Users, items and baskets are numbered from 0. Basket ``b`` holds the events
    ``basket_offsets[b]:basket_offsets[b + 1]``; user ``u`` holds the events ``user_offsets[u]:user_offsets[u + 1]`` and
    the baskets ``user_baskets[u]:user_baskets[u + 1]``, both in time order. Within a basket an item occurs once.

    Args:
        folder: Folder of the arrays.
        digest: SHA-256 over the arrays, the content address of the prepared data.
        country: ISO 3166 code of the holidays, or None.
        timezone: IANA zone in which days are counted.
        event_items: ``(E,)`` int32.
        event_times_s: ``(E,)`` int64, seconds since 1970-01-01 UTC.
        event_values: ``(E,)`` float32; NaN where unknown.
        user_offsets: ``(U + 1,)`` int64 into the events.
        user_baskets: ``(U + 1,)`` int64 into the baskets.
        basket_offsets: ``(K + 1,)`` int64 into the events.
        basket_users: ``(K,)`` int32.
        basket_times_s: ``(K,)`` int64.
        item_first_seen_s: ``(V,)`` int64, time of the item's first event.
        item_categories: ``(V,)`` int32; all zero if the items have none.
        items: One row per item in item order: ``item_id, text, category``, and the columns of features, see
            :mod:`seasonrec.data.features`.
        users: One row per user in user order: ``user_id`` and more.
        report: Cleaning rules ``[{"rule": ..., "rows": ...}]`` and notes, as kept in the manifest.
        occasions: The user's own calendar; empty without one.
        event_behaviours: ``(E,)`` uint8, numbers of the behaviours in ``behaviours``; None if the events have none.
        behaviours: Names of the behaviours in alphabetical order.
        target_behaviour: Behaviour of all events of this log, if it was reduced to one, see
            :func:`~seasonrec.data.behaviours.with_target`.
        all_behaviours: The log of the events of all behaviours from which this one was reduced; users and items have
            the same numbers.
    """

    folder: Path
    digest: str
    country: str | None
    timezone: str
    event_items: NDArray[np.int32]
    event_times_s: NDArray[np.int64]
    event_values: NDArray[np.float32]
    user_offsets: NDArray[np.int64]
    user_baskets: NDArray[np.int64]
    basket_offsets: NDArray[np.int64]
    basket_users: NDArray[np.int32]
    basket_times_s: NDArray[np.int64]
    item_first_seen_s: NDArray[np.int64]
    item_categories: NDArray[np.int32]
    items: pl.DataFrame
    users: pl.DataFrame
    report: dict[str, object]
    occasions: tuple[Occasion, ...] = ()
    event_behaviours: NDArray[np.uint8] | None = None
    behaviours: tuple[str, ...] = ()
    target_behaviour: str | None = None
    all_behaviours: EventLog | None = None

    @property
    def sequences(self) -> EventLog:
        """Log whose events form the sequences: that of all behaviours."""
        return self if self.all_behaviours is None else self.all_behaviours

    @property
    def num_events(self) -> int:
        return len(self.event_items)

    @property
    def num_users(self) -> int:
        return len(self.user_offsets) - 1

    @property
    def num_items(self) -> int:
        return len(self.item_first_seen_s)

    @property
    def num_baskets(self) -> int:
        return len(self.basket_users)

    def baskets_before(self, users: NDArray[np.int64], until_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the number of each user's first basket at or after a second: the end of the known baskets.

        Args:
            users: ``(N,)`` user numbers.
            until_s: ``(N,)`` seconds.

        Returns:
            ``(N,)`` int64 in ``user_baskets[u]..user_baskets[u + 1]``.
        """
        offsets, times_s = np.asarray(self.user_baskets), np.asarray(self.basket_times_s)  # np.memmap is slow
        low, high = offsets[users], offsets[users + 1]
        while (open_ := low < high).any():
            middle = (low + high) // 2
            earlier = open_ & (times_s[np.minimum(middle, self.num_baskets - 1)] < until_s)
            low = np.where(earlier, middle + 1, low)
            high = np.where(open_ & ~earlier, middle, high)
        return low
