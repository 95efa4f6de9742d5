"""Whole batches from the flat arrays: windows of events, the requests they serve, targets and context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.context.base import BoundContext
from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests, gather_ranges


@dataclass(frozen=True)
class LoaderOptions:
    """How requests are put into batches.

    Args:
        batch_size: Requests in a training batch at most; where two batches meet, a window may be read in both.
        evaluation_batch_size: Requests in an evaluation batch, each with a window of its own.
        min_context_share: Share of a full window that every request reads at least, where the user has as many events.
            Less makes fewer windows and a faster epoch, more gives the first requests of a window a longer history.
        shuffle: Whether windows come in a new order every epoch.
        validation_stride: Validation looks at every so many-th basket of its part.
    """

    batch_size: int = 256
    evaluation_batch_size: int = 256
    min_context_share: float = 0.25
    shuffle: bool = True
    validation_stride: int = 3


class BatchBuilder:
    """Turns requests into a :class:`SequenceBatch`; the one way in for training, evaluation and ``recommend``.

    Args:
        log: The prepared log.
        contexts: Bound contexts by name.
        max_seq_len: Events ``T`` of a window at most.
    """

    def __init__(self, log: EventLog, contexts: Mapping[str, BoundContext], max_seq_len: int) -> None:
        self.log = log
        self.contexts = contexts
        self.max_seq_len = max_seq_len

    def history_ends(self, requests: Requests) -> NDArray[np.int64]:
        """``(N,)`` number of the first event of each user that the request may not read."""
        return self.log.basket_offsets[self.log.baskets_before(requests.users, requests.known_until_s)]

    def __call__(self, requests: Requests, window_of: NDArray[np.int64] | None = None) -> SequenceBatch:
        """Builds one batch.

        Args:
            requests: The ``N`` requests.
            window_of: ``(N,)`` number of the window that serves each request, rising from 0 without gaps; requests of
                one window belong to one user. None gives every request a window of its own.
        """
        ends = self.history_ends(requests)
        window = np.arange(len(requests)) if window_of is None else window_of
        num_windows = int(window.max()) + 1
        window_end = np.zeros(num_windows, dtype=np.int64)
        np.maximum.at(window_end, window, ends)
        user = np.zeros(num_windows, dtype=np.int64)
        user[window] = requests.users
        start = np.maximum(window_end - self.max_seq_len, self.log.user_offsets[user])
        position = np.maximum(ends - start[window], 0)
        item_ids, times_s, is_padding = self._windows(start, window_end)
        target_request, target_items = self._targets(requests.baskets)
        context: dict[str, Any] = {name: compute(requests) for name, compute in self.contexts.items()}
        return SequenceBatch(
            item_ids=torch.from_numpy(item_ids),
            timestamps_s=torch.from_numpy(times_s),
            is_padding=torch.from_numpy(is_padding),
            request_window=torch.from_numpy(window),
            request_position=torch.from_numpy(position),
            request_time_s=torch.from_numpy(requests.times_s),
            user_ids=torch.from_numpy(requests.users),
            basket_ids=torch.from_numpy(requests.baskets),
            target_request=torch.from_numpy(target_request),
            target_items=torch.from_numpy(target_items),
            context=context,
        )

    def _windows(
        self, start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        lengths = end - start
        columns = np.arange(max(int(lengths.max(initial=0)), 1))
        is_padding = columns >= lengths[:, None]  # (B, T)
        event = np.where(is_padding, 0, start[:, None] + columns)
        item_ids = np.where(is_padding, self.log.num_items, self.log.event_items[event]).astype(np.int64)
        times_s = np.where(is_padding, 0, self.log.event_times_s[event])
        return item_ids, times_s, is_padding

    def _targets(self, baskets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        known = baskets >= 0
        start = np.where(known, self.log.basket_offsets[np.maximum(baskets, 0)], 0)
        stop = np.where(known, self.log.basket_offsets[np.maximum(baskets, 0) + 1], 0)
        request, event = gather_ranges(start, stop)
        return request, self.log.event_items[event].astype(np.int64)


class TrainingLoader:
    """Batches of windows for one epoch after another; the position in the epoch can be saved and restored.

    Each epoch cuts every user's requests into windows anew: requests whose histories end within the same stretch of
    events share one, so that each reads at least ``min_context_share`` of a window (or all there is). Windows of like
    length go into one batch; batches come in shuffled order. Everything follows from ``(seed, epoch)``.

    Args:
        builder: Makes the batches.
        baskets: ``(K,)`` training baskets.
        options: Sizes and order.
        horizon_s: Seconds before a request at which its history ends.
        seed: Seed of the order.
    """

    def __init__(
        self, builder: BatchBuilder, baskets: NDArray[np.int64], options: LoaderOptions, horizon_s: int, seed: int
    ) -> None:
        self.builder = builder
        self.options = options
        self.seed = seed
        self.requests = Requests.of_baskets(builder.log, baskets, horizon_s)
        self.ends = builder.history_ends(self.requests)
        self.epoch = 0
        self.position = 0
        self._plan: tuple[int, list[NDArray[np.int64]], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return -(-len(self.requests) // self.options.batch_size)

    def __iter__(self) -> Iterator[SequenceBatch]:
        if self.position >= len(self):  # the epoch before was read to its end, by a reader that knew where that is
            self.epoch, self.position = self.epoch + 1, 0
        batches, window = self._epoch_plan()
        for rows in batches[self.position :]:
            self.position += 1
            _, window_of = np.unique(window[rows], return_inverse=True)
            yield self.builder(self.requests[rows], window_of)

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands; Lightning saves it in the middle of an epoch."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]

    def _epoch_plan(self) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        if self._plan is None or self._plan[0] != self.epoch:
            self._plan = (self.epoch, *self._cut())
        return self._plan[1:]

    def _cut(self) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        random = np.random.default_rng((self.seed, self.epoch))
        step = max(1, round(self.builder.max_seq_len * (1.0 - self.options.min_context_share)))
        log = self.builder.log
        phase = random.integers(0, step, log.num_users)
        users = self.requests.users
        block = (self.ends - log.user_offsets[users] + phase[users]) // step
        key = users * (int(block.max()) + 1) + block
        _, window = np.unique(key, return_inverse=True)
        lengths = np.zeros(int(window.max()) + 1, dtype=np.int64)
        np.maximum.at(lengths, window, np.minimum(self.ends - log.user_offsets[users], self.builder.max_seq_len))
        order = random.permutation(len(lengths)) if self.options.shuffle else np.arange(len(lengths))
        order = order[np.argsort(lengths[order], kind="stable")]
        place = np.empty(len(lengths), dtype=np.int64)
        place[order] = np.arange(len(lengths))
        batches = np.array_split(np.argsort(place[window], kind="stable"), len(self))
        if self.options.shuffle:
            batches = [batches[i] for i in random.permutation(len(batches))]
        return batches, window


def evaluation_batches(
    builder: BatchBuilder, requests: Requests, batch_size: int
) -> Iterator[tuple[slice, SequenceBatch]]:
    """Batches of requests in their own order, each request with a full window of its own."""
    for start in range(0, len(requests), batch_size):
        rows = slice(start, min(start + batch_size, len(requests)))
        yield rows, builder(requests[rows])
