"""Expected demand of a day: a fitted model of what all users together will buy, as known at the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.base import DayTables
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.last_year import YEAR_DAYS, request_and_known_days
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

KEPT_BYTES = 1 << 28
"""Limit of the memory for the tables of days, in bytes."""


@dataclass(frozen=True)
class Demand(DayTables):
    """Expected demand of each request's day; ``N`` requests, ``Q`` days, ``C`` items.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        log_share: ``(Q, C)`` float32, log of the share of the day's events that each item is expected to have; ``-inf``
            for items that are no candidates on the whole day.
    """

    log_share: Tensor


@dataclass(frozen=True)
class DaySales:
    """Known sales of all ``V`` items, for a request on one day.

    Args:
        sold: ``(W, V)`` events in each window: recent days, then last year's.
        events: ``(W,)`` events of all items in each window.
        total: ``(V,)`` events in all known days.
        age_days: ``(V,)`` days from the item's first event to the day; 0 if it is not known yet.
        is_candidate: ``(V,)`` bool, candidates on the whole day.
    """

    sold: NDArray[np.int64]
    events: NDArray[np.int64]
    total: NDArray[np.int64]
    age_days: NDArray[np.int64]
    is_candidate: NDArray[np.bool_]


class DayModel(Protocol):
    """Fitted model of a day's demand.

    Attributes:
        windows_days: Look-backs of the recent sales, which end with the known days.
        half_window_days: Days on each side of the day a year ago.
    """

    windows_days: tuple[int, ...]
    half_window_days: int

    def log_shares(self, sales: DaySales) -> NDArray[np.float32]:
        """Returns ``(V,)`` log shares; the candidates' shares sum to 1, others have ``-inf``."""
        ...


@dataclass(frozen=True)
class DemandContext:
    """Options of :class:`Demand`.

    Args:
        model: The fitted model; its weights belong to the recommender and are saved with it.
        candidates: Rule of the candidates; see :mod:`seasonrec.batches.candidates`.
    """

    model: DayModel
    candidates: Candidates = "known"
    name: str = "demand"

    def bind(self, log: EventLog, spec: DataSpec) -> DemandIndex:
        return DemandIndex(log, self)


class DemandIndex:
    """Index of :class:`Demand` by day of the request and end of the known days.

    Each day is computed by itself in double precision, so that its values do not depend on the batch.
    """

    def __init__(self, log: EventLog, options: DemandContext) -> None:
        self.model = options.model
        self.sales = DaySalesIndex(log, options.model.windows_days, options.model.half_window_days, options.candidates)
        days = self.sales.counts.num_days + 1
        self._known = RowCache((log.num_items,), np.float32, days * days, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Demand:
        days, row = request_and_known_days(self.sales.counts, requests)
        keys = [tuple(pair) for pair in days.tolist()]
        table = self._known(keys, lambda places, columns: self._compute(days[places], columns), items)
        return Demand(torch.from_numpy(row), torch.from_numpy(table))

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None) -> NDArray[np.float32]:
        rows = np.stack([self.model.log_shares(self.sales.of(*pair)) for pair in days.tolist()])
        return rows if items is None else rows[:, items]


class DaySalesIndex:
    """Known sales by day, for :class:`DemandIndex` and for the fit of its model.

    Args:
        log: The log.
        windows_days: Look-backs of the recent sales in whole days.
        half_window_days: Days on each side of the day a year ago.
        candidates: Rule of the candidates.
    """

    def __init__(
        self, log: EventLog, windows_days: Sequence[int], half_window_days: int, candidates: Candidates
    ) -> None:
        self.windows_days = tuple(windows_days)
        self.half_window_days = half_window_days
        self.candidates = candidates
        self.counts = DailyCounts(log)
        self.first_seen = local_days(np.asarray(log.item_first_seen_s), log.timezone) - self.counts.first_day

    def of(self, asked: int, known: int) -> DaySales:
        """Returns the sales that requests on the day ``asked`` of the log know, if ``known`` full days are readable."""
        bounds = np.array([(start, stop) for start, stop in self._windows(asked, known)])  # (W, 2)
        before = self.counts.before(np.append(bounds.ravel(), known)).astype(np.int64)
        total_before = self.counts.total_before
        until = {"known": known, "before_request": asked, "all": self.counts.num_days}[self.candidates]
        return DaySales(
            sold=before[1:-1:2] - before[:-1:2],
            events=total_before[bounds[:, 1]] - total_before[bounds[:, 0]],
            total=before[-1],
            age_days=np.where(self.first_seen < known, np.maximum(asked - self.first_seen, 0), 0),
            is_candidate=self.first_seen < until,
        )

    def on(self, day: int) -> NDArray[np.int64]:
        """Returns the ``(V,)`` events of a day of the log."""
        before = self.counts.before(np.array([day, day + 1])).astype(np.int64)
        return before[1] - before[0]

    def _windows(self, asked: int, known: int) -> list[tuple[int, int]]:
        """Returns first days and days after the last: recent windows, around the day a year ago, before the end then.

        The last window holds what was known a year ago when as much of the log was hidden: the trend of that time.
        """
        half, longest = self.half_window_days, max(self.windows_days)
        last_year = asked - YEAR_DAYS
        stop = min(max(last_year + half + 1, 0), known)
        ends = max(known - YEAR_DAYS, 0)
        return [
            *((max(known - length, 0), known) for length in self.windows_days),
            (min(max(last_year - half, 0), stop), stop),
            (max(ends - longest, 0), ends),
        ]
