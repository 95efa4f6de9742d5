"""A gated recurrent unit over the backbone's output and the time between events."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.batch import SequenceBatch
from seasonrec.data.facts import Facts
from seasonrec.data.spec import SECONDS_PER_DAY


class GRUTemporal(nn.Module):
    """Adds a GRU's state, which also reads the gap to the event before.

    Gaps are taken between whole seconds before they become floats: a float32 of today's epoch counts in steps of 128 s.
    The output projection starts at zero, so that the module starts as the identity.

    Args:
        num_layers: Stacked GRU layers.

    Shape:
        - hidden: ``(B, T + 1, D)``; output: ``(B, T + 1, D)``.

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016. Departure: here the GRU
        refines a backbone instead of reading item embeddings.
    """

    changes_hidden = True

    def __init__(self, num_layers: int = 1, *, facts: Facts) -> None:
        super().__init__()
        width = facts.embedding_dim
        self.gru = nn.GRU(width + 1, width, num_layers, batch_first=True)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> Tensor:
        gaps_s = torch.diff(batch.timestamps_s, dim=1).clamp(min=0)  # (B, T - 1)
        gaps = torch.log1p(gaps_s / SECONDS_PER_DAY).to(hidden.dtype)
        gaps = F.pad(gaps, (2, 0))  # (B, T + 1): no gap before the start and the first event
        state, _ = self.gru(torch.cat([hidden, gaps.unsqueeze(-1)], dim=-1))
        return hidden + self.out(state)
