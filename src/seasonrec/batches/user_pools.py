"""Pools of users that fit into memory: a log of any length is planned pool by pool."""

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
"""Users whose baskets are looked up together."""


class BasketSource(Protocol):
    """Source of the training baskets of a range of users."""

    def counts(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        """Returns the number of baskets of each user in ``users[0]:users[1]``."""
        ...

    def of_users(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        """Returns the basket numbers of these users, rising."""
        ...


@dataclass(frozen=True)
class Period:
    """All baskets of a stretch of time, looked up in the memory-mapped arrays when they are needed.

    Args:
        from_s: First second.
        until_s: First second after the last.
    """

    from_s: int
    until_s: int

    def counts(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        start, stop = self._ranges(log, users)
        return stop - start

    def of_users(self, log: EventLog, users: tuple[int, int]) -> NDArray[np.int64]:
        return gather_ranges(*self._ranges(log, users))[1]

    def _ranges(self, log: EventLog, users: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the range of each user; baskets are in time order, so those of a period are consecutive."""
        numbers = np.arange(*users)
        start, stop = (log.baskets_before(numbers, np.full(len(numbers), s)) for s in (self.from_s, self.until_s))
        return start, stop


@dataclass(frozen=True)
class GivenBaskets:
    """Baskets given as a list.

    Args:
        baskets: ``(K,)`` basket numbers, rising.

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
    """Range of users and the number of their requests."""

    first_user: int
    end_user: int
    num_requests: int


def cut_pools(log: EventLog, source: BasketSource, largest: int) -> list[Pool]:
    """Divides all users into ranges with about the same number of requests each; a user is never divided.

    A pool holds at most ``1.5 * largest`` requests plus those of one user. If there is more than one pool, each holds
    at least a quarter of ``largest``, so that no pool has too few for a batch.

    Args:
        source: Its training baskets.
        largest: Requests above which there is more than one pool.

    Returns:
        The pools in user order; together they hold every user.
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
    return [Pool(a, b, int(known[b] - known[a])) for a, b in pairwise(bounds)]


def _counts(log: EventLog, source: BasketSource) -> NDArray[np.int64]:
    counts = []
    for first in range(0, log.num_users, USERS_AT_ONCE):
        counts.append(source.counts(log, (first, min(first + USERS_AT_ONCE, log.num_users))))
        if log.num_users > USERS_AT_ONCE:
            forget_pages(log)
    return np.concatenate(counts)


def forget_pages(log: EventLog) -> None:
    """Frees the cached pages of the arrays on disk; the next reading loads them again.

    The system frees these pages itself when memory gets short, but until then they count as memory of this process.
    """
    for field in fields(log):
        mapped = getattr(getattr(log, field.name), "_mmap", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)
