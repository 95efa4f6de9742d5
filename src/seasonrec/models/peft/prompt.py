"""Prompt tuning: learned vectors before the sequence."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.language.pretrained import num_positions
from seasonrec.models.peft.base import Target, Unmergeable
from seasonrec.models.peft.library import wrapped


class PromptTuning(Unmergeable):
    """Trains vectors that stand before every sequence; the language model itself is frozen.

    They take up positions of the language model; the part that holds it cuts them off its output. It starts with
    random vectors and so not as the language model was loaded, and cannot be merged into its weights.

    Args:
        num_tokens: How many vectors.
        target: Whose language model is tuned.

    Raises:
        ValueError: If there is no vector; from ``apply``, if the language model has too few positions for them; from
            ``merge``, always.

    References:
        Lester, Al-Rfou and Constant, The Power of Scale for Parameter-Efficient Prompt Tuning, EMNLP 2021.
    """

    option = "prompt"

    def __init__(self, num_tokens: int = 8, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target)
        if num_tokens < 1:
            raise UserError(f"peft.num_tokens must be at least 1, got {num_tokens}; peft=frozen adds nothing.")
        self.num_tokens = num_tokens

    def apply(self, model: nn.Module) -> None:
        super().apply(model)
        for name, part in self.parts.items():
            known, wanted = num_positions(part.language_model), self.num_tokens + part.num_positions_read
            if known is not None and known < wanted:
                raise UserError(
                    f"peft.num_tokens={self.num_tokens} stand before {part.num_positions_read} positions that {name} "
                    f"reads, and its language model knows {known}, got {wanted}; set peft.num_tokens to at most "
                    f"{known - part.num_positions_read}, or lower max_seq_len."
                )

    def tune(self, language_model: Any) -> nn.Module:
        from peft import PromptTuningConfig, TaskType

        task = TaskType.FEATURE_EXTRACTION
        return wrapped(language_model, PromptTuningConfig(task_type=task, num_virtual_tokens=self.num_tokens))
