"""Rhythm of a user's purchases of an item: the hours, weekdays and sizes of its baskets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.purchases import Purchases
from seasonrec.data.calendar import local_seconds
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY

PERIODS_DAYS = (1.0, 0.5, 7.0, 3.5, 7.0 / 3.0)
"""Periods of the waves: the day and its half, the week with its half and its third."""

RHYTHM = len(PERIODS_DAYS) + 1
"""Number of features."""

MONDAY_S = 4 * SECONDS_PER_DAY
"""The first local Monday, 1970-01-05."""

UNIT = 1 << 20
"""One in the whole numbers that are added up, so that a sum does not depend on its order."""


class Rhythm:
    """Fit of a request to the times at which the user bought an item.

    The first five features are the mean over the purchases of ``cos(2 pi (t - s) / period)``, where ``t`` is the local
    time of the request and ``s`` that of the purchase. They are 1 if all purchases had the request's place in the
    period, and -1 if all had the opposite one. The last feature is the mean of one over the number of items of the
    purchase's basket: 1 for an item that the user buys alone.

    Args:
        log: The prepared log.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def __call__(
        self,
        total: NDArray[np.int64],
        count: NDArray[np.int64],
        times_s: NDArray[np.int64],
        request: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Returns the ``(P, 6)`` features of pairs of a request and an item.

        Args:
            total: ``(P, 11)`` sums over the purchases of each pair, rows of :meth:`running`.
            count: ``(P,)`` number of these purchases.
            times_s: ``(N,)`` times of the requests.
            request: ``(P,)`` request of each pair.
        """
        mean = (total / (UNIT * count)[:, None]).astype(np.float32)
        now = _waves(local_seconds(times_s, self.log.timezone))[request].astype(np.float32)  # (P, 10)
        cosine, sine = np.split(mean[:, :-1] * now, 2, axis=1)
        return np.concatenate([cosine + sine, mean[:, -1:]], axis=1)

    def running(self, bought: Purchases) -> NDArray[np.int64]:
        """Returns ``(n, 11)`` sums over each purchase and the earlier ones of its pair: cosines, sines, shares."""
        values = self._of_baskets(bought)
        total = np.cumsum(values, axis=0)
        values -= total  # minus the sum before each row
        total += values[bought.starts]
        return total

    def _of_baskets(self, bought: Purchases) -> NDArray[np.int64]:
        """Returns ``(n, 11)`` whole numbers of the purchases: cosines, sines, and one over the size of the basket."""
        baskets, row = np.unique(bought.baskets, return_inverse=True)
        offsets = np.asarray(self.log.basket_offsets)
        alone = 1.0 / np.maximum(offsets[baskets + 1] - offsets[baskets], 1)
        times_s = local_seconds(np.asarray(self.log.basket_times_s)[baskets], self.log.timezone)
        values = np.concatenate([_waves(times_s), alone[:, None]], axis=1)
        return np.rint(UNIT * values).astype(np.int64)[row]


def _waves(local_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns ``(N, 10)`` cosines, then sines, of local times."""
    angles = 2 * np.pi * ((local_s - MONDAY_S)[:, None] / (np.asarray(PERIODS_DAYS) * SECONDS_PER_DAY))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
