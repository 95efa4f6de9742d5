"""A user's own items among the scored items."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from seasonrec.batches.context.own_history import OwnHistory
from seasonrec.models.scoring import ScoredItems


@dataclass(frozen=True)
class ScoredPairs(OwnHistory):
    """Pairs (request, item) of :class:`OwnHistory` whose item is scored.

    Args:
        column: ``(P,)`` int64, the item's column among the scores.
    """

    column: Tensor


def scored_pairs(own: OwnHistory, items: ScoredItems) -> ScoredPairs:
    """Keeps the pairs whose item is scored."""
    kept, column = items.columns(own.item)
    values = {field.name: getattr(own, field.name) for field in fields(OwnHistory)}
    if items.ids is not None:
        values = {name: value if name == "user_baskets" else value[kept] for name, value in values.items()}
    return ScoredPairs(**values, column=column)
