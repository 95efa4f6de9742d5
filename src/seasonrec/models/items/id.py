"""Items as learned embeddings of their ids."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.data.facts import Facts


class IdItems(nn.Module):
    """One free vector an item.

    Shape:
        - output: ``(V, D)``.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        self.vectors = nn.Embedding(facts.spec.num_items, facts.embedding_dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self) -> Tensor:
        return self.vectors.weight
