"""Pools of users: ranges of users whose requests are planned together, to limit the memory."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError

USERS_AT_ONCE = 2**18
"""Number of users whose baskets are counted at a time."""


class BasketSource(Protocol):
    """Source of the training baskets of a range of users."""

    def counts(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        """Returns the number of baskets of each user in ``users[0]:users[1]``."""
        ...

    def of_users(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        """Returns the rising basket numbers of these users."""
        ...


@dataclass(frozen=True)
class Period:
    """All baskets from the second ``from_s`` up to, not including, the second ``until_s``."""

    from_s: int
    until_s: int

    def counts(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        start, stop = self._ranges(log, users)
        return stop - start

    def of_users(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        return gather_ranges(*self._ranges(log, users))[1]

    def _ranges(self, log: EventLog, users: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        numbers = np.arange(*users)
        start, stop = (log.baskets_before(numbers, np.full(len(numbers), s)) for s in (self.from_s, self.until_s))
        return start, stop


@dataclass(frozen=True)
class GivenBaskets:
    """Baskets given as ``(K,)`` rising numbers.

    Raises:
        ValueError: If they do not rise.
    """

    baskets: NDArray[np.int64]

    def __post_init__(self) -> None:
        if (np.diff(self.baskets) <= 0).any():
            raise UserError("baskets must be rising numbers without repetition; sort them with np.unique.")

    def counts(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        return np.diff(np.searchsorted(self.baskets, log.user_baskets[users[0] : users[1] + 1]))

    def of_users(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        return self.baskets[slice(*np.searchsorted(self.baskets, log.user_baskets[list(users)]))]


class Pool(NamedTuple):
    """Range of users (the first and the one after the last), and the number of their requests."""

    users: tuple[int, int]
    num_requests: int


def cut_pools(log: EventLog, source: BasketSource, largest: int) -> list[Pool]:
    """Divides all users into successive ranges with about the same number of requests.

    Up to ``largest`` requests give one pool. A pool has at most ``1.5 * largest`` requests plus those of one user, and
    at least a quarter of ``largest`` if there are several pools.
    """
    known = np.concatenate([[0], np.cumsum(_counts(log, source))])  # (U + 1,) requests before each user
    total = int(known[-1])
    size = total / max(1, -(-total // largest))
    bounds = [0]
    for wanted in np.arange(size, total, size):
        bound = int(np.searchsorted(known, wanted))
        if known[bound] - known[bounds[-1]] >= size / 2 and total - known[bound] >= size / 2:
            bounds.append(bound)
    bounds.append(log.num_users)
    return [Pool((a, b), int(known[b] - known[a])) for a, b in pairwise(bounds)]


def _counts(log: EventLog, source: BasketSource) -> NDArray[np.int64]:
    counts = []
    for first in range(0, log.num_users, USERS_AT_ONCE):
        counts.append(source.counts(log, (first, min(first + USERS_AT_ONCE, log.num_users))))
        if log.num_users > USERS_AT_ONCE:
            forget_pages(log)
    return np.concatenate(counts)


def forget_pages(log: EventLog) -> None:
    """Frees the cached pages of the arrays on disk; the next reading loads them again.

    Until the system frees these pages itself, they count as memory of this process.
    """
    for field in fields(log):
        mapped = getattr(getattr(log, field.name), "_mmap", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)
    if log.all_behaviours is not None:
        forget_pages(log.all_behaviours)
