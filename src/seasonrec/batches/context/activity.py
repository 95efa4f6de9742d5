"""Activity of a user: how often, how much and how varied the user buys, as known at the request."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.known_items import KnownItems
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

NEVER_DAYS = 365.0
"""Days since the last basket of a user without one."""


@dataclass(frozen=True)
class UserActivity:
    """Known purchases of each request's user in numbers, each ``(N,)`` float.

    Args:
        baskets: Number of baskets.
        events: Number of items in all baskets.
        items: Number of distinct items.
        since_days: Days since the last basket; 365 without one.
    """

    baskets: Tensor
    events: Tensor
    items: Tensor
    since_days: Tensor

    def rows(self, start: int, stop: int) -> UserActivity:
        return UserActivity(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})


@dataclass(frozen=True)
class UserActivityContext:
    """Options of :class:`UserActivity`."""

    name: str = "user_activity"

    def bind(self, log: EventLog, spec: DataSpec) -> UserActivityIndex:
        return UserActivityIndex(log)


class UserActivityIndex:
    """Index of :class:`UserActivity`, which keeps the purchases of users with many."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.known_items = KnownItems(log)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> UserActivity:
        log = self.log
        stop = log.baskets_before(requests.users, requests.known_until_s)
        first = np.asarray(log.user_baskets)[requests.users]
        offsets = np.asarray(log.basket_offsets)
        request, _ = self.known_items(requests.users, requests.known_until_s)
        distinct = np.bincount(request, minlength=len(requests))
        last_s = np.asarray(log.basket_times_s)[np.maximum(stop - 1, 0)]
        since_days = np.where(stop > first, (requests.times_s - last_s) / SECONDS_PER_DAY, NEVER_DAYS)
        return UserActivity(*map(_float, (stop - first, offsets[stop] - offsets[first], distinct, since_days)))


def _float(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
