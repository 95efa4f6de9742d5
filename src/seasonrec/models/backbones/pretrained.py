"""Any Hugging Face encoder or decoder as the sequence backbone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seasonrec.data.facts import Facts
from seasonrec.models.dropout import Dropout
from seasonrec.models.pretrained import load_model


class PretrainedBackbone(nn.Module):
    """A pretrained language model reads item vectors in place of word vectors, through ``inputs_embeds``.

    Encoders of the BERT type run with a causal mask (``is_decoder=True``), so that one window serves several requests
    and no request reads what comes after it. Two projections lead from the width ``D`` to the model's and back. The
    model's own dropout stays off, tuned or not; the inputs' dropout stands in for it.

    Args:
        name: Model name, see :func:`~seasonrec.models.pretrained.resolve`.
        num_layers: Keep the first layers only; None keeps all.
        tuned: Which of the language model's weights are trained: ``"all"``, ``"norms"`` (layer norms) or ``"none"``.
        weights: ``"pretrained"``, or ``"random"`` to start the same architecture from scratch.
        dropout: On the projected inputs.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.
    """

    def __init__(
        self,
        name: str = "minilm",
        num_layers: int | None = None,
        tuned: Literal["all", "norms", "none"] = "all",
        weights: Literal["pretrained", "random"] = "pretrained",
        dropout: float = 0.1,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.model = load_model(name, num_layers, random=weights == "random", causal=True)
        width = self.model.config.hidden_size
        self.inward = nn.Linear(facts.embedding_dim, width)
        self.outward = nn.Linear(width, facts.embedding_dim)
        self.dropout = Dropout(dropout)
        for parameter_name, parameter in self.model.named_parameters():
            is_norm = "norm" in parameter_name.lower() or "ln_" in parameter_name
            parameter.requires_grad_(tuned == "all" or (tuned == "norms" and is_norm))
        _drop_unread_weights(self.model)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        vectors = self.dropout(self.inward(inputs))
        output = self.model(inputs_embeds=vectors, attention_mask=(~is_padding).long(), use_cache=False)
        return self.outward(output.last_hidden_state)


def _drop_unread_weights(model: nn.Module) -> None:
    """Frees the word embeddings, which nothing reads when the inputs are vectors, and the pooler of BERT types."""
    embedding = model.get_input_embeddings()  # type: ignore[operator]  # a method of every transformers model
    embedding.weight = nn.Parameter(embedding.weight[:1].detach().clone(), requires_grad=False)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]  # transformers tests it for None
