"""Learned id embeddings of items."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError


class IdItems(nn.Module):
    """One learned vector per item.

    Args:
        dropout: Share of the items whose vectors are zero in a training step, so that the rest of the model learns to
            do without them. With a share above 0, items without an event before the validation cut have a zero vector,
            too, because nothing has trained theirs.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    is_known: Tensor

    def __init__(self, dropout: float = 0.0, *, facts: Facts) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise UserError(f"item_encoder.dropout of id vectors must lie in [0, 1), got {dropout}; try 0.1.")
        self.dropout = dropout
        self.register_buffer("is_known", facts.item_is_known, persistent=False)
        self.vectors = nn.Embedding(facts.spec.num_items, facts.embedding_dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        vectors = self.vectors.weight if item_ids is None else self.vectors(item_ids)
        if not self.dropout:
            return vectors
        kept = self.is_known if item_ids is None else self.is_known[item_ids]
        if self.training:
            kept = kept & (torch.rand(len(vectors), device=vectors.device) >= self.dropout)
        return vectors * kept[:, None]
