"""Distinct items that users bought before a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.histories import Histories
from seasonrec.batches.requests import gather_ranges
from seasonrec.data.log import EventLog

_Ints = NDArray[np.int64]


class KnownItems:
    """Index of the distinct items of users.

    Time: for each batch the purchases of its users and, for each request, the distinct items of its user, but not the
    purchases of every request.

    Args:
        log: The prepared log.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._histories = Histories(log)

    def __call__(self, users: _Ints, until_s: _Ints) -> tuple[_Ints, _Ints]:
        """Returns request and item of each item that a user bought before a second, by rising request and item.

        Args:
            users: ``(N,)`` user of each request.
            until_s: ``(N,)`` second.

        Returns:
            Two arrays ``(P,)``.
        """
        before = self.log.baskets_before(users, until_s)
        distinct, user_of = np.unique(users, return_inverse=True)
        stop = np.asarray(self.log.user_baskets)[distinct]
        np.maximum.at(stop, user_of, before)
        bought = self._histories(distinct, stop).bought
        first = np.flatnonzero(bought.starts == np.arange(len(bought.starts)))  # first purchase of each pair
        bounds = np.searchsorted(bought.users[first], np.arange(len(distinct) + 1))
        request, pair = gather_ranges(bounds[user_of], bounds[user_of + 1])
        row = first[pair]
        known = bought.baskets[row] < before[request]
        return request[known], bought.items[row[known]]
