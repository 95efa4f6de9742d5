"""No behaviours."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts


class NoBehaviour(nn.Module):
    """Returns the vectors of the events unchanged: the sequences do not tell a view from a purchase.

    Shape:
        - events: ``(B, T, D)``; output: the same.
    """

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, events: Tensor, batch: SequenceBatch) -> Tensor:
        return events
