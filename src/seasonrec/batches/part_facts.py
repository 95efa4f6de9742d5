"""Dates and sizes of the parts of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seasonrec.batches.splits import Split, local_date
from seasonrec.data.log import EventLog
from seasonrec.data.portions import user_portions

PARTS = ("training", "validation", "test")
"""Names of the parts in the order of time."""


@dataclass(frozen=True)
class PartFacts:
    """Dates of one part of a log, and the number of its events, baskets, distinct users and distinct items.

    Args:
        first_date: Local date of the first basket, ``YYYY-MM-DD``; None for an empty part.
        last_date: Local date of the last basket; None for an empty part.
        new_users: Number of users whose first basket of the whole log lies in this part.
        new_items: Number of items whose first event of the whole log lies in this part.
    """

    first_date: str | None
    last_date: str | None
    events: int
    baskets: int
    users: int
    items: int
    new_users: int
    new_items: int


@dataclass(frozen=True)
class SplitFacts:
    """Sizes of the parts of a split.

    Args:
        parts: Facts of ``training``, ``validation`` and ``test``, in this order.
        density: Share of all (user, item) pairs that have an event in the whole log.
    """

    parts: dict[str, PartFacts]
    density: float


def part_facts(log: EventLog, split: Split) -> SplitFacts:
    """Counts events, baskets, users and items of each part, in one portion of users at a time."""
    starts_s = np.array([split.train_from_s, split.validation_from_s, split.test_from_s])
    ends_s = np.array([split.train_until_s, split.validation_until_s, split.end_s])
    counts = np.zeros((3, 4), dtype=np.int64)  # events, baskets, users, new users of each part
    first_s, last_s = np.full(3, split.end_s), np.full(3, split.train_from_s)
    sold = np.zeros((3, log.num_items), dtype=np.bool_)
    pairs = 0
    for users in user_portions(log):
        baskets = slice(int(log.user_baskets[users.start]), int(log.user_baskets[users.stop]))
        offsets = np.asarray(log.basket_offsets[baskets.start : baskets.stop + 1])
        sizes, items = np.diff(offsets), np.asarray(log.event_items[offsets[0] : offsets[-1]])
        owner, times_s = np.asarray(log.basket_users[baskets], np.int64), np.asarray(log.basket_times_s[baskets])
        is_first = np.diff(owner, prepend=-1) != 0
        part = np.searchsorted(starts_s, times_s, side="right") - 1
        part[times_s >= ends_s[part]] = -1  # in a gap
        pairs += len(np.unique(np.repeat(owner, sizes) * log.num_items + items))
        for number in range(3):
            inside = part == number
            users_inside = len(np.unique(owner[inside]))
            counts[number] += (sizes[inside].sum(), inside.sum(), users_inside, (inside & is_first).sum())
            first_s[number] = times_s[inside].min(initial=first_s[number])
            last_s[number] = times_s[inside].max(initial=last_s[number])
            sold[number, items[np.repeat(inside, sizes)]] = True
    born_s = log.item_first_seen_s[:, None]
    new_items = ((born_s >= starts_s) & (born_s < ends_s)).sum(0)
    parts = {}
    for number, name in enumerate(PARTS):
        events, baskets, users_seen, new_users = counts[number].tolist()
        parts[name] = PartFacts(
            first_date=local_date(int(first_s[number]), log) if baskets else None,
            last_date=local_date(int(last_s[number]), log) if baskets else None,
            events=events,
            baskets=baskets,
            users=users_seen,
            items=int(sold[number].sum()),
            new_users=new_users,
            new_items=int(new_items[number]),
        )
    return SplitFacts(parts, pairs / (log.num_users * log.num_items))
