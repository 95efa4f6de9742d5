"""Sum of id embeddings and projected text vectors."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.ranges import Width, ranged


@ranged("item_encoder")
class IdTextItems(nn.Module):
    """Sum of an item's projected text vector and its learned id vector.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        hidden_dim: Width of the text projection's hidden layer.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    def __init__(self, reader: str = "minilm", hidden_dim: Width = 128, *, facts: Facts) -> None:
        super().__init__()
        self.id = IdItems(facts=facts)
        self.text = TextItems(reader, hidden_dim, facts=facts)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        return self.id(item_ids) + self.text(item_ids)
