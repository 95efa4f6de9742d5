"""Hot items: those that sold far above their share in the last complete week, or in the same week a year ago."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.last_year import YEAR_DAYS
from seasonrec.batches.context.rows import RowCache
from seasonrec.batches.requests import Requests
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.evaluation.protocol import Protocol

WEEK_DAYS = 7
YOUNG_DAYS = 28
"""Age below which an item is young; its share of the sales is not known well enough to call it hot."""
KEPT_BYTES = 1 << 27
"""Limit of the memory for the tables of days, in bytes."""

Days = NDArray[np.int64]


class HotItems:
    """Table by local day of the items that are hot; it reads only days that are over.

    An item is hot if its share of a week's events is above ``season_ratio`` times its share of all events since its own
    first day, with at least ``season_min_events`` of its events in that week and an age of at least 28 days at its end.
    The week is that of the seven complete days before ``known_until_s``, or, where the log holds it whole, the same
    week 364 days earlier. Both shares are compared at the end of the known days. A share since the item exists keeps
    new items from being hot by construction.

    Args:
        log: The prepared log.
        protocol: The ratio and the least number of events.
    """

    def __init__(self, log: EventLog, protocol: Protocol) -> None:
        self.protocol = protocol
        self.counts = DailyCounts(log)
        end_s = int(np.asarray(log.basket_times_s).max()) + SECONDS_PER_DAY  # an item without events has no first day
        first_seen_s = np.minimum(log.item_first_seen_s, end_s)
        self.first_days = local_days(first_seen_s, log.timezone) - self.counts.first_day  # (V,)
        self._known = RowCache((log.num_items,), np.bool_, self.counts.num_days + 1, KEPT_BYTES)

    def __call__(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` bool: whether an item is hot as known at a request."""
        asked = local_days(requests.known_until_s, self.counts.timezone) - self.counts.first_day
        days, row = np.unique(asked, return_inverse=True)
        table = self._known(days.tolist(), lambda places, _: self._of_days(days[places]))  # (Q, V)
        return torch.from_numpy(table)[torch.from_numpy(row)]

    def _of_days(self, days: Days) -> NDArray[np.bool_]:
        known = self._within(days)
        sold = self.counts.before(known).astype(np.int64)  # (Q, V)
        total = self.counts.total_before
        since = total[known][:, None] - total[np.minimum(self.first_days, known[:, None])]  # (Q, V)
        return self._is_lifted(days, sold, since) | self._is_lifted(days - YEAR_DAYS, sold, since)

    def _is_lifted(self, stop: Days, sold: NDArray[np.int64], since: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns ``(Q, V)``: whether items sell above their share in the week before each of the days ``stop``."""
        first, last = self._within(stop - WEEK_DAYS), self._within(stop)
        in_week = (self.counts.before(last) - self.counts.before(first)).astype(np.int64)
        week = self.counts.total_before[last] - self.counts.total_before[first]
        lifted = in_week * since > self.protocol.season_ratio * (sold * week[:, None])
        old = stop[:, None] - self.first_days >= YOUNG_DAYS  # so the log also holds the whole week
        return np.asarray(lifted & old & (in_week >= self.protocol.season_min_events))

    def _within(self, days: Days) -> Days:
        return np.clip(days, 0, self.counts.num_days)
