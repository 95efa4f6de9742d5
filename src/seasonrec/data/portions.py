"""Portions of a log: work on one portion at a time needs the same memory for a log of any length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.log import EventLog

PORTION_EVENTS = 1 << 20
"""Events of a portion; work on an event needs some tens of bytes, or 100 if the events are sorted."""


def basket_portions(log: EventLog, max_events: int = PORTION_EVENTS) -> Iterator[tuple[slice, slice]]:
    """Yields all baskets in order, as pairs of slices ``(baskets, events)``; a basket above the limit comes alone."""
    return _portions(log.basket_offsets, max_events)


def user_portions(log: EventLog, max_events: int = PORTION_EVENTS) -> Iterator[slice]:
    """Yields all users in order, as slices of their numbers; a user with more events than the limit comes alone."""
    return (users for users, _ in _portions(log.user_offsets, max_events))


def _portions(offsets: NDArray[np.int64], max_events: int) -> Iterator[tuple[slice, slice]]:
    first = 0
    while first < len(offsets) - 1:
        fits = int(np.searchsorted(offsets, offsets[first] + max_events, side="right")) - 1
        last = max(first + 1, fits)
        yield slice(first, last), slice(int(offsets[first]), int(offsets[last]))
        first = last
