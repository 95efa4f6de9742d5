"""Items as their texts, read by a frozen language model."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.data.facts import Facts
from seasonrec.models.text import TextReader


class TextItems(nn.Module):
    """Text vectors of a frozen language model, through a learned projection.

    The vectors are read once, kept on disk, and held here as a buffer, so that the language model is never in the step.
    Where the data has no text, the items' ids are read, with a note.

    Args:
        reader: Language model, see :func:`~seasonrec.models.pretrained.resolve`.
        hidden_dim: Width of the projection's hidden layer.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    text_vectors: Tensor

    def __init__(self, reader: str = "minilm", hidden_dim: int = 128, *, facts: Facts) -> None:
        super().__init__()
        vectors = TextReader(reader, facts.cache_dir)(facts.texts_for("item_encoder=text"))
        vectors = vectors - vectors.mean(0)
        self.register_buffer("text_vectors", vectors / vectors.std(), persistent=False)
        width = facts.embedding_dim
        out = nn.Linear(hidden_dim, width)
        nn.init.normal_(out.weight, std=0.02 * hidden_dim**-0.5)
        self.project = nn.Sequential(nn.Linear(vectors.shape[1], hidden_dim), nn.GELU(), out)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        return self.project(self.text_vectors if item_ids is None else self.text_vectors[item_ids])
