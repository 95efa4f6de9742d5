"""Selection of a user's own items among the scored items."""

from __future__ import annotations

from torch import Tensor

from seasonrec.batches.context.own_history import OwnHistory
from seasonrec.models.scoring import ScoredItems


def scored_pairs(own: OwnHistory, items: ScoredItems) -> tuple[OwnHistory, Tensor]:
    """Keeps the (request, item) pairs whose item is scored; also returns the items' columns ``(P,)`` int64."""
    kept, column = items.columns(own.item)
    if items.ids is None:
        return own, column
    pairs = {name: value if name == "user_baskets" else value[kept] for name, value in vars(own).items()}
    return OwnHistory(**pairs), column
