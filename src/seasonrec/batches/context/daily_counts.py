"""Number of events of each item and category before each local day."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.prefix_counts import DENSE_CELLS, prefix_counts
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions


class DailyCounts:
    """Prefix sums of the events of each item over local days; the count of a range of days is one subtraction.

    Memory: 4 bytes per day and item up to ``dense_cells`` days times items, else 2 to 4 bytes per event (see
    ``prefix_counts``). The log is read in portions; 4 bytes per basket are needed meanwhile.
    """

    def __init__(self, log: EventLog, dense_cells: int = DENSE_CELLS) -> None:
        self.timezone = log.timezone
        self.num_items = log.num_items
        self.item_categories = np.asarray(log.item_categories, dtype=np.int64)
        self.num_categories = int(self.item_categories.max()) + 1
        basket_days = np.empty(log.num_baskets, dtype=np.int32)
        for baskets, _ in basket_portions(log):
            basket_days[baskets] = local_days(log.basket_times_s[baskets], log.timezone)
        births = local_days(np.asarray(log.item_first_seen_s), log.timezone)
        self.first_day = int(min(basket_days.min(), births.min()))  # an item may be viewed before anything is bought
        basket_days -= self.first_day
        self.num_days = int(basket_days.max()) + 1
        events = partial(_days_and_items, log, basket_days)
        self.items = prefix_counts(events, self.num_days, self.num_items, dense_cells)
        self.categories = prefix_counts(
            lambda: ((day, self.item_categories[item]) for day, item in events()),
            self.num_days,
            self.num_categories,
            dense_cells,
        )
        daily = np.zeros(self.num_days, dtype=np.int64)
        for day, _ in events():
            daily += np.bincount(day, minlength=self.num_days)
        self.total_before = np.append(0, np.cumsum(daily))
        """``(days + 1,)`` events of all items before each day."""

    def known_days(self, requests: Requests) -> NDArray[np.int64]:
        """Returns the ``(N,)`` number of full days of the log before the end of each request's history."""
        days = local_days(requests.known_until_s, self.timezone) - self.first_day
        return np.clip(days, 0, self.num_days)

    def before(self, days: NDArray[np.int64], items: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """Returns ``(Q, C)`` events of items (None for all) before each day, a number in ``0..num_days``."""
        return self.items.before(days, items)

    def window(
        self, days: NDArray[np.int64], length: int | None, items: NDArray[np.int64] | None = None
    ) -> NDArray[np.int32]:
        """Returns ``(Q, C)`` events in the ``length`` days before each day; None for all earlier days."""
        if length is None:
            return self.before(days, items)
        return self.before(days, items) - self.before(np.maximum(days - length, 0), items)


def _days_and_items(
    log: EventLog, basket_days: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    for baskets, events in basket_portions(log):
        sizes = np.diff(log.basket_offsets[baskets.start : baskets.stop + 1])
        yield np.repeat(basket_days[baskets], sizes), np.asarray(log.event_items[events])
