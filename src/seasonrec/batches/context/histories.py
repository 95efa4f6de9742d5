"""Sorted purchases of some users, of which those of users with many are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.purchases import Purchases, purchases
from seasonrec.data.log import EventLog

MANY = 1 << 11
"""Number of events from which on the purchases of a user are kept."""

KEPT_BYTES = 1 << 27
"""Limit of the memory for kept purchases; those of the last user are kept in any case."""

_Ints = NDArray[np.int64]

Running = Callable[[Purchases], tuple[NDArray[Any], ...]]
"""Function from ``n`` purchases to arrays ``(n, ...)``. A row may depend on the earlier purchases of its pair alone."""


@dataclass(frozen=True)
class History:
    """Purchases with what is computed of them.

    Args:
        bought: The ``n`` purchases.
        running: Arrays ``(n, ...)``, the result of :data:`Running`.
    """

    bought: Purchases
    running: tuple[NDArray[Any], ...]

    @property
    def nbytes(self) -> int:
        arrays = [getattr(self.bought, field.name) for field in fields(self.bought)]
        return sum(array.nbytes for array in (*arrays, *self.running))


class Histories:
    """Histories of users.

    Every request reads all earlier purchases of its user. A user with many purchases has many requests, and sorting the
    purchases again for each batch would take time with the square of their number. They are sorted once, up to the
    user's last purchase: a request leaves out the rows that it does not know, and no row depends on a later one.

    Args:
        log: The prepared log.
        running: What is computed of the purchases; nothing by default.
    """

    def __init__(self, log: EventLog, running: Running = lambda bought: ()) -> None:
        self.log, self.running = log, running
        self._kept: OrderedDict[int, History] = OrderedDict()

    def __call__(self, users: _Ints, stop: _Ints) -> History:
        """Returns the purchases of ``(U,)`` rising users before their baskets ``stop``, or more, by (user, item, time).

        The user numbers of the rows are places in ``users``.
        """
        sizes = np.diff(np.asarray(self.log.user_offsets)[np.stack([users, users + 1])], axis=0)[0]
        many = np.flatnonzero(sizes >= MANY)
        if not len(many):
            return self._sorted(users, stop)
        bounds = np.unique([0, *many.tolist(), *(many + 1).tolist(), len(users)]).tolist()
        pieces = [
            self._whole(int(users[begin])) if sizes[begin] >= MANY else self._sorted(users[begin:end], stop[begin:end])
            for begin, end in pairwise(bounds)
        ]
        return pieces[0] if len(pieces) == 1 else _joined(pieces, bounds)

    def _sorted(self, users: _Ints, stop: _Ints) -> History:
        bought = purchases(self.log, np.asarray(self.log.user_baskets)[users], stop)
        return History(bought, self.running(bought))

    def _whole(self, user: int) -> History:
        """Returns all purchases of a user, and forgets those of others where the memory is short."""
        if user not in self._kept:
            self._kept[user] = self._sorted(np.array([user]), np.asarray(self.log.user_baskets)[[user + 1]])
        self._kept.move_to_end(user)
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[user]


def _joined(pieces: list[History], first_users: list[int]) -> History:
    """Returns the histories of successive users in one."""
    bought = [piece.bought for piece in pieces]
    rows = np.cumsum([0, *(len(one.items) for one in bought)]).tolist()

    def together(name: str, before: list[int] | None = None) -> _Ints:
        parts = [getattr(one, name) for one in bought]
        return np.concatenate([part + by for part, by in zip(parts, before or [0] * len(parts), strict=False)])

    return History(
        Purchases(
            users=together("users", first_users),
            items=together("items"),
            baskets=together("baskets"),
            times_s=together("times_s"),
            starts=together("starts", rows),
        ),
        tuple(np.concatenate(column) for column in zip(*(piece.running for piece in pieces), strict=True)),
    )
