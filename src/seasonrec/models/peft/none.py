"""Full tuning."""

from __future__ import annotations

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Tuning


class FullTuning(Tuning):
    """Trains every weight. The model may have no language model."""

    option = "none"

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def apply(self, model: nn.Module) -> None:
        pass
