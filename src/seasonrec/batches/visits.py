"""Visits of users and values of baskets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import local_days
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions


def basket_values(log: EventLog) -> NDArray[np.float32]:
    """Returns the ``(K,)`` value of each basket: 0 for a negative sum (returns), NaN if a value is unknown."""
    values = np.empty(log.num_baskets, dtype=np.float32)
    for baskets, events in basket_portions(log):
        starts = np.asarray(log.basket_offsets[baskets.start : baskets.stop]) - events.start
        values[baskets] = np.maximum(np.add.reduceat(np.asarray(log.event_values[events], np.float64), starts), 0.0)
    return values


def visits(log: EventLog, merge_same_day: bool) -> NDArray[np.int64]:
    """Returns the rising numbers of the baskets that begin a visit: all, or the first of each user and local day."""
    if not merge_same_day:
        return np.arange(log.num_baskets)
    days = local_days(np.asarray(log.basket_times_s), log.timezone)
    new = (np.diff(days, prepend=days[:1] - 1) != 0) | (np.diff(np.asarray(log.basket_users), prepend=-1) != 0)
    return np.flatnonzero(new)
