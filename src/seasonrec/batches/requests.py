"""Requests: user, time, and end of the known events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.data.log import EventLog


@dataclass(frozen=True)
class Requests:
    """Requests of users at times.

    Args:
        users: ``(N,)`` int64 user numbers.
        times_s: ``(N,)`` int64 request times, seconds since 1970-01-01 UTC.
        known_until_s: ``(N,)`` int64 seconds; the model may read events strictly before it.
        baskets: ``(N,)`` int64 number of the target basket, or -1 without one (``recommend``).
    """

    users: NDArray[np.int64]
    times_s: NDArray[np.int64]
    known_until_s: NDArray[np.int64]
    baskets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> Requests:
        return Requests(self.users[index], self.times_s[index], self.known_until_s[index], self.baskets[index])

    @staticmethod
    def of_baskets(log: EventLog, baskets: NDArray[np.int64], horizon: Horizon = ROLLING) -> Requests:
        """Returns the requests of ``(N,)`` target baskets, whose histories end where the horizon says."""
        times_s = np.asarray(log.basket_times_s[baskets], dtype=np.int64)
        users = np.asarray(log.basket_users[baskets], dtype=np.int64)
        return Requests(users, times_s, horizon.known_until_s(times_s), np.asarray(baskets, dtype=np.int64))

    @staticmethod
    def of_users(users: NDArray[np.int64], times_s: NDArray[np.int64], horizon: Horizon = ROLLING) -> Requests:
        """Returns requests of ``(N,)`` users at ``(N,)`` times without target baskets."""
        users, times_s = (np.asarray(values, dtype=np.int64) for values in (users, times_s))
        return Requests(users, times_s, horizon.known_until_s(times_s), np.full(len(users), -1))


def gather_ranges(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the numbers of all ranges ``starts[i]:stops[i]`` in one array, without a Python loop.

    Returns:
        ``(owner, position)``, both ``(sum of lengths,)``: the number of the range ``i``, and a number in it.
    """
    lengths = stops - starts
    owner = np.repeat(np.arange(len(starts)), lengths)
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, np.arange(len(owner)) - before + starts[owner]
