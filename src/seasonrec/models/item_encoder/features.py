"""Sum of id embeddings, projected text vectors and vectors of features."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.item_features import FeatureVectors
from seasonrec.ranges import Width, ranged


@ranged("item_encoder")
class FeatureItems(nn.Module):
    """Sum of the vectors of an item's id, of its text and of its features.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        hidden_dim: Width of the text projection's hidden layer.
        with_text: Whether the texts are read; without them, id and features are.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    def __init__(
        self, reader: str = "minilm", hidden_dim: Width = 128, with_text: bool = True, *, facts: Facts
    ) -> None:
        super().__init__()
        self.id = IdItems(facts=facts)
        self.text = TextItems(reader, hidden_dim, facts=facts) if with_text else None
        self.features = FeatureVectors(facts=facts)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        vectors = self.id(item_ids) + self.features(item_ids)
        return vectors if self.text is None else vectors + self.text(item_ids)
