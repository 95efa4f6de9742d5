"""Items whose sales are counted together: one item alone, or items with similar texts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PRIOR_EVENTS = {"id": 5.0, "category": 5.0, "cluster": 15.0, "text": 10.0}
"""Strength of the shrinkage of a lift towards 1, in expected events, by what is counted together."""


class ItemGroups(Protocol):
    """Items that are counted together with each item."""

    def together(self, by: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns ``(W, V)`` sums of values ``(W, V)`` over the items that are counted together with each item.

        Args:
            by: ``id`` for the item alone, ``text`` for items with similar texts, ``cluster`` for those of its cluster.
            values: Values of all items; each row is summed in the same order, whatever the other rows are.
        """
        ...


def log_lift(
    sold: NDArray[np.float64], events: NDArray[np.float64], share: NDArray[np.float64], prior: float
) -> NDArray[np.float64]:
    """Returns ``(W, V)`` log ratios of the events of windows to those expected.

    Args:
        sold: ``(W, V)`` events of what is counted together.
        events: ``(W,)`` events of all items.
        share: ``(V,)`` share of what is counted together in all earlier sales.
        prior: Strength of the shrinkage towards 1, in expected events.
    """
    return np.log((sold + prior) / (share * events[:, None] + prior))
