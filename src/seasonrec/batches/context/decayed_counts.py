"""Number of events of each item before each local day, with older events halved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.context.daily_counts import DailyCounts
from seasonrec.batches.context.rows import RowCache

DECAYED_BYTES = 1 << 27
"""Memory for decayed counts by day, per half-life."""

SWEPT_CELLS = 1 << 22
"""Number of daily counts that are decayed at a time."""


class DecayedCounts:
    """Number of events of each item before a day, halved every half-life.

    Each day is computed from the day before, so that a day outside the cache costs a pass over all days up to it. If
    the table of all days fits into ``DECAYED_BYTES``, there is one pass.
    """

    def __init__(self, counts: DailyCounts, half_life_days: float) -> None:
        self.counts = counts
        self.kept = 0.5 ** (1.0 / half_life_days)
        self._rows = RowCache((counts.num_items,), np.float32, counts.num_days + 1, DECAYED_BYTES)

    def before(self, days: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns ``(Q, V)`` decayed counts; the days are distinct and ascending."""
        if self._rows.holds_all and not len(self._rows):
            self._rows(range(self.counts.num_days + 1), lambda places, _: self._walk(places))
        return self._rows(days.tolist(), lambda places, _: self._walk(days[places].tolist()))

    def _walk(self, wanted: list[int]) -> NDArray[np.float32]:
        """Returns ``(len(wanted), V)`` rows of ascending days."""
        rows = np.empty((len(wanted), self.counts.num_items), dtype=np.float32)
        days = np.arange(wanted[-1] + 1)
        step = max(1, SWEPT_CELLS // len(days))
        for first in range(0, self.counts.num_items, step):
            items = np.arange(first, min(first + step, self.counts.num_items))
            before = self.counts.before(days, items)
            table = np.zeros(before.shape, dtype=np.float32)
            for day in range(1, len(table)):
                table[day] = self.kept * table[day - 1] + (before[day] - before[day - 1])
            rows[:, items] = table[wanted]
        return rows
