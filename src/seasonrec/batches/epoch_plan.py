"""Plan of an epoch: requests of each training window, windows of each batch, and order of the batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.candidates import Candidates, available_targets
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.data.preparation.merging import changes
from seasonrec.errors import UserError


@dataclass(frozen=True)
class WindowRule:
    """Rule by which requests are grouped into training windows, and windows into batches.

    Args:
        max_seq_len: Maximal number of events ``T`` of a window.
        step: Number of events of a stretch; requests whose histories end in one stretch share a window.
        shift: Whether the first stretch of every user begins at a random place before the first event.
        shuffle: Whether windows and batches come in random order.
        horizon: End of the history of each request.
        candidates: Rule of the candidates; other items of a basket are left out of the targets.
    """

    max_seq_len: int
    step: int
    shift: bool
    shuffle: bool
    horizon: Horizon
    candidates: Candidates = "known"


@dataclass(frozen=True)
class BatchPlan:
    """Requests of one batch and the windows that serve them.

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
    """Windows and batches of one epoch for the requests of a range of users.

    Requests whose histories end within the same stretch of events share a window. They are consecutive in the log, so
    that a window is stored as a first request and a count. Windows of similar length go into one batch.

    A window begins ``T`` events before the end of its stretch, not ``T`` events before its last request. The place of
    the last request depends on the size of its target basket. A window that ended there would leak this size through
    the positions: requests at position ``T`` would have the largest target baskets.

    Memory: 16 bytes per request and 24 per window; about 90 bytes per request while the plan is made.

    Args:
        baskets: ``(K,)`` baskets of the pool, rising.
        users: First user of the pool, and the user after the last.
        num_batches: Number of batches.
        rule: Rule of the windows.
        random: Source of the shifts and of the order.
    """

    def __init__(
        self,
        log: EventLog,
        baskets: NDArray[np.int64],
        users: tuple[int, int],
        num_batches: int,
        rule: WindowRule,
        random: np.random.Generator,
    ) -> None:
        self.log = log
        self.baskets = baskets
        self.rule = rule
        self.ends, first, starts, lengths = _windows(log, baskets, users, rule, random)
        order = random.permutation(len(first)) if rule.shuffle else np.arange(len(first))
        narrow = np.uint16 if rule.max_seq_len < 2**16 else np.uint64  # numpy uses a radix sort for 16 bits
        order = order[np.argsort(lengths[order].astype(narrow), kind="stable")]
        self.first = first[order]  # (W,) first request of each window, in the order of the batches
        self.starts = starts[order]  # (W,) first event of each
        counts = np.diff(first, append=len(baskets))[order]
        self.stops = np.cumsum(counts)  # (W,) requests up to and including each window, in that order
        self.batches = random.permutation(num_batches) if rule.shuffle else np.arange(num_batches)

    def __len__(self) -> int:
        return len(self.batches)

    @cached_property
    def num_targets(self) -> NDArray[np.int64]:
        """Numbers of targets of the batches in the order of the epoch, ``(len(self),)``; made at the first use."""
        counts = np.diff(self.stops, prepend=0)
        _, rows = gather_ranges(self.first, self.first + counts)
        sizes = self._basket_targets()[rows]
        starts = [_range(len(self.baskets), len(self), number)[0] for number in range(len(self))]
        found: NDArray[np.int64] = np.add.reduceat(sizes, starts)[self.batches]
        return found

    def _basket_targets(self) -> NDArray[np.int64]:
        """Returns ``(K,)`` numbers of the items of each basket that are candidates of its request."""
        requests = Requests.of_baskets(self.log, self.baskets, self.rule.horizon)
        request = available_targets(self.log, requests, self.rule.candidates)[0]
        return np.bincount(request, minlength=len(requests))

    def weight(self, number: int, size: int) -> Tensor | None:
        """Returns the number of targets of a batch over the mean of its step, or None if the batch is the whole step.

        A step without targets, for example before the first known event, has weights of 0.

        Args:
            number: Number of the batch in the order of the epoch.
            size: Batches of a step, of all processes together.
        """
        if size == 1:
            return None
        step = self.num_targets[number // size * size :][:size]
        return torch.tensor(self.num_targets[number] / (step.mean() or 1.0), dtype=torch.float32)

    def batch(self, number: int) -> BatchPlan:
        """Returns the ``number``-th batch in the order of the epoch."""
        start, stop = _range(len(self.baskets), len(self.batches), int(self.batches[number]))
        low, high = np.searchsorted(self.stops, [start, stop - 1], side="right")
        first, stops = self.first[low : high + 1], self.stops[low : high + 1]
        before = np.concatenate([[self.stops[low - 1] if low else 0], stops[:-1]])
        taken_from = np.maximum(before, start)  # the first and the last window may serve two batches
        begin = first + taken_from - before
        owner, rows = gather_ranges(begin, begin + np.minimum(stops, stop) - taken_from)
        rank = np.empty(len(first), dtype=np.int64)  # windows are numbered in the order of the log
        in_log = np.argsort(first)
        rank[in_log] = np.arange(len(first))
        requests = Requests.of_baskets(self.log, self.baskets[rows], self.rule.horizon)
        return BatchPlan(requests, self.ends[rows], rank[owner], self.starts[low : high + 1][in_log])


def number_of_batches(batch_size: int, ranks: int, step_batches: int, num_requests: int) -> int:
    """Returns the number of batches of a pool, a multiple of those of a step.

    Args:
        batch_size: Maximal number of requests in a batch.
        ranks: Processes.
        step_batches: Batches of each process in a step.
        num_requests: Requests of the pool.

    Raises:
        ValueError: If there are fewer requests than a step has batches.
    """
    size = ranks * step_batches
    if num_requests < size:
        gathered, fewer = (
            ("", "")
            if step_batches == 1
            else (f" with {step_batches} batches each per step", " or a lower trainer.accumulate_batches")
        )
        raise UserError(
            f"{ranks} processes{gathered} cannot share {num_requests} training requests of a pool; take fewer "
            f"devices{fewer}, or a larger loader.pool_size."
        )
    wanted = -(-num_requests // (batch_size * size))
    return min(wanted, num_requests // size) * size


def _windows(
    log: EventLog, baskets: NDArray[np.int64], users: tuple[int, int], rule: WindowRule, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Returns the ``(K,)`` ends of the histories, and ``(W,)`` first request, first event and length of the windows."""
    ends = _history_ends(log, baskets, rule.horizon)
    phase = random.integers(0, rule.step, users[1] - users[0]) * rule.shift
    user = np.asarray(log.basket_users[baskets], dtype=np.int64)
    begin = log.sequences.user_offsets[user]
    known = ends - begin
    block = (known + phase[user - users[0]]) // rule.step
    first = np.flatnonzero(changes(user, block))
    last = np.append(first[1:], len(baskets)) - 1
    furthest = (block[first] + 1) * rule.step - phase[user[first] - users[0]] - 1  # longest history of the stretch
    skipped = np.maximum(furthest - rule.max_seq_len, 0)
    return ends, first, begin[first] + skipped, known[last] - skipped


def _history_ends(log: EventLog, baskets: NDArray[np.int64], horizon: Horizon) -> NDArray[np.int64]:
    """Returns ``(K,)`` numbers of the first event of the sequence that the request of each basket may not read."""
    read = log.sequences
    if horizon == ROLLING and read is log:  # the basket's own first event
        return np.asarray(log.basket_offsets[baskets])
    requests = Requests.of_baskets(log, baskets, horizon)
    return np.asarray(read.basket_offsets[read.baskets_before(requests.users, requests.known_until_s)])


def _range(count: int, ranges: int, number: int) -> tuple[int, int]:
    """Returns one of several successive ranges that cover ``count`` numbers; the first ones may be longer by one."""
    size, longer = divmod(count, ranges)
    start = number * size + min(number, longer)
    return start, start + size + (number < longer)
