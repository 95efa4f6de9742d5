"""No mixture."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues


class NoMixture(nn.Module):
    """Logits of the model as they are.

    Shape:
        - scores: ``(N, V)``; output: the same.
    """

    contexts: tuple[Context, ...] = ()
    trend_contexts: tuple[Context, ...] = ()
    reads: tuple[Context, ...] = ()

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, scores: Tensor, context: ContextValues) -> Tensor:
        return scores
