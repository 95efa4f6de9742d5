"""Groups of series by what an origin knows of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUPS = ("running", "returning", "new")
AWAY_DAYS = 56
"""Days without a sale after which a series that sells again has returned."""


def group_of(values: NDArray[np.float64], first: NDArray[np.int64], period_days: int) -> NDArray[np.int64]:
    """Returns the ``(S,)`` place of each series in :data:`GROUPS`.

    A series is *new* without a sale before the origin, *returning* with one but none in the last eight weeks, and
    *running* otherwise.

    Args:
        values: ``(S, O)`` known values.
        first: ``(S,)`` period of the first sale.
        period_days: Days of a period.
    """
    known = values.shape[1]
    recent = (values[:, max(known - AWAY_DAYS // period_days, 0) :] > 0).any(axis=1)
    return np.where(first >= known, 2, np.where(recent, 0, 1)).astype(np.int64)
