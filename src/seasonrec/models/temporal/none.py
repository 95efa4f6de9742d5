"""Option without a temporal module."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.models.components import SequenceReading, at_requests


class NoTemporal(nn.Module):
    """The identity: the query is the backbone's output at the request.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.
    """

    changes_hidden = False

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        return SequenceReading(at_requests(hidden, batch))
