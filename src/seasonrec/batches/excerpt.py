"""Excerpt of a log: some of its users with all their events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog


@dataclass(frozen=True)
class Excerpt:
    """Some users of a log with all their events and the whole catalogue.

    Args:
        log: The log of these users.
        whole: The whole log.
        users: ``(U',)`` rising numbers of these users in the whole log.
    """

    log: EventLog
    whole: EventLog
    users: NDArray[np.int64]

    def requests(self, requests: Requests) -> Requests:
        """Returns requests of the whole log with the user and basket numbers of the excerpt."""
        users = np.searchsorted(self.users, requests.users)
        moved = self.log.user_baskets[users] - self.whole.user_baskets[requests.users]
        baskets = np.where(requests.baskets < 0, requests.baskets, requests.baskets + moved)
        return replace(requests, users=users, baskets=baskets)


def excerpt(log: EventLog, users: NDArray[np.int64], max_events: int) -> Excerpt:
    """Returns the whole log if its sequences have at most ``max_events`` events, else some users and every n-th user.

    All n-th users together have about ``max_events`` events. Memory: about 60 bytes per event of the excerpt.
    """
    events = log.sequences.num_events
    if events <= max_events:
        return Excerpt(log, log, np.arange(log.num_users))
    step = -(-events // max_events)
    return excerpt_of(log, np.union1d(np.arange(0, log.num_users, step), users))


def excerpt_of(log: EventLog, users: NDArray[np.int64]) -> Excerpt:
    """Returns the excerpt of ``(U',)`` rising users."""
    return Excerpt(_log_of(log, users), log, users)


def _log_of(log: EventLog, users: NDArray[np.int64]) -> EventLog:
    owner, basket = gather_ranges(log.user_baskets[users], log.user_baskets[users + 1])
    _, event = gather_ranges(log.basket_offsets[basket], log.basket_offsets[basket + 1])
    sizes = log.basket_offsets[basket + 1] - log.basket_offsets[basket]
    return replace(
        log,
        event_items=log.event_items[event],
        event_times_s=log.event_times_s[event],
        event_values=log.event_values[event],
        user_offsets=_offsets(log.user_offsets[users + 1] - log.user_offsets[users]),
        user_baskets=_offsets(log.user_baskets[users + 1] - log.user_baskets[users]),
        basket_offsets=_offsets(sizes),
        basket_users=owner.astype(np.int32),
        basket_times_s=log.basket_times_s[basket],
        users=log.users[users],
        event_behaviours=None if log.event_behaviours is None else log.event_behaviours[event],
        all_behaviours=None if log.all_behaviours is None else _log_of(log.all_behaviours, users),
    )


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.append(0, np.cumsum(sizes)).astype(np.int64)
