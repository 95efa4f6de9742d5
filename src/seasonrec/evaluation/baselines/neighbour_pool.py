"""Users among whom neighbours are searched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.log import EventLog

POOL_BYTES = 1 << 27
"""Memory for dense vectors of the users; evenly spaced users if all do not fit."""


def pool_of_users(log: EventLog, until_s: int) -> NDArray[np.int64]:
    """Returns the users with a basket before ``until_s``, or as many evenly spaced ones as fit."""
    users = np.arange(log.num_users)
    known = users[log.baskets_before(users, np.full(len(users), until_s)) > log.user_baskets[users]]
    return known[:: max(1, -(-log.num_users * log.num_items * 4 // POOL_BYTES))]
