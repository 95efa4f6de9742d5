"""Recent weekly sales of each item or category, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.base import DayTables
from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

WEEK_DAYS = 7


@dataclass(frozen=True)
class WeeklySales(DayTables):
    """Events of the last fully known weeks; ``N`` requests, ``Q`` days, ``C`` items or categories.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        counts: ``(Q, C, W)`` float32, events of the seven days that end with the last known day, then of earlier weeks.
        weeks: ``(Q,)`` float32, whole weeks of the log before the day, at most ``W``; earlier counts are 0.
        sold: ``(Q, C)`` bool, True if any event is known.
    """

    counts: Tensor
    weeks: Tensor
    sold: Tensor


@dataclass(frozen=True)
class WeeklySalesContext:
    """Options of :class:`WeeklySales`.

    Args:
        of: Unit of the counts: each item on which the batch is scored, or each category of the catalogue.
        num_weeks: Number of weeks ``W``.
    """

    of: Literal["item", "category"] = "category"
    num_weeks: int = 8
    name: str = "weekly_sales"

    def bind(self, log: EventLog, spec: DataSpec) -> WeeklySalesIndex:
        return WeeklySalesIndex(log, self)


class WeeklySalesIndex:
    """Index of :class:`WeeklySales` by day."""

    def __init__(self, log: EventLog, options: WeeklySalesContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.table = self.counts.items if options.of == "item" else self.counts.categories

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> WeeklySales:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        columns = items if self.options.of == "item" else None
        bounds = days[:, None] - WEEK_DAYS * np.arange(self.options.num_weeks + 1)  # (Q, W + 1)
        before = self.table.before(np.maximum(bounds, 0).ravel(), columns)
        before = before.reshape(*bounds.shape, -1)  # (Q, W + 1, C)
        counts = (before[:, :-1] - before[:, 1:]).transpose(0, 2, 1).astype(np.float32, order="C")
        weeks = np.minimum(days // WEEK_DAYS, self.options.num_weeks).astype(np.float32)
        tables = (torch.from_numpy(table) for table in (row, counts, weeks, before[:, 0] > 0))
        return WeeklySales(*tables)
