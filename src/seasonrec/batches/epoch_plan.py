"""The plan of an epoch: which requests share a window, which windows a batch, and in what order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog


@dataclass(frozen=True)
class Cut:
    """How requests are cut into windows, and windows into batches.

    Args:
        max_seq_len: Events ``T`` of a window at most.
        step: Events within which histories must end to share a window.
        shift: Whether every user's first stretch begins at a random place before the first event.
        shuffle: Whether windows and batches come in random order.
        horizon_s: Seconds before a request at which its history ends.
    """

    max_seq_len: int
    step: int
    shift: bool
    shuffle: bool
    horizon_s: int


@dataclass(frozen=True)
class BatchPlan:
    """One batch: its requests and the windows that serve them.

    Args:
        requests: The ``N`` requests.
        ends: ``(N,)`` number of the first event of each user that the request may not read.
        window_of: ``(N,)`` number of the window that serves each request, from 0 without gaps.
        starts: ``(B,)`` number of the first event of each window.
    """

    requests: Requests
    ends: NDArray[np.int64]
    window_of: NDArray[np.int64]
    starts: NDArray[np.int64]


class PoolPlan:
    """One epoch's windows and batches over the requests of a range of users.

    Requests whose histories end within the same stretch of events share a window. They follow each other in the log,
    so that a window is a first request and a number of them. Windows of like length go into one batch.

    A window begins ``T`` events before the end of its stretch, and not before the last of its requests: where that one
    lies within the stretch depends on how large the basket is that it asks for, which would then show in the position
    of every request: those at position ``T`` would ask for the largest baskets, and those just before it for the least.

    Memory: 16 bytes a request and 24 a window while the plan is used, about 90 a request while it is made.

    Args:
        log: The prepared log.
        baskets: ``(K,)`` baskets of the pool, rising.
        users: First user of the pool and the one after its last.
        num_batches: Batches to make.
        cut: The rules.
        random: Source of the cuts and of the order.
    """

    def __init__(
        self,
        log: EventLog,
        baskets: NDArray[np.int64],
        users: tuple[int, int],
        num_batches: int,
        cut: Cut,
        random: np.random.Generator,
    ) -> None:
        self.log = log
        self.baskets = baskets
        self.horizon_s = cut.horizon_s
        self.ends, first, starts, lengths = _windows(log, baskets, users, cut, random)
        order = random.permutation(len(first)) if cut.shuffle else np.arange(len(first))
        order = order[np.argsort(lengths[order].astype(_narrow(cut.max_seq_len)), kind="stable")]
        self.first = first[order]  # (W,) first request of each window, in the order of the batches
        self.starts = starts[order]  # (W,) first event of each
        counts = np.diff(first, append=len(baskets))[order]
        self.stops = np.cumsum(counts)  # (W,) requests up to and with each window, in that order
        self.batches = random.permutation(num_batches) if cut.shuffle else np.arange(num_batches)

    def __len__(self) -> int:
        return len(self.batches)

    def batch(self, number: int) -> BatchPlan:
        """The ``number``-th batch in the order of the epoch."""
        start, stop = _part(len(self.baskets), len(self.batches), int(self.batches[number]))
        low, high = np.searchsorted(self.stops, [start, stop - 1], side="right")
        first, stops = self.first[low : high + 1], self.stops[low : high + 1]
        before = np.concatenate([[self.stops[low - 1] if low else 0], stops[:-1]])
        taken_from = np.maximum(before, start)  # the first and the last window may be read in two batches
        begin = first + taken_from - before
        owner, rows = gather_ranges(begin, begin + np.minimum(stops, stop) - taken_from)
        rank = np.empty(len(first), dtype=np.int64)  # windows are numbered as they lie in the log
        in_log = np.argsort(first)
        rank[in_log] = np.arange(len(first))
        requests = Requests.of_baskets(self.log, self.baskets[rows], self.horizon_s)
        return BatchPlan(requests, self.ends[rows], rank[owner], self.starts[low : high + 1][in_log])


def _windows(
    log: EventLog, baskets: NDArray[np.int64], users: tuple[int, int], cut: Cut, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where each request's history ends ``(K,)``; each window's first request, first event and length ``(W,)``.

    Requests are in user and time order, so windows are runs of them and the last of a run ends latest.
    """
    ends = history_ends(log, baskets, cut.horizon_s)
    phase = random.integers(0, cut.step, users[1] - users[0]) * cut.shift
    user = np.asarray(log.basket_users[baskets], dtype=np.int64)
    known = ends - log.user_offsets[user]
    block = (known + phase[user - users[0]]) // cut.step
    is_first = np.ones(len(baskets), dtype=np.bool_)
    is_first[1:] = (user[1:] != user[:-1]) | (block[1:] != block[:-1])
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(baskets)) - 1
    furthest = (block[first] + 1) * cut.step - phase[user[first] - users[0]] - 1  # events known at most in the stretch
    skipped = np.maximum(furthest - cut.max_seq_len, 0)
    return ends, first, log.user_offsets[user[first]] + skipped, known[last] - skipped


def history_ends(log: EventLog, baskets: NDArray[np.int64], horizon_s: int) -> NDArray[np.int64]:
    """``(K,)`` number of the first event that may not be read for each basket.

    Without a horizon that is the basket's own first event: the events of one user at one time are one basket.
    """
    if horizon_s == 0:
        return np.asarray(log.basket_offsets[baskets])
    requests = Requests.of_baskets(log, baskets, horizon_s)
    return np.asarray(log.basket_offsets[log.baskets_before(requests.users, requests.known_until_s)])


def _part(count: int, parts: int, number: int) -> tuple[int, int]:
    """The ``number``-th of ``parts`` ranges that cover ``count`` things; the first ones are longer by one."""
    size, longer = divmod(count, parts)
    start = number * size + min(number, longer)
    return start, start + size + (number < longer)


def _narrow(largest: int) -> type[np.uint16] | type[np.uint64]:
    """The type in which lengths sort fastest: numpy counts numbers of 16 bits instead of comparing them."""
    return np.uint16 if largest < 2**16 else np.uint64
