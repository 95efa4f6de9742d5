"""Items that a user buys in the days after a request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seasonrec.batches.labels.base import Cuts
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY


@dataclass(frozen=True)
class NextWindow:
    """Distinct items that each request's user buys in the days after it; ``Q`` (request, item) pairs.

    Args:
        request: ``(Q,)`` int64, rising.
        items: ``(Q,)`` int64, rising within a request.
    """

    request: Tensor
    items: Tensor


@dataclass(frozen=True)
class NextWindowLabels:
    """Options of :class:`NextWindow`: the baskets from the request's own one on, up to the end of its part at most.

    Args:
        days: Number of days after the request, above 0.
    """

    days: float = 28.0
    name: str = "next_window"

    def bind(self, log: EventLog, cuts: Cuts) -> NextWindowIndex:
        return NextWindowIndex(log, cuts, round(self.days * SECONDS_PER_DAY))


class NextWindowIndex:
    """Index of :class:`NextWindow`."""

    def __init__(self, log: EventLog, cuts: Cuts, length_s: int) -> None:
        self.log, self.cuts, self.length_s = log, cuts, length_s
        self._basket_offsets = np.asarray(log.basket_offsets)
        self._event_items = np.asarray(log.event_items)

    def __call__(self, requests: Requests) -> NextWindow:
        end_s = np.minimum(requests.times_s + self.length_s, self.cuts.until_s(requests))
        first = self.log.baskets_before(requests.users, requests.times_s)
        last = np.maximum(self.log.baskets_before(requests.users, end_s), first)
        request, event = gather_ranges(self._basket_offsets[first], self._basket_offsets[last])
        pair = np.unique(request * self.log.num_items + self._event_items[event])
        request, items = np.divmod(pair, self.log.num_items)
        return NextWindow(torch.from_numpy(request), torch.from_numpy(items))
