"""Items as their texts, read by a frozen language model."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.data.facts import Facts
from seasonrec.models.text import TextReader


class TextItems(nn.Module):
    """Text vectors of a frozen language model, through a learned projection.

    The vectors are read once, kept on disk, and held here as a buffer, so that the language model is never in the step.

    Args:
        reader: Language model, see :func:`~seasonrec.models.pretrained.resolve`.
        hidden_dim: Width of the projection's hidden layer.

    Shape:
        - output: ``(V, D)``.

    Raises:
        ValueError: If the dataset has no text.
    """

    text_vectors: Tensor

    def __init__(self, reader: str = "minilm", hidden_dim: int = 128, *, facts: Facts) -> None:
        super().__init__()
        if not facts.spec.has_text:
            raise ValueError(
                "item_encoder=text reads item texts, got a dataset without any; give data.items a text column, "
                "or choose item_encoder=id."
            )
        vectors = TextReader(reader, facts.cache_dir)(facts.item_texts)
        vectors = vectors - vectors.mean(0)
        self.register_buffer("text_vectors", vectors / vectors.std(), persistent=False)
        width = facts.embedding_dim
        self.project = nn.Sequential(nn.Linear(vectors.shape[1], hidden_dim), nn.GELU(), nn.Linear(hidden_dim, width))
        nn.init.normal_(self.project[-1].weight, std=0.02 * hidden_dim**-0.5)

    def forward(self) -> Tensor:
        return self.project(self.text_vectors)
