"""Option without a habit, which shows the value of repeat purchases."""

from __future__ import annotations

from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues
from seasonrec.models.scoring import ScoredItems


class NoHabit(nn.Module):
    """The identity: the logits stay unchanged."""

    reads = ()
    changes_scores = False

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def forward(self, scores: Tensor, items: ScoredItems, context: ContextValues) -> Tensor:
        return scores
