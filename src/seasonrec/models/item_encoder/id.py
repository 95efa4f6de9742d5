"""Learned id embeddings of items."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts


class IdItems(nn.Module):
    """One learned vector per item.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        self.vectors = nn.Embedding(facts.spec.num_items, facts.embedding_dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        return self.vectors.weight if item_ids is None else self.vectors(item_ids)
