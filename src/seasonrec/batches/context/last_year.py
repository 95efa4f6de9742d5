"""Sales a year ago, for logs that cover at least a year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.base import DayTables
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.lift import Lift
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

YEAR_DAYS = 364
"""Whole weeks, so that a Saturday is compared with Saturdays."""

KEPT_BYTES = 1 << 28
"""Limit of the memory for the tables of days, in bytes."""


@dataclass(frozen=True)
class LastYear(DayTables):
    """Sales of each item and category around the same day a year ago, relative to all time.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        item: ``(Q, C)`` float, log of the shrunk ratio; 0 if the log does not reach back a year. ``C`` is the whole
            catalogue unless some items were requested.
        category: ``(Q, C)`` float, the same for the item's category.
    """

    item: Tensor
    category: Tensor


@dataclass(frozen=True)
class LastYearContext:
    """Options of :class:`LastYear`.

    Args:
        half_window_days: Number of days on each side of the day a year ago.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    half_window_days: int = 14
    prior_events: float = 5.0
    name: str = "last_year"

    def bind(self, log: EventLog, spec: DataSpec) -> LastYearIndex:
        spec.require_last_year("season=[last_year]")
        return LastYearIndex(log, self)


class LastYearIndex:
    """Index of :class:`LastYear` by day, with a cache of days."""

    def __init__(self, log: EventLog, options: LastYearContext) -> None:
        self.half_window_days = options.half_window_days
        self.counts = DailyCounts(log)
        self.lift = Lift(self.counts, options.prior_events)
        self._known = RowCache((log.num_items, 2), np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> LastYear:
        days, row = request_and_known_days(self.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        table = self._known(keys, lambda places, columns: self._compute(days[places], columns), items)
        values = torch.from_numpy(np.ascontiguousarray(np.moveaxis(table, -1, 0)))  # (2, Q, C)
        return LastYear(row=torch.from_numpy(row), item=values[0], category=values[1])

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Returns ``(Q, C, 2)`` log ratios of the items, then of their categories."""
        window = window_a_year_ago(days, self.half_window_days)
        return np.concatenate(self.lift(days[:, 1], [window], items), axis=-1, dtype=np.float32, casting="same_kind")


def request_and_known_days(counts: DailyCounts, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the ``(Q, 2)`` distinct pairs of request day and number of known days, and ``(N,)`` pair of a request."""
    asked = local_days(requests.times_s, counts.timezone) - counts.first_day
    days, row = np.unique(np.stack([asked, counts.known_days(requests)], axis=1), axis=0, return_inverse=True)
    return days, row.reshape(-1)


def window_a_year_ago(days: NDArray[np.int64], half_window_days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the range of days around the day 364 days before each request, empty before the log begins.

    The season is that of the request, not of the end of its history; a horizon only moves the end of the known events.

    Args:
        days: ``(Q, 2)``, see :func:`request_and_known_days`.
        half_window_days: Number of days on each side.

    Returns:
        Two ``(Q,)`` arrays of days of the log: the first day, and the day after the last.
    """
    asked, known = days.T
    stop = np.clip(asked - YEAR_DAYS + half_window_days + 1, 0, known)
    start = np.clip(asked - YEAR_DAYS - half_window_days, 0, stop)
    return start, stop
