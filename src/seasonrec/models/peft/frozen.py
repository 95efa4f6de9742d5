"""Language models stay as they were loaded."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Target, Tuning


class Frozen(Tuning):
    """Trains nothing of a language model; the projections around it, and everything else, are trained.

    Args:
        target: Whose language model is meant; that of another part is frozen as well.
    """

    option = "frozen"

    def __init__(self, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target)

    def tune(self, language_model: Any) -> nn.Module:
        return language_model.requires_grad_(False)
