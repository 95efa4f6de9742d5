"""Columns of a results frame for the partitions: lists over the targets of a basket.

For every partition there are its name (bool, whether the target is on the first side) and ``bits_`` with its name (the
bits of the target's side). ``greater_own`` and ``ties_own`` count among the items of the target's side of ``own``.
Results files of older versions have none of these columns.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

SIDES = {
    "own": ("own", "new"),
    "hot": ("hot", "not_hot"),
    "young": ("young", "older"),
    "sold": ("sold", "never_sold"),
}
"""Partitions with the names of their sides; the first side is True."""

RANKED = "own"
"""Partition with ranks within its sides."""

SIDE_OF = {side: (name, side == pair[0]) for name, pair in SIDES.items() for side in pair}
"""Partition of each side, and whether the side is the first."""

GROUP_BITS = (*(f"bits_group@{name}" for name in SIDES), *(f"bits_within@{side}" for side in SIDE_OF))
"""Metrics in bits: those of the side of every target, by partition, and those of a side's items within it, by side."""

TYPES = {
    **dict.fromkeys(SIDES, np.bool_),
    **{f"bits_{name}": np.float32 for name in SIDES},
    f"greater_{RANKED}": np.int32,
    f"ties_{RANKED}": np.int32,
}
GROUP_COLUMNS = tuple(TYPES)

GroupArrays = dict[str, NDArray[np.generic]]


def no_columns() -> GroupArrays:
    """Returns the columns of no targets."""
    return {name: np.empty(0, dtype=kind) for name, kind in TYPES.items()}


def has_groups(frame: pl.DataFrame) -> bool:
    """Returns whether a results frame has the columns of the partitions."""
    return set(GROUP_COLUMNS) <= set(frame.columns)
