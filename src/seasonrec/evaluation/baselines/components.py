"""Probabilities that the baselines combine: recent sales, and the user's own purchases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.decayed_counts import DecayedCounts
from seasonrec.batches.context.last_year import window_a_year_ago
from seasonrec.batches.context.lift import smoothed_share
from seasonrec.batches.context.own_history import OwnHistoryContext, OwnHistoryIndex
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec


class PopularityComponents:
    """Shares of sales by item, over look-backs and with decay, known at the start of the request's day."""

    def __init__(self, log: EventLog) -> None:
        self.counts = DailyCounts(log)
        self._decayed: dict[float, DecayedCounts] = {}

    def window(self, requests: Requests, days: int | None) -> Tensor:
        """Returns ``(N, V)`` shares of the last ``days`` days (None for all earlier days), every item above 0.

        One pseudo-event is distributed by the items' all-time shares, which have one pseudo-event per item.
        """
        known, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        return _per_request(self.window_of_days(known, days), row)

    def window_of_days(self, known: NDArray[np.int64], days: int | None) -> NDArray[np.float64]:
        """Returns ``(Q, V)`` shares of the ``days`` days before each day; see :meth:`window`."""
        share = self._all_time(known)
        return share if days is None else _smoothed(self.counts.window(known, days), share)

    def last_year_of_days(self, days: NDArray[np.int64], half_window_days: int) -> NDArray[np.float64]:
        """Returns ``(Q, V)`` shares of the sales around the same day a year ago; without sales, the all-time shares.

        Args:
            days: ``(Q, 2)`` days of the request and numbers of known days, see ``request_and_known_days``.
            half_window_days: Number of days on each side of the day a year ago.
        """
        start, stop = window_a_year_ago(days, half_window_days)
        window = self.counts.before(stop) - self.counts.before(start)
        return _smoothed(window, self._all_time(days[:, 1]))

    def decayed(self, requests: Requests, half_life_days: float) -> Tensor:
        """Returns ``(N, V)`` shares of all earlier sales, halved every half-life."""
        decayed = self._decayed.setdefault(half_life_days, DecayedCounts(self.counts, half_life_days))
        known, row = np.unique(self.counts.known_days(requests), return_inverse=True)
        return _per_request(_smoothed(decayed.before(known), self._all_time(known)), row)

    def _all_time(self, known: NDArray[np.int64]) -> NDArray[np.float64]:
        return smoothed_share(self.counts.before(known), self.counts.total_before[known], self.counts.num_items)


class PersonalComponents:
    """Shares of a user's own purchases by item, as plain counts and decayed at several half-lives."""

    def __init__(self, log: EventLog, spec: DataSpec, half_lives_days: Sequence[float]) -> None:
        self.half_lives_days = tuple(half_lives_days)
        self.num_items = log.num_items
        self.index: OwnHistoryIndex = OwnHistoryContext(self.half_lives_days).bind(log, spec)

    def shares(self, requests: Requests) -> list[Tensor]:
        """Returns the share of plain counts, then one per half-life; each ``(N, V)``, all 0 without a history."""
        own = self.index(requests)
        weights = [own.count, *own.decayed.unbind(1)]
        return [_dense_share(own.request, own.item, weight, len(requests), self.num_items) for weight in weights]


def _smoothed(counts: NDArray[Any], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return (counts + share) / (counts.sum(1, keepdims=True) + 1.0)


def _per_request(share: NDArray[np.float64], row: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(share.astype(np.float32)[row])


def _dense_share(request: Tensor, item: Tensor, weight: Tensor, num_requests: int, num_items: int) -> Tensor:
    dense = torch.zeros(num_requests, num_items)
    dense[request, item] = weight
    return dense / dense.sum(1, keepdim=True).clamp(min=1e-12)
