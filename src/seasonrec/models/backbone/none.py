"""No sequence backbone: the row that shows what the order of events is worth."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts


class NoBackbone(nn.Module):
    """Gives every position the start vector, so that nothing of the sequence reaches the query.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)``; output: ``(B, T + 1, D)``.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        return inputs[:, :1].expand_as(inputs)
