"""Sales of items and their categories in ranges of days, relative to all time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.rows import RowCache

Days = NDArray[np.int64]
"""``(Q,)`` days of the log, counted from its first."""

SHARE_BYTES = 1 << 28
"""Limit of the memory for the categories' shares by day, in bytes."""

SUMMED_CELLS = 1 << 22
"""Number of shares that are summed at a time."""


class Lift:
    """Log of the shrunk ratio of the sales in a range of days to the sales expected from all earlier days.

    The result for some items has the same bits as for the whole catalogue: sums over the catalogue (a day's total, a
    category's share) always have the same order.

    Args:
        counts: Daily counts of the log.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    def __init__(self, counts: DailyCounts, prior_events: float) -> None:
        self.counts = counts
        self.prior_events = prior_events
        self._shares = RowCache((counts.num_categories,), np.float64, counts.num_days + 1, SHARE_BYTES)

    def __call__(
        self, known: Days, windows: list[tuple[Days, Days]], items: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns log ratios of items and of their categories, both ``(Q, C, W)``.

        Args:
            known: ``(Q,)`` days; sales before each are known.
            windows: ``W`` ranges of days: first day, and the day after the last.
            items: ``(C,)`` item numbers; None for all.
        """
        counts = self.counts
        groups, place = None, counts.item_categories
        if items is not None:
            groups, place = np.unique(place[items], return_inverse=True)
        total, *sold = _windows(counts.items, known, windows, items)
        share = smoothed_share(total, counts.total_before[known], counts.num_items)
        _, *sold_groups = _windows(counts.categories, known, windows, groups)
        group_share = self._category_share(known)
        group_share = group_share if groups is None else group_share[:, groups]
        events = [counts.total_before[stop] - counts.total_before[start] for start, stop in windows]
        item = [self._log_ratio(*pair, share) for pair in zip(sold, events, strict=True)]
        category = [self._log_ratio(*pair, group_share) for pair in zip(sold_groups, events, strict=True)]
        return np.stack(item, axis=-1), np.stack(category, axis=-1)[:, place]

    def unsold(
        self, known: Days, window: tuple[Days, Days], items: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Returns minus the log of 1 plus the expected events of items without an event in a range, ``(Q, C)``; else 0.

        Args:
            known: ``(Q,)`` days; sales before each are known.
            window: Range of days: first day, and the day after the last.
            items: ``(C,)`` item numbers; None for all.
        """
        total, sold = _windows(self.counts.items, known, [window], items)
        share = smoothed_share(total, self.counts.total_before[known], self.counts.num_items)
        events = self.counts.total_before[window[1]] - self.counts.total_before[window[0]]
        return np.where(sold == 0, -np.log1p(share * events[:, None]), 0.0)

    def _log_ratio(
        self, sold: NDArray[np.int32], events: NDArray[np.int64], share: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.log((sold + self.prior_events) / (share * events[:, None] + self.prior_events))

    def _category_share(self, known: Days) -> NDArray[np.float64]:
        """Returns ``(Q, G)`` shares of the categories, from a cache.

        The second call computes all days at once if they fit: sparse counts read all events in every computation.
        """
        days, row = np.unique(known, return_inverse=True)
        if self._shares.holds_all and len(self._shares) and not all(day in self._shares for day in days.tolist()):
            everything = np.arange(self.counts.num_days + 1)
            self._shares(everything.tolist(), lambda places, _: self._share_sums(everything[places]))
        return self._shares(days.tolist(), lambda places, _: self._share_sums(days[places]))[row]

    def _share_sums(self, days: Days) -> NDArray[np.float64]:
        """Returns ``(Q, G)`` sums of the items' shares, added in item order, so that ``step`` changes no bit."""
        counts = self.counts
        sums = np.zeros((len(days), counts.num_categories))
        step = max(1, SUMMED_CELLS // len(days))
        for first in range(0, counts.num_items, step):
            items = np.arange(first, min(first + step, counts.num_items))
            share = smoothed_share(counts.before(days, items), counts.total_before[days], counts.num_items)
            for row, of_day in zip(sums, share, strict=True):
                np.add.at(row, counts.item_categories[items], of_day)
        return sums


def _windows(counts: Any, known: Days, windows: list[tuple[Days, Days]], codes: Any) -> list[NDArray[np.int32]]:
    """Returns events before ``known``, then the events of each range of days, all ``(Q, C)``."""
    bounds = np.concatenate([known, *(bound for window in windows for bound in window)])
    before = np.split(counts.before(bounds, codes), 1 + 2 * len(windows))
    return [before[0], *(before[2 * w + 2] - before[2 * w + 1] for w in range(len(windows)))]


def smoothed_share(sold: NDArray[np.int32], events: NDArray[np.int64], num_items: int) -> NDArray[np.float64]:
    """Returns the ``(Q, C)`` shares of ``(Q, C)`` sold items in ``(Q,)`` events, with one pseudo-event per item."""
    return (sold + 1.0) / (events[:, None] + num_items)
