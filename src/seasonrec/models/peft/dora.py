"""DoRA: LoRA for the direction of a matrix, and a separately trained magnitude."""

from __future__ import annotations

from seasonrec.models.peft.lora import LoRA
from seasonrec.ranges import ranged


@ranged("peft")
class DoRA(LoRA):
    """LoRA that splits a matrix into the magnitude and the direction of its columns and trains both.

    The language model's initial outputs are unchanged. A step costs more than with LoRA, because the changed matrix is
    normalised in each step. The options are those of :class:`~seasonrec.models.peft.lora.LoRA`.

    References:
        Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024.
    """

    option = "dora"
    use_dora = True
