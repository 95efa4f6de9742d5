"""Sorting of events, merging of duplicates and shuffling of ties, for one range of users at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

TIE_SEED = 20_170_101
"""Seed of the random order within a basket. A model could exploit a source that lists the items by id."""

_KEY_BITS = 64


@dataclass(frozen=True)
class SortedEvents:
    """Events sorted by user and time, each (user, time, item) once.

    Args:
        user: ``(E,)`` rising.
        time_s: ``(E,)`` int64, rising within a user.
        item: ``(E,)``.
        value: ``(E,)`` float32, NaN where unknown.
        basket: ``(E,)`` int64, rising from 0, number of the event's basket.
        first: ``(K,)`` int64, the first event of every basket.
    """

    user: NDArray[np.integer]
    time_s: NDArray[np.int64]
    item: NDArray[np.integer]
    value: NDArray[np.float32]
    basket: NDArray[np.int64]
    first: NDArray[np.int64]


def merged(
    user: NDArray[np.integer], item: NDArray[np.integer], time_s: NDArray[np.int64], value: NDArray[np.floating]
) -> SortedEvents:
    """Sorts events by (user, time, item), and merges events that agree in all three by adding their values.

    Unknown values are not added; a merged event without any known value has NaN. The order of the rows has no effect.

    Args:
        user, item: ``(E,)`` whole numbers from 0 on; at least one row.
        time_s: ``(E,)`` int64.
        value: ``(E,)``, NaN where unknown.
    """
    order = stable_order(user - user.min(), time_s - time_s.min())
    user, time_s = user[order], time_s[order]
    starts = changes(user, time_s)
    basket = np.cumsum(starts) - 1
    by_item = stable_order(basket, item[order])
    order = order[by_item]
    item, value = item[order], value[order]
    distinct = starts | changes(item)
    if not distinct.all():
        value = _added(value, distinct)[distinct]
        user, time_s, item, basket = user[distinct], time_s[distinct], item[distinct], basket[distinct]
        starts = starts[distinct]
    value = value.astype(np.float32, copy=False)  # a copy exists already
    value[np.isnan(value)] = np.nan  # the same bits for all NaN
    return SortedEvents(user, time_s, item, value, basket, np.flatnonzero(starts))


def shuffled(events: SortedEvents, draws: NDArray[np.float64]) -> SortedEvents:
    """Returns the events with every basket in the order of its ``(E,)`` random draws, each in ``[0, 1)``.

    Successive ranges of users with successive draws of one generator give the same result as all users at once.
    """
    order = _order_by_draw(events.basket, events.first, draws)
    return replace(events, item=events.item[order], value=events.value[order])


def stable_order(*columns: NDArray[np.integer]) -> NDArray[np.intp]:
    """Returns the stable ``(E,)`` order by columns of whole numbers from 0 on, most important first.

    Columns and row number are packed into one key if they fit. Sorting plain numbers is several times faster than
    ``argsort`` of numbers, which is ten times faster than sorting by one column after the other.
    """
    rows = len(columns[0])
    widths = [_width(column) for column in columns]
    row_width = max(rows - 1, 0).bit_length()
    if sum(widths) > _KEY_BITS:
        return np.lexsort(columns[::-1])
    key = columns[0].astype(np.uint64)
    for column, width in zip(columns[1:], widths[1:], strict=True):
        _push(key, column, width)
    if sum(widths) + row_width > _KEY_BITS:
        return np.argsort(key, kind="stable")
    _push(key, np.arange(rows), row_width)
    return _sorted_tail(key, row_width)


def _order_by_draw(basket: NDArray[np.int64], first: NDArray[np.int64], draws: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the ``(E,)`` order by (basket, draw), for rows sorted by basket.

    Rows are sorted by one key: the basket, the leading binary digits of the draw, and the place in the basket. If two
    draws of a basket agree in those digits, ``lexsort`` is used.
    """
    starts = first[basket]
    place = np.arange(len(basket)) - starts
    place_width = _width(place)
    draw_width = min(_KEY_BITS - place_width - _width(basket[-1:]), 53)  # a draw is a multiple of 2**-53
    if draw_width < 1:
        return np.lexsort((draws, basket))
    key = basket.astype(np.uint64)
    _push(key, (draws * 2.0**draw_width).astype(np.uint64), draw_width)
    _push(key, place, place_width)
    places = _sorted_tail(key, place_width)
    key >>= np.uint64(place_width)
    if (key[1:] == key[:-1]).any():
        return np.lexsort((draws, basket))
    return starts + places


def _push(key: NDArray[np.uint64], column: NDArray[np.integer], width: int) -> None:
    """Appends the column as ``width`` binary digits to every key, in place to save memory traffic."""
    key <<= np.uint64(width)
    key |= column.view(np.uint64) if column.dtype == np.int64 else column.astype(np.uint64)


def _sorted_tail(key: NDArray[np.uint64], width: int) -> NDArray[np.intp]:
    """Sorts the keys in place and returns their last ``width`` binary digits."""
    key.sort()
    return (key & np.uint64((1 << width) - 1)).view(np.intp)


def _width(column: NDArray[np.integer]) -> int:
    return int(column.max()).bit_length() if len(column) else 0


def changes(*columns: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Returns ``(E,)`` bool: True at the first row and at each row that differs from the previous row in any column."""
    changed = np.zeros(len(columns[0]), dtype=np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _added(value: NDArray[np.floating], distinct: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns ``(E,)`` values with the sum of each group at its first row, where ``distinct`` is True."""
    several = ~distinct
    several[:-1] |= ~distinct[1:]
    rows = np.flatnonzero(several)
    group = np.cumsum(distinct[rows])
    amount = value[rows].astype(np.float64)
    amount = amount[np.lexsort((amount, group))]  # sorted by value, so that the sum does not depend on the row order
    first = np.flatnonzero(distinct[rows])
    known = np.add.reduceat((~np.isnan(amount)).astype(np.int64), first)
    total = np.add.reduceat(np.nan_to_num(amount, nan=0.0), first)
    result = value.astype(np.float32)
    result[rows[first]] = np.where(known > 0, total, np.nan).astype(np.float32)
    return result
