"""Events of each item, and of each category, up to each local day."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.prefix_counts import DENSE_CELLS, prefix_counts
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions


class DailyCounts:
    """Events of each item up to each local day, as prefix sums: any range of days is one subtraction.

    Memory: 4 bytes per day and item, or 2 to 4 bytes per event if that is too many (see ``prefix_counts``). Building it
    reads the log in portions and temporarily holds 4 bytes per basket.

    Args:
        log: The prepared log.
        dense_cells: Days times items up to which one table is kept.
    """

    def __init__(self, log: EventLog, dense_cells: int = DENSE_CELLS) -> None:
        self.timezone = log.timezone
        self.num_items = log.num_items
        self.item_categories = np.asarray(log.item_categories, dtype=np.int64)
        self.num_categories = int(self.item_categories.max()) + 1
        days = _BasketDays(log)
        self.first_day, self.num_days = days.first, days.number
        self.items = prefix_counts(days.and_items, self.num_days, self.num_items, dense_cells)
        self.categories = prefix_counts(
            lambda: ((day, self.item_categories[item]) for day, item in days.and_items()),
            self.num_days,
            self.num_categories,
            dense_cells,
        )
        daily = np.zeros(self.num_days, dtype=np.int64)
        for day, _ in days.and_items():
            daily += np.bincount(day, minlength=self.num_days)
        self.total_before = np.append(0, np.cumsum(daily))
        """``(days + 1,)`` events of all items before each day."""

    def known_days(self, requests: Requests) -> NDArray[np.int64]:
        """Returns ``(N,)`` full days of the log before the request's day (and horizon)."""
        days = local_days(requests.known_until_s, self.timezone) - self.first_day
        return np.clip(days, 0, self.num_days)

    def before(self, days: NDArray[np.int64], items: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """Returns ``(Q, C)`` events of items before each day of the log, a number in ``0..num_days``.

        Args:
            days: ``(Q,)`` days, counted from the first day of the log.
            items: ``(C,)`` item numbers; None for all ``V``.
        """
        return self.items.before(days, items)

    def window(
        self, days: NDArray[np.int64], length: int | None, items: NDArray[np.int64] | None = None
    ) -> NDArray[np.int32]:
        """Returns ``(Q, C)`` events of the ``length`` days before each day of the log; None for all earlier days."""
        if length is None:
            return self.before(days, items)
        return self.before(days, items) - self.before(np.maximum(days - length, 0), items)


class _BasketDays:
    """Local day of each basket, counted from the first day."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.days = np.empty(log.num_baskets, dtype=np.int32)
        for baskets, _ in basket_portions(log):
            self.days[baskets] = local_days(log.basket_times_s[baskets], log.timezone)
        self.first = int(self.days.min())
        self.days -= self.first
        self.number = int(self.days.max()) + 1

    def and_items(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for baskets, events in basket_portions(self.log):
            sizes = np.diff(self.log.basket_offsets[baskets.start : baskets.stop + 1])
            yield np.repeat(self.days[baskets], sizes), np.asarray(self.log.event_items[events])
