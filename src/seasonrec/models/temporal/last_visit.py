"""The time since the user's last event, added to the query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.temporal.baskets import Baskets

NEVER_DAYS = 365.0
"""Time since the last event of a user without events."""


class LastVisitTemporal(nn.Module):
    """The query moves along one learned direction, by the logarithm of the days since the user's last event.

    The direction starts at zero, so that the module starts as the identity.

    Shape:
        - hidden: ``(B, T + 1, D)``; query: ``(N, D)``.
    """

    changes_hidden = True

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()
        self.direction = zeroed(Linear(1, facts.embedding_dim, bias=False))

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        last_s = Baskets.of(batch).times_s[batch.request_window, batch.request_position]
        days = ((batch.request_time_s - last_s) / SECONDS_PER_DAY).clamp(min=0)
        known = torch.where(batch.request_position > 0, days, NEVER_DAYS).to(hidden.dtype)
        return SequenceReading(at_requests(hidden, batch) + self.direction(torch.log1p(known)[:, None] / 6.0))
