"""Sides, bits and ranks of the targets of some requests, as columns of a results frame."""

from __future__ import annotations

from torch import Tensor

from seasonrec.evaluation.groups.bits import BitSplitter, rank_within_side
from seasonrec.evaluation.groups.columns import RANKED, GroupArrays, column_types


def group_columns(
    scores: Tensor,
    sides: dict[str, Tensor],
    target_request: Tensor,
    target_items: Tensor,
    greater: Tensor,
    ties: Tensor,
) -> GroupArrays:
    """Returns the ``(M,)`` columns of :func:`~seasonrec.evaluation.groups.columns.column_types`.

    The ``sides`` of the partitions are those of :class:`~seasonrec.evaluation.groups.partitions.Partitions`. The other
    arguments are those of :func:`~seasonrec.evaluation.groups.bits.rank_within_side`.
    """
    sides = {name: side.to(scores.device) for name, side in sides.items()}
    split = BitSplitter(scores, target_request, target_items)
    parts = {name: split(side) for name, side in sides.items()}
    above, level = rank_within_side(scores, sides[RANKED], target_request, target_items, greater, ties)
    found = {
        **{name: part.side for name, part in parts.items()},
        **{f"bits_{name}": part.of_side for name, part in parts.items()},
        f"greater_{RANKED}": above,
        f"ties_{RANKED}": level,
    }
    return {name: found[name].cpu().numpy().astype(kind, copy=False) for name, kind in column_types(sides).items()}
