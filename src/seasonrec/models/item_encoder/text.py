"""Item texts read by a frozen language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.ranges import Width, ranged


@ranged("item_encoder")
class TextItems(nn.Module):
    """Text vectors of a frozen language model with a learned projection.

    The vectors are computed once, cached on disk, and stored in a buffer, so the language model is not part of a
    training step. For data without texts, the items' ids are read as texts, with a note. With a text augmentation,
    training reads a random wording of each item in every step; evaluation reads the original text.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        hidden_dim: Width of the projection's hidden layer.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    text_vectors: Tensor

    def __init__(self, reader: str = "minilm", hidden_dim: Width = 128, *, facts: Facts) -> None:
        super().__init__()
        self.reader = reader
        read = TextReader(reader, facts.cache_dir)
        wordings = [read(texts) for texts in (facts.texts_for("item_encoder=text"), *facts.text_variants)]
        mean = wordings[0][facts.item_is_known].mean(0)
        vectors = torch.stack([wording - mean for wording in wordings])  # (R + 1, V, E)
        self.register_buffer("text_vectors", vectors / vectors[0][facts.item_is_known].std(), persistent=False)
        self.project = text_projection(vectors.shape[-1], hidden_dim, facts.embedding_dim)

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        return self.project(self._wording(item_ids))

    def _wording(self, item_ids: Tensor | None) -> Tensor:
        """Returns the text vectors ``(P, E)``; without variants no random number is drawn."""
        if not self.training or len(self.text_vectors) == 1:
            return self.text_vectors[0] if item_ids is None else self.text_vectors[0][item_ids]
        items = torch.arange(self.text_vectors.shape[1], device=self.text_vectors.device)
        items = items if item_ids is None else item_ids
        wording = torch.randint(len(self.text_vectors), items.shape, device=items.device)
        return self.text_vectors[wording, items]


def text_projection(text_dim: int, hidden_dim: int, embedding_dim: int) -> nn.Sequential:
    """Returns the projection of text vectors to item vectors, whose initial standard deviation is that of ids."""
    out = Linear(hidden_dim, embedding_dim)
    nn.init.normal_(out.weight, std=0.02 * hidden_dim**-0.5)
    return nn.Sequential(Linear(text_dim, hidden_dim), nn.GELU(), out)
