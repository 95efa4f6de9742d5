"""Trend: recent popularity of items and categories, known at the request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.lift import Lift
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

KEPT_BYTES = 1 << 28
"""Memory for the tables of requested days, in bytes."""


@dataclass(frozen=True)
class Momentum:
    """Recent sales of each item and category relative to all time, as known at the request.

    Requests of one day share a row; ``Q`` days, ``C`` items (the whole catalogue unless some items were requested),
    ``W`` look-backs.

    Args:
        row: ``(N,)`` int64, the request's row in the tables.
        item: ``(Q, C, W)`` float, log of the shrunk ratio of recent sales to those expected from all time.
        category: ``(Q, C, W)`` float, the same for the item's category.
    """

    row: Tensor
    item: Tensor
    category: Tensor

    def rows(self, start: int, stop: int) -> Momentum:
        """Returns the values of the requests ``start:stop`` alone."""
        return replace(self, row=self.row[start:stop])


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
    """Index of :class:`Momentum` by day.

    A day's table of the whole catalogue is computed when it is first needed and kept within ``KEPT_BYTES``. Chosen
    items are taken from it if the tables of all days fit, else they are computed alone.
    """

    def __init__(self, log: EventLog, options: MomentumContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.lift = Lift(self.counts, options.prior_events)
        shape = (log.num_items, 2 * len(options.windows_days))
        self._known = RowCache(shape, np.float32, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> Momentum:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        if items is None or self._known.holds_all:
            table = self._known(days.tolist(), lambda places: self._compute(days[places]), items)
        else:
            table = self._compute(days, items)
        values = torch.from_numpy(table)  # (Q, C, 2 W)
        num_windows = len(self.options.windows_days)
        return Momentum(row=torch.from_numpy(row), item=values[..., :num_windows], category=values[..., num_windows:])

    def _compute(self, days: NDArray[np.int64], items: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Returns ``(Q, C, 2 W)`` log ratios of the items, then of their categories."""
        windows = [(np.maximum(days - length, 0), days) for length in self.options.windows_days]
        return np.concatenate(self.lift(days, windows, items), axis=-1, dtype=np.float32, casting="same_kind")
