"""Numbers of every partition: the bits of the side, and per side its mass beside its true share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation import metrics
from seasonrec.evaluation.groups.columns import RANKED, group_columns_in, partitions_in, sides_of
from seasonrec.evaluation.slices.masks import Mask, flat

RANKS_OF = 10
"""Length of the list of the metric within a side."""

NDCG = f"ndcg@{RANKS_OF}"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GroupValue:
    """Values whose mean is one number of a partition.

    Args:
        partition: Name of the partition.
        side: Name of the side; empty for ``bits_group``.
        metric: ``bits_group`` (bits of the target's side), ``share`` (of the targets on the side), ``mass``
            (probability given to the side), ``bits_within`` (bits of the item within its side) or ``ndcg@10`` (among
            the items of the side).
        chosen: ``(M,)`` bool, the targets that count: only ``ndcg@10`` counts those that are no candidates.
        values: ``(M,)`` float64, of which those of other targets are not read.
    """

    partition: str
    side: str
    metric: str
    chosen: Mask
    values: Floats

    @property
    def mean(self) -> float:
        return float(self.values[self.chosen].mean())


def group_values(frame: pl.DataFrame) -> Iterator[GroupValue]:
    """Yields the values of every number of every partition, over the targets of a results frame.

    Args:
        frame: Results with the columns of :mod:`seasonrec.evaluation.groups.columns`.
    """
    bits = flat(frame, "bits").astype(np.float64)
    columns = {name: flat(frame, name) for name in group_columns_in(frame)}
    available = ~np.isnan(bits)
    for name in partitions_in(frame):
        sides = sides_of(name)
        first, of_side = columns[name].astype(np.bool_), columns[f"bits_{name}"].astype(np.float64)
        yield GroupValue(name, "", "bits_group", available, of_side)
        known = np.exp2(-of_side)
        for side, chosen in zip(sides, (first, ~first), strict=True):
            yield GroupValue(name, side, "share", available, chosen.astype(np.float64))
            yield GroupValue(name, side, "mass", available, np.where(chosen, known, 1.0 - known))
            yield GroupValue(name, side, "bits_within", chosen & available, bits - of_side)
            if name == RANKED:
                gains = metrics.ndcg(columns[f"greater_{name}"], columns[f"ties_{name}"], RANKS_OF)
                yield GroupValue(name, side, NDCG, chosen, gains)


def summarise_groups(frame: pl.DataFrame) -> dict[str, dict[str, object]]:
    """Returns the content of ``groups`` in ``metrics.json``, by partition.

    Returns:
        ``bits_group``, and ``sides``: by side ``n`` (its targets that are candidates), ``share``, ``mass``,
        ``bits_within`` and for ``own`` ``ndcg@10``; see :class:`GroupValue`. A side without targets has no number
        within it.
    """
    bits: dict[str, float] = {}
    names = partitions_in(frame)
    sides: dict[str, dict[str, dict[str, float]]] = {name: {side: {} for side in sides_of(name)} for name in names}
    for one in group_values(frame):
        if not one.side:
            bits[one.partition] = one.mean
            continue
        numbers = sides[one.partition][one.side]
        if one.metric == "share":
            numbers["n"] = int(one.values[one.chosen].sum())
        if one.chosen.any():
            numbers[one.metric] = one.mean
    return {name: {"bits_group": bits[name], "sides": sides[name]} for name in names}
