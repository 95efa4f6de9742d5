"""What a user bought before, item by item: counts, decays, intervals. The habit parts and baselines read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests, gather_ranges
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec

LAST_BASKETS = 3
"""In how many of the user's last baskets the presence of an item is told apart."""


@dataclass(frozen=True)
class OwnHistory:
    """Every (request, item) with at least one purchase before the request; ``P`` such pairs, by rising request.

    Args:
        request: ``(P,)`` int64.
        item: ``(P,)`` int64.
        count: ``(P,)`` float, own purchases of the item.
        decayed: ``(P, H)`` float, own purchases halved every half-life.
        since_days: ``(P,)`` float, days since the last one.
        own_interval_days: ``(P,)`` float, the user's mean interval between purchases of the item, 0 with one purchase.
        in_last_baskets: ``(P, 3)`` float, 1 where the user's last, second and third last basket hold the item.
        user_baskets: ``(N,)`` float, baskets of the user before the request.
    """

    request: Tensor
    item: Tensor
    count: Tensor
    decayed: Tensor
    since_days: Tensor
    own_interval_days: Tensor
    in_last_baskets: Tensor
    user_baskets: Tensor


@dataclass(frozen=True)
class OwnHistoryContext:
    """Asks for :class:`OwnHistory`.

    Args:
        half_lives_days: Half-lives ``H`` of the decayed counts, in days.
    """

    half_lives_days: tuple[float, ...] = (7.0, 28.0, 90.0)
    name: str = "own_history"

    def bind(self, log: EventLog, spec: DataSpec) -> OwnHistoryIndex:
        return OwnHistoryIndex(log, self.half_lives_days)


class OwnHistoryIndex:
    """Purchases sorted by (user, item, time) with running counts, so that a request is one binary search a pair.

    Memory: 24 + 4 ``H`` bytes an event. A look-up costs ``O(pairs of the user * log events)`` without a Python loop.
    """

    def __init__(self, log: EventLog, half_lives_days: tuple[float, ...]) -> None:
        self.log = log
        order, key = by_user_and_item(log)
        times = log.event_times_s[order]
        baskets = np.repeat(np.arange(log.num_baskets), np.diff(log.basket_offsets))[order]
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        self.starts = np.r_[first, len(key)]
        self.items = (key[first] % log.num_items).astype(np.int64)
        self.user_pairs = np.searchsorted(key[first] // log.num_items, np.arange(log.num_users + 1))
        self.times_s = times
        self.baskets = baskets
        self.origin_s = int(times.min())
        self.span_s = int(times.max()) - self.origin_s + 2
        pairs = np.repeat(np.arange(len(first)), np.diff(self.starts))
        self.search_key = pairs * self.span_s + (times - self.origin_s)
        self.decays = np.log(2.0) / (np.asarray(half_lives_days) * SECONDS_PER_DAY)
        self.decayed = running_decay(times, self.starts, self.decays)

    def __call__(self, requests: Requests) -> OwnHistory:
        owner, pair = gather_ranges(self.user_pairs[requests.users], self.user_pairs[requests.users + 1])
        known_s = requests.known_until_s[owner]
        seen = self.times_s[self.starts[pair]] < known_s
        owner, pair, known_s = owner[seen], pair[seen], known_s[seen]
        until = np.minimum(known_s - self.origin_s, self.span_s - 1)
        last = np.searchsorted(self.search_key, pair * self.span_s + until) - 1
        return self._value(requests, owner, pair, known_s, last)

    def _value(
        self,
        requests: Requests,
        owner: NDArray[np.int64],
        pair: NDArray[np.int64],
        known_s: NDArray[np.int64],
        last: NDArray[np.int64],
    ) -> OwnHistory:
        start = self.starts[pair]
        count = last - start + 1
        since_s = requests.times_s[owner] - self.times_s[last]
        interval_s = (self.times_s[last] - self.times_s[start]) / np.maximum(count - 1, 1)
        decayed = self.decayed[last] * np.exp(-since_s[:, None] * self.decays)
        baskets_before = self._baskets_before(requests)
        present = self._presence(start, last, baskets_before[owner] - 1)
        return OwnHistory(
            request=torch.from_numpy(owner),
            item=torch.from_numpy(self.items[pair]),
            count=_float(count),
            decayed=_float(decayed),
            since_days=_float(since_s / SECONDS_PER_DAY),
            own_interval_days=_float(interval_s / SECONDS_PER_DAY),
            in_last_baskets=_float(present),
            user_baskets=_float(baskets_before - self.log.user_baskets[requests.users]),
        )

    def _baskets_before(self, requests: Requests) -> NDArray[np.int64]:
        """Number of the first basket of each user that is not known, counted over the whole log."""
        return self.log.baskets_before(requests.users, requests.known_until_s)

    def _presence(
        self, start: NDArray[np.int64], last: NDArray[np.int64], newest: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """``(P, 3)``: whether the newest, second and third newest known basket hold the item."""
        present = np.zeros((len(last), LAST_BASKETS), dtype=bool)
        for back in range(LAST_BASKETS):
            event = last - back
            age = newest - self.baskets[event]
            hit = (event >= start) & (age < LAST_BASKETS)
            present[np.flatnonzero(hit), age[hit]] = True
        return present


def by_user_and_item(log: EventLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The events sorted by (user, item, time), and the number of the (user, item) pair of each."""
    users = np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))
    key = users * log.num_items + log.event_items
    order = np.argsort(key, kind="stable")
    return order, key[order]


def running_decay(
    times_s: NDArray[np.int64], starts: NDArray[np.int64], decays: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Decayed counts after each event of each segment: ``s_j = 1 + s_{j-1} exp(-decay (t_j - t_{j-1}))``.

    All segments advance together, one event at a time, so that the loop is as long as the longest segment.

    Args:
        times_s: ``(E,)`` rising within each segment.
        starts: ``(S + 1,)`` offsets of the segments.
        decays: ``(H,)`` rates per second.

    Returns:
        ``(E, H)`` float32.
    """
    result = np.ones((len(times_s), len(decays)), dtype=np.float32)
    lengths = np.diff(starts)
    longest_first = np.argsort(-lengths, kind="stable")
    heads, lengths = starts[:-1][longest_first], lengths[longest_first]
    for step in range(1, int(lengths.max(initial=0))):
        active = heads[: np.searchsorted(-lengths, -step)] + step
        gap = (times_s[active] - times_s[active - 1])[:, None]
        result[active] += result[active - 1] * np.exp(-gap * decays)
    return result


def _float(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
