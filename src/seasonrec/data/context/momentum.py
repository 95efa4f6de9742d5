"""What sells now: rolling popularity of items and categories, known at the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests
from seasonrec.data.spec import DataSpec


@dataclass(frozen=True)
class Momentum:
    """How much more each item and category sells lately than it did over all time, as known at the request.

    Requests of one day share a row; ``Q`` days, ``V`` items, ``W`` windows.

    Args:
        row: ``(N,)`` int64, the request's row in the tables.
        item: ``(Q, V, W)`` float, log of the shrunk ratio of the window's sales to those expected from all time.
        category: ``(Q, V, W)`` float, the same for the item's category.
    """

    row: Tensor
    item: Tensor
    category: Tensor


@dataclass(frozen=True)
class MomentumContext:
    """Asks for :class:`Momentum`.

    Args:
        windows_days: Window lengths ``W`` in whole local days; a window ends with the last full day before the request.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    windows_days: tuple[int, ...] = (7, 28)
    prior_events: float = 5.0
    name: str = "momentum"

    def bind(self, log: EventLog, spec: DataSpec) -> MomentumIndex:
        return MomentumIndex(log, self)


class DailyCounts:
    """Events of each item up to each local day, as prefix sums: any window is one subtraction.

    Memory: ``4 * days * V`` bytes.
    """

    def __init__(self, log: EventLog) -> None:
        self.timezone = log.timezone
        days = local_days(log.event_times_s, log.timezone)
        self.first_day = int(days.min())
        num_days = int(days.max()) - self.first_day + 1
        flat = (days - self.first_day) * log.num_items + log.event_items
        daily = np.bincount(flat, minlength=num_days * log.num_items).reshape(num_days, log.num_items)
        self.before = np.zeros((num_days + 1, log.num_items), dtype=np.int32)
        np.cumsum(daily, axis=0, out=self.before[1:])

    def known_days(self, requests: Requests) -> NDArray[np.int64]:
        """``(N,)`` full days of the log that lie before the request's day (and horizon)."""
        days = local_days(requests.known_until_s, self.timezone) - self.first_day
        return np.clip(days, 0, len(self.before) - 1)

    def window(self, days: NDArray[np.int64], length: int | None) -> NDArray[np.int32]:
        """``(len(days), V)`` events of the ``length`` days before each day of the log; all earlier ones with None."""
        if length is None:
            return self.before[days]
        return self.before[days] - self.before[np.maximum(days - length, 0)]


class MomentumIndex:
    """Looks :class:`Momentum` up by day; a day is computed when it is first asked for, and kept."""

    def __init__(self, log: EventLog, options: MomentumContext) -> None:
        self.options = options
        self.counts = DailyCounts(log)
        self.lift = Lift(log, options.prior_events)
        self._known: dict[int, NDArray[np.float32]] = {}

    def __call__(self, requests: Requests) -> Momentum:
        days, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        for day in days.tolist():
            if day not in self._known:
                self._known[day] = self._compute(day)
        table = torch.from_numpy(np.stack([self._known[day] for day in days.tolist()]))  # (Q, V, 2 W)
        num_windows = len(self.options.windows_days)
        return Momentum(
            row=torch.from_numpy(row),
            item=table[..., :num_windows],
            category=table[..., num_windows:],
        )

    def _compute(self, day: int) -> NDArray[np.float32]:
        """``(V, 2 W)``: log ratios of the items, then of their categories."""
        days = np.asarray([day])
        share = smoothed_share(self.counts.window(days, None))
        windows = [self.counts.window(days, length) for length in self.options.windows_days]
        lifts = [self.lift(window, share) for window in windows]
        return np.stack([item for item, _ in lifts] + [category for _, category in lifts], axis=-1)[0].astype(
            np.float32
        )


class Lift:
    """How much more items and their categories sell in a window than their share of all sales says.

    Args:
        log: Gives each item's category.
        prior_events: Strength of the shrinkage of a ratio towards 1, in expected events.
    """

    def __init__(self, log: EventLog, prior_events: float) -> None:
        self.prior_events = prior_events
        self.categories = np.asarray(log.item_categories, dtype=np.int64)
        self.num_categories = int(self.categories.max()) + 1

    def __call__(
        self, window: NDArray[Any], share: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log of the shrunk ratios of items and of their categories, all arrays ``(Q, V)``."""
        grouped = self._log_ratio(self._by_category(window), self._by_category(share))
        return self._log_ratio(window, share), grouped[:, self.categories]

    def _log_ratio(self, window: NDArray[Any], share: NDArray[np.float64]) -> NDArray[np.float64]:
        expected = share * window.sum(1, keepdims=True)
        return np.log((window + self.prior_events) / (expected + self.prior_events))

    def _by_category(self, values: NDArray[Any]) -> NDArray[np.float64]:
        rows = np.asarray(values, dtype=np.float64)
        return np.stack([np.bincount(self.categories, row, self.num_categories) for row in rows])


def smoothed_share(total: NDArray[Any]) -> NDArray[np.float64]:
    """``(Q, V)`` shares of all sales, with one pseudo-event an item."""
    return (total + 1.0) / (total.sum(1, keepdims=True) + total.shape[1])
