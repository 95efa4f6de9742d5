"""Full tuning."""

from __future__ import annotations

from seasonrec.models.peft.base import Peft


class FullTuning(Peft):
    """Training of every weight; the model may have no language model."""
