"""Time from a request to the user's next visit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.own_amounts import SHORTEST_DAYS
from seasonrec.batches.labels.base import Cuts
from seasonrec.batches.requests import Requests
from seasonrec.batches.visits import visits
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError

LOOKED_AT = 1 << 20
"""Limit of the baskets from which the usual time is computed; a longer log is reduced to every n-th basket."""


@dataclass(frozen=True)
class TimeToNext:
    """Time from each request's basket to the same user's next; ``N`` requests.

    Args:
        days: ``(N,)`` float32 above 0; the time to the end of the part if ``censored``.
        censored: ``(N,)`` bool, True if no further basket came before the end of the request's part of the log.
        usual: ``(2,)`` float32, mean and standard deviation of the logarithm of the observed days before the first cut;
            a head starts from it.
    """

    days: Tensor
    censored: Tensor
    usual: Tensor


@dataclass(frozen=True)
class TimeToNextLabels:
    """Options of :class:`TimeToNext`.

    Args:
        merge_same_day: Whether baskets of one local day are one visit, so that the next visit lies on a later day.
    """

    merge_same_day: bool = True
    name: str = "time_to_next"

    def bind(self, log: EventLog, cuts: Cuts) -> TimeToNextIndex:
        return TimeToNextIndex(log, cuts, self.merge_same_day)


class TimeToNextIndex:
    """Index of the next visits. Memory: 8 bytes per visit.

    Raises:
        ValueError: If no user came back before the first cut.
    """

    def __init__(self, log: EventLog, cuts: Cuts, merge_same_day: bool) -> None:
        self.cuts = cuts
        self.times_s, self.users = np.asarray(log.basket_times_s), np.asarray(log.basket_users)
        self.visits = visits(log, merge_same_day)
        self.usual = self._usual(log)

    def __call__(self, requests: Requests) -> TimeToNext:
        days, censored = self._durations(requests)
        return TimeToNext(torch.from_numpy(days), torch.from_numpy(censored), self.usual.clone())

    def _durations(self, requests: Requests) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        until_s = self.cuts.until_s(requests)
        place = np.searchsorted(self.visits, requests.baskets, side="right")
        following = self.visits[np.minimum(place, len(self.visits) - 1)]
        next_s = self.times_s[following]
        seen = (place < len(self.visits)) & (self.users[following] == requests.users) & (next_s < until_s)
        seen &= requests.baskets >= 0
        duration_s = np.where(seen, next_s, until_s) - requests.times_s
        return (duration_s / SECONDS_PER_DAY).astype(np.float32), ~seen

    def _usual(self, log: EventLog) -> Tensor:
        known = np.flatnonzero(self.times_s < self.cuts.times_s[0])
        days, censored = self._durations(Requests.of_baskets(log, known[:: len(known) // LOOKED_AT + 1]))
        if censored.all():
            raise UserError(
                f"task=time_to_next needs users who come back before the validation cut, got none after {len(days):,} "
                "baskets; leave time_to_next out of task."
            )
        logs = np.log(np.maximum(days[~censored], SHORTEST_DAYS).astype(np.float64))
        return torch.tensor([logs.mean(), max(logs.std(), 1e-3)], dtype=torch.float32)
