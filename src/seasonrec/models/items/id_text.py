"""Items as the sum of an id embedding and their text."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.data.facts import Facts
from seasonrec.models.items.id import IdItems
from seasonrec.models.items.text import TextItems


class IdTextItems(nn.Module):
    """What the text says of an item, plus what only its own events can say.

    Args:
        reader: Language model, see :func:`~seasonrec.models.pretrained.resolve`.
        hidden_dim: Width of the text projection's hidden layer.

    Shape:
        - output: ``(V, D)``.
    """

    def __init__(self, reader: str = "minilm", hidden_dim: int = 128, *, facts: Facts) -> None:
        super().__init__()
        self.id = IdItems(facts=facts)
        self.text = TextItems(reader, hidden_dim, facts=facts)

    def forward(self) -> Tensor:
        return self.id() + self.text()
