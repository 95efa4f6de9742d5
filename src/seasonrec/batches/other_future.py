"""Other futures of a log: logs that agree with it before a moment and differ from it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import Occasion
from seasonrec.data.spec import SECONDS_PER_DAY

FUTURE_SHIFT_S = 3 * SECONDS_PER_DAY

OCCASION_SHIFT_DAYS = 2
"""Days by which an occasion that is announced later begins earlier and ends later."""

SHORTEST_FUTURE_S = 7 * SECONDS_PER_DAY
"""Least length of another future, so that its baskets do not all lie in one second."""

TYPICAL_SIZE = 3
"""Number of items up to which a basket counts as small."""


def replace_future(log: EventLog, moment_s: int, shift_s: int = FUTURE_SHIFT_S) -> EventLog:
    """Returns the log with other items, at later times, in place of the events from a moment on.

    Every array keeps its shape, so that random changes of a batch can be compared.
    """
    items = np.array(log.event_items)
    event_times_s, basket_times_s = np.array(log.event_times_s), np.array(log.basket_times_s)
    late = event_times_s >= moment_s
    items[late] = (items[late] + max(1, log.num_items // 2)) % log.num_items
    event_times_s[late] += shift_s
    basket_times_s[basket_times_s >= moment_s] += shift_s
    whole = None if log.all_behaviours is None else replace_future(log.all_behaviours, moment_s, shift_s)
    changed = replace(log, event_items=items, event_times_s=event_times_s, basket_times_s=basket_times_s)
    return replace(changed, all_behaviours=whole)


def another_future(log: EventLog, moment_s: int, asked: int | None = None) -> EventLog:
    """Returns another log that agrees with a log before a moment.

    Half of the later baskets are gone, and half of the items of the others. The others have other items, values and
    times, and some baskets are new. Offsets and first-seen times follow. Behaviours, the events of further behaviours,
    and occasions that are announced later differ too.

    Args:
        log: The log; a user may have no basket in the result.
        moment_s: First second of the other future.
        asked: Number of a basket that stays at its second with other content: a small basket becomes large, and a
            large one small. Its user has either no other later basket or more than before.
    """
    random = np.random.default_rng((moment_s % 2**64, 0 if asked is None else asked))  # before 1970 it is negative
    is_late = np.asarray(log.basket_times_s) >= moment_s
    late = np.flatnonzero(is_late & (np.arange(log.num_baskets) != asked))
    until_s = max(int(log.basket_times_s.max()) + 1, moment_s + SHORTEST_FUTURE_S)
    kept = late[random.random(len(late)) < 0.5]
    users = random.integers(0, log.num_users, len(late) // 4 + 1)
    first = []
    if asked is not None:
        kept, users = _of_the_asking_user(log, late, kept, users, int(log.basket_users[asked]), random)
        first = [_other_content(log, asked, random)]
    users = np.append(log.basket_users[kept], users)
    source = np.append(kept, random.integers(0, log.num_baskets, len(users) - len(kept)))
    later = _changed(_Baskets.of(log, source), users, (moment_s, until_s), log.num_items, random)
    parts = [_Baskets.of(log, np.flatnonzero(~is_late)), *first, later]
    return _with_sequences(log, _joined(log, parts, moment_s, until_s), moment_s)


def _with_sequences(log: EventLog, joined: EventLog, moment_s: int) -> EventLog:
    """Adds another future of the events of all behaviours; an item exists from its first event of any kind on."""
    if log.all_behaviours is None:
        return joined
    whole = another_future(log.all_behaviours, moment_s)
    first_s = np.minimum(joined.item_first_seen_s, whole.item_first_seen_s)
    return replace(joined, item_first_seen_s=first_s, all_behaviours=replace(whole, item_first_seen_s=first_s))


def later_births(log: EventLog, moment_s: int) -> NDArray[np.int64]:
    """Returns ``(V,)`` first-seen times that differ from a moment on; their order, by which items are sorted, stays."""
    late = log.item_first_seen_s >= moment_s
    return np.where(late, 2 * log.item_first_seen_s - moment_s + 1, log.item_first_seen_s)


def same_requests(log: EventLog, requests: Requests) -> Requests:
    """Returns requests with the basket numbers that they have in another future."""
    return replace(requests, baskets=log.baskets_before(requests.users, requests.times_s))


@dataclass(frozen=True)
class _Baskets:
    """``(K,)`` baskets and their ``(E,)`` events, in the same order."""

    users: NDArray[np.integer[Any]]
    times_s: NDArray[np.int64]
    sizes: NDArray[np.int64]
    items: NDArray[np.integer[Any]]
    values: NDArray[np.float32]
    behaviours: NDArray[np.uint8] | None

    @staticmethod
    def of(log: EventLog, baskets: NDArray[np.int64]) -> _Baskets:
        start, stop = log.basket_offsets[baskets], log.basket_offsets[baskets + 1]
        _, events = gather_ranges(start, stop)
        users, times_s = log.basket_users[baskets], log.basket_times_s[baskets]
        told = None if log.event_behaviours is None else log.event_behaviours[events]
        return _Baskets(users, times_s, stop - start, log.event_items[events], log.event_values[events], told)


def _of_the_asking_user(
    log: EventLog,
    late: NDArray[np.int64],
    kept: NDArray[np.int64],
    users: NDArray[np.int64],
    user: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the later baskets and the users of the new ones; the asking user has fewer baskets or more."""
    later = int((log.basket_users[late] == user).sum())
    if later and random.random() < 0.5:
        return kept[log.basket_users[kept] != user], users[users != user]
    return kept, np.append(users, np.full(later + 1, user))


def _other_content(log: EventLog, asked: int, random: np.random.Generator) -> _Baskets:
    """Returns the asked basket with another size, other items and other values."""
    own = _Baskets.of(log, np.array([asked]))
    others = np.setdiff1d(np.arange(log.num_items), own.items)
    size = 1 if own.sizes[0] > TYPICAL_SIZE else own.sizes[0] + TYPICAL_SIZE
    items = random.permutation(others if len(others) else own.items)[:size]
    values = random.choice(np.asarray(log.event_values), len(items)) + np.float32(1.0)
    return replace(own, sizes=np.array([len(items)]), items=items, values=values)


def _changed(
    baskets: _Baskets,
    users: NDArray[np.int64],
    between_s: tuple[int, int],
    num_items: int,
    random: np.random.Generator,
) -> _Baskets:
    """Returns baskets of other users and times, without half of their items, and with other items and values."""
    owner = np.repeat(np.arange(len(users)), baskets.sizes)
    left = random.random(len(owner)) < 0.5
    left[np.cumsum(baskets.sizes) - baskets.sizes] = True  # no basket is empty
    order, other = random.permutation(num_items), np.empty(num_items, dtype=np.int64)
    other[order] = np.roll(order, 1)  # one cycle: no set of items stays the same
    return _Baskets(
        users=users,
        times_s=random.integers(*between_s, len(users)),
        sizes=np.bincount(owner[left], minlength=len(users)),
        items=other[baskets.items[left]],
        values=random.permutation(baskets.values[left]) * random.uniform(0.5, 2.0, int(left.sum())).astype(np.float32),
        behaviours=None if baskets.behaviours is None else random.permutation(baskets.behaviours[left]),
    )


def _joined(log: EventLog, parts: list[_Baskets], moment_s: int, until_s: int) -> EventLog:
    """Returns the log of all baskets, by user and time; at equal times in the order of the parts."""
    users, times_s, sizes = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("users", "times_s", "sizes")
    )
    order = np.lexsort((times_s, users))
    start = np.cumsum(sizes) - sizes
    _, events = gather_ranges(start[order], (start + sizes)[order])
    items = np.concatenate([part.items for part in parts])[events].astype(np.int32)
    users, times_s, sizes = users[order], times_s[order], sizes[order]
    each = [part.behaviours for part in parts]
    told = None if log.event_behaviours is None else np.concatenate([one for one in each if one is not None])[events]
    event_times_s, offsets = np.repeat(times_s, sizes), np.append(0, np.cumsum(sizes))
    user_baskets = np.searchsorted(users, np.arange(log.num_users + 1))
    return replace(
        log,
        digest=f"another future of {log.digest}",
        event_items=items,
        event_times_s=event_times_s,
        event_values=np.concatenate([part.values for part in parts])[events],
        user_offsets=offsets[user_baskets],
        user_baskets=user_baskets,
        basket_offsets=offsets,
        basket_users=users.astype(np.int32),
        basket_times_s=times_s,
        event_behaviours=told,
        item_first_seen_s=_first_seen_s(log, items, event_times_s, moment_s, until_s),
        occasions=_other_occasions(log, moment_s),
    )


def _other_occasions(log: EventLog, moment_s: int) -> tuple[Occasion, ...]:
    """Returns the user's own calendar in which those that are announced after the day of a moment are other ones."""
    day = int(local_days(np.array([moment_s]), log.timezone)[0])
    known = [one for one in log.occasions if one.known_from_day <= day]
    later = [one for one in log.occasions if one.known_from_day > day]
    moved = [
        replace(one, first_day=one.first_day - OCCASION_SHIFT_DAYS, last_day=one.last_day + OCCASION_SHIFT_DAYS)
        for one in later[::2]  # the others do not take place
    ]
    return (*known, *moved)


def _first_seen_s(
    log: EventLog, items: NDArray[np.int32], times_s: NDArray[np.int64], moment_s: int, until_s: int
) -> NDArray[np.int64]:
    """Returns the first-seen times; an item without an event comes after the end, and an earlier one stays."""
    first = np.full(log.num_items, until_s)
    late = times_s >= moment_s
    np.minimum.at(first, items[late], times_s[late])
    return np.where(log.item_first_seen_s < moment_s, log.item_first_seen_s, first)
