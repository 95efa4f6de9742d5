"""Purchases of some users, sorted by user, item and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import gather_ranges
from seasonrec.data.log import EventLog
from seasonrec.data.preparation.merging import changes, stable_order

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Purchases:
    """Purchases sorted by (user, item, time); a *pair* is a user and an item. ``n`` purchases.

    Args:
        users: ``(n,)`` place of the user among the requested ones.
        items: ``(n,)`` item numbers.
        baskets: ``(n,)`` basket numbers of the log.
        times_s: ``(n,)`` seconds.
        starts: ``(n,)`` row of the pair's first purchase.
    """

    users: _Ints
    items: _Ints
    baskets: _Ints
    times_s: _Ints
    starts: _Ints

    @property
    def numbers(self) -> _Ints:
        """``(n,)`` number of each purchase within its pair, from 0."""
        return np.arange(len(self.starts)) - self.starts

    @property
    def again(self) -> _Ints:
        """Rows that are not the first of their pair; the row before is the purchase before."""
        return np.flatnonzero(self.starts != np.arange(len(self.starts)))


def purchases(log: EventLog, first_baskets: _Ints, stop_baskets: _Ints) -> Purchases:
    """Reads the purchases of users in their baskets ``first_baskets[u]:stop_baskets[u]``, both ``(U,)``.

    Memory: about 100 bytes per purchase.
    """
    owner, basket = gather_ranges(first_baskets, stop_baskets)
    offsets = np.asarray(log.basket_offsets)
    sizes = offsets[basket + 1] - offsets[basket]
    _, event = gather_ranges(offsets[basket], offsets[basket + 1])
    user = np.repeat(owner, sizes)
    pair = user * log.num_items + np.asarray(log.event_items)[event]
    order = stable_order(pair)
    pair = pair[order]
    rows = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(changes(pair), rows, 0))
    baskets = np.repeat(basket, sizes)[order]
    return Purchases(
        users=pair // log.num_items,
        items=pair % log.num_items,
        baskets=baskets,
        times_s=np.asarray(log.basket_times_s)[baskets],
        starts=starts,
    )


def running_decay(bought: Purchases, decays: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns ``(n, H)`` float32 decayed counts of each pair: ``s_j = 1 + s_{j-1} exp(-decay (t_j - t_{j-1}))``.

    The ``(H,)`` decays are rates per second. All pairs advance together, one purchase per step, the longest pairs
    first, so that each step uses consecutive memory.
    """
    again, number = bought.again, bought.numbers
    lengths = np.bincount(bought.starts, minlength=len(number))
    heads = np.flatnonzero(lengths)
    rank = np.empty(len(number), dtype=np.int64)
    rank[heads[np.argsort(-lengths[heads])]] = np.arange(len(heads))
    active = np.bincount(number[again])  # pairs that make each step
    begin = np.cumsum(active) - active
    place = begin[number[again]] + rank[bought.starts[again]]
    kept = np.empty((len(again), len(decays)))
    kept[place] = np.exp(-(bought.times_s[again] - bought.times_s[again - 1])[:, None] * decays)
    states = np.empty(kept.shape, dtype=np.float32)
    state = np.ones((int(active.max(initial=0)), len(decays)), dtype=np.float32)
    for first, pairs in zip(begin[1:].tolist(), active[1:].tolist(), strict=True):
        step = kept[first : first + pairs]
        step *= state[:pairs]
        step += 1.0
        state = states[first : first + pairs]
        state[:] = step
    result = np.ones((len(number), len(decays)), dtype=np.float32)
    result[again] = states[place]
    return result
