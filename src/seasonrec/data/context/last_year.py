"""What sold a year ago at this time, for logs that reach back so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.calendar import local_days
from seasonrec.data.context.momentum import DailyCounts, Lift, smoothed_share
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
        self.half_window_days = options.half_window_days
        self.counts = DailyCounts(log)
        self.lift = Lift(log, options.prior_events)

    def __call__(self, requests: Requests) -> LastYear:
        days, row = request_and_known_days(self.counts, requests)
        window = window_a_year_ago(self.counts, days, self.half_window_days)
        item, category = self.lift(window, smoothed_share(self.counts.window(days[:, 1], None)))
        return LastYear(
            row=torch.from_numpy(row),
            item=torch.from_numpy(item.astype(np.float32)),
            category=torch.from_numpy(category.astype(np.float32)),
        )


def request_and_known_days(counts: DailyCounts, requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct ``(Q, 2)`` pairs of the request's day and the full days known at it, and each request's row ``(N,)``."""
    asked = local_days(requests.times_s, counts.timezone) - counts.first_day
    days, row = np.unique(np.stack([asked, counts.known_days(requests)], axis=1), axis=0, return_inverse=True)
    return days, row.reshape(-1)


def window_a_year_ago(counts: DailyCounts, days: NDArray[np.int64], half_window_days: int) -> NDArray[np.int32]:
    """``(Q, V)`` events around the day 364 days before each request's day; 0 before the log begins.

    The season is that of the request, not of the day at which the readable history ends: a horizon moves only the end
    of what is read.

    Args:
        counts: Daily counts of the log.
        days: ``(Q, 2)``, see :func:`request_and_known_days`.
        half_window_days: Days on either side.
    """
    asked, known = days.T
    stop = np.clip(asked - YEAR_DAYS + half_window_days + 1, 0, known)
    start = np.clip(asked - YEAR_DAYS - half_window_days, 0, stop)
    return counts.before[stop] - counts.before[start]
