"""No sequence backbone: the ablation of the event sequence."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts


class NoBackbone(nn.Module):
    """Start vector at every position, so that the query does not depend on the sequence.

    Shape:
        - inputs: ``(B, T + 1, D)``; is_padding: ``(B, T + 1)``; output: ``(B, T + 1, D)``.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, inputs: Tensor, is_padding: Tensor) -> Tensor:
        return inputs[:, :1].expand_as(inputs)
