"""Earlier purchases of a user by item: counts, decayed counts and intervals."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.context.histories import Histories
from seasonrec.batches.context.purchases import Purchases, running_decay
from seasonrec.batches.context.rhythm import Rhythm
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

MOST_ITEMS = 1 << 12
"""Limit of the items of one request; those bought last are given. It bounds the memory and the time of a batch."""

LAST_BASKETS = 3
"""Number of the user's last baskets for which the presence of an item is given."""


@dataclass(frozen=True)
class OwnHistory:
    """All (request, item) pairs with at least one purchase before the request; ``P`` pairs, by rising request.

    Of a user with more than :data:`MOST_ITEMS` distinct items, those bought last are given.

    Args:
        request: ``(P,)`` int64.
        item: ``(P,)`` int64.
        count: ``(P,)`` float, own purchases of the item.
        decayed: ``(P, H)`` float, own purchases, each halved every half-life.
        since_days: ``(P,)`` float, days since the last purchase.
        own_interval_days: ``(P,)`` float, the user's mean interval between purchases of the item, 0 with one purchase.
        in_last_baskets: ``(P, 3)`` float, 1 if the user's last, second and third last basket hold the item.
        rhythm: ``(P, 6)`` float, how well the request fits the hours, weekdays and sizes of the baskets in which the
            user bought the item; see :class:`~seasonrec.batches.context.rhythm.Rhythm`. An index without it has
            ``(P, 0)``.
        user_baskets: ``(N,)`` float, baskets of the user before the request.
    """

    request: Tensor
    item: Tensor
    count: Tensor
    decayed: Tensor
    since_days: Tensor
    own_interval_days: Tensor
    in_last_baskets: Tensor
    rhythm: Tensor
    user_baskets: Tensor

    def rows(self, start: int, stop: int) -> OwnHistory:
        ends = torch.tensor([start, stop], device=self.request.device)
        first, last = torch.searchsorted(self.request, ends).tolist()
        pairs = {field.name: getattr(self, field.name)[first:last] for field in fields(self)}
        return OwnHistory(
            **{**pairs, "request": pairs["request"] - start, "user_baskets": self.user_baskets[start:stop]}
        )


@dataclass(frozen=True)
class OwnHistoryContext:
    """Options of :class:`OwnHistory`.

    Args:
        half_lives_days: The ``H`` half-lives of the decayed counts, in days.
    """

    half_lives_days: tuple[float, ...] = (7.0, 28.0, 90.0)
    name: str = "own_history"

    def bind(self, log: EventLog, spec: DataSpec) -> OwnHistoryIndex:
        return OwnHistoryIndex(log, self.half_lives_days)


class OwnHistoryIndex:
    """Index of :class:`OwnHistory` that sorts the known events of the users of each batch.

    It keeps those of users with many, see :class:`~seasonrec.batches.context.histories.Histories`.

    Args:
        log: The prepared log.
        half_lives_days: The ``H`` half-lives of the decayed counts, in days.
        with_rhythm: Whether the rhythm is computed, which takes half of the time; else it is ``(P, 0)``.
        most_items: Limit of the items of one request.
    """

    def __init__(
        self,
        log: EventLog,
        half_lives_days: tuple[float, ...],
        with_rhythm: bool = True,
        most_items: int = MOST_ITEMS,
    ) -> None:
        self.log, self.most_items = log, most_items
        self.decays = np.log(2.0) / (np.asarray(half_lives_days) * SECONDS_PER_DAY)
        self.rhythm = Rhythm(log) if with_rhythm else None
        self.histories = Histories(log, self._running)

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> OwnHistory:
        before = self.log.baskets_before(requests.users, requests.known_until_s)
        users, user_of = np.unique(requests.users, return_inverse=True)
        first = np.asarray(self.log.user_baskets)[users]
        stop = first.copy()
        np.maximum.at(stop, user_of, before)
        history = self.histories(users, stop)
        bought, (running, *waves) = history.bought, history.running
        request, last = _newest(*_pairs(bought, user_of, before), bought.baskets, self.most_items)
        since_s, cell = self._ages(requests, first[user_of], before, request, bought.baskets[last])
        count = bought.numbers + 1
        interval_s = (bought.times_s - bought.times_s[bought.starts]) / np.maximum(count - 1, 1)
        decayed = running.take(last, axis=0)
        decayed *= np.exp(-since_s[:, None] * self.decays).take(cell, axis=0)
        rhythm = np.empty((len(request), 0), np.float32)
        if self.rhythm is not None:
            rhythm = self.rhythm(waves[0].take(last, axis=0), count[last], requests.times_s, request)
        return OwnHistory(
            request=torch.from_numpy(request),
            item=torch.from_numpy(bought.items[last]),
            count=_float(count, last),
            decayed=torch.from_numpy(decayed),
            since_days=_float(since_s / SECONDS_PER_DAY, cell),
            own_interval_days=_float(interval_s / SECONDS_PER_DAY, last),
            in_last_baskets=torch.from_numpy(_presence(bought, last, before[request] - 1)),
            rhythm=torch.from_numpy(rhythm),
            user_baskets=torch.from_numpy((before - first[user_of]).astype(np.float32)),
        )

    def _running(self, bought: Purchases) -> tuple[NDArray[Any], ...]:
        waves = () if self.rhythm is None else (self.rhythm.running(bought),)
        return running_decay(bought, self.decays), *waves

    def _ages(
        self,
        requests: Requests,
        first: NDArray[np.int64],
        before: NDArray[np.int64],
        request: NDArray[np.int64],
        basket: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns seconds since baskets, and the ``(P,)`` cell of each pair in them.

        They are those of each request and each of its known baskets ``first:before``, if these are fewer than the
        pairs of a ``request`` and the last ``basket`` of one of its items, else those of the pairs.
        """
        times_s, cell = np.asarray(self.log.basket_times_s), np.arange(len(request))
        if (before - first).sum() < len(request):
            cell = (np.cumsum(before - first) - before)[request] + basket
            request, basket = gather_ranges(first, before)
        return requests.times_s[request] - times_s[basket], cell


def _pairs(
    bought: Purchases, user_of: NDArray[np.int64], before: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns each request with the last known row of each pair of its user, by rising request and row.

    A row is the last known one for the requests that know it but not the next row of the same pair. These requests are
    consecutive in the order of (user, known baskets). ``user_of`` is the ``(N,)`` user of each request, ``before`` the
    ``(N,)`` number of the first basket that it does not know.
    """
    key = before + user_of  # rises with (user, basket), also where one user's last basket meets the next one's first
    order = np.argsort(key, kind="stable")
    knows = np.searchsorted(key[order], bought.baskets + bought.users, side="right")  # first request that knows a row
    end = np.searchsorted(user_of[order], bought.users, side="right")
    again = bought.again
    end[again - 1] = knows[again]
    row, place = gather_ranges(knows, end)
    request = order[place]
    by_request = np.argsort(request.astype(np.min_scalar_type(len(order))), kind="stable")
    return request[by_request], row[by_request]


def _newest(
    request: NDArray[np.int64], last: NDArray[np.int64], baskets: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the pairs of each request whose last purchases are the latest ``most``, in their order."""
    counts = np.bincount(request)
    if counts.max(initial=0) <= most:
        return request, last
    order = np.lexsort((-baskets[last], request))
    place = np.arange(len(request)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[place < most])
    return request[kept], last[kept]


def _presence(bought: Purchases, last: NDArray[np.int64], newest: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns ``(P, 3)``: 1 if the newest, second newest and third newest known basket holds the item."""
    present = np.zeros((len(last), LAST_BASKETS), dtype=np.float32)
    lately = np.flatnonzero(newest - bought.baskets[last] < LAST_BASKETS)
    for back in range(LAST_BASKETS):
        row = last[lately] - back
        age = newest[lately] - bought.baskets[np.maximum(row, 0)]
        hit = (row >= bought.starts[last[lately]]) & (age < LAST_BASKETS)
        present[lately[hit], age[hit]] = 1.0
    return present


def _float(values: NDArray[np.generic], places: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32).take(places))
