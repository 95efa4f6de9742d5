"""Any Hugging Face encoder or decoder as the sequence backbone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seasonrec.data.facts import Facts
from seasonrec.models.dropout import Dropout
from seasonrec.models.pretrained import compute_twice, load_model


class PretrainedBackbone(nn.Module):
    """A pretrained language model reads item vectors in place of word vectors, through ``inputs_embeds``.

    Encoders of the BERT type run with a causal mask (``is_decoder=True``), so that one window serves several requests
    and no request reads what comes after it. Two projections lead from the width ``D`` to the model's and back. The
    model's own dropout stays off, tuned or not; the inputs' dropout stands in for it. The slot ``peft`` says which of
    its weights are trained.

    Args:
        name: Model name, see :func:`~seasonrec.models.pretrained.resolve`.
        num_layers: Keep the first layers only; None keeps all.
        weights: ``"pretrained"``, or ``"random"`` to start the same architecture from scratch.
        dropout: On the projected inputs.
        gradient_checkpointing: Compute the layers a second time in the backward pass instead of keeping what they gave:
            less memory, a third more time.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)`` bool; output: ``(B, T + 1, D)``.
    """

    def __init__(
        self,
        name: str = "minilm",
        num_layers: int | None = None,
        weights: Literal["pretrained", "random"] = "pretrained",
        dropout: float = 0.1,
        gradient_checkpointing: bool = False,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.language_model = load_model(name, num_layers, random=weights == "random", causal=True)
        self.is_pretrained = weights == "pretrained"
        width = self.language_model.config.hidden_size
        self.inward = nn.Linear(facts.embedding_dim, width)
        self.outward = nn.Linear(width, facts.embedding_dim)
        self.dropout = Dropout(dropout)
        _drop_unread_weights(self.language_model)
        if gradient_checkpointing:
            compute_twice(self.language_model)

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        vectors = self.dropout(self.inward(inputs))
        output = self.language_model(inputs_embeds=vectors, attention_mask=(~is_padding).long(), use_cache=False)
        hidden = output.last_hidden_state[:, -inputs.shape[1] :]  # behind the positions of a prompt
        return self.outward(hidden)


def _drop_unread_weights(model: nn.Module) -> None:
    """Frees the word embeddings, which nothing reads when the inputs are vectors, and the pooler of BERT types."""
    embedding = model.get_input_embeddings()  # type: ignore[operator]  # a method of every transformers model
    embedding.weight = nn.Parameter(embedding.weight[:1].detach().clone(), requires_grad=False)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]  # transformers tests it for None
