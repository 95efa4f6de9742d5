"""Trend: recent sales of items and categories, as known at the request."""

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
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

KEPT_BYTES = 1 << 28
"""Limit of the memory for the tables of days, in bytes."""


@dataclass(frozen=True)
class Momentum(DayTables):
    """Recent sales of each item and category relative to all time, as known at the request.

    Letters: ``Q`` days, ``C`` items (the whole catalogue unless some items were requested), ``W`` look-backs.

    Args:
        row: ``(N,)`` int64, row of each request in the ``Q`` rows.
        item: ``(Q, C, W)`` float, log of the shrunk ratio of recent sales to those expected from all time.
        category: ``(Q, C, W)`` float, the same for the item's category.
        unsold: ``(Q, C)`` float, for an item without a sale in the longest look-back: minus the log of 1 plus the
            number of sales expected there; else 0. Few expected sales say little, and many say that it is gone.
    """

    item: Tensor
    category: Tensor
    unsold: Tensor


@dataclass(frozen=True)
class MomentumContext:
    """Options of :class:`Momentum`.

    Args:
        windows_days: ``W`` look-backs in whole local days; each ends with the last full day before the request.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    windows_days: tuple[int, ...] = (7, 28)
    prior_events: float = 5.0
    name: str = "momentum"

    def bind(self, log: EventLog, spec: DataSpec) -> MomentumIndex:
        return MomentumIndex(log, self)


class MomentumIndex:
    """Index of :class:`Momentum` by day, with a cache of days."""

    def __init__(self, log: EventLog, options: MomentumContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.lift = Lift(self.counts, options.prior_events)
        self.ends = (len(options.windows_days), 2 * len(options.windows_days))
        shape = (log.num_items, 2 * len(options.windows_days) + 1)
        self._known = RowCache(shape, np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Momentum:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        table = self._known(days.tolist(), lambda places, columns: self._compute(days[places], columns), items)
        item, category, unsold = torch.from_numpy(table).tensor_split(self.ends, dim=-1)
        return Momentum(torch.from_numpy(row), item, category, unsold.squeeze(-1))

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Returns ``(Q, C, 2 W + 1)`` log ratios of the items, then of their categories, then of unsold items."""
        windows = [(np.maximum(days - length, 0), days) for length in self.options.windows_days]
        longest = windows[int(np.argmax(self.options.windows_days))]
        found = [*self.lift(days, windows, items), self.lift.unsold(days, longest, items)[..., None]]
        return np.concatenate(found, axis=-1, dtype=np.float32, casting="same_kind")
