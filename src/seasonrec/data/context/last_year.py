"""What sold a year ago at this time, for logs that reach back so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.context.momentum import DailyCounts
from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests
from seasonrec.data.spec import DataSpec

YEAR_DAYS = 364
"""Whole weeks, so that a Saturday is compared with Saturdays."""


@dataclass(frozen=True)
class LastYear:
    """How much more each item and category sold around this day a year ago than over all time.

    Args:
        row: ``(N,)`` int64, the request's row in the tables; requests of one day share a row.
        item: ``(Q, V)`` float, log of the shrunk ratio; 0 where the log does not reach back a year.
        category: ``(Q, V)`` float, the same for the item's category.
    """

    row: Tensor
    item: Tensor
    category: Tensor


@dataclass(frozen=True)
class LastYearContext:
    """Asks for :class:`LastYear`.

    Args:
        half_window_days: Days on either side of the day a year ago.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    half_window_days: int = 14
    prior_events: float = 5.0
    name: str = "last_year"

    def bind(self, log: EventLog, spec: DataSpec) -> LastYearIndex:
        spec.require_last_year("season=last_year")
        return LastYearIndex(log, self)


class LastYearIndex:
    """Looks :class:`LastYear` up by day."""

    def __init__(self, log: EventLog, options: LastYearContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.categories = np.asarray(log.item_categories, dtype=np.int64)
        self.num_categories = int(self.categories.max()) + 1

    def __call__(self, requests: Requests) -> LastYear:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        window = window_a_year_ago(self.counts, days, self.options.half_window_days)
        share = (self.counts.window(days, None) + 1.0) / (self.counts.window(days, None) + 1.0).sum(1, keepdims=True)
        grouped = self._log_ratio(self._by_category(window), self._by_category(share))
        return LastYear(
            row=torch.from_numpy(row),
            item=torch.from_numpy(self._log_ratio(window, share).astype(np.float32)),
            category=torch.from_numpy(grouped[:, self.categories].astype(np.float32)),
        )

    def _log_ratio(self, window: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
        prior = self.options.prior_events
        return np.log((window + prior) / (share * window.sum(1, keepdims=True) + prior))

    def _by_category(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(self.categories, row, self.num_categories) for row in values])


def window_a_year_ago(counts: DailyCounts, days: NDArray[np.int64], half_window_days: int) -> NDArray[np.float64]:
    """``(len(days), V)`` events around the day 364 days before each day of the log; 0 before the log begins.

    Args:
        counts: Daily counts of the log.
        days: Full days of the log that are known.
        half_window_days: Days on either side; at most 182, so that nothing of this year is read.
    """
    centre = days - YEAR_DAYS
    stop = np.clip(centre + half_window_days + 1, 0, None)
    start = np.clip(centre - half_window_days, 0, None)
    return (counts.before[stop] - counts.before[start]).astype(np.float64)
