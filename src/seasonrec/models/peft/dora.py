"""DoRA: LoRA for the direction of a matrix, and its length by itself."""

from __future__ import annotations

from seasonrec.models.peft.lora import LoRA


class DoRA(LoRA):
    """LoRA that splits a matrix into the length and the direction of its columns and trains both.

    The language model starts as it was loaded. A step costs more than LoRA's, because the changed matrix is normed
    anew. Its options are those of :class:`~seasonrec.models.peft.lora.LoRA`.

    References:
        Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024.
    """

    option = "dora"
    use_dora = True
