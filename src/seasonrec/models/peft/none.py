"""All weights are trained."""

from __future__ import annotations

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Tuning


class FullTuning(Tuning):
    """Leaves the model as it is: every weight of a language model is trained. A model need not hold one."""

    option = "none"

    def __init__(self, *, facts: Facts) -> None:
        super().__init__()

    def apply(self, model: nn.Module) -> None:
        pass
