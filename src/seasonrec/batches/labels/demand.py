"""Sales in the week after a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.weekly_sales import WEEK_DAYS
from seasonrec.batches.labels.base import Cuts
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog


@dataclass(frozen=True)
class Demand:
    """Events of each item or category on the seven local days that follow the request's day.

    Requests of one day share a row; ``Q`` days, ``C`` items or categories.

    Args:
        first: ``(Q,)`` int64, the first request of each day.
        counts: ``(Q, C)`` float32; 0 if ``known`` is False.
        known: ``(Q,)`` bool, True if the whole week lies before the end of the day's part of the log.
    """

    first: Tensor
    counts: Tensor
    known: Tensor


@dataclass(frozen=True)
class DemandLabels:
    """Options of :class:`Demand`: the counts are those of each item or each category."""

    of: Literal["item", "category"] = "category"
    name: str = "demand"

    def bind(self, log: EventLog, cuts: Cuts) -> DemandIndex:
        return DemandIndex(log, cuts, self.of)


class DemandIndex:
    """Index of :class:`Demand` by day."""

    def __init__(self, log: EventLog, cuts: Cuts, of: Literal["item", "category"]) -> None:
        self.cuts = cuts
        self.counts = DailyCounts(log)
        self.table = self.counts.items if of == "item" else self.counts.categories

    def __call__(self, requests: Requests) -> Demand:
        until_s = self.cuts.until_s(requests)
        day, known, until = (self._day(times_s) for times_s in (requests.times_s, requests.known_until_s, until_s))
        _, first = np.unique(np.stack([day, known, until]), axis=1, return_index=True)
        start = day[first] + 1
        is_known = start + WEEK_DAYS <= until[first]  # the week ends before the day of the cut
        start = np.where(is_known, start, 0)
        counts = self.table.before(start + WEEK_DAYS * is_known) - self.table.before(start)
        return Demand(torch.from_numpy(first), torch.from_numpy(counts).float(), torch.from_numpy(is_known))

    def _day(self, times_s: NDArray[np.int64]) -> NDArray[np.int64]:
        return local_days(times_s, self.counts.timezone) - self.counts.first_day
