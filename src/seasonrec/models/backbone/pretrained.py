"""Sequence backbone from any Hugging Face encoder or decoder."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.language.pretrained import enable_gradient_checkpointing, load_model, num_positions
from seasonrec.ranges import BelowOne, Depth, ranged


@ranged("backbone")
class PretrainedBackbone(nn.Module):
    """Pretrained language model that reads item vectors in place of word vectors, through ``inputs_embeds``.

    Encoders of the BERT type run with a causal mask (``is_decoder=True``), so that no request reads later events. Two
    projections map the width ``D`` to the model's width and back. The model's own dropout stays off; dropout on the
    inputs replaces it. The slot ``peft`` selects the trained weights.

    Args:
        name: Model name, see :func:`~seasonrec.models.language.pretrained.resolve`.
        num_layers: Number of first layers to keep; None keeps all.
        weights: ``"pretrained"``, or ``"random"`` to train the same architecture from scratch.
        dropout: Dropout on the projected inputs.
        gradient_checkpointing: Whether to compute the layers again in the backward pass instead of keeping their
            activations: less memory, a third more time.

    Raises:
        ValueError: If the model reads later positions in spite of the mask (as DistilBERT, ALBERT, MPNet, ModernBERT
            and DeBERTa do), or has fewer positions than ``max_seq_len`` needs.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.
    """

    def __init__(
        self,
        name: str = "minilm",
        num_layers: Depth | None = None,
        weights: Literal["pretrained", "random"] = "pretrained",
        dropout: BelowOne = 0.1,
        gradient_checkpointing: bool = False,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.language_model = load_model(name, num_layers, random=weights == "random", causal=True)
        self.num_positions_read = facts.max_seq_len + 1
        _refuse_few_positions(self.language_model, name, self.num_positions_read)
        _refuse_future(self.language_model, name)
        self.is_pretrained = weights == "pretrained"
        width = self.language_model.config.hidden_size
        self.inward = Linear(facts.embedding_dim, width)
        self.outward = Linear(width, facts.embedding_dim)
        self.dropout = Dropout(dropout)
        _drop_unread_weights(self.language_model)
        if gradient_checkpointing:
            enable_gradient_checkpointing(self.language_model)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        vectors = self.dropout(self.inward(inputs))
        output = self.language_model(inputs_embeds=vectors, attention_mask=(~is_padding).long(), use_cache=False)
        hidden = output.last_hidden_state[:, -inputs.shape[1] :]  # after the positions of a prompt
        return self.outward(hidden)


def _refuse_few_positions(model: Any, name: str, wanted: int) -> None:
    known = num_positions(model)
    if known is not None and known < wanted:
        raise UserError(
            f"backbone.name={name!r} has {known} positions, and max_seq_len={wanted - 1} needs {wanted}; set "
            f"max_seq_len to at most {known - 1}, or choose a model with rotary positions."
        )


@torch.no_grad()
def _refuse_future(model: Any, name: str) -> None:
    """Checks that no position reads later ones, because some encoders ignore ``is_decoder``."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, 4, model.config.hidden_size, generator=draw)
    changed = torch.cat([inputs[:, :2], -inputs[:, 2:]], dim=1)
    mask = torch.ones(1, 4, dtype=torch.long)
    early, again = (
        model(inputs_embeds=given, attention_mask=mask, use_cache=False).last_hidden_state[:, :2]
        for given in (inputs, changed)
    )
    if not torch.allclose(early, again, atol=1e-5):
        raise UserError(
            f"backbone.name={name!r}: {type(model).__name__} lets a position read later ones, even as a decoder, and "
            "would read its own targets; choose a model of the BERT, RoBERTa, ELECTRA, GPT or Llama type."
        )


def _drop_unread_weights(model: nn.Module) -> None:
    """Frees the word embeddings, which are unused if the inputs are vectors, and the pooler of BERT types."""
    embedding = model.get_input_embeddings()  # type: ignore[operator]  # a method of every transformers model
    embedding.weight = nn.Parameter(embedding.weight[:1].detach().clone(), requires_grad=False)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]  # transformers tests it for None
