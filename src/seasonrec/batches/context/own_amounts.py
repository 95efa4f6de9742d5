"""Statistics of the values of a user's earlier baskets, and of the times between them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.batches.visits import basket_values, visits
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

SHORTEST_DAYS = 1.0 / 24.0
"""Least time in days (one hour), so that the logarithms of shorter times do not dominate the others."""

UNIT = 2.0**-32
"""Unit in which amounts are summed. Sums of whole numbers are exact, so that the baskets of other users, which may lie
in the future of a request, do not change the last bits of its difference of two sums."""


@dataclass(frozen=True)
class OwnAmounts:
    """Statistics of the logarithms of a user's earlier amounts; ``N`` requests.

    Args:
        count: ``(N,)`` float, number of known amounts.
        mean: ``(N,)`` float; 0 without amounts.
        variance: ``(N,)`` float, at least 0; 0 without amounts.
        since_days: ``(N,)`` float, days since the last known basket; 0 without one.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor
    since_days: Tensor

    def rows(self, start: int, stop: int) -> OwnAmounts:
        return OwnAmounts(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    def start(self, usual: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Returns ``(N,)`` mean and ``(N,)`` standard deviation, shrunk towards those of all users.

        Args:
            usual: ``(2,)`` mean and standard deviation of the logarithms over all users.
            strength: Weight of ``usual``, in amounts; above 0.
        """
        known = self.count + strength
        mean = (self.count * self.mean + strength * usual[0]) / known
        squares = self.count * (self.variance + (self.mean - mean).square())
        squares = squares + strength * (usual[1].square() + (usual[0] - mean).square())
        return mean, (squares / known).sqrt()


@dataclass(frozen=True)
class OwnValuesContext:
    """Options of :class:`OwnAmounts` for ``log(1 + value)`` of the user's baskets."""

    name: str = "own_values"

    def bind(self, log: EventLog, spec: DataSpec) -> OwnAmountsIndex:
        return OwnAmountsIndex(log, np.log1p(basket_values(log).astype(np.float64)))


@dataclass(frozen=True)
class OwnGapsContext:
    """Options of :class:`OwnAmounts` for the logarithm of the days between the user's visits.

    Args:
        merge_same_day: Whether baskets of one local day are one visit.
    """

    merge_same_day: bool = True
    name: str = "own_gaps"

    def bind(self, log: EventLog, spec: DataSpec) -> OwnAmountsIndex:
        return OwnAmountsIndex(log, _log_gaps(log, visits(log, self.merge_same_day)))


class OwnAmountsIndex:
    """Index of the ``(K,)`` amounts of baskets (logarithms, NaN if unknown). Memory: 24 bytes per basket."""

    def __init__(self, log: EventLog, amounts: NDArray[np.float64]) -> None:
        self.log = log
        known = np.isfinite(amounts)
        value = np.where(known, amounts, 0.0)
        self.sums = np.zeros((len(amounts) + 1, 3), dtype=np.int64)
        parts = np.rint(np.stack([known, value, value * value], axis=1) / UNIT).astype(np.int64)
        np.cumsum(parts, axis=0, out=self.sums[1:])

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> OwnAmounts:
        before = self.log.baskets_before(requests.users, requests.known_until_s)
        first = np.asarray(self.log.user_baskets)[requests.users]
        count, total, squares = (self.sums[before] - self.sums[first]).T * UNIT
        mean = total / np.maximum(count, 1)
        variance = np.maximum(squares / np.maximum(count, 1) - mean * mean, 0.0)
        last_s = np.asarray(self.log.basket_times_s)[np.maximum(before - 1, 0)]
        since = np.where(before > first, requests.times_s - last_s, 0) / SECONDS_PER_DAY
        return OwnAmounts(*(torch.from_numpy(part.astype(np.float32)) for part in (count, mean, variance, since)))


def _log_gaps(log: EventLog, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns ``(K,)`` logarithms of the days since the user's previous visit; NaN without one or within a visit."""
    gaps = np.full(log.num_baskets, np.nan)
    times_s, users = np.asarray(log.basket_times_s)[starts], np.asarray(log.basket_users)[starts]
    again = np.flatnonzero(np.diff(users) == 0) + 1
    days = (times_s[again] - times_s[again - 1]) / SECONDS_PER_DAY
    gaps[starts[again]] = np.log(np.maximum(days, SHORTEST_DAYS))
    return gaps
