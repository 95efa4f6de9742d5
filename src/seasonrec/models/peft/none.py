"""Full tuning."""

from __future__ import annotations

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Peft


class FullTuning(Peft):
    """Training of every weight; the model may have no language model."""

    def __init__(self, *, facts: Facts) -> None:
        pass
