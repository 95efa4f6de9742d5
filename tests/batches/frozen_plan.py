"""First version of the plan of an epoch, by sorting requests: the reference for the current one, bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog

Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Baskets, window of each, where each one's history ends, and where each window begins."""


def frozen_epoch(
    log: EventLog,
    baskets: NDArray[np.int64],
    batch_size: int,
    max_seq_len: int,
    min_context_share: float,
    shuffle: bool,
    horizon_s: int,
    seed: tuple[int, ...],
) -> list[Batch]:
    requests = Requests.of_baskets(log, baskets, Horizon(horizon_s))
    ends = log.basket_offsets[log.baskets_before(requests.users, requests.known_until_s)]
    random = np.random.default_rng(seed)
    step = max(1, round(max_seq_len * (1.0 - min_context_share)))
    phase = random.integers(0, step, log.num_users)
    users = requests.users
    block = (ends - log.user_offsets[users] + phase[users]) // step
    key = users * (int(block.max()) + 1) + block
    _, window = np.unique(key, return_inverse=True)
    starts = np.zeros(int(window.max()) + 1, dtype=np.int64)
    starts[window] = log.user_offsets[users] + np.maximum((block + 1) * step - phase[users] - 1 - max_seq_len, 0)
    lengths = np.zeros(len(starts), dtype=np.int64)
    np.maximum.at(lengths, window, ends - starts[window])
    order = random.permutation(len(lengths)) if shuffle else np.arange(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    place = np.empty(len(lengths), dtype=np.int64)
    place[order] = np.arange(len(lengths))
    batches = np.array_split(np.argsort(place[window], kind="stable"), -(-len(requests) // batch_size))
    if shuffle:
        batches = [batches[i] for i in random.permutation(len(batches))]
    numbered = [np.unique(window[rows], return_inverse=True) for rows in batches]
    return [
        (baskets[rows], place, ends[rows], starts[own]) for rows, (own, place) in zip(batches, numbered, strict=True)
    ]
