"""Columns of a results frame for the partitions: lists over the targets of a basket.

For every partition there are its name (bool, whether the target is on the first side) and ``bits_`` with its name (the
bits of the target's side). ``greater_own`` and ``ties_own`` count among the items of the target's side of ``own``.
Results files of older versions have none of these columns. A list of words of the protocol is a partition as well:
``words={christmas: [...]}`` has the sides ``with_christmas`` and ``without_christmas``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

SIDES = {
    "own": ("own", "new"),
    "hot": ("hot", "not_hot"),
    "young": ("young", "older"),
    "sold": ("sold", "never_sold"),
}
"""Partitions of every protocol with the names of their sides; the first side is True."""

LAST_YEAR = "last_year"
"""Partition of the protocols whose log begins a year before the evaluated part."""

NAMED_SIDES = {**SIDES, LAST_YEAR: ("known_last_year", "new_since_last_year")}
"""All partitions but those of words."""

WITH, WITHOUT = "with_", "without_"
"""Beginnings of the names of the two sides of a list of words; the first is also the name of the partition."""

RANKED = "own"
"""Partition with ranks within its sides."""

_SIDE_OF = {side: (name, side == pair[0]) for name, pair in NAMED_SIDES.items() for side in pair}

GROUP_BITS = (*(f"bits_group@{name}" for name in NAMED_SIDES), *(f"bits_within@{side}" for side in _SIDE_OF))
"""Metrics in bits: those of the side of every target, by partition, and those of a side's items within it, by side."""

GroupArrays = dict[str, NDArray[np.generic]]


def is_of_words(name: str) -> bool:
    """Returns whether a partition or a side is one of a list of words."""
    return re.fullmatch(f"({WITH}|{WITHOUT})[a-z0-9_]+", name) is not None


def list_of_words(name: str) -> str:
    """Returns the list of words of a partition or a side, which :func:`is_of_words`."""
    return name.removeprefix(WITHOUT).removeprefix(WITH)


def sides_of(partition: str) -> tuple[str, str]:
    """Returns the names of the two sides of a partition."""
    return NAMED_SIDES.get(partition) or (partition, WITHOUT + partition.removeprefix(WITH))


def partition_of(side: str) -> tuple[str, bool] | None:
    """Returns the partition of a side and whether the side is its first; None if there is no such side."""
    if is_of_words(side):
        return WITH + list_of_words(side), side.startswith(WITH)
    return _SIDE_OF.get(side)


def is_partition(name: str) -> bool:
    """Returns whether there may be a partition of this name."""
    return name in NAMED_SIDES or (is_of_words(name) and name.startswith(WITH))


def partitions_in(frame: pl.DataFrame) -> list[str]:
    """Returns the names of the partitions of a results frame."""
    return [name for name in frame.columns if is_partition(name)]


def column_types(partitions: Iterable[str]) -> dict[str, type[np.generic]]:
    """Returns the types of the columns of some partitions, in the order of a results frame."""
    names = list(partitions)
    return {
        **dict.fromkeys(names, np.bool_),
        **{f"bits_{name}": np.float32 for name in names},
        f"greater_{RANKED}": np.int32,
        f"ties_{RANKED}": np.int32,
    }


def group_columns_in(frame: pl.DataFrame) -> list[str]:
    """Returns the columns of the partitions of a results frame; none in results of older versions."""
    return list(column_types(partitions_in(frame))) if has_groups(frame) else []


def no_columns(partitions: Iterable[str]) -> GroupArrays:
    """Returns the columns of no targets."""
    return {name: np.empty(0, dtype=kind) for name, kind in column_types(partitions).items()}


def has_groups(frame: pl.DataFrame) -> bool:
    """Returns whether a results frame has the columns of the partitions."""
    return set(column_types(SIDES)) <= set(frame.columns)
