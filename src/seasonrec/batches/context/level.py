"""Level: share of each item in all sales so far, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.base import DayTables
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.lift import smoothed_share
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

KEPT_BYTES = 1 << 28
"""Limit of the memory for the tables of days, in bytes."""


@dataclass(frozen=True)
class Level(DayTables):
    """Share of each item in all earlier sales, with one pseudo-event per item; ``Q`` days, ``C`` items.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        log_share: ``(Q, C)`` float, its logarithm.
    """

    log_share: Tensor


@dataclass(frozen=True)
class LevelContext:
    """Options of :class:`Level`."""

    name: str = "level"

    def bind(self, log: EventLog, spec: DataSpec) -> LevelIndex:
        return LevelIndex(log)


class LevelIndex:
    """Index of :class:`Level` by day, with a cache of days."""

    def __init__(self, log: EventLog) -> None:
        self.counts = DailyCounts(log)
        self._known = RowCache((log.num_items,), np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Level:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        table = self._known(days.tolist(), lambda places, columns: self._compute(days[places], columns), items)
        return Level(torch.from_numpy(row), torch.from_numpy(table))

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None) -> NDArray[np.float32]:
        sold = self.counts.before(days, items)
        share = smoothed_share(sold, self.counts.total_before[days], self.counts.num_items)
        return np.log(share).astype(np.float32)
